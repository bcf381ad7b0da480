"""Tell other processes once a second what this one is doing: for the status page and command."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import Counter
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from weakref import ref

from .. import standard_json
from ..complaints import complain
from ..complaints import note
from ..complaints import write_notes
from ..core.fork import reset_after_fork
from ..core.fork import threads_stand_still
from ..core.store import StoreError
from ..exits import at_exit
from ..tags import STATUS_KEY
from ..tags import tag_key
from .history import History
from .history import Sample
from .history import bucket
from .history import step_at
from .history import write_durations
from .postings import Posting
from .requests import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIEnvironment

    from ..core.decisions import Rejection
    from ..core.lease import Lease

    # What it is, since when, and what it holds besides the lease of the app's own limiter.
    _InFlight = tuple[WSGIEnvironment, float, tuple[Lease, ...]]

logger = logging.getLogger("flask_concurrency_guard.status")

FORMAT = 1
"""Counts up when what is written can't be read any more by who reads the format before."""

EVERY = 1.0
"""How many seconds there are between two looks. All processes look at the same moments, so that
what they have in flight can be added up."""

RETRY = 1.0
"""After how many seconds to try again, where no thread could be started."""

MOST_SERVED = 50
"""How many requests are told of in detail, the longest in flight first."""

_MOST_ENDED = 50_000  # In one second; where no thread looks, it is what stays in memory.
_THREAD_ID = tag_key("thread_id")


