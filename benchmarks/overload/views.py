"""The work that a request brings: time of the CPU, or a connection of a pool that gets slower."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.synchronize import Semaphore as SharedSemaphore
from threading import Semaphore as OwnSemaphore
from typing import TypeAlias

Semaphore: TypeAlias = OwnSemaphore | SharedSemaphore

CONNECTIONS = 8
QUERY_SECONDS = 0.02
SLOWER_PER_WAITER = 0.02
"""How much longer a query takes for each thread that waits for a connection.

No database is indifferent to its clients: they hold locks, memory and places in caches.
"""

CPU_SECONDS = 0.005
MIXED_CPU_SHARE = 1 / 3


class Database:
    """A pool of connections to a database that isn't there.

    :param semaphore: what makes the pool's: of this process, or of all that are forked from it.
    """

    def __init__(self, semaphore: Callable[[int], Semaphore]) -> None:
        self._free = semaphore(CONNECTIONS)
        self._waiters = multiprocessing.Value("i")

    def query(self) -> None:
        """Wait for a connection, and then for the answer."""
        self._count(1)
        self._free.acquire()
        waiters = self._count(-1)
        try:
            time.sleep(QUERY_SECONDS * (1 + SLOWER_PER_WAITER * waiters))
        finally:
            self._free.release()

    def _count(self, change: int) -> int:
        with self._waiters:
            self._waiters.value += change
            return self._waiters.value


def burn(iterations: int) -> int:
    """Keep the CPU, and the interpreter's lock, busy."""
    number = 1
    for step in range(iterations):
        number = (number * 31 + step) % 65521
    return number


def iterations_for(seconds: float) -> int:
    """Return how many iterations of `burn` take this long where nothing else runs."""
    sample = 20_000
    # The fastest of many: whatever disturbs only makes it slower.
    return round(sample * seconds / min(_time(sample) for _ in range(50)))


def _time(iterations: int) -> float:
    began = time.thread_time()
    burn(iterations)
    return time.thread_time() - began
