"""A line in which not all are alike: some go before others."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING
from typing import Any

from .line import Line
from .line import remove

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .claims import Claim
    from .lease import Lease
    from .shares import Shares

AGING = 10
"""How often in a row others of higher rank may go first, before it is one's turn all the same."""

Group = tuple[int, str]
"""A rank and a partition: all who have both in common are alike."""


class RankedLine(Line):
    """Let those go first who are short of what they are guaranteed, and then by their rank.

    Among those that are alike, the line's order decides. A group that was passed over ten times in
    a row has the next turn, so that it gets on however many come who rank higher. Who comes to a
    full line pushes out who would have gone later.

    :param shares: what is guaranteed, if anything is.
    :param settings: those of `Line`.
    """

    def __init__(self, *, shares: Shares | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self._shares = shares
        self._groups: dict[Group, deque[Lease]] = {}
        self._passed: dict[Group, int] = {}

    def __len__(self) -> int:
        # Of a copy, since it may be asked for without the limiter's lock.
        return sum(map(len, tuple(self._groups.values())))

    def __iter__(self) -> Iterator[Lease]:
        for waiting in self._groups.values():
            yield from waiting

    def peek(self, taken: int, places: int) -> Lease | None:
        """See `Line.peek`. Who may only use what others have a right to is not counted."""
        groups = [group for group in self._groups if self._may_enter(group, taken, places)]
        if not groups:
            return None
        return self._first(self._groups[min(groups, key=lambda group: self._turn(group, places))])

    def pop(self, lease: Lease) -> None:
        """See `Line.pop`."""
        for group in self._groups:
            self._passed[group] = self._passed.get(group, 0) + 1
        self._passed[_group(lease.claim)] = 0
        super().pop(lease)

    def clear(self) -> None:
        """See `Line.clear`."""
        self._groups.clear()
        self._passed.clear()

    def _put_in(self, lease: Lease) -> None:
        self._groups.setdefault(_group(lease.claim), deque()).append(lease)

    def _take_out(self, lease: Lease) -> None:
        group = _group(lease.claim)
        waiting = self._groups[group]
        remove(waiting, lease)
        if not waiting:
            del self._groups[group]

    def _victim(self, claim: Claim, limit: int, now: float) -> Lease | None:
        if not self._groups:
            return None

        def standing(group: Group) -> tuple[bool, int]:
            # Of the last one who waits there.
            return self._is_over(group, limit, self._waiting_of(group) - 1), group[0]

        worst = max(self._groups, key=standing)
        newcomer = _group(claim)
        mine = self._is_over(newcomer, limit, self._waiting_of(newcomer)), claim.rank
        waiting = self._groups[worst]
        if mine < standing(worst):
            return waiting[0] if self.is_newest_first else waiting[-1]
        return self._stalest(waiting, limit, now) if mine == standing(worst) else None

    def _turn(self, group: Group, places: int) -> tuple[bool, bool, int, float]:
        """Return by what it is decided whose turn it is; the least goes first."""
        is_overdue = self._passed.get(group, 0) >= AGING
        came = self._first(self._groups[group]).started
        # Among equals the line's order decides, whatever partition they are of.
        order = -came if self.is_newest_first else came
        return self._is_over(group, places), not is_overdue, group[0], order

    def _may_enter(self, group: Group, taken: int, places: int) -> bool:
        if self._shares is None:
            return True
        claim = self._first(self._groups[group]).claim
        cost = min(claim.cost, places)
        # Even if there isn't room for all that it costs: nobody else goes first then.
        return self._shares.may_enter(claim, cost, min(taken, places - cost), places)

    def _is_over(self, group: Group, places: int, others: int = 0) -> bool:
        """Return whether one more of a partition would use more than it is guaranteed.

        :param others: how many of it go before.
        """
        return self._shares is not None and self._shares.left(group[1], places) <= others

    def _waiting_of(self, group: Group) -> int:
        """Return how many of the group's partition wait."""
        return sum(len(self._groups[other]) for other in self._groups if other[1] == group[1])


def _group(claim: Claim) -> Group:
    return claim.rank, claim.partition
