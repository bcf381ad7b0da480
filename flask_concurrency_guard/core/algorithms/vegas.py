"""Vegas: keep a queue, but a short one.

The best round trip there was is one without a queue. What another one takes beyond it was spent in
the queue, so of `limit` requests in flight ``limit * (1 - best / rtt)`` stand in it, rounded up.
The limit grows while they are few, shrinks when they are many or one was dropped, and stays in
between; it also stays while less than half of it is in use. How many are few or many, and how far
the limit goes, follows from its decimal logarithm.

The best round trip may never come again, say after a deployment. So it is measured anew from time
to time, by a single request: after 15 to 30 times as many as the limit.

Known weaknesses: the request by which it is measured anew meets the queue that there is, which
counts as no queue then, so the limit creeps upwards under lasting load. And one round trip that was
short by chance, such as that of an error, sets the measure for all others until then.

Source: ``VegasLimit`` of Netflix/concurrency-limits, commit 78a74b9. Its documentation names other
constants; these are those of its code.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from math import ceil
from math import inf

from ..durations import duration
from .checks import check_functions
from .checks import check_limits
from .checks import check_probing
from .checks import check_smoothing
from .measures import LONGEST
from .measures import SHORTEST
from .measures import circumstances
from .measures import logarithm
from .randomness import Randomness


def few(limit: int) -> int:
    """Return below how many in the queue the limit grows."""
    return 3 * logarithm(limit)


def many(limit: int) -> int:
    """Return above how many in the queue the limit shrinks."""
    return 6 * logarithm(limit)


def raised(limit: float) -> float:
    """Return the next limit where it grows a little."""
    return limit + logarithm(int(limit))


def lowered(limit: float) -> float:
    """Return the next limit where it shrinks."""
    return limit - logarithm(int(limit))


class Vegas:
    """A limit by how long the queue must be, after TCP Vegas.

    :param initial: the limit to begin with.
    :param min_limit: the least limit.
    :param max_limit: the greatest limit.
    :param smoothing: the share of a change that is made at once; above 0 and up to 1.
    :param alpha: returns below how many in the queue the limit grows.
    :param beta: returns above how many it shrinks. By as many it grows while there are next to
        none.
    :param threshold: returns up to how many are next to none.
    :param increase: returns the next limit where it grows. Limits are not rounded here.
    :param decrease: returns the next limit where it shrinks.
    :param probe_multiplier: after how many times the limit the best round trip is measured anew;
        ``None`` for never. Each time it is shortened by chance, by up to a half.
    :param randomness: that chance.
    :raises ValueError: a setting can't be. The message says what it must be.
    """

    __slots__ = (
        "_alpha",
        "_best",
        "_beta",
        "_decrease",
        "_dropped",
        "_estimate",
        "_in_flight",
        "_increase",
        "_kept",
        "_max_limit",
        "_min_limit",
        "_patience",
        "_probe_multiplier",
        "_randomness",
        "_rtt",
        "_since_probe",
        "_smoothing",
        "_threshold",
        "limit",
    )

    def __init__(
        self,
        *,
        initial: int = 20,
        min_limit: int = 1,
        max_limit: int = 1000,
        smoothing: float = 1.0,
        alpha: Callable[[int], int] = few,
        beta: Callable[[int], int] = many,
        threshold: Callable[[int], int] = logarithm,
        increase: Callable[[float], float] = raised,
        decrease: Callable[[float], float] = lowered,
        probe_multiplier: int | None = 30,
        randomness: Randomness = random,
    ) -> None:
        self._min_limit = check_limits(initial, min_limit, max_limit)
        check_smoothing(smoothing)
        check_functions(
            alpha=alpha, beta=beta, threshold=threshold, increase=increase, decrease=decrease
        )
        check_probing("probe_multiplier", probe_multiplier)
        self.limit = initial
        """How many may be in flight."""
        self._estimate: float = initial
        self._max_limit = max_limit
        self._smoothing = smoothing
        self._kept = 1 - smoothing
        self._alpha = alpha
        self._beta = beta
        self._threshold = threshold
        self._increase = increase
        self._decrease = decrease
        self._probe_multiplier = inf if probe_multiplier is None else probe_multiplier
        self._randomness = randomness
        self._begin_anew()
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
        estimate = self._estimate
        self._since_probe += 1
        if self._patience * estimate <= self._since_probe:
            self._begin_anew()
            self._best = elapsed
            return self.limit
        best = self._best
        if not best or elapsed < best:
            self._best = elapsed
            return self.limit
        if dropped:
            target = self._decrease(estimate)
        elif in_flight * 2 < estimate:
            return self.limit
        else:
            queue = ceil(estimate * (1 - best / elapsed))
            limit = self.limit
            if queue <= self._threshold(limit):
                target = estimate + self._beta(limit)
            elif queue < self._alpha(limit):
                target = self._increase(estimate)
            elif queue > self._beta(limit):
                target = self._decrease(estimate)
            else:
                return limit
        return self._approach(target)

    def _approach(self, target: float) -> int:
        if target > self._max_limit:
            target = self._max_limit
        elif target < self._min_limit:
            target = self._min_limit
        estimate = self._kept * self._estimate + self._smoothing * target
        # The two shares of the least limit can add up to a bit less, which truncated is one less.
        if estimate < self._min_limit:
            estimate = self._min_limit
        self._estimate = estimate
        self.limit = limit = int(estimate)
        return limit

    def _begin_anew(self) -> None:
        self._since_probe = 0
        jitter = 0.5 + self._randomness.random() / 2
        self._patience = jitter * self._probe_multiplier

    @property
    def reason(self) -> str:
        """Why the limit is what it is now, in figures."""
        if not self._rtt:
            return "no request has ended yet"
        return (
            f"round trip {duration(self._rtt / 1e9)} against {duration(self._best / 1e9)} at best,"
            f" {circumstances(self._in_flight, self._dropped)}"
        )
