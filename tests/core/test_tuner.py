"""A limiter whose limit is learned."""

from __future__ import annotations

from typing import Any

import pytest
from core_support import Clock
from core_support import Waiter
from core_support import lease_of

from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.tuner import LONGEST
from flask_concurrency_guard.core.tuner import REMEMBERED
from flask_concurrency_guard.core.tuner import Tuner


class Script:
    """Says what it is told to, and remembers what it was asked."""

    reason = "as told"

    def __init__(self, *limits: int) -> None:
        self.limit = limits[0]
        self.limits = list(limits[1:])
        self.samples: list[tuple[float, float, int, bool, float]] = []

    def on_sample(
        self, start: float, rtt: float, in_flight: int, dropped: bool = False, waited: float = 0.0
    ) -> int:
        self.samples.append((start, rtt, in_flight, dropped, waited))
        if self.limits:
            self.limit = self.limits.pop(0)
        return self.limit


class Faulty(Script):
    def on_sample(self, *sample: Any) -> int:
        self.samples.append(sample)
        raise ZeroDivisionError("by a window of no length")


def limiter_of(*limits: int, clock: Clock | None = None) -> tuple[Limiter, Script]:
    script = Script(*limits)
    return Limiter(Tuner(lambda *bounds: script), max_queue=3, clock=clock or Clock()), script


def test_each_request_that_ends_is_learned_from() -> None:
    clock = Clock(50.0)
    limiter, script = limiter_of(2, clock=clock)
    first, second = lease_of(limiter), lease_of(limiter)
    second.dropped, second.age = True, 0.25
    clock.now += 0.5
    first.release()
    clock.now += 1
    second.release()
    assert script.samples == [(50.0, 0.5, 1, False, 0.0), (50.0, 1.5, 2, True, 0.25)]


def test_a_wait_is_no_part_of_the_round_trip() -> None:
    clock = Clock(50.0)
    limiter, script = limiter_of(1, clock=clock)
    held = lease_of(limiter)
    waiter = Waiter(limiter)
    clock.now += 0.4
    held.release()
    lease = waiter.result()
    assert isinstance(lease, Lease)
    clock.now += 0.125
    lease.release()
    start, rtt, in_flight, _, waited = script.samples[-1]
    assert (start, rtt, in_flight) == (50.4, 0.125, 1)
    assert waited == pytest.approx(0.4)


def test_a_higher_limit_admits_from_the_line_at_once() -> None:
    limiter, _ = limiter_of(1, 3)
    held = lease_of(limiter)
    waiters = [Waiter(limiter) for _ in range(3)]
    held.release()
    leases = [waiter.result() for waiter in waiters]
    assert all(isinstance(lease, Lease) for lease in leases)
    assert (limiter.limit, limiter.in_flight) == (3, 3)


def test_a_lower_limit_takes_nothing_away() -> None:
    limiter, _ = limiter_of(3, 1)
    leases = [lease_of(limiter) for _ in range(3)]
    leases.pop().release()
    assert (limiter.limit, limiter.in_flight) == (1, 2)
    waiter = Waiter(limiter)
    leases.pop().release()
    assert limiter.snapshot().queued == 1
    leases.pop().release()
    assert isinstance(waiter.result(), Lease)


def test_each_change_is_told_with_its_reason() -> None:
    clock = Clock(7.0)
    limiter, _ = limiter_of(5, 6, 6, 4, clock=clock)
    for _ in range(3):
        lease_of(limiter).release()
        clock.now += 1
    changes = limiter.snapshot().changes
    assert [str(change) for change in changes] == ["as told: 5 -> 6", "as told: 6 -> 4"]
    assert [change.time for change in changes] == [7.0, 9.0]
    assert limiter.snapshot().limit == 4


def test_only_the_last_changes_are_kept() -> None:
    limiter, _ = limiter_of(*range(1, 100))
    for _ in range(98):
        lease_of(limiter).release()
    changes = limiter.snapshot().changes
    assert len(changes) == REMEMBERED
    assert changes[-1].after == 99


def test_what_takes_for_ever_tells_nothing() -> None:
    clock = Clock()
    limiter, script = limiter_of(5, clock=clock)
    stream = lease_of(limiter)
    clock.now += LONGEST + 0.001
    stream.release()
    assert script.samples == []
    assert limiter.in_flight == 0


def test_nobody_suffers_where_it_fails(caplog: pytest.LogCaptureFixture) -> None:
    faulty = Faulty(2)
    limiter = Limiter(Tuner(lambda *bounds: faulty))
    for _ in range(3):
        lease_of(limiter).release()
    assert (limiter.limit, limiter.in_flight) == (2, 0)
    assert len(faulty.samples) == 1  # It is not asked any more.
    (record,) = caplog.records
    assert record.getMessage() == "The limit stays at 2: what learns it has failed."
    assert record.exc_info


def test_a_number_ends_it_and_another_one_begins_it() -> None:
    limiter, script = limiter_of(5)
    limiter.set_limit(9)
    lease_of(limiter).release()
    assert (limiter.limit, limiter.tuner, script.samples) == (9, None, [])
    assert limiter.snapshot().changes == ()
    other = Script(3)
    limiter.set_limit(Tuner(lambda *bounds: other))
    assert limiter.limit == 3
    lease_of(limiter).release()
    assert len(other.samples) == 1


def test_the_servers_threads_are_the_most_there_can_be() -> None:
    ceilings: list[int | None] = []

    def make(ceiling: int | None, initial: int | None) -> Script:
        ceilings.append(ceiling)
        return Script(min(ceiling or 16, 16))

    limiter = Limiter(Tuner(make))
    limiter.set_ceiling(4)
    assert limiter.limit == 4
    limiter.set_limit(9)
    limiter.set_limit(Tuner(make))
    assert limiter.limit == 4
    assert ceilings == [None, 4, None, 4]


def test_a_limit_that_is_begun_anew_and_higher_admits_from_the_line() -> None:
    scripts = iter([Script(1), Script(3)])
    limiter = Limiter(Tuner(lambda *bounds: next(scripts)), max_queue=3, max_wait=30)
    held = lease_of(limiter)
    waiters = [Waiter(limiter) for _ in range(2)]
    limiter.set_ceiling(4)
    assert all(isinstance(waiter.result(), Lease) for waiter in waiters)
    assert (limiter.limit, limiter.in_flight) == (3, 3)
    held.release()


def test_a_limit_that_is_set_has_no_ceiling() -> None:
    limiter = Limiter(9)
    limiter.set_ceiling(4)
    assert limiter.limit == 9


def test_shadow_mode_learns_as_well() -> None:
    script = Script(1, 2)
    limiter = Limiter(Tuner(lambda *bounds: script), mode="shadow")
    leases = [lease_of(limiter) for _ in range(4)]
    for lease in leases:
        lease.release()
    assert [sample[2] for sample in script.samples] == [1, 2, 3, 4]
    assert limiter.limit == 2
