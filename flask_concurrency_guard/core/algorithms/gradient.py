"""Gradient: compare a round trip with the best one.

The gradient is the best round trip times the tolerance, divided by this one, but from 0.5 to 1. The
next limit is the limit times the gradient, plus its square root for a queue, or 4 if that is more.
A drop multiplies the limit by the backoff instead. Upwards the limit goes at once, downwards only a
part of the way, the smoothing. It stays while less than half of it is in use, unless there was a
drop.

The best round trip may never come again, so it is forgotten after 1000 to 2000 requests. The limit
falls to its square root then, so that the next best one is measured without a queue.

Known weaknesses: that fall turns requests away at a time when nothing is wrong. And one round trip
that was short by chance, such as that of an error, sets the measure for all others until then.

Source: ``GradientLimit`` of Netflix/concurrency-limits, commit 78a74b9.
"""

from __future__ import annotations

import random
from math import inf

from ..durations import duration
from .checks import check_backoff
from .checks import check_integer
from .checks import check_limits
from .checks import check_probing
from .checks import check_smoothing
from .checks import check_tolerance
from .measures import LONGEST
from .measures import SHORTEST
from .measures import circumstances
from .measures import gradient
from .measures import root
from .randomness import Randomness


class Gradient:
    """A limit by how much longer a round trip is than the best one.

    :param initial: the limit to begin with.
    :param min_limit: the least limit.
    :param max_limit: the greatest limit.
    :param smoothing: the share of a decrease that is made at once; above 0 and up to 1.
    :param queue: how many may wait at least. By so much, or by the square root of the limit, it
        grows while nothing gets slower.
    :param tolerance: how many times the best round trip is still good; at least 1.
    :param backoff: by what the limit is multiplied after a drop; from 0.5 to below 1.
    :param probe_interval: after how many requests the best round trip is measured anew; ``None``
        for never. Each time it is lengthened by chance, up to twofold.
    :param randomness: that chance.
    :raises ValueError: a setting can't be. The message says what it must be.
    """

    __slots__ = (
        "_backoff",
        "_best",
        "_countdown",
        "_dropped",
        "_estimate",
        "_in_flight",
        "_kept",
        "_max_limit",
        "_min_limit",
        "_probe_interval",
        "_queue",
        "_randomness",
        "_rtt",
        "_smoothing",
        "_tolerance",
        "limit",
    )

    def __init__(
        self,
        *,
        initial: int = 50,
        min_limit: int = 1,
        max_limit: int = 1000,
        smoothing: float = 0.2,
        queue: int = 4,
        tolerance: float = 2.0,
        backoff: float = 0.9,
        probe_interval: int | None = 1000,
        randomness: Randomness = random,
    ) -> None:
        self._min_limit = check_limits(initial, min_limit, max_limit)
        check_smoothing(smoothing)
        check_integer("queue", queue, 1)
        check_tolerance(tolerance)
        check_backoff(backoff)
        check_probing("probe_interval", probe_interval)
        self.limit = initial
        """How many may be in flight."""
        self._estimate: float = initial
        self._max_limit = max_limit
        self._smoothing = smoothing
        self._kept = 1 - smoothing
        # The queue is a lower bound of the limit as well, which counts for more than the greatest
        # limit as published. Nobody means that by a greatest limit.
        self._queue = min(queue, max_limit)
        self._tolerance = tolerance
        self._backoff = backoff
        self._probe_interval = probe_interval
        self._randomness = randomness
        self._countdown = self._next_countdown()
        #: In nanoseconds, as all round trips here; 0 for none yet.
        self._best = 0
        self._rtt = 0
        self._in_flight = 0
        self._dropped = False

    def on_sample(
        self, start: float, rtt: float, in_flight: int, dropped: bool = False, waited: float = 0.0
    ) -> int:
        """Learn from one request that has ended. Return the limit from now on."""
        if not SHORTEST <= rtt <= LONGEST:
            return self.limit
        self._rtt = elapsed = round(rtt * 1e9)
        self._in_flight = in_flight
        self._dropped = dropped
        queue = root(self.limit, self._queue)
        if self._countdown <= 0:
            self._countdown = self._next_countdown()
            self._best = 0
            return self._settle(max(self._min_limit, queue))
        self._countdown -= 1
        best = self._best
        if not best or elapsed < best:
            self._best = best = elapsed
        estimate = self._estimate
        if dropped:
            target = estimate * self._backoff
        elif in_flight < estimate / 2:
            return self.limit
        else:
            target = estimate * gradient(self._tolerance * best, elapsed) + queue
        if target < estimate:
            target = max(self._min_limit, estimate * self._kept + target * self._smoothing)
        return self._settle(max(queue, min(self._max_limit, target)))

    def _settle(self, estimate: float) -> int:
        self._estimate = estimate
        self.limit = limit = int(estimate)
        return limit

    def _next_countdown(self) -> float:
        interval = self._probe_interval
        if interval is None:
            return inf
        return interval + int(self._randomness.random() * interval)

    @property
    def reason(self) -> str:
        """Why the limit is what it is now, in figures."""
        if not self._rtt:
            return "no request has ended yet"
        best = duration(self._best / 1e9) + " at best" if self._best else "none yet: beginning anew"
        return (
            f"round trip {duration(self._rtt / 1e9)} against {best},"
            f" {circumstances(self._in_flight, self._dropped)}"
        )
