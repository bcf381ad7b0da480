from __future__ import annotations

import threading

import pytest
from core_support import Clock
from core_support import Waiter
from core_support import lease_of
from core_support import wait_until

from flask_concurrency_guard.core.claims import Claim
from flask_concurrency_guard.core.decisions import Rejection
from flask_concurrency_guard.core.lease import ClaimedLease
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.line import Order
from flask_concurrency_guard.core.ranks import AGING
from flask_concurrency_guard.core.ranks import RankedLine


def make(limit: int, **settings: object) -> Limiter:
    limiter = Limiter(limit, **{"max_wait": 10, "max_queue": 100, **settings})  # type: ignore[arg-type]
    limiter.tell_apart(lambda claim: claim or Claim())
    return limiter


def turns(waiting: dict[str, Waiter], held: Lease) -> list[str]:
    """Return the names of those who wait in the order in which they have their turns."""
    found = []
    while waiting:
        held.release()
        wait_until(lambda: not all(waiter.is_alive() for waiter in waiting.values()))
        (name,) = [name for name, waiter in waiting.items() if not waiter.is_alive()]
        found.append(name)
        lease = waiting.pop(name).result()
        assert isinstance(lease, Lease)
        held = lease
    held.release()
    return found


def release(outcome: Lease | Rejection) -> None:
    assert isinstance(outcome, Lease)
    outcome.release()


@pytest.mark.parametrize(
    ("order", "expected"),
    [("fifo", ["critical", "1", "2", "low"]), ("lifo", ["critical", "2", "1", "low"])],
)
def test_who_ranks_higher_goes_first(order: str, expected: list[str]) -> None:
    limiter = make(1, queue_order=order)
    held = limiter.acquire()
    assert isinstance(held, Lease)
    waiting = {}
    for name, rank in [("low", 2), ("1", 1), ("2", 1), ("critical", 0)]:
        waiting[name] = Waiter(limiter, claim=Claim(rank=rank))
    assert turns(waiting, held) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [("fifo", ["a1", "b1", "b2", "a2", "a3"]), ("lifo", ["a3", "a2", "b2", "b1", "a1"])],
)
def test_partitions_that_are_equal_have_their_turns_in_the_order_of_the_line(
    order: str, expected: list[str]
) -> None:
    limiter = Limiter(1, max_wait=10, max_queue=100, queue_order=order)
    limiter.tell_apart(lambda claim: claim or Claim(), {"a": 0.1, "b": 0.1})
    held = limiter.acquire()
    assert isinstance(held, Lease)
    waiting = {}
    for name in ("a1", "b1", "b2", "a2", "a3"):
        waiting[name] = Waiter(limiter, claim=Claim(partition=name[0]))
    assert turns(waiting, held) == expected


def test_who_is_passed_over_often_has_a_turn() -> None:
    limiter = make(1)
    held = limiter.acquire()
    assert isinstance(held, Lease)
    waiting = {"low": Waiter(limiter, claim=Claim(rank=2))}
    for number in range(AGING + 3):
        waiting[f"high {number}"] = Waiter(limiter, claim=Claim(rank=0))
    found = turns(waiting, held)
    assert found.index("low") == AGING


def test_how_often_some_were_passed_over_is_known_when_one_of_them_has_given_up() -> None:
    line = RankedLine(order=Order.FIFO, target=0.02, interval=0.1, clock=Clock())

    def add(rank: int) -> Lease:
        lease = ClaimedLease(Limiter(1), None, 0, 0.0, Claim(rank=rank))
        line.append(lease)
        return lease

    low = add(2)
    for _ in range(AGING):
        line.pop(add(0))
    line.remove(low)
    low, high = add(2), add(0)
    assert line.peek(0, 1) is low
    line.pop(low)
    low = add(2)
    assert line.peek(0, 1) is high


@pytest.mark.parametrize(("order", "pushed_out"), [("fifo", 1), ("lifo", 0)])
def test_who_ranks_higher_pushes_out_one_of_the_lowest(order: str, pushed_out: int) -> None:
    limiter = make(1, max_queue=3, queue_order=order)
    held = lease_of(limiter)
    low = [Waiter(limiter, claim=Claim(rank=2)) for _ in range(2)]
    default = Waiter(limiter, claim=Claim(rank=1))
    high = threading.Thread(target=lambda: release(limiter.acquire(claim=Claim(rank=0))))
    high.start()
    outcome = low[pushed_out].result()
    assert isinstance(outcome, Rejection)
    assert outcome.reason == "queue_full"
    assert low[1 - pushed_out].is_alive()
    assert default.is_alive()
    held.release()
    high.join(10)


