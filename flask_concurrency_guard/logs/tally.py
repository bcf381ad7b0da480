"""Count what happened, in one pass and in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from math import inf

from .histogram import Histogram
from .histogram import bucket_of
from .paths import TURNED_AWAY
from .paths import Paths
from .requests import SERVED
from .requests import Requests
from .timeline import BEGUN
from .timeline import ENDED
from .timeline import REJECTED
from .timeline import Timeline

MOST_SLOWEST = 10
"""So many of the slowest requests are kept."""

MOST_THREADS = 100_000
"""So many threads are told apart."""


@dataclass(frozen=True, slots=True, order=True)
class Slow:
    """One of the slowest requests, as it stands in the log."""

    duration: float
    start: float | None
    method: bytes
    path: bytes
    status: bytes
    process: bytes
    thread: bytes
    in_flight: bytes


class Tally:
    """All that is kept of the requests of a log."""

    def __init__(self) -> None:
        self.requests = 0
        self.first = inf
        """When the first one came, in seconds since 1970."""
        self.last = -inf
        """When the last one came, or was over where that is known."""
        self.is_precise = True
        """Whether all times tell fractions of seconds."""
        self.timed = 0
        """How many have a time."""
        self.measured = 0
        """How many of those that were served have a duration."""
        self.statuses: Counter[bytes] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.causes: Counter[tuple[str, str, str]] = Counter()
        """Rejections by outcome, limiter and reason."""
        self.threads: Counter[tuple[bytes, bytes]] = Counter()
        """Requests by process and thread."""
        self.lives: dict[bytes, tuple[float, float]] = {}
        """When the first request of each process came, and when the last one."""
        self.timeline = Timeline()
        self.paths = Paths()
        self.longest = 0.0
        """How long the longest took that was served, in seconds."""
        self.rejection_durations = Histogram()
        self.ages = Histogram()
        self.waits = Histogram()
        """In the guard's line."""
        self.service: Counter[tuple[bytes, int]] = Counter()
        """Requests by how many were in flight at their admission, and how long they took then."""
        self.limits: Counter[tuple[bytes, bytes]] = Counter()
        """Requests by how many were in flight at their admission, and the limit."""
        self.slowest: list[Slow] = []

    @property
    def is_measured(self) -> bool:
        """Whether all that were served have a duration."""
        return self.measured == sum(self.outcomes[outcome] for outcome in SERVED)

    def add(self, requests: Requests) -> None:
        """Count some requests with the same outcome."""
        count = len(requests)
        outcome = requests.outcome
        self.requests += count
        self.outcomes[outcome] += count
        if requests.statuses is not None:
            self.statuses.update(requests.statuses)
        if requests.causes is not None and outcome in {"rejected", "shadow"}:
            for cause, times in Counter(requests.causes).items():
                self.causes[(outcome, *cause)] += times
        _add_texts(self.ages, requests.ages)
        waits = self._add_waits(requests.waits)
        if outcome in SERVED:
            self._add_threads(requests)
            self._add_served(requests, waits)
        else:
            self._add_rejected(requests)

    def _add_threads(self, requests: Requests) -> None:
        if requests.processes is None and requests.threads is None:
            return
        if requests.processes is not None and requests.starts is not None:
            self._note_lives(requests.processes, requests.starts)
        processes = requests.processes or repeat(b"")
        pairs = zip(processes, requests.threads or repeat(b""), strict=False)
        if len(self.threads) < MOST_THREADS:
            self.threads.update(pairs)
        else:
            for pair, times in Counter(pairs).items():
                self.threads[pair if pair in self.threads else (pair[0], b"")] += times

    def _note_lives(self, processes: Sequence[bytes], starts: Sequence[float]) -> None:
        # Within a chunk, lines are nearly in order.
        last = dict(zip(processes, starts, strict=True))
        first = dict(zip(reversed(processes), reversed(starts), strict=True))
        for process, begin in first.items():
            times = (begin, last[process], *self.lives.get(process, ()))
            self.lives[process] = (min(times), max(times))

    def _add_waits(self, texts: Sequence[bytes] | None) -> Sequence[float] | None:
        """Return how long each has waited in the line; None if nobody has, or nobody knows."""
        if texts is None:
            return None
        waits = list(map(float, texts))
        longest = max(waits)
        if not longest:
            self.waits.add({0: len(waits)}, longest)
            return None
        self.waits.add(Counter(map(bucket_of, waits)), longest)
        return waits

    def _add_served(self, requests: Requests, waits: Sequence[float] | None) -> None:
        durations, starts = requests.durations, requests.starts
        in_flight = _found_in_flight(requests)
        if in_flight is not None and requests.limits is not None:
            self.limits.update(zip(in_flight, requests.limits, strict=True))
        if durations is None:
            if starts is not None:
                self._note_span(starts, requests.is_precise)
                self.timeline.add(BEGUN, starts)
                self.timeline.add(ENDED, starts)
            return
        if waits is not None:
            # Of a server whose clock tells less, one may be longer than the request.
            waits = list(map(min, waits, durations))
        self.measured += len(requests)
        self._add_durations(requests, durations, waits)
        if starts is not None:
            ends = [start + took for start, took in zip(starts, durations, strict=True)]
            self._note_span(starts, requests.is_precise)
            self.last = max(self.last, max(ends))
            self.timeline.add(ENDED, ends)
            if waits is not None:
                starts = [start + waited for start, waited in zip(starts, waits, strict=True)]
            self.timeline.add(BEGUN, starts)

    def _add_rejected(self, requests: Requests) -> None:
        if requests.starts is not None:
            self._note_span(requests.starts, requests.is_precise)
            self.timeline.add(REJECTED, requests.starts)
        self.paths.add(requests.methods, requests.paths, [TURNED_AWAY] * len(requests))
        if requests.durations is not None:
            longest = max(requests.durations)
            self.rejection_durations.add(Counter(map(bucket_of, requests.durations)), longest)

    def _add_durations(
        self, requests: Requests, durations: Sequence[float], waits: Sequence[float] | None
    ) -> None:
        buckets = list(map(bucket_of, durations))
        longest = max(durations)
        self.paths.add(requests.methods, requests.paths, buckets)
        self.longest = max(self.longest, longest)
        if len(self.slowest) < MOST_SLOWEST or longest > self.slowest[-1].duration:
            self._note_slowest(requests, durations)
        in_flight = _found_in_flight(requests)
        if in_flight is not None:
            if waits is not None:
                served = [took - waited for took, waited in zip(durations, waits, strict=True)]
                buckets = list(map(bucket_of, served))
            self.service.update(zip(in_flight, buckets, strict=True))

    def _note_slowest(self, requests: Requests, durations: Sequence[float]) -> None:
        least = self.slowest[-1].duration if len(self.slowest) == MOST_SLOWEST else 0.0
        found = sorted((took, place) for place, took in enumerate(durations) if took > least)
        for took, place in found[-MOST_SLOWEST:]:
            self.slowest.append(
                Slow(
                    took,
                    None if requests.starts is None else requests.starts[place],
                    requests.methods[place],
                    requests.paths[place],
                    _at(requests.statuses, place),
                    _at(requests.processes, place),
                    _at(requests.threads, place),
                    _at(requests.in_flight, place),
                )
            )
        self.slowest.sort(key=lambda slow: -slow.duration)
        del self.slowest[MOST_SLOWEST:]

    def _note_span(self, starts: Sequence[float], is_precise: bool) -> None:
        self.timed += len(starts)
        self.first = min(self.first, min(starts))
        self.last = max(self.last, max(starts))
        self.is_precise = self.is_precise and is_precise


def _found_in_flight(requests: Requests) -> Sequence[bytes] | None:
    # Exempt requests are no part of it: they take no place, and most of them no time.
    return None if requests.outcome == "exempt" else requests.in_flight


def _at(column: Sequence[bytes] | None, place: int) -> bytes:
    return b"" if column is None else column[place]


def _add_texts(histogram: Histogram, texts: Iterable[bytes] | None) -> None:
    # Most of these are the same few: they are told to the millisecond, or zero.
    if texts is None:
        return
    counts: Counter[int] = Counter()
    longest = 0.0
    for text, times in Counter(texts).items():
        seconds = float(text)
        counts[bucket_of(seconds)] += times
        longest = max(longest, seconds)
    histogram.add(counts, longest)
