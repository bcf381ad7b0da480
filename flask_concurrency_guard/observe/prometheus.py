"""What becomes of requests, as metrics of Prometheus.

They are written as things happen, not read at a scrape: with several processes that is the only way
that prometheus_client has (`PROMETHEUS_MULTIPROC_DIR`). All labels come from closed sets, the names
of limits, outcomes and reasons. Nothing that a client sends becomes one.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from weakref import finalize

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
    from prometheus_client import Counter
    from prometheus_client import Gauge
    from prometheus_client import Histogram
except ImportError:
    raise ConfigurationError(
        "'CONCURRENCY_GUARD_METRICS' has 'prometheus', which needs prometheus_client: 'pip install"
        " Flask-Concurrency-Guard[prometheus]'."
    ) from None

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIEnvironment

    from ..core.decisions import Rejection
    from ..core.lease import Lease

PREFIX = "concurrency_guard_"

_QUEUE_AGE = tag_key("queue_age")

_gone: deque[tuple[int, dict[Any, int]]] = deque()
"""What is to be taken back: by which process it was told, and what by gauge."""


class PrometheusMetrics:
    """Keep the metrics of one app's requests, in the default registry.

    Those of several apps in a process add up. What one has told that is gone since is taken back
    when another tells something.

    :param sender: returns the sender of the app's signals.
    :raises ConfigurationError: there are several processes, and their folder isn't there.
    """

    sees_exempt = True

    def __init__(self, sender: Callable[[], object]) -> None:
        _check_folder()
        self._sender = sender
        self._families = _families()
        self.after_fork()
        reset_after_fork(self)
        request_queued.connect(self._queued)

    def after_fork(self) -> None:
        """Forget what the parent has told of itself. So does prometheus_client."""
        self._lock = threading.Lock()
        self._series: dict[str, _Series] = {}

    def begin(self, environ: WSGIEnvironment, lease: Lease) -> None:
        """Note that a request is in flight, and how long it had to wait."""
        for one in (lease, *lease.companions):
            if isinstance(one.limiter, Limiter):
                series = self._series_of(one.limiter)
                if one.queue_time:
                    series.queue_wait.observe(one.queue_time)
        self._tell()

    def end(self, environ: WSGIEnvironment, lease: Lease) -> None:
        """Count a request that was served, and how long that took."""
        for one in (lease, *lease.companions):
            if isinstance(one.limiter, Limiter):
                # They began together; and not every limiter measures all of its own.
                self._series_of(one.limiter).lease_duration.observe(lease.held)
        self._tell()
        for limiter, outcome, reason in outcomes_by_limiter(environ, lease):
            self._families.count(limiter, outcome, reason)
        if _QUEUE_AGE in environ:
            outcome, _ = outcome_of(environ, lease)
            self._families.queue_age.labels(outcome).observe(environ[_QUEUE_AGE])

    def rejected(self, environ: WSGIEnvironment, rejection: Rejection) -> None:
        """Count a request that was rejected. One that would have been counts at its end."""
        if not rejection.enforced:
            return
        self._tell()
        families = self._families
        families.count(rejection.limiter, REJECTED, str(rejection.reason))
        if rejection.queue_time:
            families.queue_wait.labels(rejection.limiter).observe(rejection.queue_time)
        if _QUEUE_AGE in environ:
            families.queue_age.labels(REJECTED).observe(environ[_QUEUE_AGE])

    def _queued(self, sender: object, lease: Lease, **extra: object) -> None:
        if sender is self._sender() and isinstance(lease.limiter, Limiter):
            self._tell(self._series_of(lease.limiter))

    def _series_of(self, limiter: Limiter) -> _Series:
        series = self._series.get(limiter.name)
        if series is None:
            series = self._series.setdefault(limiter.name, _Series(limiter, self._families))
        return series

    def _tell(self, with_queue: _Series | None = None) -> None:
        """Tell of the state that limiters are in.

        It is read with the lock held, so who comes last tells the last state.
        """
        if _gone:
            _take_back()
        with self._lock:
            for series in tuple(self._series.values()):
                series.tell(queues=series is with_queue)


def _check_folder() -> None:
    # Otherwise each request would find out.
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder and not (Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise ConfigurationError(
            f"'PROMETHEUS_MULTIPROC_DIR' is '{folder}', which is no folder that can be written to."
            " Make it before the app starts."
        )


class _Families:
    """The metrics by themselves, without the labels."""

    def __init__(self) -> None:
        self.active = Gauge(
            f"{PREFIX}active_requests",
            "Requests in flight: admitted, and not at their end. One that costs several places"
            " counts as many times.",
            ("limiter",),
            multiprocess_mode="livesum",
        )
        self.queued = Gauge(
            f"{PREFIX}queued_requests",
            "Requests that wait for a place.",
            ("limiter",),
            multiprocess_mode="livesum",
        )
        self.limit = Gauge(
            f"{PREFIX}limit",
            "How many may be in flight, in all processes together that have the limit for"
            " themselves.",
            ("limiter",),
            multiprocess_mode="livesum",
        )
        self.shared_limit = Gauge(
            f"{PREFIX}shared_limit",
            "How many may be in flight in all processes that share the limit.",
            ("limiter",),
            multiprocess_mode="livemax",
        )
        self.requests = Counter(
            f"{PREFIX}requests_total",
            "Requests that are at their end, by what became of them and why.",
            ("limiter", "outcome", "reason"),
        )
        self.queue_wait = Histogram(
            f"{PREFIX}queue_wait_seconds",
            "How long requests waited for a place, if they had to.",
            ("limiter",),
            buckets=BOUNDARIES,
        )
        self.lease_duration = Histogram(
            f"{PREFIX}lease_duration_seconds",
            "How long requests were in flight.",
            ("limiter",),
            buckets=BOUNDARIES,
        )
        self.queue_age = Histogram(
            f"{PREFIX}queue_age_seconds",
            "How long requests had waited when they came to the guard, where that is known.",
            ("outcome",),
            buckets=BOUNDARIES,
        )

        self._counters: dict[tuple[str, str, str], Any] = {}

    def count(self, limiter: str, outcome: str, reason: str) -> None:
        """Count a request."""
        labels = limiter, outcome, reason
        counter = self._counters.get(labels)
        if counter is None:
            counter = self._counters[labels] = self.requests.labels(*labels)
        counter.inc()


@cache
def _families() -> _Families:
    # Once in a process: the registry takes no name twice.
    return _Families()


def _take_back() -> None:
    with suppress(IndexError):  # Several threads may do it at once.
        while True:
            pid, told = _gone.popleft()
            if pid == os.getpid():  # It may be of the parent, for which a child doesn't speak.
                for gauge, value in told.items():
                    gauge.dec(value)


class _Series:
    """The metrics of one limiter, and what they have been told of it.

    What has changed is added, since other apps may have a limiter of that name.
    """

    def __init__(self, limiter: Limiter, families: _Families) -> None:
        self._limiter = limiter
        self._shared_limit = 0
        self._told: dict[Any, int] = {}
        # This may run in any thread at any time, while it holds a lock of prometheus_client as
        # well. So it only takes a note.
        finalize(self, _gone.append, (os.getpid(), self._told)).atexit = False
        name = limiter.name
        self._is_shared = isinstance(limiter, SharedLimiter)
        self._active: Any = families.active.labels(name)
        self._queue: Any = families.queued.labels(name)
        limits = families.shared_limit if self._is_shared else families.limit
        self._limits: Any = limits.labels(name)
        self.queue_wait: Any = families.queue_wait.labels(name)
        self.lease_duration: Any = families.lease_duration.labels(name)

    def tell(self, *, queues: bool) -> None:
        """Tell what has changed.

        :param queues: whether the line may have changed that was empty before.
        """
        in_flight, limit = self._limiter.in_flight, self._limiter.limit
        self._tell(self._active, in_flight)
        if not self._is_shared:
            self._tell(self._limits, limit)
        elif limit != self._shared_limit:
            self._limits.set(limit)
            self._shared_limit = limit
        if queues or self._told.get(self._queue):
            self._tell(self._queue, self._limiter.queued)

    def _tell(self, gauge: Any, value: int) -> None:
        before = self._told.get(gauge, 0)
        if value != before:
            gauge.inc(value - before)
            self._told[gauge] = value
