"""What learns the limit."""

from __future__ import annotations

from typing import Protocol


class Algorithm(Protocol):
    """Learns from requests that have ended how many may be in flight.

    No two calls come at once: the limiter makes them with its own lock held.
    """

    limit: int
    """How many may be in flight."""

    def on_sample(
        self, start: float, rtt: float, in_flight: int, dropped: bool = False, waited: float = 0.0
    ) -> int:
        """Learn from one request that has ended. Return the limit from now on.

        A sample that says nothing, since the clock that it was taken by was wrong, is ignored.

        :param start: when it was admitted, by a monotonic clock; in seconds.
        :param rtt: how long it took from then on, in seconds.
        :param in_flight: how many there were when it was admitted, itself included.
        :param dropped: whether it was lost to overload, by a timeout for instance.
        :param waited: how long it had waited until then, as far as that is known, in seconds. The
            published algorithms don't ask for it.
        """

    @property
    def reason(self) -> str:
        """Why the limit is what it is now, in figures, by the last sample that was learned from.

        Put together only when it is asked for.
        """
