"""The limiter itself, driven by events: who waits in its line keeps no thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.decisions import Rejection
from ...core.lease import Lease
from ...core.limiter import Limiter

if TYPE_CHECKING:
    from threading import Lock


class DrivenLimiter(Limiter):
    """Decides like any other one. But `acquire` returns at once, also with a lease that waits.

    Such a lease stands in `in_line` until `end_wait` is called: when it stands in `woken`, or
    when it has waited for as long as `longest_wait` says.
    """

    in_line: set[Lease]
    woken: list[Lease]

    def _start(self) -> None:
        super()._start()
        self.in_line = set()
        self.woken = []

    @staticmethod
    def longest_wait(lease: Lease) -> float:
        """Return how long a lease may wait, in seconds."""
        return lease._verdict.max_wait

    def end_wait(self, lease: Lease, *, is_woken: bool) -> Lease | Rejection:
        """Return what becomes of a lease that has waited."""
        self.in_line.remove(lease)
        return self._end_wait(lease, has_turn=is_woken)

    def _wait(self, lease: Lease) -> Lease | Rejection:
        self.in_line.add(lease)
        return lease

    def _wake(self, lease: Lease, wakeup: Lock) -> None:
        self.woken.append(lease)
