from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass
from dataclasses import field
from math import inf

import pytest
from core_support import Clock
from hypothesis import given
from hypothesis import strategies as st

from flask_concurrency_guard.core.controller import Controller


@dataclass
class Outcome:
    """What became of those that came after the first few seconds."""

    came: int = 0
    shed: int = 0
    busy: float = 0.0
    delays: list[float] = field(default_factory=list)

    @property
    def shed_share(self) -> float:
        return self.shed / self.came


def serve(
    load: float,
    *,
    threads: int = 8,
    service: float = 0.02,
    rejection: float = 0.0,
    seconds: float = 60.0,
    warm_up: float = 5.0,
    backlog: float = inf,
    seed: int = 1,
) -> Outcome:
    """Let requests come at random to a server with a queue in front of it.

    A discrete-event simulation: first come, first served by `threads` threads, each of which asks
    the controller and then takes `service` seconds, or `rejection` for who is overdue.

    :param load: how many requests come, in multiples of how many can be served.
    :param backlog: how many may stand in the queue; who finds it full has not come.
    """
    clock = Clock()
    controller = Controller(clock=clock, service_time=lambda: service)
    chance = random.Random(seed)
    rate = load * threads / service
    begin = clock.now
    idle = [begin] * threads  # From when on each thread is free.
    outcome = Outcome()
    begun: deque[float] = deque()  # When those had their turn who may still wait.
    due = begin
    while due < begin + seconds:
        due += chance.expovariate(rate)
        while begun and begun[0] <= due:
            begun.popleft()
        if len(begun) >= backlog:
            continue
        clock.now = max(due, heapq.heappop(idle))
        begun.append(clock.now)
        delay = clock.now - due
        overdue = controller.is_overdue(delay)
        heapq.heappush(idle, clock.now + (rejection if overdue else service))
        if due < begin + warm_up:
            continue
        outcome.came += 1
        outcome.shed += overdue
        if not overdue:
            outcome.busy += service / (threads * (seconds - warm_up))
            outcome.delays.append(delay)
    outcome.delays.sort()
    return outcome


SHAPES = [
    pytest.param({"threads": 8, "service": 0.02}, id="8 threads, 20 ms"),
    pytest.param({"threads": 4, "service": 0.02}, id="4 threads, 20 ms"),
    pytest.param({"threads": 1, "service": 0.005}, id="1 thread, 5 ms"),
    pytest.param({"threads": 1, "service": 0.05}, id="1 thread, 50 ms"),
    pytest.param({"threads": 64, "service": 0.2}, id="64 threads, 200 ms"),
    pytest.param({"threads": 8, "service": 1.0, "seconds": 600.0}, id="8 threads, 1 s"),
]

SLOW_SHAPES = [
    pytest.param({"threads": 1, "service": 0.1}, id="1 thread, 100 ms"),
    pytest.param({"threads": 1, "service": 0.5, "seconds": 600.0}, id="1 thread, 500 ms"),
]


@pytest.mark.parametrize("shape", SHAPES + SLOW_SHAPES)
def test_nobody_is_shed_at_half_the_capacity(shape: dict[str, float]) -> None:
    assert serve(0.5, **shape).shed == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", SHAPES)
def test_next_to_nobody_is_shed_at_four_fifths(shape: dict[str, float]) -> None:
    assert serve(0.8, **shape).shed_share < 0.02  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize(
    ("load", "most"), [(0.95, 0.0), (0.98, 0.0015), (1.0, 0.008)], ids=["95 %", "98 %", "100 %"]
)
def test_a_queue_that_is_long_by_chance_is_let_be(load: float, most: float, seed: int) -> None:
    assert serve(load, seed=seed).shed_share <= most


def test_a_queue_that_was_too_long_once_is_not_sent_away_as_a_whole() -> None:
    """All stood still for a moment, and before and after it as many came as are served."""
    clock = Clock(1000.0)
    controller = Controller(clock=clock, service_time=lambda: 0.005)
    delay, between = 0.5, 0.005
    for _ in range(500):
        if controller.is_overdue(delay):
            delay -= between  # The next one came so much later.
        else:
            clock.now += between
    assert delay > 0.25


@pytest.mark.parametrize("load", [1.2, 2.0, 5.0, 20.0])
@pytest.mark.parametrize(
    ("shape", "least"),
    [
        *(pytest.param(*shape.values, 0.95, id=shape.id) for shape in SHAPES),
        # By chance, the queue of one is empty more often.
        *(pytest.param(*shape.values, 0.93, id=shape.id) for shape in SLOW_SHAPES),
    ],
)
def test_all_threads_are_kept_busy_in_overload(
    shape: dict[str, float], least: float, load: float
) -> None:
    outcome = serve(load, **shape)  # type: ignore[arg-type]
    assert outcome.busy > least


