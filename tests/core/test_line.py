from __future__ import annotations

import threading

import pytest
from core_support import Clock
from core_support import Waiter
from core_support import lease_of
from core_support import wait_until

from flask_concurrency_guard.core.decisions import Rejection
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.line import PLACES
from flask_concurrency_guard.core.line import Line
from flask_concurrency_guard.core.line import Order

TARGET, INTERVAL = 0.02, 0.1


def make(order: str, clock: Clock, service_time: float = 0.001) -> Line:
    line = Line(Order(order), target=TARGET, interval=INTERVAL, clock=clock)
    line.service_time = service_time
    return line


def leases(number: int, clock: Clock) -> list[Lease]:
    limiter = Limiter(number, clock=clock)
    return [lease_of(limiter) for _ in range(number)]


def end(waiting: list[Lease]) -> None:
    for lease in waiting:
        lease.release()


@pytest.mark.parametrize(
    ("order", "waited", "turns"),
    [
        ("fifo", 0.0, [0, 1, 2]),
        ("fifo", 99.0, [0, 1, 2]),
        ("lifo", 0.0, [2, 1, 0]),
        ("lifo", 99.0, [2, 1, 0]),
        ("adaptive", 0.09, [0, 1, 2]),
        ("adaptive", 0.11, [2, 1, 0]),
    ],
)
def test_whose_turn_it_is(order: str, waited: float, turns: list[int]) -> None:
    clock = Clock()
    line = make(order, clock)
    waiting = leases(3, clock)
    for lease in waiting:
        line.append(lease)
    clock.now += waited
    assert [waiting.index(line.pop()) for _ in range(3)] == turns
    end(waiting)


def test_a_line_stands_when_it_was_not_empty_for_an_interval() -> None:
    clock = Clock()
    line = make("adaptive", clock)
    assert not line.is_standing
    waiting = leases(3, clock)
    for lease in waiting:
        line.append(lease)
        clock.now += 0.04
    assert line.is_standing
    for _ in waiting:
        line.pop()
    clock.now += 99
    assert not line.is_standing
    line.append(waiting[0])
    assert not line.is_standing
    line.clear()
    end(waiting)


@pytest.mark.parametrize(
    ("service_time", "waited", "stands"),
    [
        (0.0, 99.0, False),
        (0.001, 0.09, False),
        (0.001, 0.11, True),
        (0.5, 0.49, False),
        (0.5, 0.51, True),
        (60.0, 0.99, False),
        (60.0, 1.01, True),
    ],
)
def test_where_leases_are_held_for_long_a_line_stands_later(
    service_time: float, waited: float, stands: bool
) -> None:
    clock = Clock()
    line = make("adaptive", clock, service_time)
    (lease,) = leases(1, clock)
    line.append(lease)
    clock.now += waited
    assert line.is_standing is stands
    lease.release()


@pytest.mark.parametrize(
    ("order", "waited", "service_time", "longest"),
    [
        ("adaptive", 0.11, 0.001, TARGET),
        ("adaptive", 0.51, 0.5, PLACES * 0.05),
        ("adaptive", 0.49, 0.5, float("inf")),
        ("fifo", 0.51, 0.5, float("inf")),
        ("lifo", 0.51, 0.5, float("inf")),
    ],
)
def test_how_long_who_comes_now_may_wait_for_one_of_ten_places(
    order: str, waited: float, service_time: float, longest: float
) -> None:
    clock = Clock()
    line = make(order, clock, service_time)
    waiting = leases(2, clock)
    assert line.longest_wait(10) == float("inf")
    for lease in waiting:
        line.append(lease)
    clock.now += waited
    line.pop()
    assert line.longest_wait(10) == pytest.approx(longest)
    line.clear()
    end(waiting)


def test_one_who_comes_now_may_wait_longer_when_no_place_has_come_free_for_long() -> None:
    clock = Clock()
    line = make("adaptive", clock)
    waiting = leases(4, clock)
    for lease in waiting:
        line.append(lease)
    clock.now += 2
    assert line.longest_wait(10) == pytest.approx(PLACES * 2)
    # So nobody has to make room, either.
    assert not line.has_room(9)
    assert line.push_out(10) is None
    line.pop()
    assert line.longest_wait(10) == pytest.approx(TARGET)
    assert line.push_out(10) is not None
    line.clear()
    end(waiting)


