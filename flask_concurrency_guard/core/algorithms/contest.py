"""Two limits in turn: which one serves more?"""

from __future__ import annotations

from math import log
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

WORTH = 0.08
"""How much more must be served at a higher limit to be worth it, as a part of how much higher it
is. That bounds what is given away for a low one to about the same part."""

SURE = 2.0
"""By how many standard deviations a winner must be ahead, as long as there are rounds left."""

ROUNDS = 5
"""After how many rounds there is a winner anyway."""

KEPT = 0.7
"""Which part of what was served before still counts, each time that the contest is held again."""

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
        if not self.explains(change, served, last[0]):
            return True
        seen = min(change * change / (1 / served + 1 / last[0]), MOST_NOISE)
        self.value = max(self._least, self.value + 0.1 * (seen - self.value))
        return False

    def explains(self, change: float, served: float, served_before: float) -> bool:
        """Return whether chance can be why the logarithm of the throughput has changed so much."""
        return abs(change) <= max(MUCH, UNLIKELY * self.deviation(served, served_before))

    def deviation(self, served: float, served_before: float) -> float:
        """Return by how much the logarithm of the throughput differs by chance."""
        return sqrt(self.value * (1 / served + 1 / served_before))

    def forget(self) -> None:
        """Take the next window for the first."""
        self._last = None


class Contest:
    """A contest between two limits, in rounds of one window each.

    It can be held again. What was served before counts as well then, but less each time; so who has
    always lost does so after one round.

    :param noise: how much the throughput varies by chance.
    """

    def __init__(self, noise: Noise, *limits: int) -> None:
        self.low, self.high = sorted(limits)
        self._noise = noise
        self._rounds = dict.fromkeys(limits, 0)
        self._served = dict.fromkeys(limits, (0, 0.0))
        self._served_before = dict.fromkeys(limits, (0.0, 0.0))

    def other(self, limit: int) -> int:
        """Return the limit that isn't this one."""
        return self.low if limit == self.high else self.high

    def begin_again(self) -> None:
        """Begin at the first round, but remember what was served until now."""
        for limit, (served, seconds) in self._in_all().items():
            self._served_before[limit] = (KEPT * served, KEPT * seconds)
            self._rounds[limit], self._served[limit] = 0, (0, 0.0)

    def add(self, limit: int, served: int, seconds: float) -> None:
        """Count what was served at a limit in one window."""
        served_before, seconds_before = self._served[limit]
        self._rounds[limit] += 1
        self._served[limit] = (served_before + served, seconds_before + seconds)

    def is_lost(self, limit: int, served: int, seconds: float) -> bool:
        """Return whether no chance explains how much less a limit serves than the other one.

        :param served: how many it has served in a window that isn't over.
        """
        other_served, other_seconds = self._served[self.other(limit)]
        if not served or not other_served:
            return False
        change = log(served / seconds / other_served * other_seconds)
        return change < 0 and not self._noise.explains(change, served, other_served)

    def winner(self) -> int | None:
        """Return the limit that won; None as long as nobody can tell."""
        rounds = min(self._rounds.values())
        if not rounds:
            return None
        in_all = self._in_all()
        ahead = self._ahead(in_all)
        chance = self._noise.deviation(in_all[self.low][0], in_all[self.high][0])
        if rounds == 1 and abs(self._gain(self._served)) > self._most_gain() + SURE * chance:
            return None  # It is other requests that came, or another time. Once more.
        # What was once the better one may not be today.
        is_sure = abs(ahead) >= SURE * chance and ahead * self._ahead(self._served) > 0
        if not is_sure and rounds < ROUNDS:
            return None
        return self.high if ahead > 0 else self.low

    def served(self, limit: int) -> tuple[int, float]:
        """Return how many were served at a limit this time, and in how many seconds."""
        return self._served[limit]

    def _in_all(self) -> dict[int, tuple[float, float]]:
        return {
            limit: (served + self._served_before[limit][0], seconds + self._served_before[limit][1])
            for limit, (served, seconds) in self._served.items()
        }

    def _ahead(self, results: Mapping[int, tuple[float, float]]) -> float:
        """Return how much more than it has to the higher limit serves, as a logarithm."""
        return self._gain(results) - WORTH * self._most_gain()

    def _gain(self, results: Mapping[int, tuple[float, float]]) -> float:
        """Return how much more the higher limit serves, as a logarithm."""
        served, seconds = results[self.low]
        high_served, high_seconds = results[self.high]
        return log(high_served / high_seconds / served * seconds)

    def _most_gain(self) -> float:
        """Return how much more it could serve, if each place does as much as before."""
        return log(self.high / self.low)

    def __str__(self) -> str:
        parts = [
            f"{served / seconds:.0f}/s at {limit}"
            for limit, (served, seconds) in self._served.items()
            if seconds
        ]
        return " against ".join(parts)
