"""Gradient2: compare a round trip with the mean of many before it.

The gradient is the mean times the tolerance, divided by the round trip, but from 0.5 to 1. The next
limit is the limit times the gradient, plus the queue that there may be; the limit goes a part of
the way there, the smoothing. It stays while less than half of it is in use.

The mean is exponential, over so many requests that it changes slowly. If it is more than twice the
round trip, the load that has lengthened it is over, and it is shortened by 5 % at a time.

Known weaknesses: drops are ignored (issue #176 of the source), so overload that shows in timeouts
rather than in longer round trips doesn't lower the limit. And overload that lasts becomes the mean,
and is good enough then.

Source: ``Gradient2Limit`` of Netflix/concurrency-limits, commit 78a74b9. Its documentation has a
formula without the tolerance; this is that of its code.
"""

from __future__ import annotations

from ..durations import duration
from .checks import check_integer
from .checks import check_limits
from .checks import check_smoothing
from .checks import check_tolerance
from .measures import LONGEST
from .measures import SHORTEST
from .measures import MovingAverage
from .measures import circumstances
from .measures import gradient

STALE = 2
"""From how many times the round trip on the mean is a thing of the past."""

DECAY = 0.95
"""By what it is multiplied then."""


class Gradient2:
    """A limit by how much longer a round trip is than they are in the mean.

    :param initial: the limit to begin with.
    :param min_limit: the least limit.
    :param max_limit: the greatest limit.
    :param smoothing: the share of a change that is made at once; above 0 and up to 1.
    :param queue: how many may wait. By so much the limit grows while nothing gets slower.
    :param long_window: over how many requests the mean reaches, roughly.
    :param warm_up: for how many requests it is the plain mean first.
    :param tolerance: how many times the mean is still good; at least 1.
    :raises ValueError: a setting can't be. The message says what it must be.
    """

    __slots__ = (
        "_dropped",
        "_estimate",
        "_in_flight",
        "_kept",
        "_long",
        "_max_limit",
        "_mean",
        "_min_limit",
        "_queue",
        "_rtt",
        "_smoothing",
        "_tolerance",
        "limit",
    )

    def __init__(
        self,
        *,
        initial: int = 20,
        min_limit: int = 20,
        max_limit: int = 200,
        smoothing: float = 0.2,
        queue: int = 4,
        long_window: int = 600,
        warm_up: int = 10,
        tolerance: float = 1.5,
    ) -> None:
        self._min_limit = check_limits(initial, min_limit, max_limit)
        check_smoothing(smoothing)
        check_integer("queue", queue, 1)
        check_integer("long_window", long_window, 1)
        check_integer("warm_up", warm_up, 1)
        check_tolerance(tolerance)
        self.limit = initial
        """How many may be in flight."""
        self._estimate: float = initial
        self._max_limit = max_limit
        self._smoothing = smoothing
        self._kept = 1 - smoothing
        self._queue = queue
        self._tolerance = tolerance
        self._mean = MovingAverage(long_window, warm_up)
        #: In nanoseconds, as all round trips here; 0 for none yet.
        self._long = 0.0
        self._rtt = 0
        self._in_flight = 0
        self._dropped = False

    def on_sample(
        self, start: float, rtt: float, in_flight: int, dropped: bool = False, waited: float = 0.0
    ) -> int:
        """Learn from one request that has ended. Return the limit from now on."""
        if not SHORTEST <= rtt <= LONGEST:
            return self.limit
        self._rtt = short = round(rtt * 1e9)
        self._in_flight = in_flight
        self._dropped = dropped
        self._long = long = self._mean.add(short)
        if long / short > STALE:
            self._mean.value *= DECAY  # From the next round trip on; this one meets what it was.
        estimate = self._estimate
        if in_flight < estimate / 2:
            return self.limit
        target = estimate * gradient(self._tolerance * long, short) + self._queue
        estimate = estimate * self._kept + target * self._smoothing
        if estimate > self._max_limit:
            estimate = self._max_limit
        elif estimate < self._min_limit:
            estimate = self._min_limit
        self._estimate = estimate
        self.limit = limit = int(estimate)
        return limit

    @property
    def reason(self) -> str:
        """Why the limit is what it is now, in figures."""
        if not self._rtt:
            return "no request has ended yet"
        return (
            f"round trip {duration(self._rtt / 1e9)} against {duration(self._long / 1e9)}"
            f" in the mean, {circumstances(self._in_flight, self._dropped)}"
        )
