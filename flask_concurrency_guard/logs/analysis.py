"""Everything that a report says, in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import isfinite
from typing import TypeVar

from .advice import Advice
from .advice import advise
from .advice import advise_nothing
from .curve import Curve
from .curve import Level
from .curve import by_admission
from .curve import by_window
from .histogram import Histogram
from .histogram import Spread
from .history import Concurrency
from .history import History
from .history import Moment
from .history import look_back
from .reading import File
from .requests import text_of
from .tally import Slow
from .tally import Tally
from .unlogged import turned_away
from .unlogged import unlogged_seconds

Who = TypeVar("Who")

MOST_ROUTES = 10
"""So many of the slowest paths are shown, and of those that were rejected most often."""

SHORTEST_WINDOW = 0.25
"""Seconds in which to see how much is served with how many in flight."""

ENOUGH_FOR_RATE = 2
"""One request in 10 ms is no 100 a second."""

BUSIEST = 0.05
"""Which share of the windows are the busiest times."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """When how many came. Times in seconds since 1970."""

    first: float
    last: float
    seconds: float
    mean_rate: float | None
    """None where there are too few requests to speak of a rate, or all came at once."""
    peak_rate: float
    peak_at: float
    peak_seconds: float


@dataclass(frozen=True, slots=True)
class Cause:
    """Rejections for the same reason."""

    limiter: str
    reason: str
    count: int
    enforced: bool
    """False in shadow mode."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Who served. The shares are parts of all requests whose process or thread is known."""

    processes: int
    processes_at_once: int
    """How many of them lived at the same time, at most: servers replace their workers."""
    busiest_process: str
    busiest_process_share: float
    threads: int
    busiest_thread: str
    busiest_thread_share: float


@dataclass(frozen=True, slots=True)
class Route:
    """How long requests of a path took."""

    method: str
    path: str
    share: float
    """Of the time that all requests took together."""
    duration: Spread


@dataclass(frozen=True, slots=True)
class RejectedRoute:
    """How many requests of a path were rejected."""

    method: str
    path: str
    count: int
    share: float | None
    """Of its requests; None if the log has no durations, so that the others weren't counted."""


@dataclass(frozen=True, slots=True)
class SlowRequest:
    """One of the slowest requests."""

    duration: float
    start: float | None
    method: str
    path: str
    status: str
    process: str
    thread: str
    in_flight: str


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. What the log doesn't tell is None, or empty."""

    files: tuple[File, ...]
    requests: int
    timed: int
    """How many have a time."""
    measured: int
    """How many were served, and have a duration."""
    traffic: Traffic | None
    statuses: dict[str, int]
    outcomes: dict[str, int]
    causes: tuple[Cause, ...]
    concurrency: Concurrency | None
    most_in_flight: int | None
    """The most that were in flight in one process, as it counted itself."""
    unlogged_seconds: float
    """For how long requests were turned away with fewer in flight than the limit, as far as the
    log tells, if that was the rule; otherwise 0."""
    limits: dict[str, int]
    """How many requests were admitted under which limit."""
    workers: Workers | None
    queue_age: Spread | None
    queue_time: Spread | None
    durations: Spread | None
    rejection_durations: Spread | None
    routes: tuple[Route, ...]
    route_count: int
    routes_are_folded: bool
    rejected_routes: tuple[RejectedRoute, ...]
    rejected_route_count: int
    slowest: tuple[SlowRequest, ...]
    levels: tuple[Level, ...]
    levels_are_of_each_process: bool
    advice: Advice
    step: float
    """How many seconds a moment lasts."""
    moments: tuple[Moment, ...]


def analyse(tally: Tally, files: Iterable[File]) -> Report:
    """Return what a report says.

    :param tally: all requests.
    :param files: what they were read from.
    """
    histograms = tally.paths.histograms(tally.longest)
    rejections = tally.paths.rejections()
    durations = _durations(histograms.values(), tally.longest).spread()
    history = _history(tally, durations)
    traffic = _traffic(tally, history)
    workers = _workers(tally)
    unlogged = unlogged_seconds(tally, history)
    curve = by_admission(tally.service)
    if curve is None and durations is not None:
        curve = by_window(history.windows, history.window)
    return Report(
        files=tuple(files),
        requests=tally.requests,
        timed=tally.timed,
        measured=tally.measured,
        traffic=traffic,
        statuses={text.decode(): count for text, count in sorted(tally.statuses.items())},
        outcomes=dict(tally.outcomes.most_common()),
        causes=_causes(tally),
        concurrency=history.concurrency(is_mean=not tally.is_precise) if durations else None,
        most_in_flight=max((int(text) for text, _ in tally.service), default=None),
        unlogged_seconds=unlogged,
        limits=_limits(tally),
        workers=workers,
        queue_age=tally.ages.spread(),
        queue_time=tally.waits.spread(),
        durations=durations,
        rejection_durations=tally.rejection_durations.spread(),
        routes=_routes(histograms),
        route_count=len(histograms),
        routes_are_folded=tally.paths.is_folded,
        rejected_routes=_rejected_routes(rejections, histograms, tally),
        rejected_route_count=len(rejections),
        slowest=tuple(_slow(each) for each in tally.slowest),
        levels=curve.levels if curve else (),
        levels_are_of_each_process=bool(curve and curve.of_each_process),
        advice=advise_nothing() if unlogged else _advice(curve, tally, history, workers),
        step=history.step,
        moments=tuple(history.moments),
    )


