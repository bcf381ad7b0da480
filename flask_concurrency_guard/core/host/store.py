"""Lend the places of one limit to the processes of a host.

Each process has a *share* of the limit, and admits from it without asking anybody; the sum of all
shares never exceeds the limit. Who needs more takes what is free, in one go with the mutex held.
Where nothing is free, it takes back what dead processes had, and then what others have lent and
don't use.

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

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias
from typing import TypeVar

from ..fork import reset_after_fork
from ..store import OnStoreError
from ..store import StoreError
from ..store import admitted_without
from ..store import places_without
from .board import CONFIGURED
from .board import HEADER
from .board import JOIN
from .board import LIFE
from .board import LIMIT
from .board import SHORT
from .board import SLOTS
from .board import TOP
from .board import Board
from .board import open_board
from .process import HostSnapshot
from .process import Process
from .scoreboard import Scoreboard
from .scoreboard import read_rows
from .system import IS_LINUX
from .system import register_barrier

T = TypeVar("T")
Words: TypeAlias = "list[int] | memoryview[int]"

logger = logging.getLogger(__name__)

FRESH = 100
"""How long a process counts as starving after it has last said so, in milliseconds. It says so
every few; one that is stopped, or dead, doesn't."""

TURN = 10
"""For how long a process keeps its only place for those who wait in its own line, in milliseconds,
where others have none. To hand it over takes them a moment, in which nobody is served."""

RETRY = 1.0
"""After how many seconds to try again what has failed, and to look for the file."""

BLOCKED = 0.05
"""For how many seconds not to ask for the mutex, when it could not be had. Who holds it was stopped
then, or there is no CPU for it."""

MILLISECONDS = 2**32


