from __future__ import annotations

import os
import threading

import pytest

from flask_concurrency_guard.core import fork
from flask_concurrency_guard.core.algorithms.aimd import AIMD
from flask_concurrency_guard.core.fork import reset_if_patched
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.tuner import Tuner

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    # Python 3.12 and later warn of a fork beside threads, which is what is tested here.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


def in_a_child(check: object) -> int:
    """Return the exit status of a forked child that runs `check`; 0 if it returned."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            check()  # type: ignore[operator]
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_child_starts_with_none_in_flight() -> None:
    limiter = Limiter(1, max_wait=0)
    lease = limiter.acquire()
    assert isinstance(lease, Lease)

    def check() -> None:
        assert limiter.in_flight == 0
        assert limiter.snapshot().admitted == 0
        mine = limiter.acquire()
        assert isinstance(mine, Lease)
        lease.release()  # The parent's: gives nothing back here.
        assert limiter.in_flight == 1
        mine.release()
        assert limiter.in_flight == 0

    assert in_a_child(check) == 0
    assert limiter.in_flight == 1
    lease.release()


def test_locks_are_made_anew_once_they_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with gunicorn's --preload, where gevent replaces them after the app was made."""
    limiter = Limiter(1, max_wait=0)
    before = limiter._lock
    reset_if_patched()
    assert limiter._lock is before
    monkeypatch.setattr(fork, "_make_lock", fork._make_lock)
    monkeypatch.setattr(threading, "Lock", lambda: threading.RLock())
    reset_if_patched()
    assert type(limiter._lock) is type(threading.RLock())
    with limiter._lock:
        reset_if_patched()  # Not twice: there may be leases by now.
        assert limiter._lock.acquire(blocking=False)


def test_one_that_can_not_begin_anew_keeps_no_other_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def after_fork(self) -> None:
            raise OSError("no such descriptor")

    limiter = Limiter(1, max_wait=0)
    lock, broken = limiter._lock, [Broken(), Broken()]
    for each in broken:
        fork.reset_after_fork(each)
    fork._reset_all()
    assert limiter._lock is not lock
    assert len(caplog.records) == 1  # They say the same.


def test_a_child_is_not_locked_out_by_a_thread_that_the_parent_has() -> None:
    limiter = Limiter(1, max_wait=0)
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with limiter._lock:
            locked.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    locked.wait(10)

    def check() -> None:
        lease = limiter.acquire()
        assert isinstance(lease, Lease)

    try:
        assert in_a_child(check) == 0
    finally:
        done.set()
        thread.join()


def test_a_limiter_that_nobody_has_any_more_is_not_kept() -> None:
    from flask_concurrency_guard.core import fork

    before = len(fork._forkables)
    limiter = Limiter(1)
    assert len(fork._forkables) == before + 1
    del limiter
    assert len(fork._forkables) == before


def test_a_child_learns_its_limit_by_itself() -> None:
    limiter = Limiter(Tuner(lambda *bounds: AIMD(min_limit=1)))
    lease = limiter.acquire()
    assert isinstance(lease, Lease)
    lease.dropped = True
    lease.release()
    assert limiter.limit == 18

    def check() -> None:
        assert limiter.limit == limiter.snapshot().limit == 20
        assert not limiter.snapshot().changes

    assert in_a_child(check) == 0
    assert limiter.limit == 18