def _history(tally: Tally, durations: Spread | None) -> History:
    if not isfinite(tally.first):
        return History()
    window = SHORTEST_WINDOW if tally.is_precise else 1.0
    if durations:
        # What begins in one ends in it, mostly.
        window = max(window, 4 * durations.mean)
    return look_back(
        tally.timeline, tally.first, tally.last, window=window, is_mean=not tally.is_precise
    )


def _traffic(tally: Tally, history: History) -> Traffic | None:
    if not isfinite(tally.first):
        return None
    seconds = max(tally.last - tally.first, 0.0 if tally.is_precise else 1.0)
    busiest = history.busiest
    mean = tally.timed / seconds if seconds and tally.timed >= ENOUGH_FOR_RATE else None
    return Traffic(
        tally.first, tally.last, seconds, mean, busiest.rate, busiest.at, busiest.seconds
    )


def _causes(tally: Tally) -> tuple[Cause, ...]:
    return tuple(
        Cause(limiter, reason, count, outcome != "shadow")
        for (outcome, limiter, reason), count in tally.causes.most_common()
    )


def _limits(tally: Tally) -> dict[str, int]:
    found: dict[str, int] = {}
    for (_, limit), count in tally.limits.items():
        found[limit.decode()] = found.get(limit.decode(), 0) + count
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _workers(tally: Tally) -> Workers | None:
    if not tally.threads:
        return None
    processes: dict[bytes, int] = {}
    for (process, _), count in tally.threads.items():
        processes[process] = processes.get(process, 0) + count
    known = {process: count for process, count in processes.items() if process}
    threads = {pair: count for pair, count in tally.threads.items() if pair[1]}
    process, process_share = _busiest(known) or (b"", 0.0)
    (of, thread), thread_share = _busiest(threads) or ((b"", b""), 0.0)
    return Workers(
        len(known),
        _at_once(tally.lives) or len(known),
        process.decode(),
        process_share,
        len(threads),
        f"{thread.decode()} of process {of.decode()}" if of else thread.decode(),
        thread_share,
    )


def _at_once(lives: Mapping[bytes, tuple[float, float]]) -> int:
    """Return how many lived at once, at most."""
    begins = [(first, 1) for first, _ in lives.values()]
    ends = [(last, -1) for _, last in lives.values()]
    # Who begins at the time at which another one ends has lived with it.
    events = sorted(begins + ends, key=lambda event: (event[0], -event[1]))
    return max(accumulate(change for _, change in events), default=0)


def _busiest(counts: Mapping[Who, int]) -> tuple[Who, float] | None:
    if not counts:
        return None
    who = max(counts, key=lambda each: counts[each])
    return who, counts[who] / sum(counts.values())


def _durations(histograms: Iterable[Histogram], longest: float) -> Histogram:
    durations = Histogram()
    for histogram in histograms:
        durations.add(histogram.counts, longest)
    return durations


def _routes(histograms: Mapping[tuple[bytes, bytes], Histogram]) -> tuple[Route, ...]:
    if not histograms:
        return ()
    whole = sum(histogram.seconds for histogram in histograms.values())
    ranked = sorted(histograms.items(), key=lambda item: -_slowness(item[1]))
    found = []
    for (method, path), histogram in ranked[:MOST_ROUTES]:
        spread = histogram.spread()
        if spread is not None:
            share = histogram.seconds / whole if whole else 0.0
            found.append(Route(text_of(method), text_of(path), share, spread))
    return tuple(found)


def _rejected_routes(
    rejections: Counter[tuple[bytes, bytes]],
    histograms: Mapping[tuple[bytes, bytes], Histogram],
    tally: Tally,
) -> tuple[RejectedRoute, ...]:
    found = []
    for route, count in rejections.most_common(MOST_ROUTES):
        served = histograms[route].total if route in histograms else 0
        share = count / (count + served) if tally.is_measured else None
        method, path = map(text_of, route)
        found.append(RejectedRoute(method, path, count, share))
    return tuple(found)


def _slowness(histogram: Histogram) -> float:
    return histogram.quantiles((0.9,))[0]


def _slow(slow: Slow) -> SlowRequest:
    texts = (slow.method, slow.path, slow.status, slow.process, slow.thread, slow.in_flight)
    return SlowRequest(slow.duration, slow.start, *map(text_of, texts))


def _advice(curve: Curve | None, tally: Tally, history: History, workers: Workers | None) -> Advice:
    served = sorted(window.ended for window in history.windows)
    busiest = served[-max(1, int(BUSIEST * len(served))) :]
    throughput = sum(busiest) / len(busiest) / history.window if busiest else 0.0
    processes = workers.processes_at_once if workers else 0
    return advise(curve, tally.limits, turned_away(tally), throughput, processes)