@pytest.mark.parametrize("load", [2.0, 5.0, 20.0])
def test_who_is_served_in_overload_is_served_soon(load: float) -> None:
    outcome = serve(load)
    assert outcome.delays[len(outcome.delays) // 2] < 0.05
    assert outcome.delays[len(outcome.delays) * 99 // 100] < 0.2


@pytest.mark.parametrize("load", [2.0, 5.0, 20.0])
@pytest.mark.parametrize("service", [0.1, 0.3, 1.0])
def test_one_thread_with_slow_views_serves_soon_as_well(service: float, load: float) -> None:
    outcome = serve(load, threads=1, service=service, seconds=400 * service, rejection=0.0005)
    assert outcome.delays[len(outcome.delays) * 99 // 100] < 6 * service


def test_a_queue_that_stands_for_long_is_shed_however_short() -> None:
    """One that is full, say: the kernel drops whoever comes, and nobody's delay is ever longer."""
    clock = Clock(1000.0)
    controller = Controller(clock=clock, service_time=lambda: 0.02)
    delays = [0.25]
    for _ in range(600):
        if controller.is_overdue(delays[-1]):
            delays.append(delays[-1] - 0.01)  # The next one came so much later.
        else:
            delays.append(delays[-1])
            clock.now += 0.01
    assert min(delays[:200]) == 0.25
    assert delays[-1] < 0.1


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize(("load", "least"), [(8.0, 0.2), (9.5, 0.1), (11.0, 0.1)])
def test_some_are_served_though_rejecting_all_would_take_all_the_time(
    load: float, least: float, seed: int
) -> None:
    """From 10 times as much on, 8 threads can't even turn away all that comes."""
    outcome = serve(load, rejection=0.002, backlog=2000, seconds=20, seed=seed)
    assert outcome.busy > least


def test_a_few_that_are_rejected_are_not_in_vain() -> None:
    """One thread with views of 0.3 s: to reject takes no time, though few are in an interval."""
    clock = Clock(1000.0)
    controller = Controller(clock=clock, service_time=lambda: 0.3)
    bounds = [controller.bound]
    for _ in range(60):
        clock.now += 0.31
        for _ in range(3):
            controller.is_overdue(5.0)
        bounds.append(controller.bound)
    assert max(bounds) < 5.0


def test_the_bound_stays_as_it_is_while_the_limit_turns_many_away() -> None:
    clock = Clock()
    rush = [False]
    controller = Controller(clock=clock, is_rush=lambda: rush[-1])

    def bound_after(*delays: float) -> float:
        for _ in range(500):
            for delay in delays:
                clock.now += 0.01
                controller.is_overdue(delay)
        return controller.bound

    short = bound_after(0.03, 3.0)
    assert short < 0.1
    rush.append(True)
    assert bound_after(0.0) == short
    rush.append(False)
    assert bound_after(0.0) == pytest.approx(0.4)
    rush.append(True)
    assert bound_after(0.03, 3.0) == short


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_full_backlog_is_not_let_be_because_shedding_makes_room(seed: int) -> None:
    outcome = serve(2.0, service=0.027, backlog=100, seconds=10, warm_up=4, seed=seed)
    assert outcome.delays[len(outcome.delays) // 2] < 0.05


def test_where_views_are_slow_what_is_long_is_longer() -> None:
    clock = Clock()
    service_times = [0.0]
    controller = Controller(clock=clock, service_time=lambda: service_times[-1])
    assert (controller.interval, controller.bound) == (0.1, 0.4)
    for service, interval in [(0.4, 0.4), (50.0, 1.0), (0.05, 0.1)]:
        service_times.append(service)
        for _ in range(2000):
            clock.now += 0.01
            controller.is_overdue(0.0)
        assert controller.interval == interval
        assert controller.bound == pytest.approx(4 * interval)


def test_a_burst_of_slow_requests_is_served_as_soon_as_it_is_known_how_slow_they_are() -> None:
    clock = Clock()
    service_times = [0.0]
    controller = Controller(clock=clock, service_time=lambda: service_times[-1])
    overdue = 0
    for wait in (0.0, 0.5, 1.0, 1.5):  # Four threads, and sixteen requests at once.
        overdue += sum(controller.is_overdue(wait) for _ in range(4))
        service_times.append(0.5)
        clock.now += 0.5
    assert overdue == 0


def test_what_came_before_it_is_known_how_slow_requests_are_tells_of_no_queue() -> None:
    clock = Clock()
    service_times = [0.0]
    controller = Controller(clock=clock, service_time=lambda: service_times[-1])
    # Four threads that come late to the first requests, since the app has something to load.
    overdue = 0
    for first, wait in ((0.01, 0.03), (0.5, 0.5), (1.0, 1.0), (1.5, 1.5)):
        clock.now = 1000.0 + first
        for number in range(4):
            clock.now += 0.001
            overdue += controller.is_overdue(wait + number / 1000)
        service_times.append(0.5)
    assert overdue == 0


def test_what_comes_after_a_pause_is_a_burst() -> None:
    clock = Clock()
    controller = Controller(clock=clock, service_time=lambda: 0.02)

    def shed_of_a_burst() -> int:
        return sum(controller.is_overdue(0.5 - number / 100) for number in range(20))

    clock.now += 600.0
    assert shed_of_a_burst() == 0
    for _ in range(1000):  # A rush.
        clock.now += 0.0025
        controller.is_overdue(0.3)
    assert controller.is_standing
    clock.now += 600.0
    assert shed_of_a_burst() == 0


def test_the_bound_is_as_many_times_as_long_as_somebody_is_patient() -> None:
    clock = Clock()
    controller = Controller(clock=clock, service_time=lambda: 0.02)
    for _ in range(1000):
        clock.now += 0.0025
        controller.is_overdue(0.3)
    bound = controller.bound
    told = [(1.1, 1.0), (3.9, 4.0), (4.1, 4.0), (0.6, 0.5), (0.4, 0.5)]
    assert [controller.is_overdue(times * bound, patience) for times, patience in told] == [
        True,
        False,
        True,
        True,
        False,
    ]


def test_who_waited_while_no_thread_came_free_makes_no_pause() -> None:
    clock = Clock()
    controller = Controller(clock=clock, service_time=lambda: 0.02)
    for _ in range(1000):  # A rush, until all threads are held up.
        clock.now += 0.0025
        controller.is_overdue(0.3)
    assert controller.is_standing
    for _ in range(5):  # And then four at a time, when those before them have left their line.
        clock.now += 1.0
        assert sum(controller.is_overdue(1.0) for _ in range(4)) >= 3


@pytest.mark.parametrize("before", [(0.03,), (0.06, 0.05)])
def test_what_comes_while_an_idle_server_was_stopped_is_served(before: tuple[float, ...]) -> None:
    clock = Clock()
    controller = Controller(clock=clock, service_time=lambda: 0.02)
    for delay in before:
        clock.now += 1.0
        assert not controller.is_overdue(delay)
    clock.now += 3.2
    assert not any(controller.is_overdue(delay) for delay in (3.1, 2.5, 2.0, 1.4, 0.9, 0.3))


def test_where_only_one_is_served_at_a_time_what_is_long_is_longer() -> None:
    clock = Clock()
    controller = Controller(clock=clock, service_time=lambda: 0.09)
    for _ in range(200):
        clock.now += 0.09
        controller.is_overdue(0.0)
    assert controller.interval == 0.1
    assert controller.bound > 0.4


def test_a_child_begins_anew() -> None:
    clock = Clock()
    controller = Controller(clock=clock, service_time=lambda: 0.5)
    for _ in range(500):
        clock.now += 0.01
        controller.is_overdue(3.0)
    assert controller.is_standing
    assert (controller.interval, controller.bound) != (0.1, 0.4)
    controller.after_fork()
    assert not controller.is_standing
    assert (controller.interval, controller.bound) == (0.1, 0.4)


moments = st.lists(st.tuples(st.floats(-1, 5), st.floats(0, 100), st.floats(0, 1000)), max_size=200)


@given(moments=moments, target=st.floats(1e-4, 10), interval=st.floats(1e-3, 10))
def test_bound_and_interval_keep_within_their_bounds(
    moments: list[tuple[float, float, float]], target: float, interval: float
) -> None:
    """Whatever the clock does, however long requests take; and nothing is divided by zero."""
    clock = Clock()
    service = 0.0
    controller = Controller(
        target=target, interval=interval, clock=clock, service_time=lambda: service
    )
    longest = oldest = 0.0
    for passed, delay, service in moments:
        longest, oldest = max(longest, service), max(oldest, delay)
        clock.now += passed
        overdue = controller.is_overdue(delay)
        assert interval <= controller.interval <= 10 * interval
        assert 0 < controller.bound <= max(40 * interval, 10 * longest, oldest)
        assert overdue <= (controller.is_standing and delay > controller.bound)
