"""The line: who waits for a place, and whose turn it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

from .claims import PLAIN
from .codel import stretched

if TYPE_CHECKING:
    from .claims import Claim
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

    A burst is served in a moment. A rush is a line that isn't empty for an interval, while many are
    turned away: more comes than can be served. First come, first served would make everybody wait
    for as long as the whole line takes then, and serve nobody more. So if it is adaptive, who came
    last goes first in a rush, and only as many wait as will be served within the time that one
    lease is held.

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
        self.waiting: deque[Lease] = deque()
        """Those who wait, where all of them are alike. To ask this takes a fraction of the time
        that it takes to ask the line for its length."""
        #: When it was empty last, and when somebody had a turn.
        self._empty = self._moved = clock()
        #: When this interval ends; how many came in it, and found no room.
        self._end = self._empty
        self._came = 0
        self._refused = 0

    def __len__(self) -> int:
        return len(self.waiting)

    def __iter__(self) -> Iterator[Lease]:
        return iter(self.waiting)

    def make_room(
        self, longest: int, limit: int, claim: Claim = PLAIN
    ) -> tuple[bool, Lease | None]:
        """Return whether one who comes now may wait, and who has to go in return.

        :param longest: how long the line may be.
        :param limit: how many places there are.
        :param claim: what it asks for.
        """
        now = self._clock()
        self._look_back(now)
        self._came += 1
        if self.is_rush:
            longest = min(longest, max(limit, FEW))
        if len(self) < longest:
            return True, None
        self._refused += 1
        victim = self._victim(claim, limit, now)
        if victim is not None:
            self._take_out(victim)
        return victim is not None, victim

    def count_refused(self) -> None:
        """Count one who was turned away by its age: the rest just fills the line then."""
        self._look_back(self._clock())
        self._came += 1
        self._refused += 1

    def longest_wait(self, limit: int) -> float:
        """Return how long one who comes now may wait, in seconds; infinity for no bound.

        :param limit: how many places there are.
        """
        return self._soon(limit, self._clock()) if self.is_rush else inf

    def append(self, lease: Lease) -> None:
        """Let one more wait."""
        if not self:
            self._empty = self._moved = self._clock()
        self._put_in(lease)

    def peek(self, taken: int, places: int) -> Lease | None:
        """Return whose turn it is; None if nobody waits who may use a place.

        :param taken: how many places are taken, of how many there are.
        """
        return self._first(self.waiting) if self.waiting else None

    def pop(self, lease: Lease) -> None:
        """Take out whose turn it is."""
        self._moved = self._clock()
        self._take_out(lease)

    def remove(self, lease: Lease) -> None:
        """Take out who waits no longer."""
        self._take_out(lease)
        self._refused += 1

    def clear(self) -> None:
        """Take out all."""
        self.waiting.clear()

    def _put_in(self, lease: Lease) -> None:
        self.waiting.append(lease)

    def _take_out(self, lease: Lease) -> None:
        remove(self.waiting, lease)

    def _first(self, waiting: deque[Lease]) -> Lease:
        return waiting[-1] if self.is_newest_first else waiting[0]

    def _victim(self, claim: Claim, limit: int, now: float) -> Lease | None:
        """Return who has to go for one who finds the line full, if anybody has."""
        return self._stalest(self.waiting, limit, now)

    def _stalest(self, waiting: deque[Lease], limit: int, now: float) -> Lease | None:
        """Return who has to go for one who is just as important."""
        if not waiting or not self.is_newest_first:
            return None
        oldest = waiting[0]
        may_have_its_turn = self.is_rush and now - oldest.started <= self._soon(limit, now)
        return None if may_have_its_turn else oldest

    def _soon(self, limit: int, now: float) -> float:
        # The mean says nothing of leases that are held for longer than those before.
        per_place = max(self.service_time / limit, now - self._moved)
        return max(self._target, max(limit, FEW) * per_place)

    def _look_back(self, now: float) -> None:
        """Tell whether it is a rush, when an interval is over."""
        if now < self._end or not self._is_adaptive:
            return
        if not self:
            self._empty = now
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


def remove(waiting: deque[Lease], lease: Lease) -> None:
    # It mostly stands at an end.
    if waiting[-1] is lease:
        waiting.pop()
    else:
        waiting.remove(lease)
