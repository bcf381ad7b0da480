from __future__ import annotations

import heapq
import random
import threading
from collections import deque
from dataclasses import dataclass
from dataclasses import field
from itertools import count
from typing import Any
from typing import cast

import pytest
from core_support import Clock
from core_support import Waiter
from core_support import lease_of
from core_support import wait_until

from flask_concurrency_guard.core.decisions import Reason
from flask_concurrency_guard.core.decisions import Rejection
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.line import FEW
from flask_concurrency_guard.core.line import Line
from flask_concurrency_guard.core.line import Order
from flask_concurrency_guard.core.shedder import Verdict

TARGET, INTERVAL = 0.02, 0.1


def make(order: str, clock: Clock, service_time: float = 0.001) -> Line:
    line = Line(Order(order), target=TARGET, interval=INTERVAL, clock=clock)
    line.service_time = service_time
    return line


@dataclass(eq=False)
class Request:
    """What a line needs to know of a lease."""

    started: float
    waits: bool = True


def pop(line: Line) -> Lease:
    lease = line.peek(0, 1)
    assert lease is not None
    line.pop(lease)
    return lease


def request(clock: Clock) -> Lease:
    return cast("Lease", Request(clock.now))


@pytest.mark.parametrize(
    ("order", "turns"), [("fifo", [0, 1, 2]), ("lifo", [2, 1, 0]), ("adaptive", [0, 1, 2])]
)
def test_whose_turn_it_is(order: str, turns: list[int]) -> None:
    clock = Clock()
    line = make(order, clock)
    waiting = [request(clock) for _ in range(3)]
    for lease in waiting:
        line.append(lease)
    clock.now += 99
    assert [waiting.index(pop(line)) for _ in range(3)] == turns


@dataclass
class Crowd:
    """Those who come to a line of one lease that is given on now and then."""

    clock: Clock
    line: Line
    waiting: deque[Lease] = field(default_factory=deque)

    def come(self, times: int, room: int, every: float = 0.01) -> list[bool]:
        """Let so many come; keep the line at `room` who wait, all others find it full."""
        found_room = []
        for _ in range(times):
            self.clock.now += every
            has_room, pushed_out = self.line.make_room(room, limit=1)
            found_room.append(has_room)
            if has_room:
                if pushed_out is not None:
                    self.waiting.remove(pushed_out)
                self.waiting.append(request(self.clock))
                self.line.append(self.waiting[-1])
        return found_room


@pytest.fixture
def crowd() -> Crowd:
    clock = Clock()
    return Crowd(clock, make("adaptive", clock))


def test_it_is_a_rush_when_many_are_refused_while_the_line_is_not_empty(crowd: Crowd) -> None:
    assert crowd.come(8, room=8) == [True] * 8
    assert not crowd.line.is_rush
    crowd.come(30, room=8)
    assert crowd.line.is_rush
    assert crowd.line.is_newest_first
    assert pop(crowd.line) is crowd.waiting.pop()


def test_few_refusals_are_no_rush(crowd: Crowd) -> None:
    for _ in range(50):
        crowd.come(9, room=1000)
        crowd.come(1, room=0)
        assert not crowd.line.is_rush


def test_a_line_that_gets_empty_is_no_rush(crowd: Crowd) -> None:
    for _ in range(30):
        crowd.come(5, room=2)
        while len(crowd.line):
            pop(crowd.line)
        crowd.waiting.clear()
        assert not crowd.line.is_rush


def test_it_is_a_rush_when_many_are_turned_away_by_their_age_while_the_line_is_not_empty(
    crowd: Crowd,
) -> None:
    for _ in range(10):
        crowd.come(2, room=99)
        crowd.line.count_refused()
    assert crowd.line.is_rush


def test_where_nobody_waits_it_is_no_rush_however_many_are_turned_away(crowd: Crowd) -> None:
    for _ in range(100):
        crowd.clock.now += 0.01
        crowd.line.count_refused()
        assert not crowd.line.is_rush
    crowd.come(9, room=99)
    crowd.line.count_refused()
    assert not crowd.line.is_rush  # The line was empty a moment ago.


def test_a_rush_is_over_when_few_are_refused(crowd: Crowd) -> None:
    crowd.come(30, room=8)
    assert crowd.line.is_rush
    while len(crowd.line):
        pop(crowd.line)
    crowd.waiting.clear()
    for _ in range(12):
        crowd.come(2, room=99)
        pop(crowd.line)
        pop(crowd.line)
    assert not crowd.line.is_rush
    assert not crowd.line.is_newest_first