def test_newest_first_who_ranks_the_same_pushes_out_who_has_waited_longest() -> None:
    limiter = make(1, max_queue=1, queue_order="lifo")
    held = lease_of(limiter)
    oldest = Waiter(limiter, claim=Claim(rank=1))
    newest = threading.Thread(target=lambda: release(limiter.acquire(claim=Claim(rank=1))))
    newest.start()
    outcome = oldest.result()
    assert isinstance(outcome, Rejection)
    assert outcome.reason == "queue_full"
    held.release()
    newest.join(10)


def test_all_who_wait_are_admitted_once_when_nothing_is_enforced_any_more() -> None:
    limiter = make(1)
    held = lease_of(limiter)
    waiters = [Waiter(limiter, claim=Claim(rank=rank)) for rank in (2, 0)]
    limiter.set_mode("off")
    outcomes = [waiter.result() for waiter in waiters]
    assert (limiter.in_flight, limiter.snapshot().queued) == (3, 0)
    for outcome in (held, *outcomes):
        assert outcome is not None
        release(outcome)
    assert limiter.in_flight == 0


def test_who_ranks_lowest_finds_a_full_line_full() -> None:
    limiter = make(1, max_queue=2)
    held = lease_of(limiter)
    waiting = [Waiter(limiter, claim=Claim(rank=rank)) for rank in (2, 0)]
    rejection = limiter.acquire(claim=Claim(rank=2))
    assert isinstance(rejection, Rejection)
    assert rejection.reason == "queue_full"
    assert all(waiter.is_alive() for waiter in waiting)
    held.release()


@pytest.mark.parametrize("shares", [None, {"live": 0.3}], ids=["no shares", "shares"])
def test_who_wants_several_places_waits_for_all_of_them(shares: dict[str, float] | None) -> None:
    limiter = Limiter(3, max_wait=10)
    if shares is not None:
        limiter.tell_apart(lambda claim: claim or Claim(), shares)
    held = [limiter.acquire() for _ in range(2)]
    heavy = Waiter(limiter, claim=Claim(cost=3))
    assert heavy.is_alive()  # One place is free.
    light = Waiter(limiter)
    assert light.is_alive()  # It doesn't overtake.
    for lease in held:
        assert isinstance(lease, Lease)
        lease.release()
    lease = heavy.result()
    assert isinstance(lease, Lease)
    assert (lease.cost, limiter.in_flight) == (3, 3)
    assert light.is_alive()
    lease.release()
    assert isinstance(light.result(), Lease)


def test_who_ranks_higher_goes_by_one_who_wants_several_places() -> None:
    limiter = make(3)
    held = [limiter.acquire() for _ in range(2)]
    heavy = Waiter(limiter, claim=Claim(cost=3, rank=1))
    light = limiter.acquire(claim=Claim(rank=0))
    assert isinstance(light, Lease)
    light.release()
    for lease in held:
        assert isinstance(lease, Lease)
        lease.release()
    assert isinstance(heavy.result(), Lease)


def test_shadow_mode_knows_who_would_have_gone_by_one_who_wants_several_places() -> None:
    limiter = make(3, mode="shadow")
    held = [limiter.acquire(claim=Claim(cost=cost, rank=1)) for cost in (2, 3)]
    assert limiter.snapshot().queued == 1
    held.append(limiter.acquire(claim=Claim(rank=0)))
    assert limiter.snapshot().queued == 1
    for lease in reversed(held):
        release(lease)
    assert not any(limiter.snapshot().rejected.values())
    snapshot = limiter.snapshot()
    assert (snapshot.in_flight, snapshot.queued) == (0, 0)


def test_nobody_costs_more_than_there_is() -> None:
    limiter = Limiter(2, max_wait=0)
    lease = limiter.acquire(claim=Claim(cost=5))
    assert isinstance(lease, Lease)
    assert (lease.cost, limiter.in_flight) == (2, 2)
    limiter.set_limit(1)
    lease.release()
    assert limiter.in_flight == 0


def test_what_claims_are_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    limiter = Limiter(1)
    limiter.tell_apart(lambda holder: Claim(rank=1 // 0))
    lease = limiter.acquire()
    assert isinstance(lease, Lease)
    assert caplog.messages == ["What a request asks for could not be found out; going on without."]
    lease.release()
    assert limiter.in_flight == 0
