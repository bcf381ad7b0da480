from __future__ import annotations

import gc
import itertools
import logging
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from core_support import Clock
from core_support import Waiter
from core_support import lease_of
from core_support import rejection_of
from core_support import wait_until
from valkey_server import new_name

from flask_concurrency_guard.core.decisions import Mode
from flask_concurrency_guard.core.decisions import Reason
from flask_concurrency_guard.core.decisions import Rejection
from flask_concurrency_guard.core.host.store import HostStore
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.shared import SharedLimiter
from flask_concurrency_guard.core.shedder import Verdict


@pytest.fixture(autouse=True, params=["process", "host", "cluster"])
def scope(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run each test on all limiters: one that is alone in sharing behaves like the other."""
    scope: str = request.param
    numbers = itertools.count()

    def on_host(limit: int, **settings: Any) -> SharedLimiter:
        store = HostStore(tmp_path / "private" / f"{next(numbers)}", limit)
        return SharedLimiter(store, **settings)

    def in_cluster(limit: int, **settings: Any) -> SharedLimiter:
        valkey = request.getfixturevalue("valkey")
        return SharedLimiter(valkey.store(new_name(), limit), **settings)

    if scope != "process":
        shared = on_host if scope == "host" else in_cluster
        monkeypatch.setitem(globals(), "Limiter", shared)
    return scope


def test_a_limit_is_no_more_than_a_store_can_have() -> None:
    message = r"'limit' must be 2,147,483,647 at most, got 9223372036854775807\."
    limiter = Limiter(2)
    with pytest.raises(ValueError, match=message):
        limiter.set_limit(sys.maxsize)
    assert limiter.limit == 2


@pytest.mark.parametrize("limit", [0, -1, 1.5, "ten", True, None], ids=repr)
def test_a_limit_is_a_positive_integer(limit: int) -> None:
    message = f"'limit' must be a positive integer, got {limit!r}."
    with pytest.raises(ValueError, match="positive") as error:
        Limiter(limit)
    assert str(error.value) == message
    with pytest.raises(ValueError, match="positive") as error:
        Limiter(1).set_limit(limit)
    assert str(error.value) == message


def test_admits_up_to_the_limit() -> None:
    limiter = Limiter(3, max_wait=0)
    leases = [lease_of(limiter) for _ in range(3)]
    assert [lease.in_flight for lease in leases] == [1, 2, 3]
    assert rejection_of(limiter).reason == "limit"
    leases[0].release()
    assert lease_of(limiter).in_flight == 3


def test_a_lease_is_given_back_once() -> None:
    limiter = Limiter(2, max_wait=0)
    first, _second = lease_of(limiter), lease_of(limiter)
    assert [first.release(), first.release(), first.release()] == [True, False, False]
    assert limiter.in_flight == 1


def test_a_lease_is_given_back_once_by_two_threads_at_the_same_time() -> None:
    limiter = Limiter(2, max_wait=0)
    keeper, lease = lease_of(limiter), lease_of(limiter)
    given_back = []
    with limiter._lock:
        # Both have seen that it was not given back yet, and wait for the lock.
        threads = [
            threading.Thread(target=lambda: given_back.append(limiter.release(lease)))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(given_back) == [False, True]
    assert limiter.in_flight == 1
    keeper.release()


def test_a_lease_is_a_context_manager() -> None:
    limiter = Limiter(1)
    with lease_of(limiter) as lease:
        assert not lease.released
    assert lease.released
    assert limiter.in_flight == 0


def test_a_snapshot_tells_all_and_can_not_be_changed() -> None:
    limiter = Limiter(1, max_queue=0, name="reports")
    lease = lease_of(limiter)
    rejection_of(limiter)
    rejection_of(limiter)
    snapshot = limiter.snapshot()
    lease.release()
    assert snapshot.name == "reports"
    assert snapshot.mode == "enforce"
    assert (snapshot.limit, snapshot.in_flight, snapshot.queued) == (1, 1, 0)
    assert (snapshot.admitted, snapshot.peak) == (1, 1)
    assert snapshot.rejected == dict.fromkeys(Reason, 0) | {"limit": 2}
    with pytest.raises(AttributeError):
        snapshot.limit = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("max_queue", "max_wait", "reason"),
    [(0, 1.0, "limit"), (5, 0, "limit"), (1, 30.0, "queue_full")],
    ids=["no line", "no wait", "the line is full"],
)
def test_rejects_with_the_reason(max_queue: int, max_wait: float, reason: str) -> None:
    limiter = Limiter(1, max_queue=max_queue, max_wait=max_wait)
    lease = lease_of(limiter)
    waiter = Waiter(limiter) if reason == "queue_full" else None
    rejection = rejection_of(limiter)
    assert rejection.reason == reason
    assert rejection.enforced
    assert limiter.snapshot().rejected[reason] == 1
    lease.release()
    if waiter is not None:
        assert isinstance(waiter.result(), Lease)


def test_as_many_may_wait_as_the_limit_by_default() -> None:
    limiter = Limiter(2, max_wait=30)
    leases = [lease_of(limiter), lease_of(limiter)]
    waiters = [Waiter(limiter), Waiter(limiter)]
    assert rejection_of(limiter).reason == "queue_full"
    for lease in leases:
        lease.release()
    assert all(isinstance(waiter.result(), Lease) for waiter in waiters)


def test_rejects_who_has_waited_for_too_long() -> None:
    limiter = Limiter(1, max_wait=0.02)
    lease = lease_of(limiter)
    rejection = rejection_of(limiter)
    assert rejection.reason == "queue_timeout"
    assert 0.02 <= rejection.queue_time < 5
    assert limiter.snapshot().queued == 0
    lease.release()
    assert limiter.in_flight == 0


def test_the_line_is_first_in_first_out() -> None:
    limiter = Limiter(1, max_queue=8, max_wait=30)
    served: list[int] = []
    lease = lease_of(limiter)
    waiters = []
    for number in range(8):

        def then(lease: Lease, number: int = number) -> None:
            served.append(number)
            lease.release()

        waiters.append(Waiter(limiter, then))
    lease.release()
    for waiter in waiters:
        waiter.result()
    assert served == list(range(8))


def test_nobody_overtakes_the_line() -> None:
    limiter = Limiter(1, max_queue=1, max_wait=30)
    lease = lease_of(limiter)
    waiter = Waiter(limiter)
    lease.release()
    # The place is the waiter's from this very moment, whether or not its thread has run.
    assert limiter.in_flight == 1
    assert isinstance(waiter.result(), Lease)


def test_the_time_in_the_line_is_measured_and_not_held_against_the_lease() -> None:
    clock = Clock()
    limiter = Limiter(1, max_wait=30, clock=clock)
    lease = lease_of(limiter)
    waiter = Waiter(limiter)
    clock.now += 2.0
    lease.release()
    waited = waiter.result()
    assert isinstance(waited, Lease)
    clock.now += 0.5
    waited.release()
    assert (waited.queue_time, waited.held, lease.held) == (2.0, 0.5, 2.0)


def test_a_place_given_in_the_instant_of_the_timeout_is_passed_on(
    monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    if scope != "process":
        pytest.skip("looks again before it gives up; see the thousand races")
    limiter = Limiter(1, max_queue=2, max_wait=30)
    lease = lease_of(limiter)

    class TimesOutWhenAdmitted:
        def __init__(self) -> None:
            self.locked = False

        def acquire(self, timeout: float | None = None) -> bool:
            if timeout is not None:
                self.behind = Waiter(limiter)
                lease.release()  # Admits this one ...
                return False  # ... that has just given up.
            return True

        def release(self) -> None:
            pass

    fake = TimesOutWhenAdmitted()
    real = threading.Lock
    locks = iter([fake])
    monkeypatch.setattr(threading, "Lock", lambda: next(locks, None) or real())
    assert rejection_of(limiter).reason == "queue_timeout"
    passed_on = fake.behind.result()
    assert isinstance(passed_on, Lease)
    assert limiter.snapshot().in_flight == 1
    passed_on.release()
    snapshot = limiter.snapshot()
    assert (snapshot.in_flight, snapshot.queued, snapshot.admitted) == (0, 0, 2)


def test_a_thousand_races_of_timeout_and_admission_lose_nothing() -> None:
    limiter = Limiter(1, max_queue=2, max_wait=0.0005)
    chance = random.Random(3)
    outcomes = {"admitted": 0, "timed out": 0}

    def contend() -> None:
        outcome = limiter.acquire()
        outcomes["admitted" if isinstance(outcome, Lease) else "timed out"] += 1
        if isinstance(outcome, Lease):
            outcome.release()

    with ThreadPoolExecutor(2) as pool:
        for _ in range(1000):
            lease = lease_of(limiter)
            contenders = [pool.submit(contend) for _ in range(2)]
            threading.Event().wait(chance.random() * 0.001)
            lease.release()
            for contender in contenders:
                contender.result(10)
            snapshot = limiter.snapshot()
            assert (snapshot.in_flight, snapshot.queued) == (0, 0)
    assert min(outcomes.values()) > 50, outcomes


def test_a_rejection_says_when_a_place_comes_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.0)
    clock = Clock()
    limiter = Limiter(4, max_queue=0, clock=clock)
    with lease_of(limiter):
        clock.now += 8
    held = [lease_of(limiter) for _ in range(4)]
    assert rejection_of(limiter).retry_after == 2  # Four places come back in 8 seconds.
    for lease in held:
        lease.release()


def test_how_long_leases_are_held_is_learned_although_there_is_room() -> None:
    clock = Clock()
    limiter = Limiter(4, clock=clock)
    for seconds in (1, *[3] * 100):
        with lease_of(limiter):
            clock.now += seconds
    assert 1.5 < limiter.mean_held < 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit], ids=repr)
def test_who_is_interrupted_in_the_line_leaves_it(error: type[BaseException]) -> None:
    limiter = Limiter(1, max_wait=30)
    lease = lease_of(limiter)

    def interrupt(lease: Lease) -> None:
        raise error

    limiter.on_queued = interrupt
    with pytest.raises(error):
        limiter.acquire()
    assert limiter.snapshot().queued == 0
    lease.release()
    assert limiter.in_flight == 0


def test_a_place_given_to_one_that_is_interrupted_is_passed_on() -> None:
    limiter = Limiter(1, max_queue=2, max_wait=30)
    lease = lease_of(limiter)
    behind = []

    def interrupt(_lease: Lease) -> None:
        limiter.on_queued = None
        behind.append(Waiter(limiter))
        lease.release()
        raise KeyboardInterrupt

    limiter.on_queued = interrupt
    with pytest.raises(KeyboardInterrupt):
        limiter.acquire()
    assert isinstance(behind[0].result(), Lease)


def test_the_limit_is_never_exceeded_in_a_storm() -> None:
    limiter = Limiter(4, max_queue=16, max_wait=0.005)
    lock, inside, peak, served = threading.Lock(), 0, 0, 0

    def client() -> None:
        nonlocal inside, peak, served
        for _ in range(300):
            lease = limiter.acquire()
            if isinstance(lease, Rejection):
                continue
            with lock:
                inside += 1
                served += 1
                peak = max(peak, inside)
            threading.Event().wait(0.0002)
            with lock:
                inside -= 1
            lease.release()

    with ThreadPoolExecutor(32) as pool:
        for future in [pool.submit(client) for _ in range(32)]:
            future.result(60)
    snapshot = limiter.snapshot()
    assert peak == snapshot.peak == 4
    assert (snapshot.in_flight, snapshot.queued) == (0, 0)
    assert snapshot.admitted == served
    assert served + sum(snapshot.rejected.values()) == 32 * 300


def test_a_new_limit_holds_at_once() -> None:
    limiter = Limiter(1, max_queue=3, max_wait=30)
    leases = [lease_of(limiter)]
    waiters = [Waiter(limiter) for _ in range(3)]
    limiter.set_limit(3)
    assert limiter.in_flight == 3
    limiter.set_limit(2)  # Does not block, and takes nothing away.
    assert (limiter.in_flight, limiter.snapshot().queued) == (3, 1)
    leases[0].release()
    assert (limiter.in_flight, limiter.snapshot().queued) == (2, 1)
    for waiter in waiters[:2]:
        lease = waiter.result()
        assert isinstance(lease, Lease)
        lease.release()
    assert isinstance(waiters[2].result(), Lease)
    assert limiter.in_flight == 1


def test_a_dropped_lease_comes_back_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    gc.collect()  # What others have dropped would come back meanwhile, with the same warning.
    limiter = Limiter(1, max_wait=0)
    lease = lease_of(limiter)
    released = []
    limiter.on_release = released.append
    with caplog.at_level(logging.WARNING):
        del lease
    assert limiter.in_flight == 0
    # Nobody is called from within a finalizer ...
    assert (released, caplog.messages) == ([], [])
    lease_of(limiter).release()
    # ... but later, when it can do no harm.
    assert len(released) == 2
    assert caplog.messages == [
        "A lease was dropped without being released, and held until it was collected."
        " Use it by 'with', or release it."
    ]


def test_where_each_lease_is_dropped_one_warning_will_do(caplog: pytest.LogCaptureFixture) -> None:
    gc.collect()
    limiter = Limiter(1, max_wait=0)
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            lease_of(limiter)
    assert limiter.snapshot().admitted == 100
    assert len(caplog.messages) == 1


def test_a_lease_collected_while_its_own_thread_holds_the_lock_comes_back() -> None:
    limiter = Limiter(2, max_wait=0)
    lease = lease_of(limiter)
    lease.may_be_dropped = True
    with limiter._lock:
        del lease  # Would wait for itself for ever, if it waited.
        assert limiter.in_flight == 1
    other = lease_of(limiter)
    # At once; but where the limit is shared, the keeper of the places may be at it just now.
    wait_until(lambda: limiter.in_flight == 1)
    other.release()
    assert limiter.in_flight == 0


class TestCollectedInACriticalSection:
    """The limiter reads its clock with the lock held; here, the collector strikes just then."""

    def setup_method(self) -> None:
        self.doomed: list[Lease] = []
        self.strikes = False
        self.limiter = Limiter(9, max_wait=0, clock=self.clock)
        self.limiter.on_release = bool

    def clock(self) -> float:
        if self.strikes:
            self.strikes = False
            self.doomed.clear()
        return 0.0

    def lease(self) -> Lease:
        lease = lease_of(self.limiter)
        lease.may_be_dropped = True
        return lease

    def test_while_another_one_is_collected(self) -> None:
        lease, self.doomed = self.lease(), [self.lease()]
        self.strikes = True
        del lease
        assert self.limiter.in_flight == 0

    def test_while_another_one_is_released(self) -> None:
        lease, self.doomed = self.lease(), [self.lease()]
        self.strikes = True
        lease.release()
        assert self.limiter.in_flight == 0

    def test_while_the_limiter_settles(self) -> None:
        lease, self.doomed = self.lease(), [self.lease()]
        with self.limiter._lock:
            del lease
        self.strikes = True
        self.limiter.settle()
        assert self.limiter.in_flight == 0

    def test_while_another_one_is_admitted(self) -> None:
        self.doomed = [self.lease()]
        self.strikes = True
        with lease_of(self.limiter):
            assert self.limiter.in_flight == 1

    def test_while_a_snapshot_is_taken(self) -> None:
        lease, self.doomed = self.lease(), [self.lease()]
        with self.limiter._lock:
            del lease
        self.strikes = True
        self.limiter.snapshot()
        assert self.limiter.in_flight == 0


def test_leases_collected_in_the_middle_of_everything_come_back() -> None:
    limiter = Limiter(10_000, max_wait=0)
    thresholds = gc.get_threshold()

    def drop_many() -> None:
        for _ in range(500):
            lease = lease_of(limiter)
            lease.may_be_dropped = True
            circle: list[object] = [lease]
            circle.append(circle)
            lease_of(limiter).release()

    gc.set_threshold(5, 2, 2)
    try:
        with ThreadPoolExecutor(8) as pool:
            for future in [pool.submit(drop_many) for _ in range(8)]:
                future.result(60)
    finally:
        gc.set_threshold(*thresholds)
    # It does nothing while another thread, of some other test, is at it.
    wait_until(lambda: gc.collect() >= 0 and limiter.snapshot().in_flight == 0)


class TestVerdict:
    """What was found about a request before the limiter was asked."""

    def test_a_refused_one_is_rejected_although_there_is_room(self) -> None:
        limiter = Limiter(2)
        outcome = limiter.acquire(verdict=Verdict(Reason.TOO_OLD))
        assert isinstance(outcome, Rejection)
        assert (outcome.reason, outcome.queue_time, outcome.enforced) == ("too_old", 0.0, True)
        snapshot = limiter.snapshot()
        assert (snapshot.in_flight, snapshot.admitted, snapshot.queued) == (0, 0, 0)
        assert snapshot.rejected["too_old"] == 1

    def test_a_refused_one_does_not_wait(self) -> None:
        limiter = Limiter(1, max_wait=10)
        lease = lease_of(limiter)
        outcome = limiter.acquire(verdict=Verdict(Reason.CLIENT_GONE))
        assert isinstance(outcome, Rejection)
        assert outcome.reason == "client_gone"
        lease.release()

    @pytest.mark.parametrize("mode", ["shadow", "off"])
    def test_a_refused_one_is_admitted_where_nothing_is_enforced(self, mode: str) -> None:
        limiter = Limiter(1, mode=mode)
        lease = limiter.acquire(verdict=Verdict(Reason.TOO_OLD))
        assert isinstance(lease, Lease)
        snapshot = limiter.snapshot()
        assert (snapshot.in_flight, snapshot.admitted) == (1, 1)
        assert snapshot.rejected["too_old"] == (1 if mode == "shadow" else 0)
        if mode == "shadow":
            assert lease.rejection is not None
            assert (lease.rejection.reason, lease.rejection.enforced) == ("too_old", False)
            # It holds no place on paper: the next one has room, without standing in line.
            second = lease_of(limiter)
            assert limiter.snapshot().queued == 0
            assert second.rejection is None
            second.release()
        lease.release()
        assert limiter.snapshot().in_flight == 0

    def test_a_wait_ends_when_the_verdict_says_so(self) -> None:
        limiter = Limiter(1, max_wait=60)
        lease = lease_of(limiter)
        outcome = limiter.acquire(verdict=Verdict(None, 0.02, Reason.DEADLINE))
        assert isinstance(outcome, Rejection)
        assert outcome.reason == "deadline"
        assert 0.02 <= outcome.queue_time < 10
        assert limiter.snapshot().queued == 0
        lease.release()

    def test_a_wait_ends_with_the_longest_wait_if_that_is_shorter(self) -> None:
        limiter = Limiter(1, max_wait=0.02)
        lease = lease_of(limiter)
        outcome = limiter.acquire(verdict=Verdict(None, 60, Reason.DEADLINE))
        assert isinstance(outcome, Rejection)
        assert outcome.reason == "queue_timeout"
        lease.release()

    def test_a_place_that_comes_too_late_goes_to_the_next(self) -> None:
        clock = Clock()
        limiter = Limiter(1, max_queue=2, max_wait=60, clock=clock)
        lease = lease_of(limiter)
        late = Waiter(limiter, verdict=Verdict(None, 50, Reason.TOO_OLD))
        next_one = Waiter(limiter)
        clock.now += 50  # On the limiter's clock; the waiting itself takes no such time.
        lease.release()
        outcome = late.result()
        assert isinstance(outcome, Rejection)
        assert (outcome.reason, outcome.queue_time) == ("too_old", 50)
        admitted = next_one.result()
        assert isinstance(admitted, Lease)
        snapshot = limiter.snapshot()
        assert (snapshot.in_flight, snapshot.admitted, snapshot.queued) == (1, 2, 0)
        admitted.release()

    def test_second_thoughts_give_the_place_to_the_next(self) -> None:
        limiter = Limiter(1, max_queue=2, max_wait=60)
        thoughts = [Reason.CLIENT_GONE, None]
        asked = []

        def on_turn(lease: Lease) -> Reason | None:
            asked.append(lease)  # Kept, so that nobody collects what was not given back.
            return thoughts.pop(0)

        limiter.on_turn = on_turn
        lease = lease_of(limiter)
        assert asked == []  # Only of those who have waited.
        gone, next_one = Waiter(limiter), Waiter(limiter)
        lease.release()
        outcome, admitted = gone.result(), next_one.result()
        assert isinstance(outcome, Rejection)
        assert outcome.reason == "client_gone"
        assert isinstance(admitted, Lease)
        assert len(asked) == 2
        assert limiter.snapshot().rejected["client_gone"] == 1
        admitted.release()
        assert limiter.snapshot().in_flight == 0

    def test_second_thoughts_that_raise_lose_no_place(self) -> None:
        limiter = Limiter(1, max_wait=60)
        raised = threading.Event()

        def on_turn(lease: Lease) -> Reason | None:
            raised.set()
            raise KeyboardInterrupt

        limiter.on_turn = on_turn
        lease = lease_of(limiter)
        limiter.on_queued = lambda _: lease.release()
        with pytest.raises(KeyboardInterrupt):
            limiter.acquire()
        assert raised.is_set()
        assert limiter.snapshot().in_flight == 0

    def test_whoever_is_let_in_by_a_change_of_mode_is_not_asked(self) -> None:
        limiter = Limiter(1, max_wait=60)
        limiter.on_turn = lambda lease: Reason.CLIENT_GONE
        lease = lease_of(limiter)
        waiter = Waiter(limiter)
        limiter.set_mode("shadow")
        admitted = waiter.result()
        assert isinstance(admitted, Lease)
        admitted.release()
        lease.release()

    def test_shadow_mode_knows_who_would_have_waited_for_too_long(self) -> None:
        clock = Clock()
        limiter = Limiter(1, mode="shadow", max_queue=2, max_wait=60, clock=clock)
        leases = [lease_of(limiter)]
        for max_wait, late in ((5.0, Reason.DEADLINE), (20.0, Reason.TOO_OLD)):
            lease = limiter.acquire(verdict=Verdict(None, max_wait, late))
            assert isinstance(lease, Lease)
            leases.append(lease)
        clock.now += 10
        leases[0].release()
        rejections = [lease.rejection for lease in leases]
        assert [each and each.reason for each in rejections] == [None, "deadline", None]
        for lease in leases[1:]:
            lease.release()
        assert limiter.snapshot().rejected == dict.fromkeys(Reason, 0) | {"deadline": 1}


class TestShadow:
    def test_admits_at_once_and_counts_what_it_would_reject(self) -> None:
        limiter = Limiter(1, max_queue=0, mode="shadow")
        first, second = lease_of(limiter), lease_of(limiter)
        assert first.rejection is None
        assert second.rejection is not None
        assert (second.rejection.reason, second.rejection.enforced) == ("limit", False)
        snapshot = limiter.snapshot()
        assert (snapshot.in_flight, snapshot.admitted) == (2, 2)
        assert snapshot.rejected["limit"] == 1

    def test_counts_a_full_line(self) -> None:
        limiter = Limiter(1, max_queue=1, mode="shadow")
        leases = [lease_of(limiter) for _ in range(3)]
        reasons = [lease.rejection and lease.rejection.reason for lease in leases]
        assert reasons == [None, None, "queue_full"]
        assert limiter.snapshot().queued == 1
        for lease in leases:
            lease.release()
        snapshot = limiter.snapshot()
        assert (snapshot.in_flight, snapshot.queued) == (0, 0)

    def test_who_would_have_had_a_place_in_time_is_not_counted(self) -> None:
        clock = Clock()
        limiter = Limiter(1, mode="shadow", max_wait=1.0, clock=clock)
        first, second = lease_of(limiter), lease_of(limiter)
        clock.now += 0.9
        first.release()
        clock.now += 10
        second.release()
        assert second.rejection is None
        assert sum(limiter.snapshot().rejected.values()) == 0

    @pytest.mark.parametrize("first_to_go", [0, 1], ids=["the one in place", "the one in line"])
    def test_who_would_have_waited_for_too_long_is_counted(self, first_to_go: int) -> None:
        clock = Clock()
        limiter = Limiter(1, mode="shadow", max_wait=1.0, clock=clock)
        leases = [lease_of(limiter), lease_of(limiter)]
        clock.now += 1.5
        leases[first_to_go].release()
        assert leases[0].rejection is None
        assert leases[1].rejection is not None
        assert leases[1].rejection.reason == "queue_timeout"
        leases[1 - first_to_go].release()
        snapshot = limiter.snapshot()
        assert snapshot.rejected == dict.fromkeys(Reason, 0) | {"queue_timeout": 1}
        assert (snapshot.in_flight, snapshot.queued) == (0, 0)

    def test_enforcing_again_counts_all_that_are_inside(self) -> None:
        limiter = Limiter(2, max_queue=0, mode="shadow")
        leases = [lease_of(limiter) for _ in range(4)]
        limiter.set_mode("enforce")
        for lease in leases[:2]:
            rejection_of(limiter)
            lease.release()
        rejection_of(limiter)
        leases[2].release()
        assert lease_of(limiter).in_flight == 2

    def test_enforcing_again_forgets_who_would_be_waiting(self) -> None:
        limiter = Limiter(1, max_queue=2, mode="shadow")
        leases = [lease_of(limiter) for _ in range(3)]
        assert limiter.snapshot().queued == 2
        limiter.set_mode("enforce")
        snapshot = limiter.snapshot()
        assert (snapshot.in_flight, snapshot.queued) == (3, 0)
        for lease in leases:
            lease.release()
        assert limiter.snapshot().in_flight == 0
        lease_of(limiter).release()


@pytest.mark.parametrize("mode", ["shadow", "off"])
def test_whoever_waits_is_admitted_when_enforcing_ends(mode: str) -> None:
    limiter = Limiter(1, max_queue=2, max_wait=30)
    lease = lease_of(limiter)
    waiters = [Waiter(limiter), Waiter(limiter)]
    limiter.set_mode(mode)
    leases = [waiter.result() for waiter in waiters]
    assert all(isinstance(lease, Lease) for lease in leases)
    assert limiter.in_flight == 3
    for each in [lease, *leases]:
        assert isinstance(each, Lease)
        each.release()
    assert limiter.in_flight == 0


def test_setting_the_mode_that_is_leaves_the_line_alone() -> None:
    limiter = Limiter(1, max_wait=30)
    lease = lease_of(limiter)
    waiter = Waiter(limiter)
    limiter.set_mode("enforce")
    assert (limiter.in_flight, limiter.snapshot().queued) == (1, 1)
    lease.release()
    assert isinstance(waiter.result(), Lease)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^'mode' must be 'enforce', 'shadow' or 'off', got 'on'"):
        Limiter(1).set_mode("on")
    assert Limiter(1).mode is Mode.ENFORCE


def test_the_representation_shows_how_full_it_is() -> None:
    limiter = Limiter(40, name="api")
    lease = lease_of(limiter)
    assert repr(limiter) == f"<{type(limiter).__name__} 'api' enforce: 1/40 in flight, 0 queued>"
    lease.release()
