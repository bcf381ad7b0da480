"""How long things took, in bounded memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

LEAST = 1e-6
"""Seconds: what is shorter is taken as that."""

GROWTH = 1.02
"""Each bucket ends where 1.02 times the end of the one before is: percentiles are right to 1 %."""

EDGES = [LEAST * GROWTH**number for number in range(1300)]
"""Up to 42 hours."""

bucket_of: Callable[[float], int] = partial(bisect_right, EDGES)
"""Return the bucket of so many seconds."""


def seconds_of(bucket: int) -> float:
    """Return what a bucket stands for: its middle."""
    return EDGES[bucket - 1] * GROWTH**0.5 if bucket else 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """How some times are spread, in seconds."""

    count: int
    mean: float
    p50: float
    p90: float
    p99: float
    max: float


class Histogram:
    """Counts times by how long they are, in buckets that grow."""

    __slots__ = ("counts", "longest")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.longest = 0.0
        """The longest of all, in seconds."""

    def add(self, counts: Mapping[int, int], longest: float) -> None:
        """Add how many there were in which buckets, and the longest of them."""
        own = self.counts
        for bucket, count in counts.items():
            own[bucket] = own.get(bucket, 0) + count
        if longest > self.longest:
            self.longest = longest

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    @property
    def seconds(self) -> float:
        """How long they are together."""
        return sum(seconds_of(bucket) * count for bucket, count in self.counts.items())

    def quantiles(self, shares: Iterable[float]) -> list[float]:
        """Return below how many seconds which share is.

        :param shares: between 0 and 1, in ascending order.
        """
        ordered = sorted(self.counts.items())
        total = self.total
        found, below, place = [], 0, 0
        for share in shares:
            while place < len(ordered) and below + ordered[place][1] < share * total:
                below += ordered[place][1]
                place += 1
            bucket = ordered[min(place, len(ordered) - 1)][0]
            # A bucket stands for its middle, and the longest in it may be shorter.
            found.append(min(seconds_of(bucket), self.longest))
        return found

    def spread(self) -> Spread | None:
        """Return the figures to show; None if there are none."""
        total = self.total
        if not total:
            return None
        p50, p90, p99 = self.quantiles((0.5, 0.9, 0.99))
        mean = min(self.seconds / total, self.longest)
        return Spread(total, mean, p50, p90, p99, self.longest)
