"""What becomes of requests, as metrics of OpenTelemetry.

The names follow those that its semantic conventions have for the same thing elsewhere:
``aspnetcore.rate_limiting.*``. All attributes come from closed sets, the names of limits, outcomes
and reasons. Nothing that a client sends becomes one.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING
from weakref import WeakSet

from ..core.fork import reset_after_fork
from ..core.limiter import Limiter
from ..core.shared import SharedLimiter
from ..errors import ConfigurationError
from ..signals import request_queued
from ..tags import tag_key
from .outcomes import BOUNDARIES
from .outcomes import REJECTED
from .outcomes import outcome_of
from .outcomes import outcomes_by_limiter

try:
    from opentelemetry import metrics
    from opentelemetry.metrics import Observation
except ImportError:
    raise ConfigurationError(
        "'CONCURRENCY_GUARD_METRICS' has 'otel', which needs OpenTelemetry: 'pip install"
        " Flask-Concurrency-Guard[otel]'."
    ) from None

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable

    from _typeshed.wsgi import WSGIEnvironment
    from opentelemetry.metrics import CallbackOptions

    from ..core.decisions import Rejection
    from ..core.lease import Lease

PREFIX = "flask.concurrency_guard."

_QUEUE_AGE = tag_key("queue_age")


class OpenTelemetryMetrics:
    """Keep the metrics of one app's requests, with the global meter provider.

    :param sender: returns the sender of the app's signals.
    """

    sees_exempt = True

    def __init__(self, sender: Callable[[], object]) -> None:
        self._sender = sender
        self._instruments = _instruments()
        self._instruments.apps.add(self)
        self.after_fork()
        reset_after_fork(self)
        request_queued.connect(self._queued)

    def after_fork(self) -> None:
        """Forget which limiters the parent has used."""
        self.limiters: dict[str, Limiter] = {}

    def begin(self, environ: WSGIEnvironment, lease: Lease) -> None:
        """Note which limiters there are, and how long an admitted request had to wait."""
        for one in (lease, *lease.companions):
            if isinstance(one.limiter, Limiter):
                self.limiters[one.limiter.name] = one.limiter
                if one.queue_time:
                    self._instruments.time_in_queue.record(
                        one.queue_time, {"limiter": one.limiter.name}
                    )

    def end(self, environ: WSGIEnvironment, lease: Lease) -> None:
        """Count a request that was served, and how long that took."""
        instruments = self._instruments
        for limiter, outcome, reason in outcomes_by_limiter(environ, lease):
            instruments.count(limiter, outcome, reason)
            if limiter:
                instruments.lease_duration.record(lease.held, {"limiter": limiter})
        if _QUEUE_AGE in environ:
            outcome, _ = outcome_of(environ, lease)
            instruments.queue_age.record(environ[_QUEUE_AGE], {"outcome": outcome})

    def rejected(self, environ: WSGIEnvironment, rejection: Rejection) -> None:
        """Count a request that was rejected. One that would have been counts at its end."""
        if not rejection.enforced:
            return
        instruments = self._instruments
        instruments.count(rejection.limiter, REJECTED, str(rejection.reason))
        if rejection.queue_time:
            instruments.time_in_queue.record(rejection.queue_time, {"limiter": rejection.limiter})
        if _QUEUE_AGE in environ:
            instruments.queue_age.record(environ[_QUEUE_AGE], {"outcome": REJECTED})

    def _queued(self, sender: object, lease: Lease, **extra: object) -> None:
        if sender is self._sender() and isinstance(lease.limiter, Limiter):
            self.limiters[lease.limiter.name] = lease.limiter


class _Instruments:
    """The instruments, once for all apps. Those that show a state ask the limiters for it."""

    def __init__(self) -> None:
        self.apps: WeakSet[OpenTelemetryMetrics] = WeakSet()
        meter = metrics.get_meter("flask_concurrency_guard", version("Flask-Concurrency-Guard"))
        self._requests = meter.create_counter(
            f"{PREFIX}requests",
            "{request}",
            "Requests that are at their end, by what became of them and why.",
        )
        self.time_in_queue = meter.create_histogram(
            f"{PREFIX}request.time_in_queue",
            "s",
            "How long requests waited for a place, if they had to.",
            explicit_bucket_boundaries_advisory=BOUNDARIES,
        )
        self.lease_duration = meter.create_histogram(
            f"{PREFIX}lease.duration",
            "s",
            "How long requests were in flight.",
            explicit_bucket_boundaries_advisory=BOUNDARIES,
        )
        self.queue_age = meter.create_histogram(
            f"{PREFIX}request.queue_age",
            "s",
            "How long requests had waited when they came to the guard, where that is known.",
            explicit_bucket_boundaries_advisory=BOUNDARIES,
        )
        meter.create_observable_up_down_counter(
            f"{PREFIX}active_leases",
            [self._observing(lambda limiter: limiter.in_flight)],
            "{request}",
            "Requests in flight: admitted, and not at their end. One that costs several places"
            " counts as many times.",
        )
        meter.create_observable_up_down_counter(
            f"{PREFIX}queued_requests",
            [self._observing(lambda limiter: limiter.queued)],
            "{request}",
            "Requests that wait for a place.",
        )
        meter.create_observable_up_down_counter(
            f"{PREFIX}limit",
            [self._observing(lambda limiter: limiter.limit, shared=False)],
            "{request}",
            "How many may be in flight in this process.",
        )
        meter.create_observable_gauge(
            f"{PREFIX}shared_limit",
            [self._observing(lambda limiter: limiter.limit, shared=True)],
            "{request}",
            "How many may be in flight in all processes that share the limit.",
        )

    def count(self, limiter: str, outcome: str, reason: str) -> None:
        """Count a request."""
        attributes = {"outcome": outcome}
        if limiter:
            attributes["limiter"] = limiter
        if reason:
            attributes["reason"] = reason
        self._requests.add(1, attributes)

    def _observing(
        self, ask: Callable[[Limiter], int], *, shared: bool | None = None
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(options: CallbackOptions) -> Iterable[Observation]:
            sums: dict[str, int] = {}
            for app in tuple(self.apps):
                for name, limiter in tuple(app.limiters.items()):
                    if shared is None or isinstance(limiter, SharedLimiter) is shared:
                        sums[name] = sums.get(name, 0) + ask(limiter)
            return [Observation(number, {"limiter": name}) for name, number in sums.items()]

        return observe


@cache
def _instruments() -> _Instruments:
    # Once in a process: an instrument that is made twice is an error. Before there is a provider
    # they do nothing, and from then on they are its own.
    return _Instruments()
