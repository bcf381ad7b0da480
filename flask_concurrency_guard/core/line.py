"""The line: who waits for a place, and whose turn it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

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

    It stands when it has not been empty for an interval: then it is not a burst that is served in
    a moment, but more than can be served. First come, first served would make everybody wait for
    as long as one may. So who comes last goes first then, if it is adaptive, and nobody waits who
    won't be served soon.

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
        self._waiting: deque[Lease] = deque()
        self._began = inf

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._waiting)

    @property
    def is_standing(self) -> bool:
        """Whether it has not been empty for an interval, nor is now."""
        return bool(self._waiting) and self._clock() - self._began >= self._interval

    def has_room(self, longest: int) -> bool:
        """Return whether one more may wait.

        :param longest: how long the line may be.
        """
        number = len(self._waiting)
        return number < longest and (number < PLACES or not self._is_short)

    def longest_wait(self, per_place: float) -> float:
        """Return how long one who comes now may wait, in seconds; infinity for no bound.

        :param per_place: after how many seconds a place comes free in the mean.
        """
        return max(self._target, PLACES * per_place) if self._is_short else inf

    @property
    def _is_short(self) -> bool:
        return self._order is Order.ADAPTIVE and self.is_standing

    def append(self, lease: Lease) -> None:
        """Let one more wait."""
        if not self._waiting:
            self._began = self._clock()
        self._waiting.append(lease)

    def pop(self) -> Lease:
        """Take out whose turn it is."""
        newest_first = self._order is Order.LIFO or self._is_short
        return self._waiting.pop() if newest_first else self._waiting.popleft()

    def push_out(self, per_place: float) -> Lease | None:
        """Take out who has waited longest, if that one has to make room for one who comes now.

        :param per_place: as for `longest_wait`.
        """
        if not self._waiting:
            return None
        waited = self._clock() - self._waiting[0].started
        if self._order is Order.LIFO or waited > self.longest_wait(per_place):
            return self._waiting.popleft()
        return None

    def remove(self, lease: Lease) -> None:
        """Take out who waits no longer."""
        self._waiting.remove(lease)

    def clear(self) -> None:
        """Take out all."""
        self._waiting.clear()
