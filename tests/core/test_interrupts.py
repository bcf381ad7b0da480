"""An exception may come anywhere: the handler of a signal raises it, as soft time limits do.

CPython runs such a handler at the beginning of a function, after a call of one that is written in
C, and before it jumps back. A profiler is told of the first two, and may raise there, so that each
of these places is tried in turn.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any
from weakref import finalize

import pytest
from core_support import lease_of

from flask_concurrency_guard.core.claims import Claim
from flask_concurrency_guard.core.host.store import HostStore
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.shared import SharedLimiter


class TimeIsUp(Exception):
    pass


def is_finalizer(frame: FrameType | None) -> bool:
    """Return whether it is called by one: nobody hears of what is raised there."""
    while frame is not None:
        if frame.f_code in (Lease.__del__.__code__, finalize.__call__.__code__):
            return True
        frame = frame.f_back
    return False


def is_entry(function: object) -> bool:
    """Return whether a `with` has just locked a lock.

    Since Python 3.14 a profiler is told. A handler is not run there, but in Python 3.14 itself,
    whose fault it is: https://github.com/python/cpython/issues/148874
    """
    return getattr(function, "__name__", "") == "__enter__"


def interrupted(work: Callable[[], object]) -> Iterator[int]:
    """Do `work` again and again, and interrupt it at one more place each time, until it ends."""
    for place in itertools.count(1):
        passed = 0

        def interrupt(frame: FrameType, event: str, arg: Any, place: int = place) -> None:
            nonlocal passed
            if event not in ("call", "c_return") or is_finalizer(frame) or is_entry(arg):
                return
            passed += 1
            if passed == place:
                sys.setprofile(None)
                raise TimeIsUp

        try:
            sys.setprofile(interrupt)
            work()
        except TimeIsUp:
            pass  # Whose traceback may keep a lease, as long as it lives.
        else:
            return
        finally:
            sys.setprofile(None)
        yield place


@pytest.fixture(params=["process", "host"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Limiter]:
    if request.param == "process":
        return Limiter
    path = tmp_path / "limit.host"
    return lambda limit, **settings: SharedLimiter(HostStore(path, limit), **settings)


def test_a_place_that_is_taken_and_given_back(make: Callable[..., Limiter]) -> None:
    limiter = make(3)
    lease_of(limiter).release()

    def work() -> None:
        with lease_of(limiter):
            pass

    for place in interrupted(work):
        assert not limiter._lock.locked(), place
        assert limiter.snapshot().in_flight == 0, place
    assert place > 5


def test_one_that_waits_in_vain(make: Callable[..., Limiter]) -> None:
    limiter = make(1, max_wait=0.001)
    held = lease_of(limiter)
    for place in interrupted(limiter.acquire):
        snapshot = limiter.snapshot()
        assert (snapshot.in_flight, snapshot.queued) == (1, 0), place
    held.release()
    lease_of(limiter).release()
    assert limiter.in_flight == 0


def test_the_place_of_one_that_waits() -> None:
    limiter = Limiter(1, max_wait=60)
    held = [lease_of(limiter)]
    limiter.on_queued = lambda lease: held.pop().release()

    def work() -> None:
        with lease_of(limiter):
            pass

    for place in interrupted(work):
        held.clear()
        snapshot = limiter.snapshot()
        assert (snapshot.in_flight, snapshot.queued) == (0, 0), place
        held.append(lease_of(limiter))


def test_one_that_asks_for_several(make: Callable[..., Limiter]) -> None:
    limiter = make(3)

    def work() -> None:
        lease = limiter.acquire(claim=Claim(2))
        assert isinstance(lease, Lease)
        lease.release()

    for place in interrupted(work):
        assert limiter.snapshot().in_flight == 0, place
