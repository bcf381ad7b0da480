"""The file that the processes of a host map: the limit, and a slot for each of them."""

from __future__ import annotations

import os
import struct
from mmap import mmap
from pathlib import Path
from time import monotonic
from time import sleep
from typing import TypeAlias
from weakref import finalize

from ..store import StoreError
from .folder import make_private
from .folder import require_own
from .notes import CHANGES
from .notes import RING
from .notes import SAMPLE
from .scoreboard import ROW
from .scoreboard import ROWS
from .system import ByteLocks

SLOTS = 256

# The header, in words: what the file is, in which version; then the numbers that belong to all.
MAGIC = struct.pack("I", 0x46434731)
"""So the file begins in every version."""

SIGNATURE = MAGIC + struct.pack("I", 3)
LIMIT = 2
CONFIGURED = 3
TOP = 4
SHORT = 5
LEARNED = 6
LEARNER = 7
LEARNED_AT = 8
CHANGED = 9
MODE = 10
CONFIGURED_MODE = 11
HEADER = 16

COLUMNS = 8
WORDS = HEADER + COLUMNS * SLOTS
SIZE = 4 * WORDS + (ROWS * ROW + RING * SAMPLE) * SLOTS + CHANGES

#: The byte whose lock guards all that is lent, and the first of those that live with a process.
MUTEX = 0
LIFE = 1

Identity: TypeAlias = tuple[int, int]
"""Which file it is, whatever it is called."""

PATIENCE = 0.002
JOIN = 1.0
"""How long to wait for the mutex, in seconds, and how long at the start. Who holds it needs some
microseconds, unless it was stopped meanwhile; and nobody can wait for that."""


class Board:
    """An open board. Each column has one number of each slot.

    Only who holds the mutex may change what is in the header, and the columns. There are some that
    have one writer: `flights` and `written` the slot's process; `read`, and the header's
    `LEARNED_AT`, the one that learns the limit. Each change is one aligned word, so whoever dies
    between two leaves something that is right as it stands.
    """

    def __init__(self, path: Path, descriptor: int, mapping: mmap) -> None:
        self.path = path
        self.locks = ByteLocks(descriptor)
        self._close = finalize(self, os.close, descriptor)
        self._close.atexit = False
        self._inode = _identity(os.fstat(descriptor))
        octets = memoryview(mapping)
        rows = 4 * WORDS
        rings = rows + ROWS * ROW * SLOTS
        changes = rings + RING * SAMPLE * SLOTS
        self._rows, self._rings = octets[rows:rings], octets[rings:changes]
        self.changes = octets[changes:SIZE]
        """The last changes of a limit that is learned, see `notes`."""
        words = octets[:rows].cast("I")
        self.header = words[:HEADER]
        (
            self.pids,
            self.shares,
            self.flights,
            self.revoked,
            self.waiting,
            self.lends,
            self.written,
            self.read,
        ) = (words[start : start + SLOTS] for start in range(HEADER, WORDS, SLOTS))
        """Whose slot it is; how many it was lent; how many it has in flight; whether some of its
        share was taken back; since when it starves; whether something can be taken back; how much
        it has written into its ring, and how much of that was read."""

    def rows(self, slot: int) -> memoryview:
        """Return what the slot's process is serving, see `Scoreboard`."""
        return self._rows[slot * ROWS * ROW : (slot + 1) * ROWS * ROW]

    def ring(self, slot: int) -> memoryview:
        """Return what the slot's process has served lately, see `notes`."""
        return self._rings[slot * RING * SAMPLE : (slot + 1) * RING * SAMPLE]

    def lock(self, patience: float = PATIENCE) -> bool:
        """Lock the mutex. Return false if it could not be had in time."""
        if self.locks.try_lock(MUTEX):
            return True
        end = monotonic() + patience
        while monotonic() < end:
            os.sched_yield()
            if self.locks.try_lock(MUTEX):
                return True
        return False

    def unlock(self) -> None:
        """Unlock the mutex."""
        self.locks.unlock(MUTEX)

    def lent(self) -> int:
        """Return how many places are lent, or in flight all the same."""
        top = self.header[TOP]
        return sum(map(max, self.shares[:top], self.flights[:top]))

    def processes(self) -> int:
        """Return how many processes there are, as far as known."""
        return sum(map(bool, self.pids[: self.header[TOP]]))

    def clear(self, slot: int) -> None:
        """Make a slot nobody's."""
        # The pid last: whoever dies in between has not finished, and the next one will.
        self.rows(slot)[:] = bytes(ROWS * ROW)
        if self.header[LEARNER] == slot + 1:
            self.header[LEARNER] = 0
        for column in (
            self.written,
            self.read,
            self.waiting,
            self.lends,
            self.revoked,
            self.shares,
            self.flights,
            self.pids,
        ):
            column[slot] = 0

    def is_current(self) -> bool:
        """Return whether those who come now will find this file, and it is a board still."""
        try:
            found = _identity(self.path.lstat())
        except OSError:
            return False
        return found == self._inode and self.is_board()

    def overwritten(self) -> Identity | None:
        """Return which file it is, if that is in its place still, and no board any more."""
        try:
            found = _identity(self.path.lstat())
        except OSError:
            return None
        return found if found == self._inode and not self.is_board() else None

    def is_board(self) -> bool:
        """Return whether the file says that it is one, of this version."""
        return self.header[:2].tobytes() == SIGNATURE

    def close(self) -> None:
        """Drop all locks. The mapping goes with the object."""
        self._close()


