"""A limiter whose places are lent: what it adds to `Limiter`, whose tests run on it as well."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from core_support import Clock
from core_support import Waiter
from core_support import wait_until
from valkey_server import new_name

from flask_concurrency_guard.core.claims import Claim
from flask_concurrency_guard.core.decisions import Mode
from flask_concurrency_guard.core.decisions import Partition
from flask_concurrency_guard.core.decisions import Reason
from flask_concurrency_guard.core.decisions import Rejection
from flask_concurrency_guard.core.host.borrower import FRESH
from flask_concurrency_guard.core.host.store import HostStore
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.shared import SharedLimiter
from flask_concurrency_guard.core.shedder import Verdict

Make = Callable[..., SharedLimiter]


@pytest.fixture(params=["host", "cluster"])
def limiter(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Make limiters that share a limit."""
    name = new_name()

    def make(limit: int, **settings: object) -> SharedLimiter:
        settings = {"max_wait": 20.0, "max_queue": 100, **settings}
        if request.param == "host":
            store = HostStore(tmp_path / "private" / "app.host", limit)
            return SharedLimiter(store, **settings)
        return request.getfixturevalue("valkey").limiter(name, limit, **settings)

    return make


def leases(limiter: SharedLimiter, count: int) -> list[Lease]:
    made = []
    for _ in range(count):
        lease = limiter.acquire()
        assert isinstance(lease, Lease)
        made.append(lease)
    return made


def lease_soon(limiter: SharedLimiter) -> Lease:
    """Return a lease of a place that came free elsewhere, though nobody waits for it here."""
    taken: list[Lease] = []

    def take() -> bool:
        lease = limiter.acquire()
        if isinstance(lease, Lease) and lease.rejection is None:
            taken.append(lease)
            return True
        if isinstance(lease, Lease):
            lease.release()
        return False

    wait_until(take)
    return taken[0]


def test_a_partition_is_told_as_part_of_the_whole_limit(limiter: Make) -> None:
    def live(holder: object) -> Claim:
        return Claim(partition="live")

    one, other = limiter(10), limiter(10)
    for each in (one, other):
        each.tell_apart(live, {"live": 0.7})
    held = leases(one, 2)
    assert one.snapshot().partitions == {"live": Partition(7, 2)}
    assert other.snapshot().partitions == {"live": Partition(7, 0)}
    for lease in held:
        lease.release()


def test_a_log_filter_may_ask_for_the_numbers(tmp_path: Path) -> None:
    limiter = SharedLimiter(HostStore(tmp_path, 8))  # A folder is there, where the file should be.
    said: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        said.append(f"{limiter.snapshot().in_flight}: {record.getMessage()}")
        return False

    logger = logging.getLogger("flask_concurrency_guard.core.host.store")
    logger.addFilter(keep)
    try:
        waiter = Waiter(limiter)
        assert isinstance(waiter.result(), Lease)
    finally:
        logger.removeFilter(keep)
    (line,) = said
    assert line.startswith(f"1: '{tmp_path}' can't be opened")


def test_a_cost_is_reckoned_once_though_the_limit_becomes_known_meanwhile(limiter: Make) -> None:
    one = limiter(2, max_wait=0)
    leases(one, 1)[0].release()
    one.set_limit(10)
    new = limiter(2, max_wait=0)  # It is configured like the first one, and has asked for nothing.
    costly = new.acquire(claim=Claim(4))
    assert isinstance(costly, Lease)
    assert costly.cost == new.in_flight
    made = []
    while isinstance(lease := one.acquire(), Lease):
        made.append(lease)
    assert new.in_flight + one.in_flight <= 10


def test_who_needs_no_more_places_hears_that_there_are_more(limiter: Make) -> None:
    one, other = limiter(1), limiter(1)
    leases(one, 1)[0].release()
    other.set_limit(8)

    def knows() -> bool:
        leases(one, 1)[0].release()
        return one.limit == 8

    wait_until(knows)