class TestInTheLimiter:
    """Newest first, as the limiter does it."""

    @pytest.mark.parametrize(("order", "first"), [("fifo", 0), ("lifo", 2), ("adaptive", 0)])
    def test_a_place_goes_to_whose_turn_it_is(self, order: str, first: int) -> None:
        limiter = Limiter(1, max_queue=3, max_wait=60, queue_order=order, clock=Clock())
        lease = lease_of(limiter)
        admitted: list[int] = []

        def serve(number: int) -> Waiter:
            return Waiter(limiter, lambda lease: (admitted.append(number), lease.release()))

        waiters = [serve(number) for number in range(3)]
        lease.release()
        for waiter in waiters:
            assert isinstance(waiter.result(), Lease)
        assert admitted[0] == first
        assert sorted(admitted) == [0, 1, 2]
        assert limiter.snapshot().in_flight == 0

    def test_newest_first_a_newcomer_pushes_out_who_has_waited_longest(self) -> None:
        clock = Clock()
        limiter = Limiter(1, max_queue=2, max_wait=60, queue_order="lifo", clock=clock)
        lease = lease_of(limiter)
        oldest = Waiter(limiter)
        clock.now += 3
        middle = Waiter(limiter)
        newest = threading.Thread(target=lambda: limiter.acquire().release())  # type: ignore[union-attr]
        newest.start()
        rejection = oldest.result()
        assert isinstance(rejection, Rejection)
        assert (rejection.reason, rejection.queue_time) == ("queue_full", 3)
        snapshot = limiter.snapshot()
        assert (snapshot.queued, snapshot.in_flight, snapshot.rejected["queue_full"]) == (2, 1, 1)
        lease.release()
        newest.join(10)
        assert isinstance(middle.result(), Lease)
        middle.outcome.release()  # type: ignore[union-attr]
        assert limiter.snapshot().in_flight == 0

    def test_first_come_first_served_a_newcomer_is_rejected(self) -> None:
        limiter = Limiter(1, max_queue=1, max_wait=60, queue_order="adaptive", clock=Clock())
        lease = lease_of(limiter)
        waiter = Waiter(limiter)
        rejection = limiter.acquire()
        assert isinstance(rejection, Rejection)
        assert rejection.reason == "queue_full"
        lease.release()
        waiter.result().release()  # type: ignore[union-attr]

    def test_in_a_line_that_stands_few_wait_and_not_for_long(self) -> None:
        clock = Clock()
        limiter = Limiter(1, max_queue=9, max_wait=60, queue_order="adaptive", clock=clock)
        lease = lease_of(limiter)
        clock.now += 0.001
        lease.release()  # That is how long a lease is held.
        lease = lease_of(limiter)
        waiters = [Waiter(limiter) for _ in range(PLACES + 1)]
        clock.now += 1
        rejection = limiter.acquire()
        assert isinstance(rejection, Rejection)
        assert (rejection.reason, rejection.queue_time) == ("queue_full", 0)
        # Somebody has a turn, the newest.
        lease.release()
        lease = waiters.pop().result()  # type: ignore[assignment]
        assert isinstance(lease, Lease)
        # Now one may wait for so long, while who has waited longest makes room.
        assert limiter._line.longest_wait(1) == pytest.approx(PLACES * limiter.mean_held)
        newest = limiter.acquire()
        assert isinstance(newest, Rejection)
        assert newest.reason == "queue_timeout"
        pushed_out = waiters.pop(0).result()
        assert isinstance(pushed_out, Rejection)
        assert (pushed_out.reason, pushed_out.queue_time) == ("queue_full", 1)
        limiter.set_mode("off")
        for held in [lease, *(waiter.result() for waiter in waiters)]:
            held.release()  # type: ignore[union-attr]
        assert limiter.snapshot().in_flight == 0

    def test_shadow_mode_knows_who_would_have_been_pushed_out(self) -> None:
        clock = Clock()
        limiter = Limiter(1, mode="shadow", max_queue=2, queue_order="lifo", clock=clock)
        waiting = []
        for _ in range(4):
            waiting.append(lease_of(limiter))
            clock.now += 0.25
        assert [lease.rejection and lease.rejection.reason for lease in waiting] == [
            None,
            "queue_full",
            None,
            None,
        ]
        pushed_out = waiting[1].rejection
        assert pushed_out is not None
        assert (pushed_out.queue_time, pushed_out.enforced) == (0.5, False)
        assert limiter.snapshot().queued == 2
        waiting[0].release()
        assert limiter.snapshot().queued == 1
        end(waiting[1:])
        snapshot = limiter.snapshot()
        assert (snapshot.in_flight, snapshot.queued, snapshot.rejected["queue_full"]) == (0, 0, 1)

    def test_who_was_pushed_out_stays_out_when_the_mode_changes(self) -> None:
        limiter = Limiter(1, max_queue=1, max_wait=60, queue_order="lifo")
        lease = lease_of(limiter)
        held_up, go_on = threading.Event(), threading.Event()

        def on_queued(lease: Lease) -> None:
            if not held_up.is_set():
                held_up.set()
                go_on.wait(10)

        limiter.on_queued = on_queued
        outcomes: list[Lease | Rejection] = []
        first = threading.Thread(target=lambda: outcomes.append(limiter.acquire()))
        first.start()
        assert held_up.wait(10)
        second = threading.Thread(target=lambda: limiter.acquire().release())  # type: ignore[union-attr]
        second.start()
        wait_until(lambda: limiter.snapshot().rejected["queue_full"] == 1)
        limiter.set_mode("shadow")
        go_on.set()
        first.join(10)
        second.join(10)
        assert [outcome.reason for outcome in outcomes] == ["queue_full"]  # type: ignore[union-attr]
        lease.release()
        assert limiter.snapshot().in_flight == 0
