"""The way of a request: in, through the limiter, into the app, tagged, and out again."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Protocol
from typing import TypeAlias

from ..complaints import complain
from ..core.decisions import Mode
from ..core.decisions import Reason
from ..core.decisions import Rejection
from ..core.fork import reset_if_patched
from ..core.lease import Lease
from ..core.shedder import WELCOME
from ..core.shedder import Shedder
from ..core.together import acquire_all
from ..observe.current import current_environ
from ..observe.current import leave
from ..signals import request_admitted
from ..signals import request_released
from ..tags import ADMITTED
from ..tags import DEFAULT_HEADERS
from ..tags import EXEMPT
from .arrivals import UNKNOWN
from .arrivals import Arrivals
from .bodies import guard_body
from .closing import close_soon
from .drain import drain
from .drain import has_body
from .files import FileWrappers
from .files import lend
from .rejections import ProblemAnswer
from .reporter import Exempt
from .reporter import Reporter
from .reporter import noted
from .tags import Tagger

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Mapping
    from collections.abc import Sequence

    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment

    from ..core.decisions import Snapshot
    from ..core.limiter import Limiter
    from ..core.together import Admitting
    from .reporter import Observer


logger = logging.getLogger(__name__)

NOT_SERVED = {"429", *map(str, range(500, 600))}
"""The statuses of requests that nobody was served by. What has too much to do may as well fail with
an exception, quickly: a limit that lets so many in must not pass for one at which more is done."""

# Looking them up on the enumeration takes longer.
_OFF = Mode.OFF
_SHADOW = Mode.SHADOW
_BY_AGE = (Reason.OVERLOAD, Reason.TOO_OLD)


OnFirst: TypeAlias = "Callable[[WSGIEnvironment], OnFirst | None]"


class Answer(Protocol):
    """How a rejection becomes a response, with `tags` among its headers."""

    def __call__(
        self,
        rejection: Rejection,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        tags: list[tuple[str, str]],
    ) -> Iterable[bytes]: ...


class GuardMiddleware:
    """Admit to a WSGI app what its limiter allows; tag what it answers.

    :param app: the WSGI app.
    :param limiter: decides by the requests in flight. The middleware takes over its `on_queued`,
        `on_turn` and `on_release`.
    :param shedder: decides by the request's age, before the limiter is asked.
    :param arrivals: finds out the age.
    :param headers: which tag goes into the response header of which name; empty for none.
    :param answer: makes the response to a rejected request; a 503 where not given.
    :param sender: returns the sender of the signals; the middleware itself where not given.
    :param observers: are told of each request, see `Observer`.
    """

    def __init__(
        self,
        app: WSGIApplication,
        limiter: Limiter,
        *,
        shedder: Shedder | None = None,
        arrivals: Arrivals | None = None,
        headers: Mapping[str, str] = DEFAULT_HEADERS,
        answer: Answer | None = None,
        sender: Callable[[], object] | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.app = app
        self.limiter = limiter
        self.shedder = shedder or Shedder()
        self._arrivals = arrivals or Arrivals()
        self._tagger = Tagger(headers)
        self._answer = answer or ProblemAnswer()
        self.match: Callable[[WSGIEnvironment], tuple[Admitting, ...] | None] | None = None
        """Tells of a WSGI environment which limiters besides that of all must admit its request, in
        the order in which to ask them; None if it always passes."""
        self.classify: Callable[[WSGIEnvironment], float] | None = None
        """Finds out how important a request is, if that differs. Returns how much patience there is
        with it in overload."""
        self.on_first: OnFirst | None = None
        """Called at the first request, before anything else. May be called more than once, when
        several come at the same time. Returns what to call at the next one, if anything."""
        self.has_begun = False
        """Whether there was a request."""
        self.is_draining = False
        """Whether nobody is admitted any more; see `drain`."""
        self.reporter = Reporter(limiter, sender or (lambda: self), observers)
        """Tells what becomes of requests."""
        self._exempt = Exempt(limiter, observers)
        self._observers = self.reporter.observers
        self._file_wrappers = FileWrappers()
        limiter.on_turn = self._reconsider

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        limiter = self.limiter
        if limiter.mode is _OFF and self._is_off():
            return self.app(environ, start_response)
        if (on_first := self.on_first) is not None:
            self._begin(on_first, environ)
        arrival = self._arrivals.look(environ)
        age = arrival.age
        others = () if self.match is None else self.match(environ)
        if others is None:
            return self._pass(age, environ, start_response)
        if self.is_draining:
            return self._reject(self._turn_away(), age, environ, start_response)
        patience = 1.0 if self.classify is None else self.classify(environ)
        verdict = WELCOME if arrival is UNKNOWN else self.shedder.judge(arrival, patience)
        if others:
            lease = acquire_all(others, limiter, environ, verdict)
        else:
            lease = limiter.acquire(environ, verdict)
        if isinstance(lease, Lease):
            return self._serve(lease, ADMITTED, age, environ, start_response)
        if arrival.is_doubtful and lease.reason in _BY_AGE and not limiter.in_flight:
            self._arrivals.doubt(age or 0.0)
        return self._reject(lease, age, environ, start_response)

    def add(self, limiter: Limiter) -> None:
        """Serve a limiter that `match` may return as well."""
        limiter.on_turn = self._reconsider
        self.reporter.add(limiter)

    def drain(self) -> None:
        """Admit nobody any more; requests that always pass do so still."""
        self.is_draining = True

    def sheds_by_age(self, environ: WSGIEnvironment) -> bool:
        """Return whether requests that come the way of this one can be rejected by their age."""
        return self.shedder.looks_at_age and self._arrivals.look(environ).age is not None

    def snapshot(self) -> Snapshot:
        """Return the limiter's numbers of this instant, and what is known of ages."""
        arrivals = self._arrivals
        return replace(
            self.limiter.snapshot(),
            queue_age=arrivals.newest_age,
            odd_headers=arrivals.odd_headers.counts(),
        )

    def _is_off(self) -> bool:
        limiters = self.reporter.limiters()
        for limiter in limiters:
            limiter.settle()  # Another process may have switched it on again.
        return all(limiter.mode is _OFF for limiter in limiters)

    def _turn_away(self) -> Rejection:
        rejection = self.limiter.reject(Reason.DRAINING)
        rejection.enforced = True  # Shadow mode is about limits.
        return rejection

    def _begin(self, on_first: OnFirst, environ: WSGIEnvironment) -> None:
        self.has_begun, following = True, None
        try:
            reset_if_patched()
            following = on_first(environ)
        except Exception:
            complain(logger, "The guard could not look around at the first request; going on.")
        self.on_first = following

    def _pass(
        self, age: float | None, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Let an exempt request through. It has a lease only if somebody wants to hear of it."""
        limiter = self.limiter
        if self._exempt:
            return self._serve(self._exempt.acquire(environ), EXEMPT, age, environ, start_response)
        tags = self._tagger.tag(environ, limiter.in_flight, limiter.limit, 0.0, age, EXEMPT)
        return serve_unleased(self.app, environ, tagged(start_response, tags))

    def _serve(
        self,
        lease: Lease,
        decided: str,
        age: float | None,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        """Call the app, and return its body so that the end of that gives `lease` back."""
        # In one piece, since each request comes this way, and each call of its own would be felt.
        limiter, queue_time, token = self.limiter, lease.queue_time, None
        try:
            if lease.companions or lease.rejection is not None:
                queue_time, decided = self.reporter.look_at_all(lease, age or 0.0)
            tags = self._tagger.tag(
                environ, lease.in_flight, limiter.limit, queue_time, age, decided
            )
            if (
                self._observers
                or limiter.mode is _SHADOW
                or decided is not ADMITTED
                or request_admitted.receivers
                or request_released.receivers
            ):
                teller = self._exempt if decided is EXEMPT else self.reporter
                teller.admitted(environ, lease, decided)
            watched = None
            if limiter.tuner is not None or lease.companions:
                watched, lease.age = lease, age or 0.0
            start_response = tagged(start_response, tags, watched)
            wrapper = environ.get("wsgi.file_wrapper")
            if wrapper is not None:
                self._file_wrappers.guard(environ, wrapper)
            if self._observers:
                start_response = noted(start_response, environ)
            token = current_environ.set(environ)
            body = self.app(environ, start_response)
            if wrapper is None or not lend(lease, body, environ):
                return guard_body(body, lease, token)
        except BaseException:
            if token is not None:
                leave(token)
            lease.dropped = True
            lease.release()
            raise
        leave(token)
        return body

    def _reject(
        self,
        rejection: Rejection,
        age: float | None,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        limiter, reporter = self.limiter, self.reporter
        decided = reporter.decision(rejection)
        tags = self._tagger.tag(
            environ, limiter.in_flight, limiter.limit, rejection.queue_time, age, decided
        )
        reporter.rejected(environ, rejection)
        if not has_body(environ):
            close_soon(environ)
        elif rejection.reason is not Reason.CLIENT_GONE:
            drain(environ)
        if not self._observers:
            return self._answer(rejection, environ, start_response, tags)
        body = self._answer(rejection, environ, noted(start_response, environ), tags)
        reporter.answered(environ, rejection)
        return body

    def _reconsider(self, lease: Lease) -> Reason | None:
        """Return why not to admit a request whose turn it is, after a wait in the line."""
        if lease.holder is None or self.shedder.serve_gone:
            return None
        has_left = self._arrivals.has_left(lease.holder, lease.queue_time)
        return Reason.CLIENT_GONE if has_left else None


def serve_unleased(
    app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Call `app` for a request that holds no lease."""
    token = current_environ.set(environ)
    try:
        return app(environ, start_response)
    finally:
        current_environ.reset(token)


def tagged(
    start_response: StartResponse, tags: list[tuple[str, str]], lease: Lease | None = None
) -> StartResponse:
    """Return `start_response` so that it adds `tags` to the headers.

    :param lease: where to note what the status tells of overload.
    """
    if not tags and lease is None:
        return start_response

    def tagged_start_response(
        status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        if lease is not None:
            lease.dropped = status[:3] in NOT_SERVED
        # The app's list is copied: some apps keep one, and send it with every response.
        if exc_info is None:
            return start_response(status, [*headers, *tags])
        return start_response(status, [*headers, *tags], exc_info)

    return tagged_start_response
