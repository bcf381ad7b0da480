"""How requests stand in each other's way: as much as they did in the log."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop
from heapq import heappush

from ..curve import Level
from ..curve import level_of
from .workload import REJECTED
from .workload import Workload

ENOUGH = 50
"""So many requests must have come when about as many were in flight, to tell how long they take."""

NOTABLE = 1.5
"""From so many times the calm time on, it matters."""


@dataclass(frozen=True, slots=True)
class Contention:
    """How many times as long a request takes, by how many are in flight when it is admitted."""

    levels: tuple[tuple[float, float], ...]
    """How many in flight, and how many times as long as with few; in ascending order."""

    @property
    def most(self) -> float:
        """How many times as long it took where most were in flight."""
        return self.levels[-1][1]

    def factor(self, in_flight: float) -> float:
        """Return how many times as long one takes with so many in flight, itself included.

        Between levels it lies between. Beyond the highest, nothing more is served, so it grows as
        the number does.
        """
        place = bisect_right(self.levels, (in_flight, 0.0))
        if place == 0:
            return self.levels[0][1]
        low, factor = self.levels[place - 1]
        if place == len(self.levels):
            return factor * max(1.0, in_flight / low)
        high, next_factor = self.levels[place]
        return factor + (next_factor - factor) * (in_flight - low) / (high - low)


def in_flight_at_start(workload: Workload, *, per_process: bool) -> list[int]:
    """Return how many were in flight when each was admitted, itself included; 0 if it wasn't."""
    starts = []
    for place, kind in enumerate(workload.kinds):
        if kind != REJECTED:
            end = workload.arrivals[place] + workload.latencies[place]
            starts.append((end - workload.services[place], end, place))
    starts.sort()
    ends: dict[int, list[float]] = {}
    found = [0] * len(workload)
    for start, end, place in starts:
        running = ends.setdefault(workload.processes[place] if per_process else 0, [])
        while running and running[0] <= start:
            heappop(running)
        heappush(running, end)
        found[place] = len(running)
    return found


def learn(workload: Workload, in_flight: Sequence[int]) -> Contention | None:
    """Return how requests stood in each other's way; None if the log doesn't tell.

    :param in_flight: how many there were when each was admitted.
    """
    sums: dict[int, list[float]] = {}
    for number, service in zip(in_flight, workload.services, strict=True):
        if number:
            added = sums.setdefault(level_of(number), [0, 0.0, 0.0])
            added[0] += 1
            added[1] += number
            added[2] += service
    levels = [
        Level(numbers / count, int(count), 0.0, seconds / count)
        for _, (count, numbers, seconds) in sorted(sums.items())
        if count >= ENOUGH and seconds > 0
    ]
    if len(levels) < 2:
        return None
    calm = levels[0].latency
    factors: list[tuple[float, float]] = []
    highest = 1.0
    for level in levels:
        highest = max(highest, level.latency / calm)
        factors.append((level.in_flight, highest))
    return Contention(tuple(factors))
