"""Borrow places from a board, and give them back. All of it with the board's mutex held.

Each process has a *share* of the limit, and admits from it without asking anybody; the sum of all
shares never exceeds the limit. Who needs more takes what is free. Where nothing is free, it takes
back what dead processes had, and then what others have lent and don't use.

The latter is a handshake of Dekker's with all its cost on one side. A process writes how many it
has in flight, and then looks whether some of its share was revoked. Who wants some of it writes
that it is revoked, and then looks how many are in flight. One of the two sees what the other has
written, if neither looks before its own writing is visible to all; a process would need a memory
barrier at each request for that, so who revokes makes one pass in all processes (`membarrier(2)`).
Where that can't be had, a process keeps no more than what it has in flight.

What is lent is counted where it can't get out of step: in one word for each process, which the
process itself can't get wrong by dying, since the kernel drops its lock on the slot then.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..decisions import Mode
from ..store import StoreError
from .board import CHANGED
from .board import CONFIGURED
from .board import CONFIGURED_MODE
from .board import LEARNED
from .board import LEARNER
from .board import LIFE
from .board import LIMIT
from .board import MODE
from .board import SHORT
from .board import SLOTS
from .board import TOP
from .process import Process
from .scoreboard import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from .board import Board

FRESH = 100
"""How long a process counts as starving after it has last said so, in milliseconds. It says so
every few; one that is stopped, or dead, doesn't."""

TURN = 10
"""For how long a process keeps its only place for those who wait in its own line, in milliseconds,
where others have none. To hand it over takes them a moment, in which nobody is served."""

MILLISECONDS = 2**32

MODES = tuple(Mode)
"""As the file counts them, from 1."""


