"""Two limits in turn: which one serves more?"""

from __future__ import annotations

from math import log
from math import sqrt

WORTH = 0.08
"""How much more must be served at a higher limit to be worth it, as a part of how much higher it
is. That bounds what is given away for a low one to about the same part."""

SURE = 2.0
"""By how many standard deviations a winner must be ahead, as long as there are rounds left."""

ROUNDS = 5
"""After how many rounds there is a winner anyway."""

MUCH = 0.2
"""By how much the logarithm of the throughput must change at least, to be no chance."""

UNLIKELY = 5
"""By how many standard deviations it must."""

LEAST_NOISE = 0.03
MOST_NOISE = 4.0


class Noise:
    """How much the throughput varies by chance: its relative variance, times how many were served.

    It is 1 where requests end at random, and less where each takes as long as any other. Learned
    from neighbouring windows of the same limit.
    """

    def __init__(self) -> None:
        self.value = 0.5
        self._least = LEAST_NOISE
        self._last: tuple[int, float] | None = None

    def begin(self, spread: float) -> None:
        """Begin a time in which all places are taken.

        :param spread: the squared coefficient of variation of how long requests take.
        """
        # Where fast and slow are mixed, a few windows can be much the same by chance.
        self._least = max(LEAST_NOISE, 0.05 * spread)
        self.value = max(0.1, self.value, 0.25 * spread)
        self._last = None

    def is_change(self, served: int, seconds: float) -> bool:
        """Learn from a window. Return whether no chance explains how it differs from the last."""
        last, self._last = self._last, (served, seconds)
        if last is None:
            return False
        change = log(served / seconds / last[0] * last[1])
        per_served = 1 / served + 1 / last[0]
        if abs(change) > max(MUCH, UNLIKELY * sqrt(self.value * per_served)):
            return True
        seen = min(change * change / per_served, MOST_NOISE)
        self.value = max(self._least, self.value + 0.1 * (seen - self.value))
        return False

    def forget(self) -> None:
        """Take the next window for the first."""
        self._last = None


class Contest:
    """A contest between two limits, in rounds of one window each.

    :param noise: how much the throughput varies by chance.
    """

    def __init__(self, noise: Noise, *limits: int) -> None:
        self.low, self.high = sorted(limits)
        self._noise = noise
        self._results = dict.fromkeys(limits, (0, 0, 0.0))

    def add(self, limit: int, served: int, seconds: float) -> None:
        """Count what was served at a limit in one window."""
        rounds, served_before, seconds_before = self._results[limit]
        self._results[limit] = (rounds + 1, served_before + served, seconds_before + seconds)

    def winner(self) -> int | None:
        """Return the limit that won; None as long as nobody can tell."""
        rounds, served, seconds = self._results[self.low]
        high_rounds, high_served, high_seconds = self._results[self.high]
        if not rounds or not high_rounds:
            return None
        gain = log(high_served / high_seconds / served * seconds)
        ahead = gain - WORTH * log(self.high / self.low)
        chance = sqrt(self._noise.value * (1 / served + 1 / high_served))
        if abs(ahead) < SURE * chance and min(rounds, high_rounds) < ROUNDS:
            return None
        return self.high if ahead > 0 else self.low

    def served(self, limit: int) -> tuple[int, float]:
        """Return how many were served at a limit, and in how many seconds."""
        return self._results[limit][1:]

    def __str__(self) -> str:
        parts = [
            f"{served / seconds:.0f}/s at {limit}"
            for limit, (_, served, seconds) in self._results.items()
            if seconds
        ]
        return " against ".join(parts)
