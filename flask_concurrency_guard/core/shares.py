"""Guaranteed shares of a limit, lent as long as nobody needs them."""

from __future__ import annotations

from collections import Counter
from math import floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

    from .claims import Claim

HOLD = 1.0
"""For how many seconds nothing is lent of a share that was short: whoever it belongs to has come,
and will come again."""


class Shares:
    """Count the places that each partition uses, against those that it is guaranteed.

    Partitions stay inside the limit: where one has lent what it doesn't use, it gets the next
    places that come free, and takes none away. Peers admit above the limit instead (Netflix's
    ``AbstractPartitionedLimiter`` has 17 in flight at a limit of 10 in a test of its own).

    The limiter guards it with its lock.

    :param shares: what part of the limit each partition is guaranteed, by its name; at most 1
        together.
    :param clock: a monotonic clock, in seconds.
    """

    def __init__(self, shares: Mapping[str, float], clock: Callable[[], float]) -> None:
        self._shares = dict(shares)
        self._clock = clock
        self._places = -1
        self._guaranteed: dict[str, int] = {}
        self.clear()

    def clear(self) -> None:
        """Forget who uses how many."""
        self.used: Counter[str] = Counter()
        """How many places each partition uses, the nameless one too."""
        self._held_until: dict[str, float] = {}

    def guaranteed(self, places: int) -> dict[str, int]:
        """Return how many of so many places each partition is guaranteed."""
        if places != self._places:
            self._places, self._guaranteed = places, apportion(self._shares, places)
        return self._guaranteed

    def enter(self, claim: Claim, cost: int) -> None:
        """Count places that are used from now on."""
        self.used[claim.partition] += cost

    def leave(self, claim: Claim, cost: int) -> None:
        """Count places that are used no longer."""
        self.used[claim.partition] -= cost

    def left(self, partition: str, places: int) -> int:
        """Return how many places a partition could use before it uses others'."""
        return self.guaranteed(places).get(partition, 0) - self.used[partition]

    def hold(self, partition: str) -> None:
        """Lend nothing of a share for a while: it was short of what it is guaranteed."""
        self._held_until[partition] = self._clock() + HOLD

    def may_enter(self, claim: Claim, cost: int, taken: int, places: int) -> bool:
        """Return whether there is room, and nobody else has a right to it.

        :param cost: how many places it takes.
        :param taken: how many are taken, of how many there are.
        """
        free = places - taken - cost
        if free < 0 or not self._held_until or cost <= self.left(claim.partition, places):
            return free >= 0
        return free >= self._held_back(claim.partition, places)

    def _held_back(self, partition: str, places: int) -> int:
        """Return how many places are kept for others than `partition`."""
        now = self._clock()
        self._held_until = {name: end for name, end in self._held_until.items() if end > now}
        return sum(
            max(0, self.left(name, places)) for name in self._held_until if name != partition
        )


def apportion(shares: Mapping[str, float], places: int) -> dict[str, int]:
    """Return how many of `places` go to each, in whole places that are never more together.

    By largest remainders (Hamilton's method), of which those that come first go first.
    """
    # So that 0.7 of 10 is 7, whatever the last bit of it.
    exact = {name: round(share * places, 9) for name, share in shares.items()}
    whole = {name: floor(part) for name, part in exact.items()}
    left = floor(round(sum(shares.values()) * places, 9)) - sum(whole.values())
    for name in sorted(exact, key=lambda name: whole[name] - exact[name])[:left]:
        whole[name] += 1
    return whole
