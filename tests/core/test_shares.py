from __future__ import annotations

import json
from pathlib import Path

import pytest
from core_support import Clock
from core_support import Waiter
from core_support import wait_until

from flask_concurrency_guard.core.claims import Claim
from flask_concurrency_guard.core.decisions import Partition
from flask_concurrency_guard.core.decisions import Rejection
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.shares import HOLD
from flask_concurrency_guard.core.shares import apportion

NETFLIX = json.loads((Path(__file__).parent.parent / "data/limits/peer_vectors.json").read_text())[
    "netflix_partition"
]
SHARES = NETFLIX["cfg"]["partitions"]


def make(limit: int, shares: dict[str, float] = SHARES, clock: Clock | None = None) -> Limiter:
    limiter = Limiter(limit, max_wait=0, **({} if clock is None else {"clock": clock}))
    limiter.tell_apart(lambda name: Claim(partition=str(name)), shares)
    return limiter


def take(limiter: Limiter, partition: str, most: int = 100) -> list[Lease]:
    """Return as many leases as there are to be had."""
    leases: list[Lease] = []
    while len(leases) < most:
        lease = limiter.acquire(partition)
        if isinstance(lease, Rejection):
            break
        leases.append(lease)
    return leases


@pytest.mark.parametrize(
    ("places", "whole"),
    [
        (10, {"batch": 3, "live": 7}),
        (20, {"batch": 6, "live": 14}),
        (1, {"batch": 0, "live": 1}),
        (3, {"batch": 1, "live": 2}),
        (0, {"batch": 0, "live": 0}),
    ],
)
def test_shares_are_whole_places(places: int, whole: dict[str, int]) -> None:
    assert apportion(SHARES, places) == whole


@pytest.mark.parametrize("places", range(50))
def test_shares_are_never_more_than_there_is(places: int) -> None:
    shares = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}
    assert sum(apportion(shares, places).values()) == places
    assert sum(apportion({"a": 1 / 3, "b": 1 / 3}, places).values()) <= places * 2 / 3


# What Netflix's tests do; and the limit is never exceeded here.


def test_what_nobody_needs_is_lent() -> None:
    limiter = make(NETFLIX["cfg"]["limit"])
    assert (
        len(take(limiter, "batch"))
        == NETFLIX["useExcessCapacityUntilTotalLimit"]["acquire"]["batch"]
    )


def test_a_guarantee_does_not_exceed_the_limit() -> None:
    limiter = make(NETFLIX["cfg"]["limit"])
    batch = take(limiter, "batch", 10)
    assert len(batch) == 10
    # There they have seven more, and 17 in flight. Here they have those that come free.
    assert take(limiter, "live") == []
    for lease in batch[:7]:
        lease.release()
    assert take(limiter, "batch") == []
    assert len(take(limiter, "live")) == 7


def test_all_reject_when_all_is_used() -> None:
    limiter = make(NETFLIX["cfg"]["limit"])
    held = take(limiter, "batch", 3), take(limiter, "live", 7)
    assert list(map(len, held)) == [3, 7]
    assert take(limiter, "batch") == take(limiter, "live") == []


def test_shares_follow_the_limit() -> None:
    limiter = make(NETFLIX["cfg"]["limit"])
    limiter.set_limit(20)
    assert (
        limiter.snapshot().partitions["batch"].guaranteed == NETFLIX["setLimit(20)"]["batch_limit"]
    )


# Our own.


def test_nothing_is_lent_for_a_while_of_what_was_short() -> None:
    clock = Clock()
    limiter = make(4, {"live": 0.5}, clock)
    others = take(limiter, "other")
    assert len(others) == 4
    assert take(limiter, "live") == []
    for lease in others:
        lease.release()
    held = take(limiter, "other")
    assert len(held) == 2  # The other two are kept.
    clock.now += HOLD + 0.001
    assert len(take(limiter, "other")) == 2


def test_who_is_short_of_what_is_guaranteed_goes_first() -> None:
    clock = Clock()
    limiter = Limiter(2, max_wait=10, max_queue=9, clock=clock)
    limiter.tell_apart(lambda name: Claim(partition=str(name)), {"live": 0.5})
    held = [limiter.acquire("other") for _ in range(2)]
    other = Waiter(limiter, claim=Claim(partition="other"))
    late = Waiter(limiter, claim=Claim(partition="live"))
    clock.now += HOLD + 0.001  # What was held back is lent again: only turns matter.
    for waiter, queued in ((late, 1), (other, 0)):
        lease = held.pop()
        assert isinstance(lease, Lease)
        lease.release()
        assert isinstance(waiter.result(), Lease)
        assert limiter.snapshot().queued == queued


def test_a_share_that_was_never_short_is_lent_as_a_whole() -> None:
    limiter = make(4, {"live": 0.5, "batch": 0.25})
    held = take(limiter, "live", 2)
    assert len(held) == 2
    assert len(take(limiter, "other")) == 2


def test_a_snapshot_shows_the_partitions() -> None:
    limiter = make(10)
    leases = take(limiter, "live", 2) + take(limiter, "nobody", 1)
    assert limiter.snapshot().partitions == {"batch": Partition(3, 0), "live": Partition(7, 2)}
    for lease in leases:
        lease.release()
    assert limiter.snapshot().partitions["live"].in_flight == 0


def test_who_waits_for_what_is_held_back_is_not_forgotten() -> None:
    limiter = Limiter(1, max_wait=10, max_queue=2)
    limiter.tell_apart(lambda name: Claim(partition=str(name)), {"live": 1.0})
    held = limiter.acquire("other")
    assert isinstance(held, Lease)
    waiter = Waiter(limiter, claim=Claim(partition="other"))
    late = Waiter(limiter, claim=Claim(partition="live"))
    held.release()
    first = late.result()
    assert isinstance(first, Lease)
    first.release()
    # Nothing is in flight, and nobody comes: the place is held back for "live", for a second.
    assert isinstance(waiter.result(), Lease)
    wait_until(lambda: limiter.snapshot().queued == 0)
