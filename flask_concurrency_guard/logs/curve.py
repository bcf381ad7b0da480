"""How throughput and latency depend on how many are in flight, and where the knee is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from math import floor
from math import log
from math import log2

from .histogram import seconds_of
from .history import Window

STEP = 1.2
"""Levels that are nearer to each other than that are taken together."""

EXACT = 12
"""Up to so many in flight, each number is a level of its own."""

ENOUGH_REQUESTS = 50
ENOUGH_WINDOWS = 5
"""What a level must have to tell something."""

DOUBLING = 1.06
"""To have twice as many in flight must bring 6 %, as it must to the limit that finds itself."""

NEARLY = 0.97
"""What differs by less differs by chance."""


@dataclass(frozen=True, slots=True)
class Level:
    """What was served with about as many in flight."""

    in_flight: float
    """How many, in the mean."""
    requests: int
    throughput: float
    """How many were served in a second."""
    latency: float
    """How long one took in the mean, in seconds."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The levels in ascending order."""

    levels: tuple[Level, ...]
    of_each_process: bool
    """Whether the numbers are those of a process, as each counts for itself; or of all together."""

    @property
    def turn(self) -> Level:
        """From where on more in flight brought too little to be worth it."""
        worths = [level.throughput / level.in_flight ** log2(DOUBLING) for level in self.levels]
        pairs = zip(self.levels, worths, strict=True)
        return next(level for level, worth in pairs if worth >= NEARLY * max(worths))

    @property
    def best(self) -> Level:
        """Where most was served."""
        return max(self.levels, key=lambda level: level.throughput)

    def below(self, level: Level) -> Level | None:
        """Return the next lower level."""
        place = self.levels.index(level)
        return self.levels[place - 1] if place else None

    @property
    def calm(self) -> Level:
        """Where the fewest were in flight."""
        return self.levels[0]


def by_admission(service: Mapping[tuple[bytes, int], int]) -> Curve | None:
    """Return the curve over how many were in flight at a request's admission.

    By Little's law, n in flight that take r seconds each are n / r in a second.

    :param service: requests by how many there were, and the bucket of how long they took.
    """
    sums: dict[int, list[float]] = {}
    for (text, bucket), count in service.items():
        in_flight = max(1, int(text))
        level = sums.setdefault(level_of(in_flight), [0, 0.0, 0.0])
        level[0] += count
        level[1] += count * in_flight
        level[2] += count * seconds_of(bucket)
    enough = max(ENOUGH_REQUESTS, sum(service.values()) // 2000)
    levels = [
        Level(sum_in_flight / count, int(count), sum_in_flight / seconds, seconds / count)
        for _, (count, sum_in_flight, seconds) in sorted(sums.items())
        if count >= enough and seconds > 0
    ]
    return Curve(tuple(levels), of_each_process=True) if levels else None


def by_window(windows: Iterable[Window], seconds: float) -> Curve | None:
    """Return the curve over how many were in flight in windows of time.

    :param seconds: how long a window is.
    """
    sums: dict[int, list[float]] = {}
    sizes: Counter[int] = Counter()
    for window in windows:
        number = level_of(window.in_flight)
        if not number:
            continue  # Next to idle: what ended in it, or what went on, was cut off by chance.
        level = sums.setdefault(number, [0.0, 0.0])
        level[0] += window.in_flight
        level[1] += window.ended
        sizes[number] += 1
    levels = []
    for number, (in_flight, ended) in sorted(sums.items()):
        size = sizes[number]
        if size >= ENOUGH_WINDOWS and ended >= ENOUGH_REQUESTS:
            throughput = ended / size / seconds
            mean = in_flight / size
            levels.append(Level(mean, int(ended), throughput, mean / throughput))
    return Curve(tuple(levels), of_each_process=False) if levels else None


def level_of(in_flight: float) -> int:
    """Return the number of the level to which so many in flight belong."""
    if in_flight < EXACT:
        return round(in_flight)
    return EXACT + floor(log(in_flight / EXACT, STEP))
