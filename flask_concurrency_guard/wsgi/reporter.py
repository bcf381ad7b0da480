"""Tell signals, logs and observers what becomes of requests."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

from ..complaints import complain
from ..core.decisions import Mode
from ..core.decisions import Reason
from ..core.lease import Lease
from ..observe.current import current_environ
from ..observe.rejections import RejectionLog
from ..signals import emit
from ..signals import request_admitted
from ..signals import request_queued
from ..signals import request_rejected
from ..signals import request_released
from ..tags import ADMITTED
from ..tags import DECIDED_AT_KEY
from ..tags import EXEMPT
from ..tags import PREFIX
from ..tags import SHADOW
from ..tags import STATUS_KEY
from .tags import OUTER_TAGS_KEY
from .tags import tags_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment

    from ..core.decisions import Rejection
    from ..core.limiter import Limiter

logger = logging.getLogger(__name__)


class Observer(Protocol):
    """Somebody who wants to know what becomes of each request.

    By the time of a call the request's tags are in its environment, and from the beginning of the
    response on its status is as well.
    """

    @property
    def sees_exempt(self) -> bool:
        """Whether it is told of exempt requests, which have a lease that counts nowhere."""

    def begin(self, environ: WSGIEnvironment, lease: Lease) -> None:
        """A request is admitted."""

    def end(self, environ: WSGIEnvironment, lease: Lease) -> None:
        """It has given its lease back, and held it for `lease.held` seconds."""

    def rejected(self, environ: WSGIEnvironment, rejection: Rejection) -> None:
        """A request was rejected and has its answer; or would have been, in shadow mode."""


class Reporter:
    """Tells what becomes of the requests that some limiters decide on.

    :param limiter: the one that all requests have to pass.
    :param sender: returns the sender of the signals.
    :param observers: are told of each request. One that raises is logged, and the request goes on.
    """

    def __init__(
        self, limiter: Limiter, sender: Callable[[], object], observers: Sequence[Observer]
    ) -> None:
        self._limiter = limiter
        self._sender = sender
        self.observers = tuple(observers)
        self._own_tags = _OwnTags()
        self._logs: dict[str, RejectionLog] = {}
        self._decisions: dict[str, dict[Reason, str]] = {}
        self.add(limiter)
        if observers:
            limiter.on_release = self.released

    def add(self, limiter: Limiter) -> None:
        """Tell of a limiter as well."""
        self._logs[limiter.name] = RejectionLog(limiter)
        self._decisions[limiter.name] = {
            reason: f"rejected; limit={limiter.name}; reason={reason}" for reason in Reason
        }
        limiter.on_queued = self.queued

    def bound_clients(self, limiter: Limiter, share: int | None) -> None:
        """Know how many requests of one client a limiter admits, to log it with its rejections."""
        self._logs[limiter.name].client_share = share

    def limiters(self) -> list[Limiter]:
        """Return all limiters that there are."""
        return [log.limiter for log in self._logs.values()]

    def saturated_for(self) -> float:
        """Return for how many seconds more requests have been rejected than admitted, until now."""
        return self._logs[self._limiter.name].saturated_for()

    def decision(self, rejection: Rejection) -> str:
        """Return the tag of a request that was rejected."""
        return self._decisions[rejection.limiter][rejection.reason]

    def look_at_all(self, lease: Lease, age: float) -> tuple[float, str]:
        """Return how long a request waited in all lines, in seconds, and what was decided on it."""
        queue_time, decided = 0.0, ADMITTED
        for one in (*lease.companions, lease):
            queue_time += one.queue_time
            rejection = _at_once(one)
            if rejection is not None and decided is ADMITTED:
                decided = self.decision(rejection) + SHADOW
        for companion in lease.companions:
            companion.age = age
            limiter = self._logs[companion.limiter.name].limiter
            if limiter.mode is Mode.SHADOW:
                limiter.on_release = self.released
        return queue_time, decided

    def admitted(self, environ: WSGIEnvironment, lease: Lease, decided: str) -> None:
        """Tell of a request that has a lease, and see to it that its end will be told."""
        if request_admitted.receivers:
            emit(request_admitted, self._sender(), environ=environ, lease=lease)
        self._own_tags.note(environ)
        for observer in self.observers:
            _tell(observer.begin, environ, lease)
        self._limiter.on_release = self.released
        if decided is ADMITTED:
            return
        for one in (*lease.companions, lease):
            rejection = _at_once(one)
            if rejection is not None:
                self.rejected(environ, rejection)

    def rejected(self, environ: WSGIEnvironment, rejection: Rejection) -> None:
        """Tell of a request that was rejected, or would have been."""
        log = self._logs[rejection.limiter]
        # Set when there is something to tell at a release; nobody else pays for the call.
        log.limiter.on_release = self._limiter.on_release = self.released
        if not rejection.enforced:
            self.answered(environ, rejection)
        elif self.observers:
            environ[DECIDED_AT_KEY] = time.monotonic()
        if log.enforced is not rejection.enforced:
            if log.pending:
                self._write(log, but=rejection.reason)  # Which is counted already.
            log.enforced = rejection.enforced
        if not log.due() and not request_rejected.receivers:
            return
        token = current_environ.set(environ)
        try:
            if log.overdue():
                self._write(log)
            emit(request_rejected, self._sender(), environ=environ, rejection=rejection)
        finally:
            current_environ.reset(token)

    def answered(self, environ: WSGIEnvironment, rejection: Rejection) -> None:
        """Tell the observers of a request that was rejected, or would have been."""
        for observer in self.observers:
            _tell(observer.rejected, environ, rejection)

    def queued(self, lease: Lease) -> None:
        """Tell of a request that begins to wait."""
        if request_queued.receivers and lease.holder is not None:
            emit(request_queued, self._sender(), environ=lease.holder, lease=lease)

    def released(self, lease: Lease) -> None:
        """Tell of a request that has given a lease back."""
        environ = lease.holder
        if environ is None:
            return  # It was no request that held it.
        self._own_tags.put_back(environ)
        rejection = lease.rejection
        if rejection is not None and rejection.queue_time:
            self.rejected(environ, rejection)  # Shadow mode can't know before the end.
        if lease.limiter is self._limiter:
            for observer in self.observers:
                _tell(observer.end, environ, lease)
            if request_released.receivers:
                emit(request_released, self._sender(), environ=environ, lease=lease)
        # Those of limits that nobody may come to any more, too.
        for log in self._logs.values():
            if log.overdue():
                self._write(log)

    def _write(self, log: RejectionLog, but: Reason | None = None) -> None:
        try:
            log.write(but=but)
        except Exception:  # Of a filter that wants a request of Flask's, say.
            complain(logger, "The rejections could not be logged; going on.")


class Exempt:
    """Grants leases that count nowhere, so that observers hear of exempt requests.

    :param limiter: which those requests need not pass.
    :param observers: those of the limiter's. Only some want to hear of that.
    """

    mode = Mode.OFF
    name = EXEMPT

    def __init__(self, limiter: Limiter, observers: Sequence[Observer]) -> None:
        self._limiter = limiter
        self._observers = [observer for observer in observers if observer.sees_exempt]
        self._own_tags = _OwnTags()
        self._abandoned: deque[Lease] = deque()

    def __bool__(self) -> bool:
        """Whether anybody wants to hear of it."""
        return bool(self._observers)

    def acquire(self, environ: WSGIEnvironment) -> Lease:
        """Return a lease."""
        while self._abandoned:
            self._settle()
        lease = Lease(self, environ, 0, time.monotonic())
        lease._released, lease.may_be_dropped = False, True
        lease.in_flight = self._limiter.in_flight
        return lease

    def admitted(self, environ: WSGIEnvironment, lease: Lease, decided: str) -> None:
        """Tell of a request that has a lease."""
        self._own_tags.note(environ)
        for observer in self._observers:
            _tell(observer.begin, environ, lease)

    def release(self, lease: Lease) -> bool:
        """Take `lease` back. Return whether this call did it."""
        if lease._released:
            return False
        lease._released = True
        lease.held = time.monotonic() - lease.started
        self._own_tags.put_back(lease.holder)
        for observer in self._observers:
            _tell(observer.end, lease.holder, lease)
        return True

    def withdraw(self, lease: Lease) -> None:
        """Take `lease` back."""
        self.release(lease)

    def reclaim(self, lease: Lease) -> None:
        """Take back a lease that is being collected, when the next request comes.

        The collector may run anywhere, and nobody knows what the interrupted thread holds: a lock
        that an observer needs, say.
        """
        self._abandoned.append(lease)

    def _settle(self) -> None:
        try:
            self.release(self._abandoned.popleft())
        except IndexError:
            pass  # Another thread was faster.


class _OwnTags:
    """Puts a guard's tags back when its request ends, where they were overwritten.

    The app may have another guard inside it, that of an app that is mounted there, which puts its
    own tags into the same environment.
    """

    def __init__(self) -> None:
        self._key = f"{PREFIX}depth.{id(self)}"

    def note(self, environ: WSGIEnvironment) -> None:
        """Remember how many guards there are around this one, while its tags are in `environ`."""
        if OUTER_TAGS_KEY in environ:
            environ[self._key] = len(environ[OUTER_TAGS_KEY])

    def put_back(self, environ: WSGIEnvironment) -> None:
        """See to it that its tags are in `environ`."""
        if OUTER_TAGS_KEY not in environ:
            return  # There is no other guard, as nearly always.
        own = environ[OUTER_TAGS_KEY][environ.get(self._key, 0) :]
        if own:
            for key in tags_in(environ).keys() - own[0].keys():
                del environ[key]
            environ.update(own[0])


def noted(start_response: StartResponse, environ: WSGIEnvironment) -> StartResponse:
    """Return `start_response` so that it puts the status into `environ`, for observers."""

    def noting_start_response(
        status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        environ[STATUS_KEY] = status[:3]
        if exc_info is None:
            return start_response(status, headers)
        return start_response(status, headers, exc_info)

    return noting_start_response


def _at_once(lease: Lease) -> Rejection | None:
    """Return how a request would have been rejected when it came, where that wasn't enforced."""
    rejection = lease.rejection
    return None if rejection is None or rejection.queue_time else rejection


def _tell(
    tell: Callable[[WSGIEnvironment, Any], None], environ: WSGIEnvironment, what: Any
) -> None:
    """Call an observer, and let it harm no request."""
    try:
        tell(environ, what)
    except Exception:
        complain(logger, "What observes requests has failed; going on.")
