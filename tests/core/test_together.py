from __future__ import annotations

import gc
import itertools
import logging
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from core_support import Clock
from core_support import Waiter
from core_support import lease_of
from core_support import records_of
from core_support import wait_until

from flask_concurrency_guard.core.decisions import Reason
from flask_concurrency_guard.core.decisions import Rejection
from flask_concurrency_guard.core.host.store import HostStore
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.shared import SharedLimiter
from flask_concurrency_guard.core.shedder import WELCOME
from flask_concurrency_guard.core.shedder import Verdict
from flask_concurrency_guard.core.together import acquire_all


@pytest.fixture(autouse=True, params=["process", "host"])
def scope(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count()

    def on_host(limit: int, **settings: Any) -> SharedLimiter:
        store = HostStore(tmp_path / "private" / f"{next(numbers)}", limit)
        return SharedLimiter(store, **settings)

    if request.param == "host":
        monkeypatch.setitem(globals(), "Limiter", on_host)


def both(*limiters: Limiter, verdict: Verdict | None = None) -> Lease:
    lease = acquire_all(limiters[:-1], limiters[-1], "holder", verdict or Verdict())
    assert isinstance(lease, Lease)
    return lease


def numbers(*limiters: Limiter) -> list[tuple[int, int]]:
    return [(limiter.in_flight, limiter.snapshot().admitted) for limiter in limiters]


def test_all_are_taken_and_go_back_with_the_last() -> None:
    narrow, wide = Limiter(1, name="narrow"), Limiter(4, name="wide")
    lease = both(narrow, wide)
    assert lease.limiter is wide
    assert [companion.limiter for companion in lease.companions] == [narrow]
    assert {one.holder for one in (lease, *lease.companions)} == {"holder"}
    assert (narrow.in_flight, wide.in_flight) == (1, 1)
    assert lease.release()
    assert not lease.release()
    assert (narrow.in_flight, wide.in_flight) == (0, 0)


def test_none_is_kept_where_one_says_no() -> None:
    narrow, wide = Limiter(2, name="narrow"), Limiter(1, max_wait=0, name="wide")
    held = lease_of(wide)
    rejection = acquire_all([narrow], wide)
    assert isinstance(rejection, Rejection)
    assert (rejection.limiter, rejection.reason) == ("wide", "limit")
    assert numbers(narrow, wide) == [(0, 0), (1, 1)]
    assert narrow.mean_held == 0.0
    held.release()


def test_the_wide_one_is_not_asked_where_the_narrow_one_says_no() -> None:
    narrow, wide = Limiter(1, max_wait=0, name="narrow"), Limiter(4, name="wide")
    held = lease_of(narrow)
    rejection = acquire_all([narrow], wide)
    assert isinstance(rejection, Rejection)
    assert rejection.limiter == "narrow"
    assert numbers(wide) == [(0, 0)]
    held.release()


def test_a_place_that_is_withdrawn_goes_to_the_next_in_line() -> None:
    narrow, wide = Limiter(1, max_wait=10, name="narrow"), Limiter(1, max_wait=0, name="wide")
    held = lease_of(wide)
    taken = lease_of(narrow)
    waiter = Waiter(narrow, then=Lease.release)
    taken.limiter.withdraw(taken)
    assert isinstance(waiter.result(), Lease)
    assert numbers(narrow) == [(0, 1)]
    held.release()


def test_who_waits_for_the_narrow_one_holds_nothing_of_the_wide_one() -> None:
    narrow, wide = Limiter(1, max_wait=10, name="narrow"), Limiter(1, max_wait=0, name="wide")
    held = lease_of(narrow)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(both, narrow, wide)
        wait_until(lambda: narrow.snapshot().queued == 1)
        lease_of(wide).release()
        held.release()
        waiting.result(10).release()


def test_no_more_is_waited_than_the_verdict_allows_in_all() -> None:
    narrow, wide = Limiter(1, max_wait=10, name="narrow"), Limiter(1, max_wait=10, name="wide")
    held, held_wide = lease_of(narrow), lease_of(wide)
    verdict = Verdict(None, 0.2, Reason.DEADLINE)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(acquire_all, [narrow], wide, None, verdict)
        wait_until(lambda: narrow.snapshot().queued == 1)
        held.release()
        rejection = waiting.result(10)
    assert isinstance(rejection, Rejection)
    assert (rejection.limiter, rejection.reason) == ("wide", "deadline")
    assert 0.2 <= rejection.queue_time < 5
    assert numbers(narrow) == [(0, 1)]
    held_wide.release()


class Asked:
    """Asks another one, and remembers with what verdict."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self.verdict = WELCOME

    def acquire(self, holder: object = None, verdict: Verdict = WELCOME) -> Lease | Rejection:
        self.verdict = verdict
        return self.limiter.acquire(holder, verdict)


def test_a_wait_is_taken_off_the_next_one_and_all_begin_to_serve_after_the_last() -> None:
    clock = Clock()
    limiters = [Limiter(1, max_wait=10, clock=clock) for _ in range(3)]
    asked = Asked(limiters[1])
    held = [lease_of(limiter) for limiter in limiters]
    verdict = Verdict(None, 9.0, Reason.DEADLINE)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(acquire_all, [limiters[0], asked], limiters[2], None, verdict)
        for limiter, lease in zip(limiters, held, strict=True):
            wait_until(lambda: limiter.snapshot().queued == 1)  # noqa: B023
            clock.now += 2
            lease.release()
        lease = waiting.result(10)
    assert isinstance(lease, Lease)
    assert asked.verdict == Verdict(None, 7.0, Reason.DEADLINE)
    assert {one.started for one in (lease, *lease.companions)} == {clock.now}
    lease.release()


def test_what_speaks_against_a_request_is_said_by_the_last() -> None:
    narrow, wide = Limiter(1, name="narrow"), Limiter(1, name="wide")
    rejection = acquire_all([narrow], wide, None, Verdict(Reason.OVERLOAD))
    assert isinstance(rejection, Rejection)
    assert (rejection.limiter, rejection.reason) == ("wide", "overload")
    assert numbers(narrow, wide) == [(0, 0), (0, 0)]


def test_where_the_last_is_in_shadow_mode_the_others_decide() -> None:
    narrow = Limiter(1, max_wait=0, name="narrow")
    wide = Limiter(1, name="wide", mode="shadow")
    lease = both(narrow, wide, verdict=Verdict(Reason.OVERLOAD))
    assert lease.rejection is not None
    assert (lease.rejection.reason, lease.rejection.enforced) == ("overload", False)
    rejection = acquire_all([narrow], wide, None, Verdict(Reason.OVERLOAD))
    assert isinstance(rejection, Rejection)
    assert rejection.limiter == "narrow"
    lease.release()
    assert (narrow.in_flight, wide.in_flight) == (0, 0)


def test_a_withdrawn_shadow_lease_leaves_the_line() -> None:
    narrow = Limiter(1, max_wait=10, name="narrow", mode="shadow")
    wide = Limiter(1, max_wait=0, name="wide")
    held = lease_of(wide), lease_of(narrow)
    assert isinstance(acquire_all([narrow], wide), Rejection)
    snapshot = narrow.snapshot()
    assert (snapshot.in_flight, snapshot.queued, snapshot.admitted) == (1, 0, 1)
    for lease in held:
        lease.release()


def test_an_exception_in_the_line_leaves_nothing_behind() -> None:
    narrow, wide = Limiter(1, name="narrow"), Limiter(1, max_wait=10, name="wide")

    def killed(lease: Lease) -> None:
        raise KeyboardInterrupt

    wide.on_queued = killed
    held = lease_of(wide)
    with pytest.raises(KeyboardInterrupt):
        acquire_all([narrow], wide)
    assert numbers(narrow, wide) == [(0, 0), (1, 1)]
    held.release()


def test_one_that_is_dropped_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    narrow, wide = Limiter(1, name="narrow"), Limiter(1, name="wide")
    with caplog.at_level(logging.WARNING):
        both(narrow, wide)
        gc.collect()
    assert (narrow.in_flight, wide.in_flight) == (0, 0)
    assert len(records_of(caplog)) == 1


def test_all_learn_that_it_was_dropped() -> None:
    narrow, wide = Limiter(1, name="narrow"), Limiter(1, name="wide")
    lease = both(narrow, wide)
    lease.dropped = True
    lease.release()
    assert lease.companions[0].dropped


def test_all_learn_that_one_was_dropped_that_nobody_released() -> None:
    narrow, wide = Limiter(1, name="narrow"), Limiter(1, name="wide")
    learned: list[bool] = []
    narrow.on_release = lambda lease: learned.append(lease.dropped)
    lease = both(narrow, wide)
    lease.dropped = lease.may_be_dropped = True
    del lease
    narrow.settle()
    assert learned == [True]


def test_many_threads_with_many_limits_never_go_beyond_one_and_never_block_each_other() -> None:
    limiters = [Limiter(limit, max_wait=0.005, name=f"{limit}") for limit in (1, 2, 3, 5)]
    inside = {limiter.name: [0, 0] for limiter in limiters}
    lock = threading.Lock()

    def worker(seed: int) -> int:
        chance, served = random.Random(seed), 0
        for _ in range(200):
            wanted = [one for one in limiters if chance.random() < 0.6] or limiters[-1:]
            lease = acquire_all(wanted[:-1], wanted[-1])
            if isinstance(lease, Rejection):
                continue
            served += 1
            with lock:
                for one in wanted:
                    inside[one.name][0] += 1
                    inside[one.name][1] = max(inside[one.name])
            with lock:
                for one in wanted:
                    inside[one.name][0] -= 1
            lease.release()
        return served

    with ThreadPoolExecutor(8) as pool:
        served = sum(pool.map(worker, range(8)))
    assert served > 0
    for limiter in limiters:
        snapshot = limiter.snapshot()
        assert inside[limiter.name][1] <= limiter.limit
        assert (snapshot.in_flight, snapshot.queued) == (0, 0)
        assert snapshot.peak <= limiter.limit
