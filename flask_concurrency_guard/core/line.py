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
    """Who has waited longest; but who came last in a rush."""


RUSH = 0.2
CALM = 0.1
"""From which share of refusals on it is a rush, and up to which one it is over."""

CHANCE = 3
"""So many refusals in an interval are no rush, however few have come."""

FEW = 8
"""So many may wait in a rush, if there are fewer places. Among as many there nearly always is one
when a place comes free."""


class Line:
    """Leases that wait for a place. The limiter guards it with its lock.

    A burst is served in a moment. A rush is a line that isn't empty for an interval, and turns many
    away meanwhile: more comes than can be served. First come, first served would make everybody
    wait for as long as the whole line takes then, and serve nobody more. So if it is adaptive, who
    came last goes first in a rush, and only as many wait as will be served within the time that
    one lease is held.

    Source: Facebook's adaptive LIFO with CoDel, in Maurer, "Fail at Scale", ACM Queue 13(8), 2015;
    with times that follow from how long leases are held.

    :param order: see `Order`.
    :param target: how long one may wait at least, in seconds.
    :param interval: how long a burst may last, in seconds, where leases are held for less.
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
        self.is_newest_first = order is Order.LIFO
        """Whether who came last goes first now."""
        self.is_rush = False
        """Whether it is one."""
        self.service_time = 0.0
        """How long leases are held in the mean, in seconds; 0 as long as nobody knows, and then
        every line is a burst. The limiter tells."""
        self._is_adaptive = order is Order.ADAPTIVE
        self._target = target
        self._interval = interval
        self._clock = clock
        self._waiting: deque[Lease] = deque()
        #: When it was empty last, and when somebody had a turn.
        self._empty = self._moved = clock()
        #: When this interval ends; how many came in it, and found no room.
        self._end = self._empty
        self._came = 0
        self._refused = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._waiting)

    def make_room(self, longest: int, limit: int) -> tuple[bool, Lease | None]:
        """Return whether one who comes now may wait, and who has to go in return.

        :param longest: how long the line may be.
        :param limit: how many places there are.
        """
        now = self._clock()
        if self._is_adaptive:
            self._look_back(now)
        self._came += 1
        if self.is_rush:
            longest = min(longest, max(limit, FEW))
        if len(self._waiting) < longest:
            return True, None
        self._refused += 1
        oldest = self._waiting[0] if self._waiting else None
        if oldest is None or not self.is_newest_first:
            return False, None
        if self.is_rush and now - oldest.started <= self._soon(limit, now):
            return False, None
        self._waiting.popleft()
        return True, oldest

    def longest_wait(self, limit: int) -> float:
        """Return how long one who comes now may wait, in seconds; infinity for no bound.

        :param limit: how many places there are.
        """
        return self._soon(limit, self._clock()) if self.is_rush else inf

    def append(self, lease: Lease) -> None:
        """Let one more wait."""
        if not self._waiting:
            self._empty = self._moved = self._clock()
        self._waiting.append(lease)

    def pop(self) -> Lease:
        """Take out whose turn it is."""
        self._moved = self._clock()
        return self._waiting.pop() if self.is_newest_first else self._waiting.popleft()

    def remove(self, lease: Lease) -> None:
        """Take out who waits no longer."""
        self._waiting.remove(lease)
        self._refused += 1

    def clear(self) -> None:
        """Take out all."""
        self._waiting.clear()

    def _soon(self, limit: int, now: float) -> float:
        # The mean says nothing of leases that are held for longer than those before.
        per_place = max(self.service_time / limit, now - self._moved)
        return max(self._target, max(limit, FEW) * per_place)

    def _look_back(self, now: float) -> None:
        """Tell whether it is a rush, when an interval is over."""
        if now < self._end:
            return
        interval = stretched(self._interval, self.service_time)
        if not self._came or now >= self._end + interval:
            self.is_rush = False  # Nobody has come for a while.
        elif (refused := self._refused / self._came) <= CALM:
            self.is_rush = False
        elif refused > RUSH and self._refused > CHANCE and self.service_time:
            self.is_rush = self.is_rush or now - self._empty >= interval
        self.is_newest_first = self.is_rush
        self._came = self._refused = 0
        self._end = now + interval
