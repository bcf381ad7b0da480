"""Two things of Linux that Python has no name for, or not without letting go of the interpreter.

Both are called with locks held that others wait for. Python's own functions let other threads of
the process run meanwhile, and where those are busy it takes milliseconds to get back.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Callable
from ctypes import byref
from ctypes import get_errno

F_OFD_SETLK = 37
F_WRLCK = 1
F_UNLCK = 2

# linux/membarrier.h, and the number of the system call; most newer architectures share one.
GLOBAL_EXPEDITED = 2
REGISTER_GLOBAL_EXPEDITED = 4
MEMBARRIER = {"x86_64": 324, "aarch64": 283, "riscv64": 283, "ppc64le": 365, "s390x": 356}

IS_LINUX = sys.platform == "linux"

if IS_LINUX:
    # Without giving the GIL away, since none of it waits. PyPy can't.
    _libc = getattr(ctypes, "PyDLL", ctypes.CDLL)(None, use_errno=True)
    _fcntl = _libc.fcntl
    _syscall = _libc.syscall


class _Flock(ctypes.Structure):
    """``struct flock`` of fcntl(2), with offsets of 64 bits."""

    _fields_ = (
        ("l_type", ctypes.c_short),
        ("l_whence", ctypes.c_short),
        ("l_start", ctypes.c_int64),
        ("l_len", ctypes.c_int64),
        ("l_pid", ctypes.c_int),
    )


class ByteLocks:
    """Locks on bytes of an open file, which the kernel drops when their holder dies.

    They belong to the open file (F_OFD_SETLK, fcntl(2)): a descriptor of the same file that is
    opened and closed elsewhere in the process takes none of them away, as it does with POSIX
    locks. A forked child keeps them alive until it closes its copy of the descriptor.

    :param descriptor: of the file, open for writing.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def try_lock(self, first: int, count: int = 1) -> bool:
        """Lock `count` bytes, to the end where it is 0. Return whether nobody else holds any."""
        lock = _Flock(F_WRLCK, os.SEEK_SET, first, count, 0)
        if not _fcntl(self._descriptor, F_OFD_SETLK, byref(lock)):
            return True
        number = get_errno()
        if number in (errno.EAGAIN, errno.EACCES):
            return False
        raise OSError(number, os.strerror(number))

    def unlock(self, first: int, count: int = 1) -> None:
        """Unlock bytes."""
        lock = _Flock(F_UNLCK, os.SEEK_SET, first, count, 0)
        if _fcntl(self._descriptor, F_OFD_SETLK, byref(lock)):
            number = get_errno()
            raise OSError(number, os.strerror(number))


def register_barrier() -> Callable[[], bool] | None:
    """Return a function that makes all threads of all processes that have called this one see
    each other's writes in order, as if each had passed a memory barrier at that moment.

    It returns whether it did. None where the kernel can't, or doesn't let us.

    Source: membarrier(2), MEMBARRIER_CMD_GLOBAL_EXPEDITED.
    """
    number = MEMBARRIER.get(platform.machine())
    if number is None or sys.maxsize < 2**32:
        return None
    if _syscall(number, REGISTER_GLOBAL_EXPEDITED, 0, 0):
        return None

    def barrier() -> bool:
        return not _syscall(number, GLOBAL_EXPEDITED, 0, 0)

    return barrier