def test_what_is_in_flight_counts_again_where_the_file_was_lost(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "private" / "app.host"

    def make() -> SharedLimiter:
        return SharedLimiter(HostStore(path, 4, on_error="open", clock=clock), max_wait=0)

    one = make()
    made = leases(one, 3)
    path.unlink()
    path.mkdir()
    clock.now += 2
    made += leases(one, 1)  # While it is away.
    path.rmdir()
    clock.now += 2
    assert one.snapshot_of_all().in_flight == 4  # No request was the first to notice.
    assert isinstance(make().acquire(), Rejection)
    assert len(made) == 4


def test_who_wants_more_than_there_is_without_a_file_gets_all_of_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    limiter = SharedLimiter(HostStore(tmp_path, 4), max_wait=20)  # A folder, and no file.
    costly = Waiter(limiter, claim=Claim(4)).result()
    assert isinstance(costly, Lease)
    assert costly.cost == limiter.in_flight == 2
    plain = Waiter(limiter)
    costly.release()
    assert isinstance(plain.result(), Lease)
    assert limiter.in_flight == 1


def test_who_wants_less_than_there_is_without_a_file_gets_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    limiter = SharedLimiter(HostStore(tmp_path, 8), max_wait=0)  # A folder, and no file.
    leases(limiter, 1)[0].release()
    costly = limiter.acquire(claim=Claim(2))
    assert isinstance(costly, Lease)
    assert costly.cost == limiter.in_flight == 2


@pytest.mark.parametrize("policy", ["local", "open"])
def test_who_waits_is_admitted_where_the_file_was_lost(tmp_path: Path, policy: str) -> None:
    clock, path = Clock(), tmp_path / "private" / "app.host"
    limiter = SharedLimiter(HostStore(path, 2, on_error=policy, clock=clock), max_wait=20)
    one, _ = made = leases(limiter, 2)
    waiter = Waiter(limiter)
    path.unlink()
    path.mkdir()
    clock.now += 2
    releasing = threading.Thread(target=one.release, daemon=True)
    releasing.start()
    releasing.join(10)
    assert not releasing.is_alive()
    assert isinstance(waiter.result(), Lease)
    assert limiter.in_flight == len(made)


@pytest.mark.parametrize(
    "settings", [{"max_wait": 0}, {"max_queue": 0}, {"mode": "shadow"}], ids=str
)
def test_with_shares_places_are_borrowed_by_who_may_not_wait(
    limiter: Make, settings: dict[str, object]
) -> None:
    shared = limiter(4, **settings)
    shared.tell_apart(lambda claim: claim or Claim(), {"a": 0.5, "b": 0.5})
    made = [shared.acquire(None, claim=Claim(partition=name)) for name in "aabb"]
    assert not any(shared.snapshot().rejected.values())
    for each in made:
        assert isinstance(each, Lease)
        each.release()


def test_with_shares_what_is_borrowed_is_held_back_for_who_was_short(tmp_path: Path) -> None:
    def make() -> SharedLimiter:
        limiter = SharedLimiter(HostStore(tmp_path / "private" / "app.host", 4), max_queue=0)
        limiter.tell_apart(lambda claim: claim or Claim(), {"a": 0.5, "b": 0.5})
        return limiter

    def ask(limiter: SharedLimiter, partition: str) -> Lease | Rejection:
        return limiter.acquire(claim=Claim(partition=partition))

    one, other = make(), make()
    held = [ask(each, "a") for each in (one, one, other, other)]
    assert isinstance(ask(one, "b"), Rejection)
    lease = held.pop()
    assert isinstance(lease, Lease)
    lease.release()
    assert isinstance(ask(one, "a"), Rejection)
    held.append(ask(other, "a"))  # It is not lost for those who may have it.
    assert isinstance(held[-1], Lease)
    assert (one.in_flight, other.in_flight) == (2, 2)


def test_the_limit_is_shared(limiter: Make) -> None:
    one, other = limiter(3), limiter(3, max_queue=0)
    held = leases(one, 2)
    (mine,) = leases(other, 1)
    rejection = other.acquire()
    assert isinstance(rejection, Rejection)
    assert rejection.reason is Reason.LIMIT
    held[0].release()
    again = lease_soon(other)
    assert one.snapshot().in_flight == 1
    assert other.snapshot().in_flight == 2
    for lease in (mine, again, held[1]):
        lease.release()


def test_who_waits_is_admitted_when_another_process_has_a_place(limiter: Make) -> None:
    one, other = limiter(1), limiter(1)
    (held,) = leases(one, 1)
    waiter = Waiter(other)
    held.release()
    result = waiter.result()
    assert isinstance(result, Lease)
    result.release()


def test_who_need_several_places_do_not_keep_them_from_each_other(limiter: Make) -> None:
    limiters = limiter(2), limiter(2)
    held = [lease for each in limiters for lease in leases(each, 1)]
    waiters = [Waiter(each, then=Lease.release, claim=Claim(cost=2)) for each in limiters]
    for lease in held:
        lease.release()
    for waiter in waiters:
        assert isinstance(waiter.result(), Lease)


def test_who_waits_says_so_for_as_long_as_that_takes(tmp_path: Path) -> None:
    stores = [HostStore(tmp_path / "private" / "app.host", 1) for _ in range(2)]
    one, other = (SharedLimiter(store, max_wait=20) for store in stores)
    (held,) = leases(one, 1)
    waiter = Waiter(other)
    borrower = stores[1].borrower
    assert borrower is not None
    since = borrower.board.waiting[borrower.slot]
    # Who has said so longer ago is not given way to.
    wait_until(lambda: borrower.board.waiting[borrower.slot] > since + 2 * FRESH)
    held.release()
    assert isinstance(waiter.result(), Lease)


def test_nobody_waits_for_one_who_has_given_up(limiter: Make) -> None:
    holder, one, other = limiter(2), limiter(2, max_wait=0.2), limiter(2)
    (held,) = leases(holder, 1)
    first = Waiter(one, claim=Claim(cost=2))
    second = Waiter(other, then=Lease.release)
    assert isinstance(first.result(), Rejection)
    assert isinstance(second.result(), Lease)
    held.release()


def test_one_of_those_who_wait_watches(limiter: Make) -> None:
    one, other = limiter(3), limiter(3)
    held = leases(one, 3)
    waiters = [Waiter(other, then=lambda lease: None) for _ in range(3)]

    def one_who_waits_watches() -> bool:  # Not always the first in the line.
        with other._lock:
            return other._watcher in list(other._line)

    for admitted, lease in enumerate(held, 1):
        wait_until(one_who_waits_watches)
        lease.release()
        wait_until(lambda: other.in_flight == admitted)  # noqa: B023
    assert other._watcher is None
    for waiter in waiters:
        result = waiter.result()
        assert isinstance(result, Lease)
        result.release()


def test_in_a_rush_one_may_wait_where_all_places_are_lent_to_others(limiter: Make) -> None:
    clock = Clock()
    one, other = limiter(2), limiter(2, queue_order="adaptive", clock=clock)
    for lease in leases(other, 1):
        clock.now += 0.001  # So long are leases held.
        lease.release()
    held = [lease_soon(one), lease_soon(one)]
    waiters = [Waiter(other)]
    for _ in range(25):
        clock.now += 0.01
        other.acquire(verdict=Verdict(Reason.OVERLOAD))
    assert other.is_rush
    waiters.append(Waiter(other))
    assert other.snapshot().queued == 2
    for lease in held:
        lease.release()
    for waiter in waiters:
        assert isinstance(waiter.result(), Lease)


def test_who_has_a_turn_before_waiting_does_not_watch(limiter: Make) -> None:
    only = limiter(1)
    (held,) = leases(only, 1)
    only.on_queued = lambda lease: held.release()
    leases(only, 1)[0].release()
    assert only._watcher is None  # It would be so for ever, and nobody else could be.


def test_who_is_pushed_out_waits_no_longer(limiter: Make) -> None:
    only = limiter(1, max_queue=1, queue_order="lifo")
    (held,) = leases(only, 1)
    oldest = Waiter(only)
    newest = threading.Thread(target=lambda: leases(only, 1)[0].release(), daemon=True)
    newest.start()
    rejection = oldest.result()
    assert isinstance(rejection, Rejection)
    assert rejection.reason is Reason.QUEUE_FULL
    held.release()
    newest.join(10)
    assert not newest.is_alive()


def test_the_watch_is_passed_on_by_who_gives_up(limiter: Make) -> None:
    one, other = limiter(1), limiter(1, max_wait=0.2)
    (held,) = leases(one, 1)
    first = Waiter(other)
    other.max_wait = 20.0
    second = Waiter(other)
    result = first.result()
    assert isinstance(result, Rejection)
    assert result.reason is Reason.QUEUE_TIMEOUT
    held.release()
    admitted = second.result()
    assert isinstance(admitted, Lease)
    admitted.release()


def test_a_place_that_comes_free_here_goes_to_who_waits_here(limiter: Make) -> None:
    only = limiter(1)
    (held,) = leases(only, 1)
    waiter = Waiter(only)
    held.release()
    result = waiter.result()
    assert isinstance(result, Lease)
    assert result.in_flight == 1
    result.release()


def test_shadow_mode_admits_beyond_the_shared_limit(limiter: Make) -> None:
    one, other = limiter(1), limiter(1, mode="shadow", max_queue=0)
    (held,) = leases(one, 1)
    (beyond,) = leases(other, 1)
    assert beyond.rejection is not None
    assert other.snapshot().rejected["limit"] == 1
    held.release()
    beyond.release()
    mine = lease_soon(other)
    # Beyond the limit it takes nothing from others.
    mine.release()
    again = lease_soon(one)
    again.release()


def test_whoever_waits_is_admitted_when_nothing_is_enforced_any_more(limiter: Make) -> None:
    one, other = limiter(1), limiter(1)
    (held,) = leases(one, 1)
    waiters = [Waiter(other, then=Lease.release) for _ in range(5)]
    other.set_mode(Mode.OFF)
    for waiter in waiters:
        assert isinstance(waiter.result(), Lease)
    held.release()


def test_the_limit_is_changed_for_all(limiter: Make) -> None:
    one, other = limiter(1), limiter(1)
    (held,) = leases(one, 1)
    waiter = Waiter(other)
    one.set_limit(2)
    result = waiter.result()
    assert isinstance(result, Lease)
    # In a cluster it is told with the next answer.
    wait_until(lambda: other.limit == other.snapshot().limit == 2)
    held.release()
    result.release()
    with pytest.raises(ValueError, match="positive"):
        one.set_limit(0)


def test_two_limiters_under_load_share_out_all_there_is(limiter: Make) -> None:
    """Nobody is left waiting, nobody starves, and nothing is lost."""
    limiters = [limiter(3) for _ in range(3)]
    served = [0, 0, 0]
    most, inside, lock = [0], [0], threading.Lock()

    def work(number: int) -> None:
        for _ in range(100):
            lease = limiters[number].acquire()
            assert isinstance(lease, Lease)
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            threading.Event().wait(0.001)
            with lock:
                inside[0] -= 1
                served[number] += 1
            lease.release()

    threads = [threading.Thread(target=work, args=(n % 3,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert served == [400, 400, 400]
    assert most[0] <= 3
    assert [one.snapshot().in_flight for one in limiters] == [0, 0, 0]


def test_its_numbers_are_in_slots(limiter: Make) -> None:
    """There are too many for a dictionary to be as quick: see `Admission`."""
    assert not hasattr(limiter(1), "__dict__")
