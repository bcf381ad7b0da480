"""One limit on a server. Several stores in one process are as good as several processes: each has
connections, a lease and a keeper of its own."""

from __future__ import annotations

import gc
import logging
import os
import random
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from weakref import ref

import pytest
import redis
from core_support import Clock
from core_support import Process
from core_support import Waiter
from core_support import lease_of
from core_support import records_of
from core_support import wait_until
from valkey_server import PATIENT
from valkey_server import Valkey
from valkey_server import new_name

from flask_concurrency_guard.core.cluster.address import read_url
from flask_concurrency_guard.core.cluster.borrower import RETRY_WITHOUT_KEEPER
from flask_concurrency_guard.core.cluster.borrower import Borrower
from flask_concurrency_guard.core.cluster.borrower import read_mode
from flask_concurrency_guard.core.cluster.connect import Connector
from flask_concurrency_guard.core.cluster.keeper import warn_where_threads_stand_still
from flask_concurrency_guard.core.cluster.ledger import Grant
from flask_concurrency_guard.core.cluster.member import ClusterSnapshot
from flask_concurrency_guard.core.cluster.store import CLOCK
from flask_concurrency_guard.core.cluster.store import ClusterStore
from flask_concurrency_guard.core.decisions import Mode
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.shared import SharedLimiter
from flask_concurrency_guard.core.store import StoreError

pytestmark = pytest.mark.servers

LONG = 1000.0
"""A lease so long that none is renewed during a test, unless there is a reason to."""

CUT = "guard:secret@"
"""A login that can be taken away from who has it, so that they are cut off, and nobody else."""


class Limit:
    """A limit that processes share on a server."""

    def __init__(self, server: Valkey, name: str) -> None:
        self.server = server
        self.name = name
        self.stores: list[ClusterStore] = []

    def store(
        self,
        limit: int,
        *,
        kind: type[ClusterStore] = ClusterStore,
        login: str = "",
        **settings: object,
    ) -> ClusterStore:
        address = read_url(self.server.url.replace("//", f"//{login}"))
        settings = {"timeout": PATIENT, "lease_time": LONG, **settings}
        connector = Connector(address, settings.pop("timeout"))  # type: ignore[arg-type]
        store = kind(connector, self.name, limit, **settings)  # type: ignore[arg-type]
        self.stores.append(store)
        return store

    def process(self, limit: int, **settings: object) -> Process[ClusterStore]:
        return Process(self.store(limit, **settings))  # type: ignore[arg-type]

    def limiter(self, limit: int, **settings: object) -> SharedLimiter:
        settings = {"max_wait": 20.0, "max_queue": 100, **settings}
        return SharedLimiter(self.store(limit, lease_time=10.0), **settings)

    def key(self, kind: str) -> str:
        return f"flask-concurrency-guard:{{{self.name}}}:{kind}"

    def records(self) -> dict[str, tuple[int, int]]:
        """Return how many places each member has, and how many in flight, as is written."""
        with self.server.client() as client:
            records = client.hgetall(self.key("members"))
        found = {name: record.split() for name, record in records.items()}
        return {name: (int(share), int(used)) for name, (share, _, used, _) in found.items()}

    def lent(self) -> int:
        return sum(share for share, _ in self.records().values())

    def pass_time(self, seconds: float) -> None:
        """Let all leases be so much older by the server's clock."""
        with self.server.client() as client:
            for name, until in client.zrange(self.key("leases"), 0, -1, withscores=True):
                client.zadd(self.key("leases"), {name: until - seconds * 1000})


class Alone(ClusterStore):
    """A store with no keeper, whose beats are the test's."""

    def _start_keeper(self) -> None:
        pass


@pytest.fixture
def limit(valkey: Valkey) -> Iterator[Limit]:
    yield from limit_on(valkey)


@pytest.fixture
def own() -> Iterator[Valkey]:
    """A server that a test may kill."""
    server = Valkey()
    yield server
    server.kill()


@pytest.fixture
def own_limit(own: Valkey) -> Iterator[Limit]:
    yield from limit_on(own)


def limit_on(server: Valkey) -> Iterator[Limit]:
    limit = Limit(server, new_name())
    yield limit
    for store in limit.stores:
        store.close()


def hears(store: ClusterStore) -> bool:
    return store._keeper is not None and store._keeper.hears


def has_beaten(store: ClusterStore) -> bool:
    """Return whether its keeper has made the call that it makes when it begins to listen."""
    borrower = store._borrower
    return hears(store) and borrower._seq >= 2 and not borrower._is_called


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [
        (record.levelno, record.getMessage())
        for record in records_of(caplog)
        if record.levelno >= logging.WARNING
    ]


# What is shared.


def test_the_limit_is_shared(limit: Limit) -> None:
    one, other = limit.process(5), limit.process(5)
    assert one.acquire()
    assert other.acquire()
    wait_until(lambda: one.acquire_all() + other.acquire_all() == 5)
    assert not one.acquire()
    assert not other.acquire()
    one.release()
    wait_until(other.acquire)
    assert limit.lent() == 5


@pytest.mark.parametrize("places", [1, 2, 7, 1000])
def test_all_places_can_be_had_by_one(limit: Limit, places: int) -> None:
    processes = [limit.process(places) for _ in range(8)]
    for process in processes:
        wait_until(process.acquire)
        process.release()
    wait_until(lambda: processes[3].acquire_all(places) == places)
    assert not processes[3].acquire()


