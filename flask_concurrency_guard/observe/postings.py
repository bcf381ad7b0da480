"""What each process tells of itself, in a file of its own, for others to read.

The file is locked for as long as the process lives, and it is the kernel that lets go of the lock.
So nobody has to guess from a process id who is alive, and the last words of the dead can be read.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..core.host.folder import make_private

try:
    import fcntl
except ImportError:  # Windows.
    CAN_POST = False
else:
    CAN_POST = True

SUFFIX = ".worker"

KEPT_DEAD = 600.0
"""For how many seconds what the dead have told is kept: it is a part of the last minutes."""

MOST_DEAD = 32
"""How many of the dead are kept. There are many where a worker serves a few requests only."""

_HEADER = 18  # A checksum and the length, in hexadecimal.
_TRIES = 5
_PAUSE = 0.002
_UNREADABLE = 5.0  # How long a file may have nothing in it, since somebody is about to write.


class Posting:
    """The file of this process.

    :param folder: where it is to be. It is made, if need be.
    :param name: that of the app.
    :raises OSError: it can't be made.
    :raises StoreError: somebody else can write to the folder.
    """

    def __init__(self, folder: Path, name: str) -> None:
        make_private(folder)
        # Deletes what those before have left: there may be nobody who ever looks.
        with suppress(OSError):
            read_postings(folder, name)
        # The same process id may be there twice, in two containers that share the folder.
        self.path = folder / f"{name}:{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o600)
        try:
            # Waits for who is looking whether it is locked.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except OSError:
            self.close()
            raise

    def write(self, text: bytes) -> bool:
        """Replace what stands there. Return whether the file is still where it was.

        :raises OSError: it can't be written.
        """
        whole = b"%08x %08x\n%b" % (zlib.crc32(text), len(text), text)
        if os.pwrite(self._descriptor, whole, 0) < len(whole):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.fstat(self._descriptor).st_nlink > 0

    def remove(self) -> None:
        """Leave nothing behind."""
        with suppress(OSError):
            self.path.unlink()
        self.close()

    def close(self) -> None:
        """Be dead, or leave the file to the process that has forked this one."""
        with suppress(OSError):
            os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class Posted:
    """What some process has told."""

    text: bytes
    """Nothing, where that can't be read."""
    is_alive: bool


def read_postings(folder: Path, name: str) -> list[Posted]:
    """Return what the processes of an app tell, and delete what is of no use any more.

    :raises OSError: it can't be read.
    :raises StoreError: somebody else can write to the folder.
    """
    if not folder.exists():
        return []
    make_private(folder)
    found, dead = [], []
    for path in _files(folder, name):
        with suppress(OSError):  # It has just been deleted.
            posted, age = _read(path)
            if posted.text:
                found.append(posted)
            if not posted.text or not posted.is_alive:
                dead.append((age, not posted.text, path))
    for place, (age, is_unreadable, path) in enumerate(sorted(dead)):
        if age > KEPT_DEAD or place >= MOST_DEAD or (is_unreadable and age > _UNREADABLE):
            with suppress(OSError):  # It may be another's to clean up: who only reads may be here.
                path.unlink()
    return found


def count_mute(folder: Path, name: str) -> int:
    """Return how many living processes of an app have a file in which nothing can be read: they
    have just begun, or there was no room."""
    count = 0
    for path in _files(folder, name):
        with suppress(OSError):
            posted, _ = _read(path)
            count += posted.is_alive and not posted.text
    return count


def _files(folder: Path, name: str) -> list[Path]:
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    return [path for path in paths if path.name.rpartition(":")[0] == name]


def _read(path: Path) -> tuple[Posted, float]:
    """Return what stands in a file, if anything does; and how long ago it was written."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        is_alive = _is_locked(descriptor)
        text = _read_text(descriptor)
        age = time.time() - os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
    if text is None:
        return Posted(b"", is_alive), 0.0 if is_alive else age
    return Posted(text, is_alive), age


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _read_text(descriptor: int) -> bytes | None:
    for _ in range(_TRIES):
        whole = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        with suppress(ValueError):
            checksum, length = (int(part, 16) for part in whole[:_HEADER].split())
            text = whole[_HEADER : _HEADER + length]
            if len(text) == length and zlib.crc32(text) == checksum:
                return text
        time.sleep(_PAUSE)  # It is being written.
    return None
