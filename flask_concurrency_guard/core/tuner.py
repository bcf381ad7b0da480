"""A limit that is learned: from each request that ends, by an algorithm."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..complaints import complain

if TYPE_CHECKING:
    from collections.abc import Callable

    from .algorithms.protocol import Algorithm
    from .lease import Lease

logger = logging.getLogger(__name__)

REMEMBERED = 10
"""How many changes are kept."""

LONGEST = 10.0
"""From how many seconds on a request tells nothing: it is an upload, or a stream without an end."""


@dataclass(frozen=True, slots=True)
class Change:
    """The limit was changed."""

    time: float
    """When, on the limiter's clock: by default, `time.monotonic()`."""

    before: int
    """The limit before."""

    after: int
    """The limit from then on."""

    reason: str
    """Why, in figures."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.before} -> {self.after}"


class Tuner:
    """Tells a limiter its limit.

    No two calls come at once: the limiter makes them with its own lock held.

    :param make_algorithm: makes what learns, from the highest limit that makes sense, and the one
        to begin with; None where that isn't known. Called once more in each process that is forked.
    """

    def __init__(self, make_algorithm: Callable[[int | None, int | None], Algorithm]) -> None:
        self._make_algorithm = make_algorithm
        self._ceiling: int | None = None
        self.begin()

    def after_fork(self) -> None:
        """Begin anew: what the parent has learned was about the parent."""
        self.begin()

    def begin(self, limit: int | None = None) -> None:
        """Begin anew, with this limit if it is given."""
        self.algorithm = self._make_algorithm(self._ceiling, limit)
        self.limit = self.algorithm.limit
        """How many may be in flight."""
        self._is_broken = False
        self.changes: deque[Change] = deque(maxlen=REMEMBERED)
        """The last changes of the limit."""

    def learn(self, lease: Lease, now: float) -> int:
        """Learn from a lease that comes back. Return the limit from now on."""
        waited = lease.age + lease.queue_time
        return self.add(lease.started, lease.held, lease.in_flight, lease.dropped, waited, now)

    def add(
        self, start: float, rtt: float, in_flight: int, dropped: bool, waited: float, now: float
    ) -> int:
        """Learn from a request, see `Algorithm.on_sample`. Return the limit from now on."""
        before = self.limit
        if rtt > LONGEST or self._is_broken:
            return before
        try:
            after = self.limit = self.algorithm.on_sample(start, rtt, in_flight, dropped, waited)
            if after != before:
                self.changes.append(Change(now, before, after, self.algorithm.reason))
        except Exception:
            # No request may suffer from that.
            self._is_broken, self.limit = True, before
            complain(
                logger, "The limit stays at %d: what learns it has failed.", before, later=True
            )
        return self.limit

    def last_changes(self) -> tuple[Change, ...]:
        """Return the last changes of the limit, the oldest first."""
        return tuple(self.changes)

    def set_ceiling(self, ceiling: int) -> None:
        """Begin anew, with what is known by now of how many the server can have in flight."""
        self._ceiling = ceiling
        self.begin()
