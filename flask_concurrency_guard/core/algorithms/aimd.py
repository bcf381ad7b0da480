"""AIMD: up by one, down by a share.

The limit grows by 1 with each request that ends well, if at least half of it was in use. After a
drop, or a round trip longer than the timeout, it is multiplied by the backoff. Nothing else counts:
it is the one algorithm that asks for no measure of a good round trip.

Known weakness: without drops, and with round trips within the timeout, it only ever grows. A server
that gets slower but doesn't fail is taken to the greatest limit.

Source: ``AIMDLimit`` of Netflix/concurrency-limits, commit 78a74b9.
"""

from __future__ import annotations

from ..durations import duration
from .checks import check_backoff
from .checks import check_limits
from .checks import check_seconds
from .measures import circumstances


class AIMD:
    """Additive increase, multiplicative decrease.

    :param initial: the limit to begin with.
    :param min_limit: the least limit.
    :param max_limit: the greatest limit.
    :param backoff: by what the limit is multiplied after a drop; from 0.5 to below 1.
    :param timeout: after how many seconds a request counts as dropped.
    :raises ValueError: a setting can't be. The message says what it must be.
    """

    __slots__ = (
        "_backoff",
        "_dropped",
        "_in_flight",
        "_max_limit",
        "_min_limit",
        "_rtt",
        "_timeout",
        "limit",
    )

    def __init__(
        self,
        *,
        initial: int = 20,
        min_limit: int = 20,
        max_limit: int = 200,
        backoff: float = 0.9,
        timeout: float = 5.0,
    ) -> None:
        self._min_limit = check_limits(initial, min_limit, max_limit)
        check_backoff(backoff)
        check_seconds("timeout", timeout)
        self.limit = initial
        """How many may be in flight."""
        self._max_limit = max_limit
        self._backoff = backoff
        self._timeout = timeout
        # Of the last sample, as in all algorithms.
        self._rtt = -1.0
        self._in_flight = 0
        self._dropped = False

    def on_sample(
        self, start: float, rtt: float, in_flight: int, dropped: bool = False, waited: float = 0.0
    ) -> int:
        """Learn from one request that has ended. Return the limit from now on.

        A drop counts whatever its round trip is.
        """
        if not (rtt >= 0 or dropped):
            return self.limit
        self._rtt = rtt
        self._in_flight = in_flight
        self._dropped = dropped
        limit = self.limit
        if dropped or rtt > self._timeout:
            limit = int(limit * self._backoff)
        elif in_flight * 2 >= limit:
            limit += 1
        if limit > self._max_limit:
            limit = self._max_limit
        elif limit < self._min_limit:
            limit = self._min_limit
        self.limit = limit
        return limit

    @property
    def reason(self) -> str:
        """Why the limit is what it is now, in figures."""
        if self._rtt < 0 and not self._dropped:
            return "no request has ended yet"
        return (
            f"round trip {duration(max(0.0, self._rtt))} against a timeout of"
            f" {duration(self._timeout)}, {circumstances(self._in_flight, self._dropped)}"
        )
