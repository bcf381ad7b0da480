"""What the algorithms measure with.

The published algorithms count in whole nanoseconds. So do these inside: a queue is rounded up to
whole requests, and there the last bit of a float would decide.

Source: ``limit/functions`` and ``limit/measurement`` of Netflix/concurrency-limits, commit 78a74b9.
"""

from __future__ import annotations

from math import isqrt
from math import log10

SHORTEST = 1e-9
LONGEST = 9e9
"""Seconds, both. A round trip beyond them wasn't measured but made up by a wrong clock; within them
it is a positive number of nanoseconds, of 63 bits."""


def logarithm(limit: int) -> int:
    """Return the decimal logarithm, rounded down, but at least 1."""
    if limit < 1000:  # Nearly all limits are.
        return 1 if limit < 100 else 2
    return int(log10(limit))


def root(limit: int, least: int = 1) -> int:
    """Return the square root, rounded down, but at least `least`."""
    return max(least, isqrt(limit))


def gradient(good: float, rtt: float) -> float:
    """Return what share of `rtt` would have been good; from a half to all of it.

    No single round trip that is an exception brings a limit down by more than by a half.
    """
    share = good / rtt
    if share >= 1:
        return 1.0
    return share if share > 0.5 else 0.5


class MovingAverage:
    """A mean in which old values fade.

    The mean of all values to begin with. After the first of them, each value counts for
    ``2 / (window + 1)``, and all before it for the rest.

    :param window: over how many values it reaches, roughly.
    :param warm_up: how many values there are to begin with.
    """

    __slots__ = ("_count", "_kept", "_share", "_sum", "_warm_up", "value")

    def __init__(self, window: int, warm_up: int) -> None:
        self.value = 0.0
        """The mean. It can be corrected; a value in the warm-up overrides that."""
        self._share = 2 / (window + 1)
        self._kept = 1 - self._share
        self._warm_up = warm_up
        self._count = 0
        self._sum = 0.0

    def add(self, value: float) -> float:
        """Take in one more. Return the mean."""
        if self._count < self._warm_up:
            self._count += 1
            self._sum += value
            mean = self._sum / self._count
        else:
            mean = self.value * self._kept + value * self._share
        self.value = mean
        return mean


def circumstances(in_flight: int, dropped: bool) -> str:
    """Return in words what a sample says besides its round trip."""
    return f"{in_flight} in flight, dropped" if dropped else f"{in_flight} in flight"
