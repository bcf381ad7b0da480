"""The line: who waits for a place, and whose turn it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

from .codel import stretched

if TYPE_CHECKING:
    from .lease import Lease


class Order(StrEnum):
    """Who in the line goes first."""

    FIFO = "fifo"
    """Who has waited longest."""

    LIFO = "lifo"
    """Who came last; one who comes to a full line pushes out who has waited longest."""

    ADAPTIVE = "adaptive"
    """Who has waited longest; but who came last, once the line stands."""


PLACES = 3
"""How many places come free in the mean while one may wait in a line that stands.

Among as many as come then there is nearly always one, so that no place stays empty. For more than
so many there is no place in time.
"""


class Line:
    """Leases that wait for a place. The limiter guards it with its lock.

    It stands when it has not been empty for an interval, or for as long as leases are held if that
    is longer: then it is not a burst that is served in a moment, but more than can be served.
    First come, first served would make everybody wait for as long as one may. So who comes last
    goes first then, if it is adaptive, and nobody waits who won't be served soon.

    Source: Facebook's adaptive LIFO with CoDel, in Maurer, "Fail at Scale", ACM Queue 13(8), 2015.

    :param order: see `Order`.
    :param target: how long one may wait at least in a line that stands, in seconds.
    :param interval: after what time a line stands, in seconds.
    :param clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        order: Order,
        *,
        target: float,
        interval: float,
        clock: Callable[[], float],
    ) -> None:
        self._order = order
        self._target = target
        self._interval = interval
        self._clock = clock
        self.service_time = 0.0
        """How long leases are held in the mean, in seconds; 0 as long as nobody knows, and then no
        line stands. The limiter tells."""
        self._waiting: deque[Lease] = deque()
        self._began = inf
        # When somebody had a turn; or the line began.
        self._moved = inf

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._waiting)

    @property
    def is_standing(self) -> bool:
        """Whether it has not been empty for an interval, nor is now."""
        if not self._waiting or not self.service_time:
            return False
        return self._clock() - self._began >= stretched(self._interval, self.service_time)

    def has_room(self, longest: int) -> bool:
        """Return whether one more may wait.

        :param longest: how long the line may be.
        """
        number = len(self._waiting)
        return number < longest and (number < PLACES or not self._is_short)

    def longest_wait(self, limit: int) -> float:
        """Return how long one who comes now may wait, in seconds; infinity for no bound.

        :param limit: how many places there are.
        """
        if not self._is_short:
            return inf
        # The mean says nothing of views that are slower than those before.
        per_place = max(self.service_time / limit, self._clock() - self._moved)
        return max(self._target, PLACES * per_place)

    @property
    def _is_short(self) -> bool:
        return self._order is Order.ADAPTIVE and self.is_standing

    def append(self, lease: Lease) -> None:
        """Let one more wait."""
        if not self._waiting:
            self._began = self._moved = self._clock()
        self._waiting.append(lease)

    def pop(self) -> Lease:
        """Take out whose turn it is."""
        newest_first = self._order is Order.LIFO or self._is_short
        self._moved = self._clock()
        return self._waiting.pop() if newest_first else self._waiting.popleft()

    def push_out(self, limit: int) -> Lease | None:
        """Take out who has waited longest, if that one has to make room for one who comes now.

        :param limit: as for `longest_wait`.
        """
        if not self._waiting:
            return None
        waited = self._clock() - self._waiting[0].started
        if self._order is Order.LIFO or waited > self.longest_wait(limit):
            return self._waiting.popleft()
        return None

    def remove(self, lease: Lease) -> None:
        """Take out who waits no longer."""
        self._waiting.remove(lease)

    def clear(self) -> None:
        """Take out all."""
        self._waiting.clear()
