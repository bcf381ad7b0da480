"""What happened over time: how many came, how many were in flight at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from math import ceil
from typing import NamedTuple

from .timeline import Timeline

COLUMNS = 120
"""Into so many parts the time is divided, at most."""


@dataclass(slots=True)
class Moment:
    """One part of the time."""

    start: float
    """When it begins, in seconds since 1970."""
    rate: float = 0.0
    """How many came in a second, in the mean."""
    rejected: float = 0.0
    """How many of these were rejected."""
    served: float = 0.0
    """How many were over in a second, in the mean, that weren't rejected."""
    in_flight: float = 0.0
    """How many were in flight, in the mean."""
    peak: float = 0.0
    """And at most, whenever it was looked."""
    bound: float = 0.0
    """And at most between two looks, if all that ended between them overlapped."""


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many were in flight at once, in all processes together."""

    mean: float
    p50: float
    p95: float
    peak: float
    every: float
    """How many seconds lie between two looks, or how many one of them is the mean of."""
    is_mean: bool
    """Whether they are means, since the log's times are whole seconds."""


@dataclass(slots=True)
class Window:
    """Some seconds of work."""

    in_flight: float
    ended: int


@dataclass(slots=True)
class Busiest:
    """When most came."""

    rate: float = 0.0
    """How many in a second."""
    at: float = 0.0
    """When, in seconds since 1970."""
    seconds: float = 1.0
    """For how long: more than a second where the log is long."""


@dataclass(slots=True)
class History:
    """All that the timeline tells."""

    moments: list[Moment] = field(default_factory=list)
    step: float = 1.0
    """How many seconds a moment lasts."""
    busiest: Busiest = field(default_factory=Busiest)
    levels: Counter[float] = field(default_factory=Counter)
    """For how many looks so many were in flight."""
    every: float = 0.01
    windows: list[Window] = field(default_factory=list)
    """Each as long as `window`, idle ones left out."""
    window: float = 1.0

    def concurrency(self, *, is_mean: bool) -> Concurrency | None:
        """Return the figures to show; None if nothing was in flight at any look."""
        looks = sum(self.levels.values())
        if not any(self.levels):
            return None
        mean = sum(level * count for level, count in self.levels.items()) / looks
        ordered = sorted(self.levels.items())
        p50, p95 = (_quantile(ordered, share * looks) for share in (0.5, 0.95))
        return Concurrency(mean, p50, p95, ordered[-1][0], self.every, is_mean)


def _quantile(ordered: list[tuple[float, int]], rank: float) -> float:
    for level, count in ordered:
        rank -= count
        if rank <= 0:
            return level
    return ordered[-1][0]


class Stretch(NamedTuple):
    """Some slots in a row at whose ends as many are in flight."""

    slot: int
    slots: int
    begun: int
    ended: int
    rejected: int
    in_flight: int


def look_back(
    timeline: Timeline, first: float, last: float, *, window: float, is_mean: bool
) -> History:
    """Return what a timeline tells.

    :param first: when its first request came, in seconds since 1970.
    :param last: when the last one was over.
    :param window: how long windows are to be at least, in seconds.
    :param is_mean: whether to take the mean of each second, since the times tell no more.
    """
    width = timeline.width
    origin = timeline.slot_of(first)
    moments = _Moments(origin, timeline.slot_of(last) + 1, width)
    seconds = _Seconds(max(1, round(1 / width)), width, keeps_means=is_mean)
    windows = _Windows(ceil(window / width))
    levels: Counter[float] = Counter()
    for stretch in _stretches(timeline, origin):
        moments.add(stretch)
        seconds.add(stretch)
        windows.add(stretch)
        if not is_mean:
            levels[stretch.in_flight] += stretch.slots
    seconds.end()
    return History(
        moments=moments.moments,
        step=moments.size * width,
        busiest=seconds.busiest,
        levels=seconds.levels if is_mean else levels,
        every=seconds.size * width if is_mean else width,
        windows=windows.windows,
        window=windows.size * width,
    )


class _Moments:
    def __init__(self, origin: int, end: int, width: float) -> None:
        self.size = ceil((end - origin) / COLUMNS)
        self._origin = origin
        self._seconds = self.size * width
        self.moments = [Moment(slot * width) for slot in range(origin, end, self.size)]

    def add(self, stretch: Stretch) -> None:
        slot, left, in_flight = stretch.slot - self._origin, stretch.slots, stretch.in_flight
        place = slot // self.size
        if stretch.begun or stretch.ended or stretch.rejected:
            moment = self.moments[place]
            moment.rate += (stretch.begun + stretch.rejected) / self._seconds
            moment.rejected += stretch.rejected / self._seconds
            moment.served += stretch.ended / self._seconds
            moment.bound = max(moment.bound, in_flight + stretch.ended)
        while left > 0 and place < len(self.moments):
            share = min(left, (place + 1) * self.size - slot)
            moment = self.moments[place]
            moment.in_flight += in_flight * share / self.size
            moment.peak = max(moment.peak, in_flight)
            moment.bound = max(moment.bound, in_flight)
            slot, left, place = slot + share, left - share, place + 1


class _Parts:
    """Adds up parts of the same length. Many in which nothing happens may come as one."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._number = -1
        self._clear()

    def _clear(self) -> None:
        self._slots = self._begun = self._ended = self._rejected = self._in_flight = 0

    def add(self, stretch: Stretch) -> None:
        slot, left = stretch.slot, stretch.slots
        while left:
            number, place = divmod(slot, self.size)
            if number != self._number:
                self.end()
                self._number = number
            # The rest of this part, or as many whole ones as there are.
            share = min(left, self.size - place)
            if not place and left > self.size:
                share = left - left % self.size
            self._slots += share
            self._in_flight += share * stretch.in_flight
            slot, left = slot + share, left - share
        self._begun += stretch.begun
        self._ended += stretch.ended
        self._rejected += stretch.rejected

    def end(self) -> None:
        if self._number >= 0:
            self._note()
            self._clear()

    def _note(self) -> None:
        raise NotImplementedError


class _Seconds(_Parts):
    def __init__(self, size: int, width: float, *, keeps_means: bool) -> None:
        super().__init__(size)
        self.busiest = Busiest(seconds=size * width)
        self.levels: Counter[float] = Counter()
        self._keeps_means = keeps_means

    def _note(self) -> None:
        rate = (self._begun + self._rejected) / self.busiest.seconds
        if rate > self.busiest.rate:
            self.busiest.rate = rate
            self.busiest.at = self._number * self.busiest.seconds
        if self._keeps_means:
            slots = max(self._slots, self.size)
            self.levels[round(self._in_flight / slots, 1)] += slots // self.size


class _Windows(_Parts):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.windows: list[Window] = []

    def _note(self) -> None:
        # Not the first and the last one, which are cut short.
        if self._slots == self.size and (self._ended or self._in_flight):
            self.windows.append(Window(self._in_flight / self.size, self._ended))


def _stretches(timeline: Timeline, origin: int) -> Iterator[Stretch]:
    """Return the slots in which something happens, and what lies between them as one each."""
    in_flight = 0
    expected = origin
    for slot, begun, ended, rejected in timeline.slots():
        if not (begun or ended or rejected):
            continue
        if slot > expected:
            yield Stretch(expected, slot - expected, 0, 0, 0, max(0, in_flight))
        in_flight += begun - ended
        if slot >= expected:
            yield Stretch(slot, 1, begun, ended, rejected, max(0, in_flight))
            expected = slot + 1
