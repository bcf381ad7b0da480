"""What the requests tell of a limit that is not always reached: does it take longer with more?"""

from __future__ import annotations

from math import log
from math import sqrt

from ..durations import duration

ENOUGH = 30
"""How many samples of each kind are needed."""

TOO_MANY = 2000
"""After how many samples the old ones tell nothing of today."""

REACHED = 0.05
"""Which part of the samples must be at the limit for it to matter."""

WORTH = 0.5
"""How much more must be done at once to be worth it, as a part of how many more are in flight."""

SURE_TO_RAISE = 1.0
SURE_TO_LOWER = 4.0
"""By how many standard deviations. Too high costs a little time, and too low costs requests."""


class Samples:
    """Sums over requests that came when about as many others were in flight."""

    __slots__ = ("count", "done", "in_flight", "rtt", "squares")

    def __init__(self) -> None:
        self.count = self.done = self.in_flight = 0
        self.rtt = self.squares = 0.0

    @property
    def mean_rtt(self) -> float:
        return self.rtt / self.done

    @property
    def mean_in_flight(self) -> float:
        return self.in_flight / self.count

    def throughput(self) -> float:
        """Return how many such would be served in a second, by Little's law."""
        return self.mean_in_flight / self.mean_rtt * self.done / self.count

    def variance(self) -> float:
        """Return the variance of the logarithm of the mean."""
        return max(0.0, self.squares / self.done / self.mean_rtt**2 - 1) / self.done


class Room:
    """Compares the requests that came near the limit with those that came well below.

    :param limit: the limit.
    """

    __slots__ = ("_at_limit", "_below", "_limit", "_near", "reason")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._near = Samples()
        self._below = Samples()
        self._at_limit = 0
        self.reason = ""
        """What `direction` has seen."""

    def add(self, in_flight: int, rtt: float, dropped: bool) -> None:
        """Count a request that has ended; see `Algorithm.on_sample`."""
        limit = self._limit
        if in_flight * 5 >= limit * 4:
            samples = self._near
            if in_flight >= limit:
                self._at_limit += 1
        elif in_flight * 5 >= limit * 2:
            samples = self._below
        else:
            return
        samples.count += 1
        samples.in_flight += in_flight
        if not dropped:
            samples.done += 1
            samples.rtt += rtt
            samples.squares += rtt * rtt

    @property
    def is_stale(self) -> bool:
        """Whether to begin anew."""
        return self._near.count + self._below.count > TOO_MANY

    def direction(self) -> int:
        """Return 1 where a higher limit would do, -1 where a lower one would, 0 if in doubt."""
        near, below = self._near, self._below
        if min(near.done, below.done) < ENOUGH or not near.rtt or not below.rtt:
            return 0
        if self._at_limit < REACHED * (near.count + below.count):
            return 0
        width = log(near.mean_in_flight / below.mean_in_flight)
        gain = log(near.throughput() / below.throughput())
        chance = sqrt(near.variance() + below.variance())
        self.reason = (
            f"{duration(near.mean_rtt)} with {near.mean_in_flight:.0f} in flight against"
            f" {duration(below.mean_rtt)} with {below.mean_in_flight:.0f}"
        )
        if gain - SURE_TO_RAISE * chance > WORTH * width:
            return 1
        return -1 if gain + SURE_TO_LOWER * chance < WORTH * width else 0