class HostStore:
    """See `Store`, and above.

    :param path: where the file is, or will be.
    :param limit: how many may be in flight in all processes. The last one that starts with
        another number than those before changes it for all.
    :param on_error: what to do while the file can't be used.
    :param clock: a monotonic clock that all processes of the host share, in seconds.
    """

    def __init__(
        self,
        path: Path,
        limit: int,
        *,
        on_error: str = OnStoreError.LOCAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.limit = limit
        self._configured = limit
        self._on_error = OnStoreError(on_error)
        self._clock = clock
        self._board: Board | None = None
        self._barrier: Callable[[], bool] | None = None
        self._header: Words
        self._flights: Words
        self._revoked: Words
        self.scoreboard: Scoreboard | None = None
        """Where to show what this process is serving."""
        self.after_fork()
        reset_after_fork(self)

    def check(self) -> None:
        """Look whether the file can be used, without using it.

        :raises StoreError: it can't.
        """
        if not IS_LINUX:
            raise StoreError("One limit for all processes of a host needs Linux.")
        open_board(self.path).close()

    def after_fork(self) -> None:
        """See `Store.after_fork`. The parent's slot stays its own."""
        self._leave_board()
        self.places = 0
        self._failed = False
        self._processes = os.cpu_count() or 1
        self._died: list[Process] = []
        self._next_look = self._blocked_until = 0.0
        self._turn = 0

    def enter(self, in_flight: int) -> bool:
        """See `Store.enter`."""
        self._flights[self._slot] = in_flight
        if not self._revoked[self._slot]:
            return True
        self._flights[self._slot] = in_flight - 1
        return False

    def leave(self, in_flight: int, queued: int) -> None:
        """See `Store.leave`."""
        self._flights[self._slot] = in_flight
        if self._header[SHORT] or not self._lends:
            self._with_mutex(partial(self._give_back, in_flight, queued), in_flight)

    def take(self, in_flight: int, *, starving: bool = False) -> bool:
        """See `Store.take`."""
        took = self._with_mutex(partial(self._take, in_flight, starving), in_flight - 1)
        return in_flight <= self.places if self._failed else bool(took)

    def set_limit(self, limit: int) -> None:
        """See `Store.set_limit`."""
        if not self._with_mutex(partial(self._change_limit, limit), self._flights[self._slot]):
            raise StoreError(f"'{self.path}' can't be used now, so the limit is what it was.")

    def snapshot(self, name: str) -> HostSnapshot:
        """See `Store.snapshot`. Those that have died are there until they are found."""
        if self._board is None:
            self._with_mutex(lambda board: True, self._flights[self._slot])
        processes: tuple[Process, ...] = ()
        if (board := self._board) is not None:
            slots = range(board.header[TOP])
            processes = tuple(self._process(board, slot) for slot in slots if board.pids[slot])
        return HostSnapshot(
            name, self.limit, sum(process.in_flight for process in processes), processes
        )

    def _process(self, board: Board, slot: int) -> Process:
        return Process(
            pid=board.pids[slot],
            places=board.shares[slot],
            in_flight=board.flights[slot],
            serving=tuple(read_rows(board.rows(slot), self._clock())),
        )

    def _with_mutex(self, work: Callable[[Board], T], in_flight: int) -> T | None:
        """Do `work` with the mutex held. Return None where it could not be done."""
        try:
            now = self._clock()
            if now >= self._next_look:
                self._next_look = now + RETRY
                self._look(in_flight)
            board = self._board
            if board is None or now < self._blocked_until:
                return None
            if not board.lock():
                self._blocked_until = now + BLOCKED
                return None
            try:
                return work(board)
            finally:
                board.unlock()
        except (OSError, StoreError) as error:
            self._fail(error)
            return None
        finally:
            if self._died:
                self._tell_who_died()

    def _look(self, in_flight: int) -> None:
        """Begin to use the file, if it isn't used yet, or was replaced."""
        if self._board is not None:
            if self._board.is_current():
                return
            logger.warning("'%s' was removed or overwritten. Going on with a new one.", self.path)
            self._leave_board()
        board = open_board(self.path)
        self._barrier = register_barrier()
        if not board.lock(JOIN):
            raise StoreError(f"'{self.path}' is locked by a process that doesn't go on.")
        try:
            if not board.is_board():
                raise StoreError(f"'{self.path}' was overwritten.")
            self._claim(board, in_flight)
        finally:
            board.unlock()
        self._board, self._lends = board, self._barrier is not None
        self._header, self._flights, self._revoked = board.header, board.flights, board.revoked
        self.scoreboard = Scoreboard(board.rows(self._slot))
        self.places = in_flight
        if self._failed:
            self._failed = False
            logger.warning("'%s' can be used again.", self.path)

    def _leave_board(self) -> None:
        if self._board is not None:
            self._board.close()
        self._board = None
        self._barrier = None
        self._lends = True
        # With these `enter` always says to ask first, and `leave` has nobody to tell.
        self._slot = 0
        self._header = [0] * HEADER
        self._flights = [0]
        self._revoked = [1]
        self.scoreboard = None

    def _fail(self, error: Exception) -> None:
        self._leave_board()
        self.places = places_without(self._on_error, self.limit, self._processes)
        if not self._failed:
            self._failed = True
            logger.error(
                "%s Until it can be used, this process admits %s.",
                error,
                admitted_without(self._on_error, self.places),
            )

    def _tell_who_died(self) -> None:
        died, self._died = self._died, []
        for process in died:
            logger.warning("%s", process.obituary())

    # Everything below runs with the mutex held.

    def _claim(self, board: Board, in_flight: int) -> None:
        """Take a slot, and make the limit what it was configured to be, if that is news."""
        self._slot = -1
        self._bury(board)
        header = board.header
        is_first = not any(board.pids[: header[TOP]])
        for slot in range(SLOTS):
            if not board.pids[slot] and board.locks.try_lock(LIFE + slot):
                break
        else:
            raise StoreError(f"'{self.path}' has no room for more than {SLOTS} processes.")
        board.clear(slot)
        # What was admitted without the file: it is there, whatever the limit.
        board.shares[slot] = board.flights[slot] = in_flight
        board.lends[slot] = self._barrier is not None
        board.pids[slot] = os.getpid()
        header[TOP] = max(header[TOP], slot + 1)
        self._slot = slot
        if is_first or header[CONFIGURED] != self._configured:
            header[CONFIGURED] = self._configured
            self._change_limit(self._configured, board)
        self.limit = header[LIMIT]

    def _change_limit(self, limit: int, board: Board) -> bool:
        board.header[LIMIT] = self.limit = limit
        if board.lent() > limit:
            slot = self._slot
            board.shares[slot] = self.places = min(board.shares[slot], board.flights[slot])
            self._revoke_idle(board)
            board.header[SHORT] = 1
        return True

    def _take(self, in_flight: int, starving: bool, board: Board) -> bool:
        slot = self._slot
        self._catch_up(board, in_flight - 1)
        missing = in_flight - board.shares[slot]
        if missing > 0 and not self._borrow(board, missing):
            if starving:
                board.waiting[slot] = self._now()
                board.header[SHORT] = 1
            return False
        self.places = board.shares[slot]
        board.flights[slot] = in_flight
        board.waiting[slot] = 0
        return True

    def _catch_up(self, board: Board, in_flight: int) -> None:
        """See what others have changed."""
        slot = self._slot
        board.flights[slot] = in_flight
        board.revoked[slot] = 0
        self.places = board.shares[slot]
        self.limit = board.header[LIMIT]

    def _borrow(self, board: Board, missing: int) -> bool:
        """Add `missing` to the share, and some more where there is plenty."""
        slot, limit = self._slot, self.limit
        free = limit - board.lent()
        if free < missing and self._bury(board):
            free = limit - board.lent()
        if free < missing and self._revoke_idle(board):
            free = limit - board.lent()
        rivals = self._rivals(board)
        if free < missing or (free - missing < len(rivals) and min(rivals) < board.shares[slot]):
            return False
        extra = 0
        if self._lends and not rivals:
            self._processes = board.processes()
            extra = (free - missing) // (2 * self._processes)
        if not board.shares[slot]:
            self._turn = self._now()
        board.shares[slot] += missing + extra
        return True

    def _give_back(self, in_flight: int, queued: int, board: Board) -> None:
        """Give back what others need more."""
        slot = self._slot
        self._catch_up(board, in_flight)
        share = board.shares[slot]
        rivals = self._rivals(board)
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
            surplus = share if rivals or not self._lends else 0
        board.shares[slot] = self.places = share - max(0, min(surplus, share - in_flight))

    def _rivals(self, board: Board) -> list[int]:
        """Return the shares of those others who starve."""
        now = self._now()
        return [
            board.shares[slot]
            for slot, since in enumerate(board.waiting[: board.header[TOP]])
            if since and slot != self._slot and (now - since) % MILLISECONDS < FRESH
        ]

    def _now(self) -> int:
        return int(self._clock() * 1000) % MILLISECONDS or 1

    def _bury(self, board: Board) -> bool:
        """Take back what dead processes had. Return whether there were any."""
        dead = [
            slot
            for slot, pid in enumerate(board.pids[: board.header[TOP]])
            if pid and slot != self._slot and board.locks.try_lock(LIFE + slot)
        ]
        for slot in dead:
            if board.flights[slot]:
                self._died.append(self._process(board, slot))
            board.clear(slot)
            board.locks.unlock(LIFE + slot)
        return bool(dead)

    def _revoke_idle(self, board: Board) -> bool:
        """Take back what others have and don't use. Return whether there may be some."""
        idle = [
            slot
            for slot in range(board.header[TOP])
            if slot != self._slot and board.lends[slot] and board.shares[slot] > board.flights[slot]
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
