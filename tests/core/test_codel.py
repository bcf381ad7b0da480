from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from core_support import Clock
from hypothesis import given
from hypothesis import strategies as st

from flask_concurrency_guard.core.codel import CoDel

FOLLY: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "folly_codel.json").read_text()
)


def test_decides_what_folly_decides() -> None:
    clock = Clock()
    setup = FOLLY["cfg"]
    codel = CoDel(
        target=setup["target_ms"] / 1000, interval=setup["interval_ms"] / 1000, clock=clock
    )
    assert codel.bound == setup["slough_ms"] / 1000
    decisions = []
    for sleep, delay, _ in FOLLY["basic (sleep_ms, delay_ms, overloaded?)"]:
        clock.now += sleep / 1000
        decisions.append(codel.is_overdue(delay / 1000))
    expected = [overloaded for _, _, overloaded in FOLLY["basic (sleep_ms, delay_ms, overloaded?)"]]
    assert decisions == expected


def test_knows_the_load_that_folly_knows() -> None:
    codel = CoDel(clock=Clock())
    assert codel.load == 0
    loads = []
    for delay, _ in FOLLY["load"]:
        codel.is_overdue(delay / 1000)
        loads.append(codel.load)
    assert loads == [pytest.approx(load) for _, load in FOLLY["load"]]


def test_has_the_constants_of_folly_by_default() -> None:
    codel = CoDel()
    assert (codel.target, codel.interval, codel.bound) == (0.005, 0.1, 0.01)


class Queue:
    """Delays that are told one after another."""

    def __init__(self, **options: float) -> None:
        self.clock = Clock(1000.0)
        self.codel = CoDel(clock=self.clock, **options)  # type: ignore[arg-type]

    def tell(self, *delays: float, every: float = 0.01) -> list[bool]:
        overdue = []
        for delay in delays:
            self.clock.now += every
            overdue.append(self.codel.is_overdue(delay))
        return overdue


def test_a_burst_is_served_whole() -> None:
    queue = Queue()
    queue.tell(*[0.0] * 30)
    assert not any(queue.tell(*[0.09 - place * 0.01 for place in range(10)]))
    assert not any(queue.tell(*[0.0] * 30))


def test_a_queue_that_stands_is_shed_until_it_does_not() -> None:
    queue = Queue()
    queue.tell(*[0.0] * 30)
    # Ten in the interval that begins well, and those of the one in which nobody knows yet.
    overdue = queue.tell(*[0.2] * 60)
    assert queue.codel.is_standing
    first = overdue.index(True)
    assert 10 <= first <= 22
    # After that all but the first of each interval.
    assert overdue[first:].count(False) <= 4
    # Whoever has not waited for long is served in any case; and then the queue stands no more.
    assert not any(queue.tell(*[0.004] * 30))
    assert not queue.codel.is_standing
    assert not any(queue.tell(*[0.2] * 5))


@pytest.mark.parametrize("interval", [0.1, 2.0])
def test_traffic_that_is_sparse_is_not_shed(interval: float) -> None:
    queue = Queue(interval=interval)
    assert not any(queue.tell(*[5.0] * 20, every=interval * 1.01))


@pytest.mark.parametrize("delay", [0.0, 0.005], ids=["nothing", "the target"])
def test_up_to_the_target_a_queue_does_not_stand(delay: float) -> None:
    queue = Queue()
    assert not any(queue.tell(delay, *[9.0, delay] * 50))
    assert not queue.codel.is_standing


def test_a_clock_that_stands_still_or_goes_back_does_no_harm() -> None:
    queue = Queue()
    queue.tell(*[0.2] * 50)
    assert queue.codel.is_standing
    queue.clock.now -= 500
    assert all(queue.tell(*[0.2] * 5, every=0.0))
    assert not any(queue.tell(*[0.001] * 5, every=0.0))


def test_a_child_begins_anew() -> None:
    queue = Queue()
    queue.tell(*[0.2] * 50)
    with queue.codel._lock:  # Held by a thread that there isn't in the child.
        queue.codel.after_fork()
    assert not queue.codel.is_standing
    assert not any(queue.tell(0.2, 0.2, every=0.0))


def test_several_threads_can_tell_at_once() -> None:
    queue = Queue()
    start = threading.Barrier(4)
    overdue: list[bool] = []

    def tell() -> None:
        start.wait()
        overdue.extend(queue.codel.is_overdue(0.2) for _ in range(1000))

    queue.tell(*[0.2] * 30)
    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(overdue) == 4000
    assert all(overdue)


steps = st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 10)), min_size=1)


@given(steps=steps, target=st.floats(1e-4, 1), interval=st.floats(1e-3, 1))
def test_nobody_is_overdue_without_a_reason(
    steps: list[tuple[float, float]], target: float, interval: float
) -> None:
    """Only in a queue that stands, only beyond the bound, and never the first of an interval."""
    clock = Clock()
    codel = CoDel(target=target, interval=interval, clock=clock)
    firsts = 0
    for passed, delay in steps:
        clock.now += passed
        end = codel._end
        overdue = codel.is_overdue(delay)
        is_first = codel._end != end
        firsts += is_first
        assert overdue <= (codel.is_standing and delay > 2 * target and not is_first)
        if is_first:
            assert codel._end == clock.now + interval
    assert codel.is_standing <= (firsts > 0)