def test_a_rush_is_over_when_nobody_comes(crowd: Crowd) -> None:
    crowd.come(30, room=8)
    assert crowd.line.is_rush
    crowd.clock.now += 60
    crowd.come(1, room=99)
    assert not crowd.line.is_rush


def test_as_long_as_nobody_knows_how_long_leases_are_held_there_is_no_rush(crowd: Crowd) -> None:
    crowd.line.service_time = 0.0
    crowd.come(300, room=8)
    assert not crowd.line.is_rush


def test_where_leases_are_held_for_long_a_rush_takes_longer_to_tell(crowd: Crowd) -> None:
    crowd.line.service_time = 0.5
    crowd.come(50, room=8)
    assert not crowd.line.is_rush
    crowd.come(60, room=8)
    assert crowd.line.is_rush


def test_in_a_rush_few_wait_and_not_for_long(crowd: Crowd) -> None:
    line = crowd.line
    crowd.come(40, room=12)
    assert len(line) == 12
    # No place has come free for 0.39 seconds, whatever the mean says.
    assert line.longest_wait(1) == pytest.approx(0.39 * FEW)
    assert crowd.come(1, room=12) == [False]
    pop(line)
    crowd.waiting.pop()
    # Now one has. Those who wait have waited for too long, and make room for who comes.
    assert line.longest_wait(1) == TARGET
    assert crowd.come(1, room=12) == [True]
    assert len(line) == 11
    while len(line) > FEW - 1:
        pop(line)
        crowd.waiting.pop()
    assert crowd.come(1, room=12) == [True]
    assert len(line) == FEW
    # As many as there are places, if these are more; for as long as a lease is held.
    line.service_time = 0.05
    assert line.make_room(12, limit=FEW + 1) == (True, None)
    pop(line)
    assert line.longest_wait(limit=16) == pytest.approx(0.05)


@pytest.mark.parametrize("order", ["fifo", "lifo"])
def test_other_orders_know_no_rush(order: str) -> None:
    clock = Clock()
    line = make(order, clock)
    crowd = Crowd(clock, line)
    found_room = crowd.come(300, room=8)
    assert found_room == ([True] * 300 if order == "lifo" else [True] * 8 + [False] * 292)
    assert line.longest_wait(1) == float("inf")
    assert not line.is_rush