class Publisher:
    """Keeps count of the requests that end, and tells once a second of those and all the others.

    A thread does the telling. It begins with the first request.

    :param collect: returns what else to tell, among it `limits`; None when the app is gone.
    :param find_place: returns the folder and the name of the app, when they are needed.
    :param show_query: whether query strings may be seen.
    """

    sees_exempt = False

    def __init__(
        self,
        collect: Callable[[], dict[str, Any] | None],
        find_place: Callable[[], tuple[Path, str]],
        *,
        show_query: bool = False,
    ) -> None:
        self._collect = collect
        self._find_place = find_place
        self._show_query = show_query
        self._posting: Posting | None = None
        self.after_fork()
        reset_after_fork(self)

    def after_fork(self) -> None:
        """Forget the parent's requests, its file, and its thread, which isn't here."""
        if self._posting is not None:
            self._posting.close()
        self._posting = None
        self._in_flight: dict[int, _InFlight] = {}
        # Neither needs a lock: each is one step of the interpreter's.
        self._ended: deque[tuple[float, str | None]] = deque(maxlen=_MOST_ENDED)
        self._thread: threading.Thread | None = None
        self._next_start = -math.inf
        self._history = History()
        self._rejected = 0
        self._started = time.time()
        self._has_failed = self._is_over = False
        self._publishing = threading.Lock()

    def begin(self, environ: WSGIEnvironment, lease: Lease) -> None:
        """Tell of a request from now on."""
        self._in_flight[id(lease)] = environ, lease.started, lease.companions
        if self._thread is None:
            self.start()

    def end(self, environ: WSGIEnvironment, lease: Lease) -> None:
        """Tell of it as one that has ended."""
        self._in_flight.pop(id(lease), None)
        self._ended.append((lease.held + lease.queue_time, environ.get(STATUS_KEY)))

    def rejected(self, environ: WSGIEnvironment, rejection: Rejection) -> None:
        """Do nothing: the limiters count them."""

    def start(self) -> None:
        """Begin to tell, unless that has been done."""
        if self._thread is not None or time.monotonic() < self._next_start:
            return
        # Two requests that come first may both do it: then one of the threads ends.
        self._thread = thread = threading.Thread(
            target=_run, args=(ref(self),), name="flask_concurrency_guard.status", daemon=True
        )
        if threads_stand_still():
            logger.warning(
                "uWSGI runs no thread of an app's between requests, so the status of an idle worker"
                " is an old one. Start uWSGI with '--enable-threads'."
            )
        try:
            thread.start()
        except RuntimeError:
            self._thread, self._next_start = None, time.monotonic() + RETRY
            complain(logger, "Nobody tells the status: there can be no more threads.")

    def is_mine(self) -> bool:
        """Return whether it is this thread that is to tell."""
        return self._thread is threading.current_thread()

    def publish(self, now: float, *, is_last: bool = False) -> bool:
        """Tell how things are. Return whether there is anything left to tell of.

        :param now: seconds since 1970.
        :param is_last: whether the process is about to end.
        """
        with self._publishing:
            try:
                told = self._collect()
                if told is None:
                    self._forget()
                    return False
                self._post(self._describe_all(told, now, is_last))
            except Exception as error:
                self._fail(error)
        write_notes()
        return True

    def say_goodbye(self) -> None:
        """Tell how it was at the end of the process."""
        if self._posting is not None:
            self._thread = threading.current_thread()  # The other one ends, and no new one begins.
            self._is_over = True
            self.publish(time.time(), is_last=True)

    def _describe_all(self, told: dict[str, Any], now: float, is_last: bool) -> bytes:
        self._count(told["limits"], now)
        # A request that comes or goes meanwhile would end an iteration over the table itself.
        in_flight = list(self._in_flight.copy().values())
        told |= {
            "format": FORMAT,
            "pid": os.getpid(),
            "started": self._started,
            "written": now,
            "has_ended": is_last,
            "requests": len(in_flight),
            "serving": self._describe_some(in_flight),
        }
        # The history is encoded already, but for its last sample.
        return f'{standard_json.dumps(told)[:-1]}, "history": {self._history.encode()}}}'.encode()

    def _count(self, limits: list[dict[str, Any]], now: float) -> None:
        rejected = sum(sum(limit["rejected"].values()) for limit in limits)
        ended = [self._ended.popleft() for _ in range(len(self._ended))]
        good = sum(status is not None and status < "5" for _, status in ended)
        own = limits[0]
        sample = Sample(
            # Most of it happened before now.
            step=step_at(now - EVERY / 2),
            good=good,
            failed=len(ended) - good,
            rejected=max(0, rejected - self._rejected),
            limit=own["limit"],
            in_flight=own["in_flight"],
            queued=own["queued"],
            durations=write_durations(Counter(bucket(seconds) for seconds, _ in ended)),
        )
        self._rejected = rejected
        self._history.add(sample)

    def _describe_some(self, in_flight: list[_InFlight]) -> list[dict[str, Any]]:
        now = time.monotonic()
        served = sorted(in_flight, key=_since)[:MOST_SERVED]
        return [
            {
                "what": name_of(environ, show_query=self._show_query),
                "seconds": round(max(0.0, now - started), 3),
                "thread_id": environ.get(_THREAD_ID),
                # Once, where each client has its part of a limit, which is a lease of its own.
                "limits": list(dict.fromkeys(lease.limiter.name for lease in leases)),
            }
            for environ, started, leases in served
        ]

    def _post(self, text: bytes) -> None:
        if self._posting is None:
            folder, name = self._find_place()
            self._posting = Posting(folder, name)
        if not self._posting.write(text):
            # Somebody has cleaned up; there is a new one in a second.
            self._posting.close()
            self._posting = None
        if self._has_failed:
            self._has_failed = False
            note(logger, logging.WARNING, "The status of this process can be seen again.")

    def _fail(self, error: Exception) -> None:
        if self._has_failed:
            return
        self._has_failed = True
        if isinstance(error, OSError | StoreError):
            where = "" if self._posting is None else f" in '{self._posting.path.parent}'"
            note(
                logger,
                logging.ERROR,
                "The status of this process can't be seen%s: %s",
                where,
                error,
            )
        else:
            complain(logger, "The status of this process can't be seen.", later=True)

    def _forget(self) -> None:
        """Leave nothing behind: the app is gone, and nobody has died."""
        if self._posting is not None and not self._is_over:
            self._posting.remove()
            self._posting = None

    def __del__(self) -> None:
        self._forget()


def _since(served: _InFlight) -> float:
    return served[1]


def _run(get_publisher: Callable[[], Publisher | None]) -> None:
    # Without keeping it alive: it goes with its app, and then the thread does.
    def say_goodbye() -> None:
        publisher = get_publisher()
        if publisher is not None:
            publisher.say_goodbye()

    forget_goodbye = at_exit(say_goodbye)
    try:
        while True:
            publisher = get_publisher()
            if publisher is None or not publisher.is_mine() or not publisher.publish(time.time()):
                return
            del publisher
            # A little later than that moment of the clock, never a little earlier.
            time.sleep(EVERY - time.time() % EVERY + 0.001)
    finally:
        forget_goodbye()