def test_what_is_lent_costs_no_call(own: Valkey, own_limit: Limit) -> None:
    process = own_limit.process(100, kind=Alone)
    assert process.acquire()
    before = own.calls()
    for _ in range(1000):
        process.release()
        assert process.acquire()
    assert own.calls() == before


def test_a_request_costs_hardly_a_call_where_there_is_enough(own: Valkey, own_limit: Limit) -> None:
    limiters = [own_limit.limiter(64) for _ in range(4)]

    def work(limiter: SharedLimiter) -> None:
        for _ in range(250):
            lease = limiter.acquire()
            assert isinstance(lease, Lease)
            lease.release()

    run([lambda limiter=limiter: work(limiter) for limiter in limiters])
    assert sum(limiter.snapshot().admitted for limiter in limiters) == 1000
    assert own.calls() <= 0.05 * 1000


@pytest.mark.parametrize("places", [1, 2])
def test_a_place_that_is_handed_over_costs_two_calls(
    own: Valkey, own_limit: Limit, places: int
) -> None:
    limiters = [own_limit.limiter(places) for _ in range(2)]
    held = [limiters[0].acquire() for _ in range(places)]
    waiter = Waiter(limiters[1])
    wait_until(lambda: all(hears(store) for store in own_limit.stores))
    before = own.calls()
    for number in range(100):
        held.append(waiter)
        oldest = held.pop(0)
        if isinstance(oldest, Waiter):
            oldest = oldest.result()
        assert isinstance(oldest, Lease)
        oldest.release()
        waiter.join(10)
        waiter = Waiter(limiters[number % 2])
    assert own.calls() - before <= 2 * 100 + 10
    for last in (*held, waiter):
        lease = last.result() if isinstance(last, Waiter) else last
        assert isinstance(lease, Lease)
        lease.release()


