"""How long a request has waited before it came here, and whether anybody still waits for it."""

from __future__ import annotations

import logging
import time
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

from ..complaints import note
from ..complaints import write_notes
from ..core.durations import duration
from ..core.fork import reset_after_fork
from ..core.shedder import Arrival
from . import kernel
from .connections import Connections
from .drain import has_body
from .paths import environ_key
from .times import OddHeaders
from .times import read_age
from .times import read_patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIEnvironment

    from .connections import Connection

UNKNOWN = Arrival()

FAR = 0.1
"""By how many seconds an age that a proxy tells must exceed the kernel's to need a reason."""

SUSPICIOUS = 20
"""After so many of them it is worth a line that nothing explains the ages that a proxy tells."""

logger = logging.getLogger("flask_concurrency_guard")

_STARTS = ("HTTP_X_REQUEST_START", "HTTP_X_QUEUE_START")

# In daemon mode: when Apache has turned to a process of the app, in microseconds since 1970, as a
# string; seconds as a float from mod_wsgi 6 on. No client can set it.
_MOD_WSGI_START = "mod_wsgi.queue_start"


class Arrivals:
    """Look at each request as it comes.

    :param trust_request_start: believe ``X-Request-Start`` and ``X-Queue-Start``. Only for apps
        that nobody can reach but through a proxy that overwrites them.
    :param deadline_header: the name of the header that says how long the client is willing to
        wait; None for none.
    :param clock: the time, in seconds since 1970.
    """

    def __init__(
        self,
        *,
        trust_request_start: bool = False,
        deadline_header: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._trusts = trust_request_start
        self._deadline_key = environ_key(deadline_header) if deadline_header else None
        # Envoy's X-Envoy-Expected-Rq-Timeout-Ms, for one.
        self._deadline_unit = "ms" if (deadline_header or "").lower().endswith("-ms") else "s"
        self._reads_headers = trust_request_start or deadline_header is not None
        self._clock = clock
        self._connections = Connections()
        self.odd_headers = OddHeaders()
        """What was wrong with the headers."""
        self.after_fork()
        reset_after_fork(self)

    def after_fork(self) -> None:
        """Forget what the parent has served."""
        self.newest_age: float | None = None
        """The age of the newest request of which it was known, in seconds."""

    def look(self, environ: WSGIEnvironment) -> Arrival:
        """Return what is known of a request that has just come. Never raises."""
        connections = self._connections
        blind = connections.blind_server
        if blind is not None and environ.get("SERVER_SOFTWARE") == blind:
            connection = None
        else:
            connection = connections.find(environ)
        known = None if connection is None else kernel.look(connection, "HTTP_EXPECT" in environ)
        if known is not None:
            arrival = Arrival(known[0], None, known[1])
        elif start := environ.get(_MOD_WSGI_START):
            arrival = Arrival(self._read_age(str(start)))
        elif self._reads_headers:
            arrival = Arrival()
        else:
            return UNKNOWN
        if self._reads_headers:
            self._read_headers(arrival, environ)
            if known is None and connection is not None:
                arrival.is_gone = _has_hung_up(connection, arrival.age)
        if arrival.age is not None:
            self.newest_age = arrival.age
        return arrival

    def has_left(self, environ: WSGIEnvironment, waited: float) -> bool:
        """Return whether the client of a request that has waited here has left meanwhile.

        :param waited: for how long, in seconds.
        """
        connection = self._connections.find(environ)
        if connection is None:
            return False
        known = kernel.look(connection, "HTTP_EXPECT" in environ)
        return _has_hung_up(connection, waited) if known is None else known[1]

    def doubt(self, age: float) -> None:
        """Take note that a request was rejected by an age that only a proxy told, and nothing else
        was in flight here."""
        if self.odd_headers.count("request_start_while_idle") == SUSPICIOUS:
            note(
                logger,
                logging.WARNING,
                "%d requests were rejected by the age that 'X-Request-Start' tells, the last one by"
                " %s, with nothing in flight here. If the proxy has no queue of its own, its clock"
                " is behind this one.",
                SUSPICIOUS,
                duration(age),
            )
            write_notes()

    def _read_headers(self, arrival: Arrival, environ: WSGIEnvironment) -> None:
        age = self._age_by_header(environ) if self._trusts else None
        # What the kernel says is never too high. So the higher one is nearer to the truth.
        if age is not None and (arrival.age is None or age > arrival.age):
            arrival.is_doubtful = arrival.age is not None and age > arrival.age + FAR
            arrival.age = age
        if self._deadline_key is not None and (patience := environ.get(self._deadline_key)):
            arrival.patience = read_patience(patience, self._deadline_unit, self.odd_headers)

    def _age_by_header(self, environ: WSGIEnvironment) -> float | None:
        for key in _STARTS:
            if value := environ.get(key):
                if _body_came_first(environ):
                    return None  # It would count the time that the client took to send it.
                return self._read_age(value)
        return None

    def _read_age(self, start: str) -> float | None:
        age = read_age(start, self._clock(), self.odd_headers)
        return None if age is None else round(age, 3)


def _has_hung_up(connection: Connection, waited: float | None) -> bool:
    # Not of a request that has only just come: that may be its client's way to mark its end.
    patient = waited is None or waited * 1000 < kernel.HALF_CLOSED
    return not patient and kernel.is_hung_up(connection)


def _body_came_first(environ: WSGIEnvironment) -> bool:
    """Return whether there is a body, and the server calls the app only when it has all of it."""
    return has_body(environ) and (
        "waitress.client_disconnected" in environ
        # bjoern's and asgiref's.
        or isinstance(environ.get("wsgi.input"), BytesIO | SpooledTemporaryFile)
    )