def serve(
    order: str,
    load: float,
    *,
    limit: int,
    longest: int,
    service: float,
    seconds: float = 40.0,
    warm_up: float = 3.0,
) -> tuple[float, float]:
    """Let requests come at random to a limit with a line.

    A discrete-event simulation; each lease is held for `service` seconds.

    :param load: how many requests come, in multiples of how many can be served.
    :param longest: how long the line may be.
    :return: how busy the places were; the median wait of those who were served, in seconds.
    """
    clock = Clock(0.0)
    line = Line(Order(order), target=TARGET, interval=INTERVAL, clock=clock)
    line.service_time = service
    chance = random.Random(1)
    free = limit
    waits: list[float] = []
    numbers = count()
    events: list[tuple[float, int, str, Request | None]] = []

    def plan(after: float, what: str, who: Request | None = None) -> None:
        heapq.heappush(events, (clock.now + after, next(numbers), what, who))

    def begin(who: Request) -> None:
        who.waits = False
        plan(service, "end")
        if clock.now > warm_up:
            waits.append(clock.now - who.started)

    plan(0.0, "come")
    while events[0][0] < seconds:
        clock.now, _, what, who = heapq.heappop(events)
        if what == "come":
            plan(chance.expovariate(load * limit / service), "come")
            who = Request(clock.now)
            if free:
                free -= 1
                begin(who)
                continue
            has_room, pushed_out = line.make_room(longest, limit)
            if pushed_out is not None:
                cast(Request, pushed_out).waits = False
            if has_room:
                plan(min(1.0, line.longest_wait(limit)), "give up", who)
                line.append(cast("Lease", who))
        elif what == "give up":
            assert who is not None
            if who.waits:
                line.remove(cast("Lease", who))
                who.waits = False
        elif len(line):
            begin(cast(Request, pop(line)))
        else:
            free += 1
    waits.sort()
    return len(waits) * service / limit / (seconds - warm_up), waits[len(waits) // 2]


SHAPES = [
    pytest.param({"limit": 8, "longest": 32, "service": 0.02}, id="8 of 20 ms, a line of 32"),
    pytest.param({"limit": 8, "longest": 8, "service": 0.02}, id="8 of 20 ms, a line of 8"),
    pytest.param({"limit": 32, "longest": 32, "service": 0.2}, id="32 of 200 ms"),
    pytest.param({"limit": 4, "longest": 16, "service": 0.005}, id="4 of 5 ms"),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("load", [0.5, 0.8])
def test_below_the_capacity_it_is_first_come_first_served(
    shape: dict[str, Any], load: float
) -> None:
    assert serve("adaptive", load, **shape) == serve("fifo", load, **shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("load", [1.0, 1.1, 1.25, 1.5])
def test_where_it_can_just_be_served_next_to_nothing_is_lost(
    shape: dict[str, Any], load: float
) -> None:
    busy, _ = serve("adaptive", load, **shape)
    best, _ = serve("fifo", load, **shape)
    assert busy > best - 0.02


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("load", [2.0, 5.0, 20.0])
def test_in_a_rush_all_places_are_kept_busy_and_turns_come_at_once(
    shape: dict[str, Any], load: float
) -> None:
    # So many come that less than half of the time shows as much.
    busy, wait = serve("adaptive", load, seconds=15.0, **shape)
    _, patient = serve("fifo", load, seconds=15.0, **shape)
    assert busy > 0.99
    assert wait < patient / 3


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

    @pytest.mark.parametrize("mode", ["enforce", "shadow"])
    def test_who_is_too_old_counts_as_refused(self, mode: str) -> None:
        clock = Clock()
        settings = {"max_queue": 9, "max_wait": 60, "queue_order": "adaptive", "mode": mode}
        limiter = Limiter(1, clock=clock, **settings)  # type: ignore[arg-type]
        with lease_of(limiter):
            clock.now += 0.001  # So long are leases held.
        lease = lease_of(limiter)
        waits = Waiter(limiter) if mode == "enforce" else lease_of(limiter)
        assert not limiter.is_rush
        too_old = []
        for _ in range(25):
            clock.now += 0.01
            too_old.append(limiter.acquire(verdict=Verdict(Reason.OVERLOAD)))
        assert limiter.is_rush
        lease.release()
        last = waits.result() if isinstance(waits, Waiter) else waits
        for other in (last, *too_old):
            if isinstance(other, Lease):
                other.release()
        assert limiter.snapshot().in_flight == 0
        assert not limiter.is_rush

    def test_in_a_rush_as_many_wait_as_there_are_places_and_for_one_turn(self) -> None:
        clock = Clock()
        settings = {"max_queue": 99, "max_wait": 60, "queue_order": "adaptive", "mode": "shadow"}
        limiter = Limiter(12, clock=clock, **settings)  # type: ignore[arg-type]
        with lease_of(limiter):
            clock.now += 0.6  # So long are leases held.
        held = [lease_of(limiter) for _ in range(13)]
        for _ in range(100):
            clock.now += 0.01
            held.append(limiter.acquire(verdict=Verdict(Reason.OVERLOAD)))  # type: ignore[arg-type]
        assert limiter.is_rush
        held.pop(0).release()
        held += [lease_of(limiter) for _ in range(12)]
        newest = held[-1]
        assert limiter.snapshot().queued == 12
        assert newest.rejection is None
        held.append(lease_of(limiter))
        assert held[-1].rejection is not None
        assert held[-1].rejection.reason == "queue_full"
        clock.now += 0.7
        held.pop(0).release()
        assert newest.rejection is not None
        assert newest.rejection.reason == "queue_timeout"
        for lease in held:
            lease.release()

    def test_first_come_first_served_a_newcomer_is_rejected(self) -> None:
        limiter = Limiter(1, max_queue=1, max_wait=60, queue_order="adaptive", clock=Clock())
        lease = lease_of(limiter)
        waiter = Waiter(limiter)
        rejection = limiter.acquire()
        assert isinstance(rejection, Rejection)
        assert rejection.reason == "queue_full"
        lease.release()
        waiter.result().release()  # type: ignore[union-attr]

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
        for lease in waiting[1:]:
            lease.release()
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