def open_board(path: Path, overwritten: Identity | None = None) -> Board:
    """Open the board at `path`; make it where there is none.

    :param overwritten: a file that was a board, and is made one again whatever is in it.
    :raises StoreError: it can't be made or used.
    """
    make_private(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"'{path}' can't be opened ({error.strerror}).") from error
    try:
        require_own(os.fstat(descriptor), path)
        mapping = _map(path, descriptor, overwritten)
    except OSError as error:
        os.close(descriptor)
        raise StoreError(
            f"'{path}' can't be used ({error.strerror}). It needs {SIZE / 1e6:.1f} MB, as each"
            " limit does, in a file system with locks: name a folder in another one by"
            " 'CONCURRENCY_GUARD_DIR'."
        ) from error
    except BaseException:
        os.close(descriptor)
        raise
    # It closes the file from here on. Closed twice, it would be another one the second time.
    return Board(path, descriptor, mapping)


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


def _map(path: Path, descriptor: int, overwritten: Identity | None) -> mmap:
    locks = ByteLocks(descriptor)
    end = monotonic() + JOIN
    while not locks.try_lock(MUTEX):
        if monotonic() >= end:
            raise StoreError(f"'{path}' is locked by a process that doesn't go on.")
        sleep(0.001)
    try:
        _make_usable(path, descriptor, locks, overwritten)
        # A forked child keeps what it has mapped, and the open file behind it, for a while. With
        # one of its own the locks don't depend on that.
        other = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if _identity(os.fstat(other)) != _identity(os.fstat(descriptor)):
                raise StoreError(f"'{path}' was replaced while it was being opened.")
            return mmap(other, SIZE)
        finally:
            os.close(other)
    finally:
        locks.unlock(MUTEX)


def _make_usable(
    path: Path, descriptor: int, locks: ByteLocks, overwritten: Identity | None
) -> None:
    """Make the file a board, unless it is one, or is somebody else's."""
    found = os.fstat(descriptor)
    begin = os.pread(descriptor, len(SIGNATURE), 0)
    if begin == SIGNATURE and found.st_size >= SIZE:
        return
    # Whoever died while making one has left an empty file, or zeros.
    is_ours = not any(begin) or begin.startswith(MAGIC) or _identity(found) == overwritten
    if not is_ours:
        raise StoreError(
            f"'{path}' is no file of this package, so it is left alone. Move it away, or choose"
            " another 'CONCURRENCY_GUARD_NAME' or 'CONCURRENCY_GUARD_DIR'."
        )
    # Whoever uses it, in whatever version, holds the lock of a byte behind the mutex's.
    if not locks.try_lock(LIFE, 0):
        raise StoreError(
            f"'{path}' is in use by another version of this package. Stop those processes, or"
            " choose another 'CONCURRENCY_GUARD_NAME'."
        )
    # It never gets shorter: who has it mapped would be killed for touching what isn't there.
    os.posix_fallocate(descriptor, 0, SIZE)
    os.pwrite(descriptor, bytes(SIZE), 0)
    os.pwrite(descriptor, SIGNATURE, 0)
    locks.unlock(LIFE, 0)