class Borrower:
    """What a process has of a board: a slot, and a share of the limit.

    :param board: the board, with its mutex held.
    :param configured: the limit, if nobody has changed it since it was configured.
    :param learned: whether that is what to begin with, and the limit is learned.
    :param mode: the mode, as it was configured.
    :param barrier: makes a memory barrier in all processes, and tells whether it did; None where
        that can't be had.
    :param in_flight: what was admitted without the board. It is there, whatever the limit.
    :param clock: a monotonic clock that all processes of the host share, in seconds.
    :raises StoreError: there is no slot left.
    """

    def __init__(
        self,
        board: Board,
        configured: int,
        *,
        learned: bool = False,
        mode: Mode = Mode.ENFORCE,
        barrier: Callable[[], bool] | None,
        in_flight: int,
        clock: Callable[[], float],
    ) -> None:
        self.board = board
        self.died: list[Process] = []
        """Those whose places were taken back, and of whom nobody was told yet."""
        self.processes = 0
        """How many processes there were when there was plenty to lend; 0 if that never was."""
        self._barrier = barrier
        self._clock = clock
        self._turn = 0
        self.lends = barrier is not None
        """Whether it keeps what it doesn't use, until others need it."""
        self.slot = -1
        self._bury()
        header = board.header
        is_first = not any(board.pids[: header[TOP]])
        for slot in range(SLOTS):
            if not board.pids[slot] and board.locks.try_lock(LIFE + slot):
                break
        else:
            raise StoreError(f"'{board.path}' has no room for more than {SLOTS} processes.")
        board.clear(slot)
        board.shares[slot] = board.flights[slot] = in_flight
        board.lends[slot] = self.lends
        board.pids[slot] = os.getpid()
        # Anything stands there in a file that is broken; nobody else uses it then.
        header[TOP] = slot + 1 if is_first else max(header[TOP], slot + 1)
        self.slot = slot
        agreed = 0 if learned else configured
        if is_first or header[CONFIGURED] != agreed:
            header[CONFIGURED] = agreed
            header[LEARNED] = learned
            header[LEARNER] = 0
            header[CHANGED] = 0
            self.set_limit(configured)
        number = MODES.index(mode) + 1
        if is_first or header[CONFIGURED_MODE] != number:
            header[CONFIGURED_MODE] = number
            header[MODE] = 0

    @property
    def places(self) -> int:
        """How many were lent to this process."""
        return self.board.shares[self.slot]

    @property
    def limit(self) -> int:
        """The limit of all."""
        return self.board.header[LIMIT]

    def set_limit(self, limit: int) -> None:
        """Change the limit of all."""
        board, slot = self.board, self.slot
        if limit > board.header[LIMIT]:
            self._let_all_look()  # Whoever needs no more places would not hear of it.
        board.header[LIMIT] = limit
        if board.lent() > limit:
            board.shares[slot] = min(board.shares[slot], board.flights[slot])
            self._revoke_idle()
            board.header[SHORT] = 1

    def set_mode(self, mode: Mode) -> None:
        """Set the mode of all."""
        board = self.board
        board.header[MODE] = MODES.index(mode) + 1
        self._let_all_look()

    def _let_all_look(self) -> None:
        """Let each process look at the file before it admits the next one."""
        for slot in range(self.board.header[TOP]):
            self.board.revoked[slot] = 1

    def take(self, in_flight: int, cost: int, starving: bool) -> bool:
        """See `Store.take`."""
        board, slot = self.board, self.slot
        self._catch_up(in_flight - cost)
        missing = in_flight - board.shares[slot]
        if missing > 0 and not self._borrow(missing):
            if starving:
                board.waiting[slot] = self._now()
                board.header[SHORT] = 1
            return False
        board.flights[slot] = in_flight
        board.waiting[slot] = 0
        return True

    def give_back(self, in_flight: int, queued: int) -> None:
        """Give back what others need more."""
        board, slot = self.board, self.slot
        self._catch_up(in_flight)
        share = board.shares[slot]
        rivals = self._rivals()
        excess = board.lent() - self.limit
        if not rivals and excess <= 0:
            board.header[SHORT] = 0
        if excess > 0:
            surplus = excess
        elif queued and rivals:
            # Nobody is left with none, and otherwise nothing moves to and fro.
            poorest = min(rivals)
            is_over = (self._now() - self._turn) % MILLISECONDS >= TURN
            surplus = 1 if share > poorest + 1 or (not poorest and is_over) else 0
        elif queued:
            surplus = 0
        else:
            surplus = share if rivals or not self.lends else 0
        board.shares[slot] = share - max(0, min(surplus, share - in_flight))

    def all_processes(self) -> tuple[Process, ...]:
        """Return what is seen of each process. The mutex need not be held for this."""
        pids = self.board.pids[: self.board.header[TOP]]
        return tuple(self._process(slot) for slot, pid in enumerate(pids) if pid)

    def _process(self, slot: int) -> Process:
        board = self.board
        return Process(
            pid=board.pids[slot],
            places=board.shares[slot],
            in_flight=board.flights[slot],
            serving=tuple(read_rows(board.rows(slot), self._clock())),
        )

    def _catch_up(self, in_flight: int) -> None:
        """See what others have changed."""
        self.board.flights[self.slot] = in_flight
        self.board.revoked[self.slot] = 0

    def _borrow(self, missing: int) -> bool:
        """Add `missing` to the share, and some more where there is plenty."""
        board, slot, limit = self.board, self.slot, self.limit
        free = limit - board.lent()
        if free < missing and self._bury():
            free = limit - board.lent()
        if free < missing and self._revoke_idle():
            free = limit - board.lent()
        rivals = self._rivals()
        if free < missing or (free - missing < len(rivals) and min(rivals) < board.shares[slot]):
            return False
        extra = 0
        if self.lends and not rivals:
            self.processes = board.processes()
            extra = (free - missing) // (2 * self.processes)
        if not board.shares[slot]:
            self._turn = self._now()
        board.shares[slot] += missing + extra
        return True

    def _rivals(self) -> list[int]:
        """Return the shares of those others who starve."""
        board, now = self.board, self._now()
        return [
            board.shares[slot]
            for slot, since in enumerate(board.waiting[: board.header[TOP]])
            if since and slot != self.slot and (now - since) % MILLISECONDS < FRESH
        ]

    def _now(self) -> int:
        return int(self._clock() * 1000) % MILLISECONDS or 1

    def _bury(self) -> bool:
        """Take back what dead processes had. Return whether there were any."""
        board = self.board
        dead = [
            slot
            for slot, pid in enumerate(board.pids[: board.header[TOP]])
            if pid and slot != self.slot and board.locks.try_lock(LIFE + slot)
        ]
        for slot in dead:
            if board.flights[slot]:
                self.died.append(self._process(slot))
            board.clear(slot)
            board.locks.unlock(LIFE + slot)
        return bool(dead)

    def _revoke_idle(self) -> bool:
        """Take back what others have and don't use. Return whether there may be some."""
        board = self.board
        idle = [
            slot
            for slot in range(board.header[TOP])
            if slot != self.slot and board.lends[slot] and board.shares[slot] > board.flights[slot]
        ]
        if not idle or self._barrier is None:
            return False
        for slot in idle:
            board.revoked[slot] = 1
        if not self._barrier():
            return False
        for slot in idle:
            board.shares[slot] = min(board.shares[slot], board.flights[slot])
        return True
