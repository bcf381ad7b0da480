"""A process that shares a limit, and an account of who is inside that doesn't ask the limiter.

Started with the account's folder, its number, the board's path, the limit, and what to do:

- ``churn THREADS``: acquire, stay a moment and release, for ever;
- ``obey``: do what each line of the standard input says, and answer it with one line.

Instead of a board's path there can be the URL of a server, with ``?`` and the limit's name.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import random
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flask_concurrency_guard.core.cluster.address import read_url
from flask_concurrency_guard.core.cluster.connect import Connector
from flask_concurrency_guard.core.cluster.store import ClusterStore
from flask_concurrency_guard.core.decisions import Rejection
from flask_concurrency_guard.core.host.store import HostStore
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.shared import SharedLimiter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_concurrency_guard.core.store import Store

WORKERS = 1024
LEASE_TIME = 1.0


class Account:
    """Who is inside, by worker; and who was ever inside beyond the limit."""

    def __init__(self, folder: Path, number: int) -> None:
        self._number = number
        # When a process is killed, the kernel drops a lock of this kind as it closes the file, and
        # one of those that the board has a little later: so nobody has a place that was counted
        # here before it isn't any more.
        self._alive = (folder / f"alive-{number}").open("w")
        fcntl.lockf(self._alive, fcntl.LOCK_EX)
        self._folder = folder
        self._lock = threading.Lock()
        with (folder / "inside").open("r+b") as file:
            self._inside = memoryview(mmap.mmap(file.fileno(), 0)).cast("I")
        self._file = (folder / "lock").open("w")
        self.served = memoryview(self._inside)[WORKERS : 2 * WORKERS]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def come(self, limit: int) -> None:
        with self._alone():
            self._inside[self._number] += 1
            inside = sum(
                self._inside[number] for number in range(WORKERS) if self._is_alive(number)
            )
            if inside > limit:
                with (self._folder / "beyond").open("a") as file:
                    print(inside, "inside, limit", limit, "seen by", self._number, file=file)

    def go(self) -> None:
        with self._alone():
            self._inside[self._number] -= 1
            self.served[self._number] += 1

    def _is_alive(self, number: int) -> bool:
        if number == self._number:
            return True
        if not self._inside[number]:
            return False
        with (self._folder / f"alive-{number}").open("w") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False


def make_account(folder: Path) -> memoryview:
    """Make the files of an account. Return how many each worker has served."""
    (folder / "inside").write_bytes(bytes(4 * 2 * WORKERS))
    with (folder / "inside").open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 0)).cast("I")[WORKERS:]


def make_store(where: str, limit: int) -> Store:
    if "://" not in where:
        return HostStore(Path(where), limit)
    url, _, name = where.partition("?")
    return ClusterStore(Connector(read_url(url), 5.0), name, limit, lease_time=LEASE_TIME)


def churn(limiter: SharedLimiter, account: Account, limit: int) -> None:
    while True:
        lease = limiter.acquire()
        if isinstance(lease, Rejection):
            continue
        with lease:
            account.come(limit)
            time.sleep(random.random() * 0.004)
            account.go()
        # Sometimes idle: then others take what it has, and it has to notice.
        if random.random() < 0.5:
            time.sleep(random.random() * 0.01)


def obey(limiter: SharedLimiter) -> None:
    leases: list[Lease] = []
    for line in sys.stdin:
        command, *values = line.split()
        if command == "acquire":
            lease = limiter.acquire()
            if isinstance(lease, Lease):
                leases.append(lease)
            print(f"{lease.queue_time:.4f}" if isinstance(lease, Lease) else lease.reason)
        elif command == "release":
            leases.pop().release()
            print("released")
        elif command == "limit":
            limiter.set_limit(int(values[0]))
            print(limiter.limit)
        elif command == "fork":
            if os.fork():
                print("forked")
            else:
                time.sleep(3600)
        sys.stdout.flush()


if __name__ == "__main__":
    folder, number, path, limit, what = sys.argv[1:6]
    account = Account(Path(folder), int(number))
    limiter = SharedLimiter(make_store(path, int(limit)), max_queue=100, max_wait=20.0)
    if what == "obey":
        obey(limiter)
    for _ in range(int(sys.argv[6])):
        threading.Thread(target=churn, args=(limiter, account, int(limit))).start()