def run(works: list[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_the_limit_is_changed_for_all(limit: Limit) -> None:
    one, other = limit.process(2), limit.process(2)
    assert one.acquire_all() == 2
    other.store.set_limit(3)
    assert other.acquire()
    assert not other.acquire()
    wait_until(lambda: not one.acquire() and one.store.limit == 3)
    assert other.store.limit == 3


def test_what_is_set_by_the_first_call_lasts_when_another_process_starts(limit: Limit) -> None:
    one, other = (limit.process(64, kind=Alone) for _ in range(2))
    one.store.set_limit(4)
    one.store.set_mode(Mode.SHADOW)
    assert other.acquire()
    assert (other.store.limit, other.store.mode) == (4, Mode.SHADOW)


def test_a_mode_that_is_not_known_is_as_good_as_none(valkey: Valkey, limit: Limit) -> None:
    """As one of a newer release may be."""
    process = limit.process(8, kind=Alone)
    process.store.set_mode(Mode.SHADOW)
    with valkey.client() as client:
        client.hset(limit.key("limit"), "mode", "dry_run")
    assert process.acquire()
    assert process.store.mode is None
    assert read_mode(b"\xff") is None


def test_the_snapshot_sees_all(limit: Limit) -> None:
    one, other = limit.process(5, kind=Alone), limit.process(5, kind=Alone)
    assert one.acquire()
    assert other.acquire()
    assert other.acquire()
    assert one.store.beat()
    assert other.store.beat()
    snapshot = one.store.snapshot("default")
    assert (snapshot.name, snapshot.limit, snapshot.in_flight) == ("default", 5, 3)
    assert snapshot.error is None
    seen = {member.name: (member.places, member.in_flight) for member in snapshot.members}
    assert seen == limit.records()
    assert [seen[process.store.member][1] for process in (one, other)] == [1, 2]
    host, pid, _ = one.store.member.split(":")
    assert (host, int(pid)) == (socket.gethostname(), os.getpid())


# What is given back.


def test_what_is_idle_is_given_back_when_another_process_starves(limit: Limit) -> None:
    idle, other = limit.process(10), limit.process(10)
    assert idle.acquire_all() == 10
    for _ in range(9):
        idle.release()
    wait_until(lambda: hears(idle.store))

    def has_all() -> bool:
        other.acquire(starving=True)
        return other.in_flight == 9

    wait_until(has_all)
    assert not other.acquire()
    assert idle.store.places == 1


def test_who_was_deaf_when_another_process_starved_gives_back_too(
    own: Valkey, own_limit: Limit
) -> None:
    idle, other = own_limit.process(2), own_limit.process(2)
    assert idle.acquire_all() == 2
    for _ in range(2):
        idle.release()
    wait_until(lambda: hears(idle.store))
    with own.client() as client:
        client.client_kill_filter(_type="pubsub")
    wait_until(lambda: other.acquire(starving=True))


def test_who_has_waited_itself_a_moment_ago_gives_back_a_moment_later(limit: Limit) -> None:
    clock = Clock()
    idle, other = limit.process(2, clock=clock), limit.process(2)
    assert idle.acquire_all() == 2
    wait_until(lambda: hears(idle.store))
    clock.now += 1
    assert not idle.acquire(starving=True)
    for _ in range(2):
        idle.release()
    assert not other.acquire(starving=True)
    wait_until(lambda: idle.store._borrower.is_short)
    clock.now += 1
    wait_until(lambda: other.acquire(starving=True))


def test_what_was_not_needed_lately_is_given_back(limit: Limit) -> None:
    process = limit.process(100, lease_time=0.3)
    assert process.acquire()
    assert limit.lent() > 1
    wait_until(lambda: limit.lent() == 1)
    process.release()
    wait_until(lambda: limit.lent() == 0)


def test_what_was_needed_lately_is_kept(limit: Limit) -> None:
    process = limit.process(100, kind=Alone)
    process.acquire_all(40)
    for _ in range(30):
        process.release()
    assert process.store.beat()
    assert limit.records()[process.store.member] == (40, 10)
    assert process.store.beat()
    assert limit.records()[process.store.member] == (10, 10)


def test_a_place_goes_to_who_waits_elsewhere(limit: Limit) -> None:
    one, other = limit.limiter(1), limit.limiter(1)
    lease = one.acquire()
    assert isinstance(lease, Lease)
    waiter = Waiter(other)
    wait_until(lambda: all(hears(store) for store in limit.stores))
    lease.release()
    assert isinstance(waiter.result(), Lease)
    assert one.in_flight == 0


def test_what_was_granted_is_given_back_where_nobody_waits_any_more(limit: Limit) -> None:
    clock = Clock()
    holder, gone = (limit.process(1, clock=clock) for _ in range(2))
    assert holder.acquire()
    wait_until(lambda: hears(holder.store))
    assert not gone.acquire(starving=True)
    wait_until(lambda: has_beaten(gone.store) and holder.store._borrower.is_short)
    clock.now += 1
    holder.release()
    assert holder.store.places == 0  # It went to the one that has gone,
    wait_until(lambda: limit.lent() == 0)  # which gives it back, though nobody asks.
    wait_until(lambda: gone.store.places == 0)
    wait_until(holder.acquire)


def test_a_place_is_kept_for_the_next_in_the_line_for_a_turn(limit: Limit) -> None:
    clock = Clock()
    one, other = (limit.process(1, clock=clock, kind=Alone) for _ in range(2))
    assert one.acquire()
    assert not other.acquire(starving=True)
    assert one.store.beat()  # And so hears that another one waits.
    clock.now += 0.009
    one.release(queued=1)
    assert one.acquire()
    clock.now += 0.002
    one.release(queued=1)
    assert not one.acquire()
    assert limit.records()[other.store.member] == (1, 0)


def test_who_has_more_than_before_asks_at_once_for_the_next(limit: Limit) -> None:
    clock = Clock()
    holder, poor = (limit.process(2, clock=clock, kind=Alone) for _ in range(2))
    assert holder.acquire_all() == 2
    assert not poor.acquire(starving=True)
    holder.release()
    holder.release()
    holder.store.give_back()
    assert poor.store.beat()  # And so hears of the place that it was given.
    assert poor.acquire()
    assert poor.acquire(starving=True)


def test_who_has_left_the_line_asks_at_once_when_one_waits_again(limit: Limit) -> None:
    clock = Clock()
    other, process = (limit.process(2, clock=clock) for _ in range(2))
    assert other.acquire()
    assert process.acquire()
    wait_until(lambda: has_beaten(process.store))
    assert not process.acquire(starving=True)  # It would be told within a quarter of a second.
    clock.now += 0.06
    process.release()  # And says that nobody waits.
    assert limit.lent() == 1
    assert process.acquire(starving=True)


@pytest.mark.parametrize("starving", [True, False])
@pytest.mark.parametrize(
    ("takes", "rests"), [(0.03, 0.27), (20.0, 1.0)], ids=["far-away", "once-slow"]
)
def test_who_found_too_little_rests_longer_than_the_call_took(
    limit: Limit, takes: float, rests: float, starving: bool
) -> None:
    clock = Clock()
    holder, process = (limit.process(1, clock=clock, kind=Alone) for _ in range(2))
    assert holder.acquire()
    settle = process.store.ledger.settle
    calls = []

    def slow(*args: object, **words: object) -> object:
        calls.append(args)
        terms = settle(*args, **words)  # type: ignore[arg-type]
        clock.now += takes
        return terms

    process.store.ledger.settle = slow  # type: ignore[assignment,method-assign]
    assert not process.acquire(starving=starving)
    clock.now += rests - 0.001
    assert not process.acquire(starving=starving)
    assert len(calls) == 1
    clock.now += 0.002
    assert not process.acquire(starving=starving)
    assert len(calls) == 2


def test_nobody_is_told_that_places_are_short_by_itself(valkey: Valkey, limit: Limit) -> None:
    holder, process = (limit.process(1, kind=Alone) for _ in range(2))
    assert holder.acquire()
    ledgers = [each.store.ledger for each in (holder, process)]
    listeners = [ledger.listen() for ledger in ledgers]
    with valkey.client() as client:
        short = f"{ledgers[0]._channels}short"
        wait_until(lambda: client.pubsub_numsub(short)[0][1] == 2)
        assert not process.acquire(starving=True)
        for ledger in ledgers:
            client.publish(f"{ledger._channels}{ledger._member}", "7 7")
    heard: list[list[Grant | None]] = [[], []]
    for listener, said in zip(listeners, heard, strict=True):
        wait_until(lambda: said.extend(listener.messages(1.0)) or Grant(7, 7) in said)  # noqa: B023
        listener.close()
    assert heard == [[None, Grant(7, 7)], [Grant(7, 7)]]


def test_who_closes_gives_all_back_at_once(limit: Limit) -> None:
    one, other = limit.process(10), limit.process(10)
    assert one.acquire_all() == 10
    one.store.close()
    assert other.acquire_all() == 10
    assert one.store.places == 0


def test_who_was_closed_is_a_member_no_more(own: Valkey, own_limit: Limit) -> None:
    process = own_limit.process(10)
    assert process.acquire()
    wait_until(lambda: hears(process.store))
    keeper = process.store._keeper
    process.store.close()
    assert keeper is not None
    keeper.join(10)
    assert not keeper.is_alive()
    with own.client() as client:
        wait_until(lambda: len(client.client_list()) == 1)
    assert own_limit.records() == {}


def test_who_was_closed_begins_anew_when_asked(limit: Limit) -> None:
    process = limit.process(10)
    assert process.acquire()
    process.store.close()
    process.in_flight = 0
    assert process.acquire_all() == 10


def test_who_was_closed_needs_no_more_than_it_asks_for_then(limit: Limit) -> None:
    process = limit.process(100, kind=Alone)
    assert process.acquire_all(40) == 40
    process.store.close()
    process.in_flight = 0
    assert process.acquire()
    assert process.store.beat()
    assert limit.lent() == 1


def test_nobody_waits_any_more_where_one_was_closed(valkey: Valkey, limit: Limit) -> None:
    holder, gone = (limit.process(1, clock=Clock(), kind=Alone) for _ in range(2))
    assert holder.acquire()
    assert not gone.acquire(starving=True)
    gone.store.close()
    assert not gone.acquire()
    assert len(limit.records()) == 2
    with valkey.client() as client:
        assert not client.exists(limit.key("waiting"))


def test_a_server_that_failed_is_tried_at_once_by_who_was_closed(
    own: Valkey, own_limit: Limit, caplog: pytest.LogCaptureFixture
) -> None:
    process = own_limit.process(8, clock=Clock(), kind=Alone)
    changes: list[Exception | None] = []
    process.store.on_change = changes.append
    assert process.acquire()
    own.kill()
    with pytest.raises(StoreError):
        process.store.set_limit(8)
    process.store.close()
    own.start()
    process.in_flight = 0
    assert process.acquire()
    assert own_limit.records().keys() == {process.store.member}
    process.store.tell()
    assert changes == []
    assert [level for level, _ in told(caplog)] == [logging.ERROR]


@pytest.mark.parametrize("policy", ["local", "open"])
def test_a_server_that_failed_is_tried_again_with_no_keeper(
    own: Valkey, own_limit: Limit, policy: str
) -> None:
    """All are admitted meanwhile, so none asks for a place."""
    clock = Clock()
    process = own_limit.process(8, on_error=policy, clock=clock, kind=Alone)
    assert process.acquire()
    own.kill()
    with pytest.raises(StoreError):
        process.store.set_limit(8)
    own.start()
    process.release()
    assert process.store.error is not None  # It is left alone for a while.
    clock.now += RETRY_WITHOUT_KEEPER
    assert process.acquire()
    process.release()
    assert process.store.error is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_keeper_that_has_died_is_followed_by_another(limit: Limit) -> None:
    process = limit.process(8)
    assert process.acquire()
    keeper = process.store._keeper
    assert keeper is not None

    def end(*arguments: object) -> None:
        raise SystemExit

    keeper._hear = end  # type: ignore[method-assign]
    keeper.join(10)
    assert not keeper.is_alive()
    process.store.set_limit(8)
    assert process.store._keeper is not keeper


def test_a_keeper_that_was_late_keeps_nothing_of_what_was_closed(limit: Limit) -> None:
    process = limit.process(10, kind=Alone)
    assert process.acquire()
    process.store.close()
    assert not process.store.beat()
    assert limit.records() == {}


# The keeper.


def test_a_keeper_ends_when_nothing_is_kept_and_begins_again(limit: Limit) -> None:
    process = limit.process(10, lease_time=0.3)
    assert process.store._keeper is None
    for _ in range(2):
        assert process.acquire()
        keeper = process.store._keeper
        assert keeper is not None
        process.release()
        wait_until(lambda: process.store._keeper is None)
        keeper.join(10)
        assert not keeper.is_alive()
        assert limit.lent() == 0


def test_a_keeper_goes_on_while_one_is_in_flight(own: Valkey, own_limit: Limit) -> None:
    process = own_limit.process(10, lease_time=0.3)
    assert process.acquire()
    keeper = process.store._keeper
    before = own.calls()
    wait_until(lambda: own.calls() >= before + 5)
    assert process.store._keeper is keeper
    assert own_limit.records() == {process.store.member: (1, 1)}


def test_a_dropped_store_is_not_kept_alive(valkey: Valkey) -> None:
    store = valkey.store(new_name(), 10, lease_time=0.6)
    limiter = SharedLimiter(store)
    lease = limiter.acquire()
    assert isinstance(lease, Lease)
    keeper, seen = store._keeper, ref(store)
    wait_until(lambda: keeper is not None and keeper.hears)
    del store, limiter, lease

    def is_gone() -> bool:
        gc.collect()
        return seen() is None

    wait_until(is_gone)
    assert keeper is not None
    keeper.join(10)
    assert not keeper.is_alive()


@pytest.mark.parametrize(
    ("uwsgi", "warnings"),
    [
        (SimpleNamespace(has_threads=0), 1),
        (SimpleNamespace(has_threads=1), 0),
        (SimpleNamespace(), 0),
        (None, 0),
    ],
    ids=["uwsgi-without-threads", "uwsgi-with-threads", "uwsgi-that-does-not-tell", "another"],
)
def test_where_no_keeper_goes_on_one_is_told_once(
    limit: Limit,
    uwsgi: object,
    warnings: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)  # type: ignore[arg-type]
    warn_where_threads_stand_still.cache_clear()
    for _ in range(2):
        assert limit.process(10).acquire()
    warning = (
        "uWSGI runs no thread of an app's between requests, so the places that an idle worker has"
        " borrowed are not kept, and not given back to others before their lease ends. Start uWSGI"
        " with '--enable-threads'."
    )
    assert told(caplog) == [(logging.WARNING, warning)] * warnings
    warn_where_threads_stand_still.cache_clear()


# When the collector comes.


class InterruptedClock(Clock):
    """A clock that somebody looks at when something happens."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.happens: dict[int, Callable[[], object]] = {}
        """What happens, by how many looks there have been before."""

    def __call__(self) -> float:
        self.looks += 1
        self.happens.pop(self.looks - 1, bool)()
        return self.now


@pytest.mark.parametrize(
    ("is_dead", "look"), [(False, 0), (False, 1), (True, 0), (True, 1), (True, 2)]
)
def test_a_lease_may_be_collected_while_the_keeper_calls(
    own: Valkey, own_limit: Limit, is_dead: bool, look: int
) -> None:
    """In the keeper's own thread, which holds the locks."""
    clock = InterruptedClock()
    process, other = own_limit.process(2, kind=Alone, clock=clock), own_limit.process(2, kind=Alone)
    assert process.acquire_all() == 2
    assert not other.acquire(starving=True)
    assert process.store.beat()
    if is_dead:
        own.kill()
    collected = []

    def collect() -> None:
        before = process.store._borrower._seq
        process.release(queued=1)
        process.acquire()
        collected.append(process.store._borrower._seq - before)

    clock.now += 1
    clock.happens[clock.looks + look] = collect
    run([process.store.beat])
    assert collected == [0]  # No call in the midst of another.
    assert process.in_flight <= process.store._borrower.places or is_dead


class InterruptedLock:
    """A lock after whose taking something happens: Python 3.12 collects at the end of a call."""

    def __init__(self, lock: threading.RLock, happens: Callable[[], object]) -> None:
        self._lock = lock
        self.release = lock.release
        self._happens = happens

    def acquire(self, blocking: bool = True) -> bool:
        has_got = self._lock.acquire(blocking)
        happens, self._happens = self._happens, bool
        happens()
        return has_got


def test_a_lease_may_be_collected_as_soon_as_it_is_a_threads_turn_to_call(limit: Limit) -> None:
    process, other = (limit.process(2, kind=Alone) for _ in range(2))
    assert process.acquire_all() == 2
    assert not other.acquire(starving=True)
    assert process.store.beat()  # And so hears that another one waits.
    borrower = process.store._borrower
    borrower._calls = InterruptedLock(borrower._calls, process.release)  # type: ignore[assignment]
    run([process.store.beat])
    assert limit.records() == {process.store.member: (1, 1), other.store.member: (1, 0)}


class InterruptedBorrower(Borrower):
    """One that has something happen after each look at how many are in flight."""

    happens: Callable[[], object] = bool

    @property  # type: ignore[override]
    def in_flight(self) -> int:
        in_flight: int = self.__dict__["in_flight"]
        happens, self.happens = self.happens, bool
        happens()
        return in_flight

    @in_flight.setter
    def in_flight(self, in_flight: int) -> None:
        self.__dict__["in_flight"] = in_flight


def test_nobody_is_admitted_between_what_is_told_and_what_is_kept(limit: Limit) -> None:
    process = limit.process(2, kind=Alone)
    assert process.acquire_all() == 2
    process.release()
    borrower = process.store._borrower
    borrower.__class__ = InterruptedBorrower
    borrower.happens = process.acquire  # type: ignore[attr-defined]
    process.store._settle(spare=0)
    assert process.in_flight == borrower.in_flight == borrower.places == limit.lent() == 1


# When the lease ends.


def test_who_is_cut_off_stops_before_its_places_are_lent_to_others(
    own: Valkey, own_limit: Limit
) -> None:
    allow_login(own)
    clock = Clock()
    holder = own_limit.process(
        4, lease_time=LONG, clock=clock, on_error="closed", login=CUT, kind=Alone
    )
    other = own_limit.process(4, kind=Alone)
    assert holder.acquire_all() == 4
    for _ in range(3):
        holder.release()
    cut_off(own)
    clock.now += 0.989 * LONG
    own_limit.pass_time(0.989 * LONG)
    assert holder.acquire()
    assert not other.acquire()
    assert holder.store._borrower.error is None
    clock.now += 0.002 * LONG  # In the last of a hundred parts.
    assert not holder.acquire()
    assert holder.store._borrower.error is not None
    own_limit.pass_time(0.012 * LONG)
    wait_until(lambda: other.acquire_all() == 4)
    clock.now += LONG
    assert not holder.acquire()


def test_the_lease_is_reckoned_from_before_the_call(limit: Limit) -> None:
    clock = Clock()
    store = limit.store(4, lease_time=10.0, clock=clock, kind=Alone)
    settle = store.ledger.settle

    def slow(*args: object, **words: object) -> object:
        terms = settle(*args, **words)  # type: ignore[arg-type]
        clock.now += 3
        return terms

    store.ledger.settle = slow  # type: ignore[assignment,method-assign]
    process = Process(store)
    assert process.acquire()
    clock.now = 109.8
    assert store.enter(1)
    clock.now = 109.95
    assert not store.enter(1)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a clock that Linux has")
def test_a_lease_ends_while_the_machine_is_suspended(limit: Limit) -> None:
    """Which no test can do; so this one is about which clock it is reckoned by."""
    assert limit.store(4)._borrower._clock is CLOCK
    assert CLOCK.args == (time.CLOCK_BOOTTIME,)  # type: ignore[attr-defined]


def allow_login(server: Valkey) -> None:
    with server.client() as client:
        client.execute_command("ACL SETUSER guard on >secret ~* &* +@all")


def cut_off(server: Valkey) -> None:
    with server.client() as client:
        client.execute_command("ACL SETUSER guard off")
        client.execute_command("CLIENT KILL USER guard")


# When the server can't be used.


@pytest.mark.parametrize(
    ("policy", "admitted", "said"),
    [("local", 4, "4 at once"), ("open", 100, "everything"), ("closed", 0, "nothing")],
)
def test_what_is_done_while_the_server_is_dead(
    own: Valkey,
    own_limit: Limit,
    policy: str,
    admitted: int,
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    process, other = (
        own_limit.process(8, on_error=policy, clock=clock, kind=Alone) for _ in range(2)
    )
    assert other.acquire()
    assert process.acquire()
    process.release()
    changes: list[Exception | None] = []
    process.store.on_change = changes.append
    own.kill()
    clock.now += LONG
    assert process.acquire_all(100) == admitted
    process.store.tell()
    why = f"Error 111 connecting to 127.0.0.1:{own.port}. Connection refused."
    assert told(caplog) == [
        (
            logging.ERROR,
            f"redis://127.0.0.1:{own.port} can't be used for the limit '{own_limit.name}': {why}"
            f" Until it can be, this process admits {said}.",
        )
    ]
    (change,) = changes
    assert isinstance(change, redis.ConnectionError)
    snapshot = process.store.snapshot("default")
    assert (snapshot.error, snapshot.limit, snapshot.in_flight) == (why, 8, admitted)
    assert [member.in_flight for member in snapshot.members] == [admitted]
    with pytest.raises(StoreError) as raised:
        process.store.set_limit(9)
    assert str(raised.value) == (
        f"redis://127.0.0.1:{own.port} can't be used now, so the limit is what it was."
    )


def test_what_was_borrowed_is_used_to_the_end_of_the_lease(
    own: Valkey, own_limit: Limit, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    process = own_limit.process(4, lease_time=10.0, on_error="closed", clock=clock, kind=Alone)
    assert process.acquire_all() == 4
    process.release()
    own.kill()
    clock.now += 3
    assert process.store.beat()
    ((_, said),) = told(caplog)
    assert said.endswith(
        " Until it can be, this process admits 4 at once for 6.9 s more, and then nothing."
    )
    clock.now += 6.89
    assert process.acquire()
    process.release()
    clock.now += 0.02
    assert not process.acquire()


def test_what_is_in_flight_is_claimed_when_the_server_is_back_with_nothing(
    own: Valkey, own_limit: Limit, caplog: pytest.LogCaptureFixture
) -> None:
    processes = [own_limit.process(4, on_error="closed") for _ in range(2)]
    changes: list[Exception | None] = []
    processes[0].store.on_change = changes.append
    for process, count in zip(processes, (2, 1), strict=True):
        wait_until(lambda: process.acquire_all(count) == count)  # noqa: B023
    wait_until(lambda: all(hears(process.store) for process in processes))
    own.kill()
    wait_until(lambda: not any(hears(process.store) for process in processes))
    with pytest.raises(StoreError):
        processes[0].store.set_limit(4)  # So it is noticed.
    wait_until(lambda: len(changes) == 1)
    own.start()
    back = time.monotonic()
    wait_until(lambda: sorted(used for _, used in own_limit.records().values()) == [1, 2])
    assert time.monotonic() - back < 4  # A second and a bit, but for a slow machine.
    wait_until(lambda: len(changes) == 2)
    assert isinstance(changes[0], redis.ConnectionError)
    assert changes[1] is None
    assert processes[0].store.snapshot("default").error is None
    again = f"{own.url} can be used again for the limit '{own_limit.name}'."
    assert (logging.WARNING, again) in told(caplog)
    wait_until(lambda: sum(process.acquire_all() for process in processes) == 4)
    newcomer = own_limit.process(4)
    assert not newcomer.acquire()
    processes[0].release()
    wait_until(newcomer.acquire)


def test_who_never_reached_the_server_admits_its_part(
    own: Valkey, own_limit: Limit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    own.kill()
    assert own_limit.process(9, kind=Alone).acquire_all() == 3
    assert own_limit.process(2, kind=Alone).acquire_all() == 1


def test_a_server_that_stands_still_is_not_waited_for(
    own: Valkey, own_limit: Limit, caplog: pytest.LogCaptureFixture
) -> None:
    process = own_limit.process(4, timeout=0.5, lease_time=6.0)
    assert process.acquire_all() == 4
    wait_until(lambda: hears(process.store))
    with own.client() as client:
        client.client_pause(1500)
    with pytest.raises(StoreError):
        process.store.set_limit(4)
    snapshot = process.store.snapshot("default")
    assert snapshot.error == "Timeout reading from socket"
    assert process.in_flight == 4
    process.release()
    assert process.acquire()
    wait_until(lambda: process.store.snapshot("default").error is None)
    wait_until(lambda: own_limit.records() == {process.store.member: (4, 4)})
    assert [level for level, _ in told(caplog)] == [logging.ERROR, logging.WARNING]


def test_who_looks_at_all_members_holds_up_no_request(own: Valkey, own_limit: Limit) -> None:
    limiter = SharedLimiter(own_limit.store(4, timeout=1.0))
    held = limiter.acquire()
    assert isinstance(held, Lease)
    asking = threading.Event()
    store = own_limit.stores[0]
    look = store.snapshot

    def ask(name: str) -> ClusterSnapshot:
        asking.set()
        return look(name)

    store.snapshot = ask  # type: ignore[method-assign]
    with own.client() as client:
        client.client_pause(1500)
    looking = threading.Thread(target=limiter.snapshot_of_all)
    looking.start()
    assert asking.wait(10)
    held.release()
    with lease_of(limiter):
        assert looking.is_alive()
    looking.join()


def test_the_keeper_tells_of_an_outage_soon_and_looks_soon_whether_it_is_over(
    own: Valkey, own_limit: Limit
) -> None:
    """However long the lease: about each second, while what it listens to is not cut."""
    process = own_limit.process(4)
    assert process.acquire_all() == 4
    changes: list[Exception | None] = []
    process.store.on_change = changes.append
    wait_until(lambda: hears(process.store))
    with own.client() as client:
        client.replicaof("127.0.0.1", "1")
        with pytest.raises(StoreError):
            process.store.set_limit(4)
        client.replicaof("NO", "ONE")
    wait_until(lambda: len(changes) == 2)
    assert isinstance(changes[0], redis.ReadOnlyError)


def require_password(client: redis.Redis) -> None:
    client.config_set("requirepass", "secret")


def make_replica(client: redis.Redis) -> None:
    client.replicaof("127.0.0.1", "1")


def fill_memory(client: redis.Redis) -> None:
    client.config_set("maxmemory", 1)


def take_rights(client: redis.Redis) -> None:
    client.execute_command("ACL SETUSER default -evalsha -eval")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (require_password, "uthenticat"),
        (make_replica, "You can't write against a read only replica."),
        (fill_memory, "command not allowed when used memory > 'maxmemory'."),
        (take_rights, "has no permissions to run the 'evalsha' command"),
    ],
    ids=["password", "read-only", "memory", "rights"],
)
def test_a_server_that_refuses_is_as_good_as_none(
    own: Valkey,
    own_limit: Limit,
    spoil: Callable[[redis.Redis], None],
    text: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with own.client() as client:
        spoil(client)
        process = own_limit.process(8, on_error="open", kind=Alone)
        assert process.acquire_all(100) == 100
        (_, said) = told(caplog)[0]
        assert said.startswith(f"{own.url} can't be used for the limit '{own_limit.name}': ")
        assert text in said
        assert text in str(process.store.snapshot("default").error)


def test_an_error_keeps_nothing_of_the_request_that_found_it(own: Valkey, own_limit: Limit) -> None:
    process = own_limit.process(8, kind=Alone)
    own.kill()
    process.acquire()
    error = process.store._borrower.error
    assert isinstance(error, redis.ConnectionError)
    assert (error.__traceback__, error.__context__, error.__cause__) == (None, None, None)


def test_a_login_is_not_logged(
    own: Valkey, own_limit: Limit, caplog: pytest.LogCaptureFixture
) -> None:
    process = own_limit.process(8, login=CUT, kind=Alone)
    assert process.acquire()
    ((_, said),) = told(caplog)
    start = f"{own.url} can't be used for the limit '{own_limit.name}': "
    assert said.startswith(f"{start}invalid username-password pair")
    assert "secret" not in caplog.text


class Server:
    """Something that listens, and is none: it counts who comes, and hangs up, or does nothing."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self.is_silent = False
        self.came = 0
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.came += 1
                if self.is_silent:
                    self._open.append(connection)
                else:
                    connection.close()

    def hang_up(self) -> None:
        self.is_silent = False
        while self._open:
            self._open.pop().close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()
        self.hang_up()


@pytest.fixture
def broken() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.mark.parametrize("policy", ["local", "open", "closed"])
def test_a_dead_server_costs_a_request_nothing(broken: Server, policy: str) -> None:
    clock = Clock()
    store = Alone(
        Connector(read_url(broken.url), PATIENT), "limit", 8, on_error=policy, clock=clock
    )
    process = Process(store)
    process.acquire()
    wait_until(lambda: broken.came > 0)
    came = broken.came
    for _ in range(3000):
        clock.now += 0.0009
        if not process.acquire(starving=process.in_flight % 2 == 0):
            clock.now += 0.00001
        if process.in_flight > 10:
            process.release(queued=1)
    # But now and then one looks whether it is back.
    assert broken.came == came
    clock.now += 1.0
    store.take(100)
    store.take(2**31 + 1)
    wait_until(lambda: broken.came > came)
    store.close()


def test_no_request_waits_while_the_keeper_asks_a_dead_server(broken: Server) -> None:
    clock = Clock()
    store = ClusterStore(
        Connector(read_url(broken.url), 4.0),
        "limit",
        8,
        lease_time=LONG,
        on_error="closed",
        clock=clock,
    )
    process = Process(store)
    assert not process.acquire()
    came = broken.came
    asking = threading.Event()
    beat = store.ledger.settle

    def settle(*args: object, **words: object) -> object:
        broken.is_silent = True
        asking.set()
        return beat(*args, **words)  # type: ignore[arg-type]

    store.ledger.settle = settle  # type: ignore[assignment,method-assign]
    assert asking.wait(10)
    wait_until(lambda: broken.came > came)
    clock.now += 60  # It is time that a request looks as well.
    began = time.monotonic()
    for _ in range(1000):
        clock.now += 0.01
        assert not process.acquire()
    taken = time.monotonic() - began
    broken.hang_up()
    store.close()
    assert taken < 2


class WatchedLock:
    """A lock that says when somebody comes to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.release = self._lock.release
        self.came = 0

    def acquire(self, blocking: bool = True) -> bool:
        self.came += 1
        return self._lock.acquire(blocking)


def test_who_waits_to_call_does_not_when_another_call_fails(limit: Limit) -> None:
    store = limit.store(4, kind=Alone)
    lock = store._borrower._calls = WatchedLock()  # type: ignore[assignment]
    calls = []

    def settle(*args: object, **words: object) -> None:
        calls.append(args)
        if len(calls) == 1:
            wait_until(lambda: lock.came == 2)
        raise redis.TimeoutError

    store.ledger.settle = settle  # type: ignore[assignment,method-assign]
    run([lambda: store.take(1)] * 2)
    assert len(calls) == 1


def test_a_connection_that_is_cut_is_no_outage(
    own: Valkey, own_limit: Limit, caplog: pytest.LogCaptureFixture
) -> None:
    limiters = [own_limit.limiter(3) for _ in range(3)]
    inside, most, served, lock = [0], [0], [0], threading.Lock()

    def work(limiter: SharedLimiter) -> None:
        for _ in range(60):
            lease = limiter.acquire()
            assert isinstance(lease, Lease)
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            threading.Event().wait(0.001)
            with lock:
                inside[0] -= 1
                served[0] += 1
            lease.release()

    def cut() -> None:
        chance = random.Random(1)
        with own.client() as client:
            for after in range(20, 520, 20):
                wait_until(lambda: served[0] >= after)  # noqa: B023
                for store in own_limit.stores:
                    with store._borrower._calls:  # A call that is cut twice is an outage.
                        pass
                client.client_kill_filter(_type=chance.choice(["normal", "pubsub"]), skipme=True)

    run([cut, *(lambda limiter=limiter: work(limiter) for limiter in limiters * 3)])
    assert served[0] == 540
    assert most[0] <= 3
    assert told(caplog) == []
    wait_until(lambda: own_limit.lent() <= 3)


# Processes.


def test_what_a_parent_has_borrowed_stays_its_own(own: Valkey) -> None:
    script = f"""
        import os, sys, traceback
        sys.path[:0] = {sys.path!r}
        from flask_concurrency_guard.core.cluster.address import read_url
        from flask_concurrency_guard.core.cluster.connect import Connector
        from flask_concurrency_guard.core.cluster.store import ClusterStore
        from flask_concurrency_guard.core.lease import Lease
        from flask_concurrency_guard.core.shared import SharedLimiter

        def acquire():
            while not isinstance(lease := limiter.acquire(), Lease):
                pass
            return lease

        def shares():
            snapshot = limiter.snapshot_of_all()
            assert snapshot.error is None, snapshot.error
            return sorted((member.places, member.in_flight) for member in snapshot.members)

        store = ClusterStore(Connector(read_url({own.url!r}), {PATIENT}), "limit", 2)
        limiter = SharedLimiter(store, max_queue=0)
        held = [limiter.acquire()]
        member = store.member
        child = os.fork()
        if not child:
            status = 1
            try:
                assert (limiter.in_flight, store.places, store._keeper) == (0, 0, None)
                assert store.member != member
                mine = acquire()
                assert store._keeper.is_alive()
                assert not isinstance(limiter.acquire(), Lease)
                assert [places for places, _ in shares()] == [1, 1], shares()
                held[0].release()  # The parent's: gives nothing back here.
                assert limiter.in_flight == 1
                mine.release()
                store.close()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert store.member == member
        assert limiter.in_flight == 1
        held.append(acquire())
        assert [places for places, _ in shares()] == [2], shares()
        print("done")
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.stdout, result.returncode) == ("done\n", 0), result.stderr
    # And who ends gives back.
    with own.client() as client:
        assert client.hgetall("flask-concurrency-guard:{limit}:members") == {}
