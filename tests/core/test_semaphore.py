"""CPython's own tests of semaphores, on the limiters behind a thin adapter."""

from __future__ import annotations

import itertools
import sys
import unittest
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from valkey_server import PATIENT
from valkey_server import Valkey
from valkey_server import new_name

from flask_concurrency_guard.core.cluster.store import ClusterStore
from flask_concurrency_guard.core.decisions import Reason
from flask_concurrency_guard.core.host.store import HostStore
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.shared import SharedLimiter
from flask_concurrency_guard.core.shedder import Verdict

# Not every interpreter comes with its tests.
lock_tests = pytest.importorskip("test.lock_tests", exc_type=ImportError)
EVER = 3600.0


class Semaphore:
    """A semaphore that is a limiter."""

    def __init__(self, value: int = 1) -> None:
        self._leases: deque[Lease] = deque()
        self._limiter = self.make_limiter(value)

    @staticmethod
    def make_limiter(value: int) -> Limiter:
        return Limiter(value, max_queue=1000, max_wait=EVER)

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        if not blocking and timeout is not None:
            raise ValueError("can't specify timeout for non-blocking acquire")
        longest = (EVER if timeout is None else timeout) if blocking else 0.0
        lease = self._limiter.acquire(verdict=Verdict(None, longest, Reason.QUEUE_TIMEOUT))
        if isinstance(lease, Lease):
            self._leases.append(lease)
            return True
        return False

    def release(self, n: int = 1) -> None:
        if n < 1:
            raise ValueError("n must be one or more")
        for _ in range(n):
            try:
                lease = self._leases.popleft()
            except IndexError:
                raise ValueError("released too many times") from None
            lease.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    def __del__(self) -> None:
        while self._leases:
            self._leases.popleft().release()


class TestLimiter(lock_tests.BoundedSemaphoreTests, unittest.TestCase):
    test_repr = None  # Of a name that is none of ours.
    semtype: Any = Semaphore


@pytest.mark.skipif(sys.platform != "linux", reason="host scope needs Linux")
class TestHostLimiter(lock_tests.BoundedSemaphoreTests, unittest.TestCase):
    test_repr = None

    @pytest.fixture(autouse=True)
    def in_a_file(self, tmp_path: Path) -> None:
        numbers = itertools.count()

        class SharedSemaphore(Semaphore):
            @staticmethod
            def make_limiter(value: int) -> Limiter:
                store = HostStore(tmp_path / "private" / f"{next(numbers)}", value)
                return SharedLimiter(store, max_queue=1000, max_wait=EVER)

        self.semtype = SharedSemaphore


@pytest.mark.servers
class TestClusterLimiter(lock_tests.BoundedSemaphoreTests, unittest.TestCase):
    test_repr = None

    @pytest.fixture(autouse=True)
    def on_a_server(self, valkey: Valkey) -> Iterator[None]:
        stores: list[ClusterStore] = []

        class SharedSemaphore(Semaphore):
            @staticmethod
            def make_limiter(value: int) -> Limiter:
                stores.append(valkey.store(new_name(), value, lease_time=10 * PATIENT))
                return SharedLimiter(stores[-1], max_queue=1000, max_wait=EVER)

        self.semtype = SharedSemaphore
        yield
        for store in stores:
            store.close()
