"""Lend the places of one limit to the processes of a host, by a file that they all map.

Here is the life of that file: it is found or made, joined and left, and found again where it was
removed. `Borrower` does the lending, as long as there is one.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias
from typing import TypeVar

from ...complaints import note
from ..decisions import Mode
from ..fork import reset_after_fork
from ..store import OnStoreError
from ..store import StoreError
from ..store import admitted_without
from ..store import places_without
from .board import HEADER
from .board import JOIN
from .board import LEARNED
from .board import LIMIT
from .board import MODE
from .board import SHORT
from .board import Identity
from .board import open_board
from .borrower import MODES
from .borrower import Borrower
from .process import HostSnapshot
from .process import Process
from .scoreboard import Scoreboard
from .system import register_barrier

T = TypeVar("T")
Words: TypeAlias = "list[int] | memoryview[int]"

logger = logging.getLogger(__name__)

RETRY = 1.0
"""After how many seconds to try again what has failed, and to look for the file."""

MOST_TOLD = 8
"""So many processes that died at once are told of one by one. There are hundreds in a file that is
broken."""

BLOCKED = 0.05
"""For how many seconds not to ask for the mutex, when it could not be had. Who holds it was stopped
then, or there is no CPU for it."""


class HostStore:
    """See `Store`, and above.

    :param path: where the file is, or will be; or what returns that, whenever it is looked for.
    :param limit: how many may be in flight in all processes. The last one that starts with
        another number than those before changes it for all.
    :param learned: whether that is only what to begin with, and the limit is learned: see
        `HostTuner`.
    :param mode: the configured mode. A mode that was set while serving goes when that changes.
    :param on_error: what to do while the file can't be used.
    :param clock: a monotonic clock that all processes of the host share, in seconds.
    """

    def __init__(
        self,
        path: Path | Callable[[], Path],
        limit: int,
        *,
        learned: bool = False,
        mode: str = Mode.ENFORCE,
        on_error: str = OnStoreError.LOCAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find_path = path if callable(path) else lambda: path
        self.path = self._find_path()
        #: Where an app has several, each has a name behind the app's.
        self._limit_name = self.path.stem.partition(":")[2]
        self.limit = limit
        self._sound_limit = limit  # As it was when the file was looked at last.
        self._configured = limit
        self._learned = learned
        self._configured_mode = Mode(mode)
        self._mode: Mode | None = None  # As it was when the file was looked at last.
        self._on_error = OnStoreError(on_error)
        self._clock = clock
        self.borrower: Borrower | None = None
        """What this process has of the file; None as long as it can't be used."""
        self._overwritten: Identity | None = None  # What it had of one, and nobody has any more.
        self._header: Words
        self._slot = 0
        self._flights: Words = [0]
        self._revoked: Words
        self.on_places: Callable[[], object] | None = None  # Nobody tells.
        self.on_mode: Callable[[], object] | None = None
        self.is_remote = False
        self.scoreboard: Scoreboard | None = None
        """Where to show what this process is serving."""
        self.after_fork()
        reset_after_fork(self)

    def check(self) -> None:
        """Look whether the file can be used, without using it.

        :raises StoreError: it can't.
        """
        open_board(self.path).close()

    def after_fork(self) -> None:
        """See `Store.after_fork`. The parent's slot stays its own."""
        self._leave_board()
        self._flights = [0]
        self.places = 0
        self.error: Exception | None = None
        """See `Store.error`."""
        self._processes = os.cpu_count() or 1
        self._next_look = self._blocked_until = 0.0

    def enter(self, in_flight: int, cost: int = 1) -> bool:
        """See `Store.enter`."""
        self._flights[self._slot] = in_flight
        if not self._revoked[self._slot]:
            return True
        self._flights[self._slot] = in_flight - cost
        return False

    def leave(self, in_flight: int, queued: int) -> None:
        """See `Store.leave`."""
        self._flights[self._slot] = in_flight
        if self._header[SHORT] or not self._lends:
            self._with_mutex(lambda borrower: borrower.give_back(in_flight, queued), in_flight)

    def take(self, in_flight: int, cost: int = 1, *, starving: bool = False) -> bool:
        """See `Store.take`."""
        took = self._with_mutex(
            lambda borrower: borrower.take(in_flight, cost, starving), in_flight - cost
        )
        if self.error is None:
            return bool(took)
        if in_flight > self.places:
            return False
        self._flights[self._slot] = in_flight
        return True

    @property
    def mode(self) -> Mode | None:
        """See `Store.mode`."""
        if self.borrower is not None and self.borrower.board.is_board():
            number = self._header[MODE]
            self._mode = MODES[number - 1] if 0 < number <= len(MODES) else None
        return self._mode

    def set_mode(self, mode: Mode) -> None:
        """See `Store.set_mode`."""
        self.change(lambda borrower: borrower.set_mode(mode), "mode")

    def set_limit(self, limit: int) -> None:
        """See `Store.set_limit`."""

        def change(borrower: Borrower) -> None:
            borrower.board.header[LEARNED] = 0
            borrower.set_limit(limit)

        self.change(change)

    def change(self, work: Callable[[Borrower], object], what: str = "limit") -> None:
        """Do `work`, which is for all processes, with the mutex held.

        :param what: what it changes, for the error message.
        :raises StoreError: it can't be done now.
        """

        def work_on_it(borrower: Borrower) -> bool:
            work(borrower)
            return True

        if not self.exclusively(work_on_it):
            raise StoreError(f"'{self.path}' can't be used now, so the {what} is what it was.")

    def exclusively(self, work: Callable[[Borrower], T]) -> T | None:
        """Do `work` with the mutex held. Return None where it could not be done."""
        return self._with_mutex(work, self._flights[self._slot])

    def snapshot(self, name: str) -> HostSnapshot:
        """See `Store.snapshot`. Those that have died are there until they are found."""
        if self.borrower is None:
            self.exclusively(lambda borrower: True)
        processes = () if self.borrower is None else self.borrower.all_processes()
        in_flight = sum(process.in_flight for process in processes)
        return HostSnapshot(name, self._header[LIMIT], in_flight, processes)

    def _with_mutex(self, work: Callable[[Borrower], T], in_flight: int) -> T | None:
        """Do `work` with the mutex held. Return None where it could not be done."""
        borrower = None
        try:
            now = self._clock()
            if now >= self._next_look:
                self._next_look = now + RETRY
                self._look(in_flight)
            borrower = self.borrower
            if borrower is None or now < self._blocked_until:
                return None
            try:
                if not borrower.board.lock():
                    self._blocked_until = now + BLOCKED
                    return None
                return work(borrower)
            finally:
                # First, and also where it was not had: whoever interrupts must not leave it locked.
                borrower.board.unlock()
                self._catch_up(borrower)
        except (OSError, StoreError) as error:
            self._fail(error)
            return None
        except (IndexError, ValueError, ZeroDivisionError):
            self._fail(StoreError(f"'{self.path}' was overwritten."))
            return None
        finally:
            if borrower is not None:
                _tell_of(borrower.died, self._limit_name)

    def _catch_up(self, borrower: Borrower) -> None:
        self.places, self.limit = borrower.places, borrower.limit
        self._processes = borrower.processes or self._processes

    def _look(self, in_flight: int) -> None:
        """Begin to use the file, if it isn't used yet, or was replaced."""
        was_used = self.borrower is not None
        if self.borrower is not None:
            if self.borrower.board.is_current():
                self._sound_limit = self.borrower.limit
                return
            self._leave_board()
        self.path = self._find_path()
        board = open_board(self.path, self._overwritten)
        barrier = register_barrier()
        if not board.lock(JOIN):
            raise StoreError(f"'{self.path}' is locked by a process that doesn't go on.")
        try:
            if not board.is_board():
                raise StoreError(f"'{self.path}' was overwritten.")
            borrower = Borrower(
                board,
                self._configured,
                learned=self._learned,
                mode=self._configured_mode,
                barrier=barrier,
                in_flight=in_flight,
                clock=self._clock,
            )
            self._catch_up(borrower)
            self._sound_limit = borrower.limit
        finally:
            board.unlock()
        self.borrower, self._slot, self._lends = borrower, borrower.slot, borrower.lends
        self._header, self._flights, self._revoked = board.header, board.flights, board.revoked
        self.scoreboard = Scoreboard(board.rows(self._slot))
        if self.error is not None:
            self.error = None
            note(logger, logging.WARNING, "'%s' can be used again.", self.path)
        elif was_used:
            told = "'%s' was removed or overwritten. Going on with a new one."
            note(logger, logging.WARNING, told, self.path)

    def _leave_board(self) -> None:
        in_flight = self._flights[self._slot]  # Which counts again where there is a board again.
        if self.borrower is not None:
            self._overwritten = self.borrower.board.overwritten()
            if self._overwritten is not None:
                in_flight = 0  # Nobody knows what stood there. The next request does.
            self.borrower.board.close()
        self.borrower = None
        self._lends = True
        # With these `enter` always says to ask first, and `leave` has nobody to tell.
        self._slot = 0
        self._header = [0] * HEADER
        self._header[LIMIT] = self.limit
        self._flights = [in_flight]
        self._revoked = [1]
        self.scoreboard = None

    def _fail(self, error: Exception) -> None:
        self.limit = self._sound_limit
        self._leave_board()
        self.places = places_without(self._on_error, self.limit, self._processes)
        self._next_look = self._clock() + RETRY  # To find out may have taken as long.
        is_new, self.error = self.error is None, error
        if is_new:
            note(
                logger,
                logging.ERROR,
                "%s Until it can be used, this process admits %s.",
                error,
                admitted_without(self._on_error, self.places),
            )


def _tell_of(died: list[Process], limit: str) -> None:
    for process in died[:MOST_TOLD]:
        note(logger, logging.WARNING, "%s", process.obituary(limit))
    if len(died) > MOST_TOLD:
        more = len(died) - MOST_TOLD
        note(logger, logging.WARNING, "And %d more died with something in flight.", more)
    died.clear()
