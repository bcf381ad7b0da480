"""Measure calls side by side, so that what disturbs one disturbs the others, too."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication

BATCH_SECONDS = 0.01
CHECK_EVERY = 20  # requests, when threads contend: to look at the clock costs, too


def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
    """Take note of nothing."""


def request(
    app: WSGIApplication, environ: dict[str, Any], start: StartResponse = start_response
) -> Callable[[], None]:
    """Return what makes one request as a server does: a fresh environ, all of the body, a close."""

    def call() -> None:
        body = app(environ.copy(), start)
        for _ in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()

    return call


class Times:
    """The microseconds that each call took, in each round."""

    def __init__(self, rounds: Mapping[str, list[float]]) -> None:
        self._rounds = rounds

    def of(self, name: str) -> float:
        """Return the median of a call."""
        return median(self._rounds[name])

    def added(self, name: str, to: str) -> float:
        """Return how much longer it takes than another call in the same round: the median."""
        pairs = zip(self._rounds[name], self._rounds[to], strict=True)
        return median(one - other for one, other in pairs)

    def ratio(self, name: str, to: str) -> float:
        """Return how many times as long it takes as another call in the same round: the median."""
        pairs = zip(self._rounds[name], self._rounds[to], strict=True)
        return median(one / other for one, other in pairs)


def measure(calls: Mapping[str, Callable[[], None]], rounds: int) -> Times:
    """Give each call its turn in each round. The time is the thread's own, in the CPU.

    :param calls: what to measure, by name.
    :param rounds: how often.
    """
    sizes = {name: _batch_size(call) for name, call in calls.items()}
    microseconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            _tidy_up()
            # The first calls find the CPU's caches full of what the contender before has left.
            _time(call, sizes[name] // 4)
            microseconds[name].append(_time(call, sizes[name]) / sizes[name] * 1e6)
    gc.unfreeze()
    return Times(microseconds)


def _tidy_up() -> None:
    # What one contender leaves behind is not for the next one's collector to go through.
    gc.collect()
    gc.freeze()


def _time(call: Callable[[], None], number: int) -> float:
    began = time.thread_time()
    for _ in range(number):
        call()
    return time.thread_time() - began


def _batch_size(call: Callable[[], None]) -> int:
    number = 10
    while (seconds := _time(call, number)) < BATCH_SECONDS / 4:
        number *= 2
    return max(int(number * BATCH_SECONDS / seconds), 10)


@dataclass(frozen=True, slots=True)
class Contention:
    """What threads got done together."""

    requests: int
    rejected: int
    seconds: float

    @property
    def rate(self) -> float:
        """How many requests a second, of all threads together."""
        return self.requests / self.seconds

    @property
    def rejected_share(self) -> float:
        """Which share of them was rejected."""
        return self.rejected / self.requests


def contend(
    app: WSGIApplication, environ: dict[str, Any], threads: int, seconds: float
) -> Contention:
    """Let threads make requests of one app, each as fast as it can.

    :param threads: how many.
    :param seconds: for how long, by the clock on the wall.
    """
    _tidy_up()
    counts: list[tuple[int, int]] = []
    barrier = threading.Barrier(threads + 1)
    stop = threading.Event()

    def work() -> None:
        barrier.wait()
        counts.append(_count_requests(app, environ, stop))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    barrier.wait()
    began = time.perf_counter()
    time.sleep(seconds)
    stop.set()
    for worker in workers:
        worker.join()
    elapsed = time.perf_counter() - began
    requests, rejected = map(sum, zip(*counts, strict=True))
    return Contention(requests, rejected, elapsed)


def _count_requests(
    app: WSGIApplication, environ: dict[str, Any], stop: threading.Event
) -> tuple[int, int]:
    """Make requests until told to stop. Return how many, and how many were rejected."""
    rejected = 0

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        nonlocal rejected
        rejected += status[0] == "5"

    call = request(app, environ, start)
    number = 0
    while not stop.is_set():
        for _ in range(CHECK_EVERY):
            call()
        number += CHECK_EVERY
    return number, rejected
