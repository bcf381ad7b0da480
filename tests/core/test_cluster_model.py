"""Whatever a few members and the network between them do, in whatever order: never more in flight
than the limit, but for what went on when its lease had ended; and no place is lost."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import pytest
import redis
from core_support import Clock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import initialize
from hypothesis.stateful import invariant
from hypothesis.stateful import precondition
from hypothesis.stateful import rule
from hypothesis.stateful import run_state_machine_as_test
from valkey_server import Valkey
from valkey_server import new_name

from flask_concurrency_guard.core.cluster.ledger import Grant
from flask_concurrency_guard.core.cluster.ledger import Ledger
from flask_concurrency_guard.core.cluster.ledger import Terms
from flask_concurrency_guard.core.cluster.store import ClusterStore
from flask_concurrency_guard.core.store import StoreError

pytestmark = pytest.mark.servers

MOST = 4
NUMBERS = st.integers(0, MOST - 1)
COSTS = st.sampled_from((1, 1, 1, 2, 3))
LEASE = 1000.0
"""So long that what the server's own clock goes on meanwhile is nothing."""
STEPS = (0.006, 0.03, 0.3, 4.0, 0.33 * LEASE, 0.5 * LEASE, 0.985 * LEASE, 0.995 * LEASE, LEASE + 1)
NEARLY_OVER = 2000
"""How many milliseconds are too few to be left of a lease: what becomes of an example must not hang
on how fast it runs. Its member has stopped already, a hundredth of the lease before."""
FAULTS = st.sampled_from(("", "", "", "before", "after", "twice", "entered"))
"""A call never arrives; its answer doesn't; it arrives twice, and the second answer counts; or
the process admits one more meanwhile, which only calls of the keeper leave room for."""
MARK = Grant(0, 0)


class Store(ClusterStore):
    """One with no keeper: the test does what that does, when it likes."""

    def _start_keeper(self) -> None:
        pass


@dataclass
class Member:
    """A process with a store, and how many requests it has in flight."""

    store: Store
    messages: list[Grant] = field(default_factory=list)
    in_flight: int = 0
    fault: str = ""
    """What becomes of its next call."""
    answers: int = 0


class Members(RuleBasedStateMachine):
    """A few members of one limit; every call passes through `call`, with its faults."""

    valkey: Valkey
    client: redis.Redis

    @initialize(limit=st.integers(1, 8))
    def begin(self, limit: int) -> None:
        self.name = new_name()
        self.clock = Clock()
        self.configured = self.limit = self.bound = limit
        self.members: list[Member] = []
        self.calls: list[tuple[Ledger, int, dict[str, Any]]] = []
        self.late = self.valkey.store(self.name, limit)
        self.leases: dict[str, float] = {}

    # What processes do.

    @precondition(lambda self: len(self.members) < MOST)
    @rule(limit=st.none() | st.integers(1, 8))
    def start(self, limit: int | None) -> None:
        self.configured = limit or self.configured
        self.add_member(self.configured)

    def add_member(self, limit: int) -> Member:
        made = self.valkey.store(self.name, limit)
        store = Store(
            made._borrower._connector,
            self.name,
            limit,
            lease_time=LEASE,
            on_error="closed",
            clock=self.clock,
        )
        member = Member(store)
        self.members.append(member)
        self.connect(member)
        return member

    def connect(self, member: Member) -> None:
        store = member.store
        send = store.ledger.settle

        def settle(seq: int, **words: Any) -> Terms:
            return self.call(member, send, seq, words)

        store.ledger.settle = settle  # type: ignore[method-assign]
        self.listener_of(member)

    def listener_of(self, member: Member) -> Any:
        ledger = member.store.ledger
        if not hasattr(ledger, "listener"):
            ledger.listener = ledger.listen()  # type: ignore[attr-defined]
            channel = f"{ledger._channels}{member.store.member}"
            while not self.client.publish(channel, "0 0"):
                pass
        return ledger.listener  # type: ignore[attr-defined]

    def call(
        self, member: Member, send: Callable[..., Terms], seq: int, words: dict[str, Any]
    ) -> Terms:
        fault, member.fault = member.fault, ""
        self.calls.append((member.store.ledger, seq, words))
        if fault == "before":
            raise redis.TimeoutError("on purpose")
        terms = send(seq, **words)
        if fault == "entered":
            self.enter(member)
        if fault == "twice":
            terms = send(seq, **words)
        if fault == "after":
            raise redis.TimeoutError("on purpose")
        member.answers += 1
        assert terms.share >= words.get("used", 0), "what is in flight is counted"
        return terms

    def member(self, number: int, fault: str = "") -> Member:
        member = self.members[number % len(self.members)]
        member.fault = fault
        return member

    @precondition(lambda self: self.members)
    @rule(number=NUMBERS, starving=st.booleans(), fault=FAULTS, cost=COSTS)
    def acquire(self, number: int, starving: bool, fault: str, cost: int = 1) -> None:
        member = self.member(number, fault.removeprefix("entered"))
        store, wanted, answers = member.store, member.in_flight + cost, member.answers
        if (wanted <= store.places and store.enter(wanted, cost)) or store.take(
            wanted, cost, starving=starving
        ):
            self.admit(member, cost)
        elif member.answers > answers:
            ledger = self.read()
            missing = wanted - ledger.shares[store.member]
            is_behind = ledger.waiting[:1] not in ([], [store.member])
            assert is_behind or ledger.lent + missing > ledger.limit, "a place was free"

    @precondition(lambda self: any(member.in_flight for member in self.members))
    @rule(number=NUMBERS, queued=st.integers(0, 2), fault=FAULTS, cost=COSTS)
    def release(self, number: int, queued: int, fault: str, cost: int = 1) -> None:
        """With some in the line, of whom the first is admitted if the place stays here."""
        holders = [member for member in self.members if member.in_flight]
        member = holders[number % len(holders)]
        store, member.fault = member.store, fault.removeprefix("entered")
        member.in_flight -= 1
        store.leave(member.in_flight, queued)
        wanted = member.in_flight + cost
        if queued and (store.enter(wanted, cost) or store.take(wanted, cost)):
            self.admit(member, cost)

    @precondition(lambda self: len(self.members) > 1 and any(one.in_flight for one in self.members))
    @rule(number=NUMBERS, other=NUMBERS, queued=st.integers(0, 2), late=st.booleans(), fault=FAULTS)
    def pass_on(self, number: int, other: int, queued: int, late: bool, fault: str) -> None:
        """One waits; another hears so, and has a place that comes free."""
        self.acquire(other, starving=True, fault="")
        self.the_limit_holds()
        for member in self.members:
            member.store.give_back()
        self.release(number, queued=queued, fault=fault)
        self.the_limit_holds()
        if late:
            self.pass_time(0.3)
            self.beat(other, keeps_all=False, fault="")
        self.hear_of_a_grant(other, which=0, again=late, fault="")

    @precondition(lambda self: any(member.in_flight for member in self.members))
    @rule(number=NUMBERS, other=NUMBERS)
    def oversleep(self, number: int, other: int) -> None:
        """Its lease ends, and others take what they like before it is back."""
        self.pass_time(LEASE + 1)
        for _ in range(self.read().limit):
            self.the_limit_holds()
            self.acquire(other, starving=False, fault="")
        self.the_limit_holds()
        self.beat(number, keeps_all=True, fault="")

    @precondition(lambda self: self.members)
    @rule(number=NUMBERS, keeps_all=st.booleans(), fault=FAULTS)
    def beat(self, number: int, keeps_all: bool, fault: str) -> None:
        self.member(number, fault).store.beat(keeps_all=keeps_all)

    @precondition(lambda self: self.members)
    @rule(number=NUMBERS, fault=FAULTS)
    def hear_that_others_wait(self, number: int, fault: str) -> None:
        self.member(number, fault).store.give_back()

    def enter(self, member: Member) -> None:
        if member.store.enter(member.in_flight + 1):
            self.admit(member)

    def admit(self, member: Member, cost: int = 1) -> None:
        member.in_flight += cost
        assert member.store.member in self.read().homes, "its lease has ended"

    @precondition(lambda self: self.members)
    @rule(number=NUMBERS, which=st.integers(0, 9), again=st.booleans(), fault=FAULTS)
    def hear_of_a_grant(self, number: int, which: int, again: bool, fault: str) -> None:
        """Late, in any order, and maybe twice."""
        member = self.member(number, fault)
        self.fetch_messages(member)
        if member.messages:
            which %= len(member.messages)
            grant = member.messages[which] if again else member.messages.pop(which)
            member.store.accept(grant)

    def fetch_messages(self, member: Member) -> None:
        ledger = member.store.ledger
        listener = self.listener_of(member)
        self.client.publish(f"{ledger._channels}{member.store.member}", "0 1")
        while True:
            for message in listener.messages(5.0):
                if message == Grant(0, 1):
                    return
                if message not in (None, MARK):
                    member.messages.append(message)

    @precondition(lambda self: self.members)
    @rule(number=NUMBERS, limit=st.integers(1, 8), fault=FAULTS)
    def resize(self, number: int, limit: int, fault: str) -> None:
        member = self.member(number, fault.removeprefix("entered"))
        answers = member.answers
        try:
            member.store.set_limit(limit)
        except StoreError:
            return
        assert member.answers > answers
        assert member.store.limit == self.read().limit == limit

    @precondition(lambda self: self.members)
    @rule(number=NUMBERS, fault=FAULTS)
    def close(self, number: int, fault: str) -> None:
        """It ends as it should; then it may be used again."""
        member = self.member(number, fault.removeprefix("entered"))
        self.hang_up(member)
        member.store.close()
        member.in_flight = 0

    @precondition(lambda self: self.members)
    @rule(number=NUMBERS, again=st.booleans())
    def crash(self, number: int, again: bool) -> None:
        member = self.member(number)
        self.hang_up(member)
        member.store.ledger.close()
        self.members.remove(member)
        if again:
            member.store.after_fork()
            self.members.append(member)
            member.in_flight, member.messages = 0, []
            self.connect(member)

    def hang_up(self, member: Member) -> None:
        ledger = member.store.ledger
        if hasattr(ledger, "listener"):
            ledger.listener.close()
            del ledger.listener

    # What the network does, and time.

    @precondition(lambda self: self.calls)
    @rule(back=st.integers(0, 7))
    def a_call_comes_late(self, back: int) -> None:
        """Again, or at last; with nobody there any more for the answer."""
        sender, seq, words = self.calls[-1 - back % len(self.calls)]
        Ledger(self.late._borrower._connector, self.name, sender._member).settle(seq, **words)

    @rule(seconds=st.sampled_from(STEPS))
    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        ahead = int(seconds * 1000)
        key = self.key("leases")
        written = self.read()
        for member, until in written.leases.items():
            until -= ahead
            is_nearly_over = 0 < until - written.now < NEARLY_OVER
            self.client.zadd(key, {member: written.now if is_nearly_over else until})
        self.see_whose_lease_has_ended(self.read())

    def see_whose_lease_has_ended(self, written: Written) -> None:
        """What they have in flight goes on, and their places are others' at once.

        The server's own clock goes on between two steps, so it may have ended one that was nearly
        over; a lease that goes before its time, though, is no excuse.
        """
        until = self.leases | written.leases
        ended = {name for name in self.leases if until[name] <= written.now}
        self.bound += sum(one.in_flight for one in self.members if one.store.member in ended)
        self.leases = {name: until[name] for name in written.homes}

    # What must hold.

    def key(self, kind: str) -> str:
        return f"flask-concurrency-guard:{{{self.name}}}:{kind}"

    def read(self) -> Written:
        with self.client.pipeline(transaction=False) as pipeline:  # Nobody else writes.
            pipeline.hgetall(self.key("limit"))
            pipeline.hgetall(self.key("members"))
            pipeline.zrange(self.key("leases"), 0, -1, withscores=True)
            pipeline.zrange(self.key("waiting"), 0, -1)
            pipeline.time()
            limits, members, leases, waiting, (seconds, microseconds) = pipeline.execute()
        shares = {name: int(record.split()[0]) for name, record in members.items()}
        return Written(
            int(limits.get("limit", self.configured)),
            int(limits.get("lent", 0)),
            shares,
            dict(leases),
            waiting,
            {name: int(record.split()[3]) for name, record in members.items()},
            # As exactly as the server reckons it: who has been late for a part of a second is late.
            seconds * 1000 + microseconds // 1000,
        )

    @invariant()
    def the_limit_holds(self) -> None:
        if not hasattr(self, "members"):
            return
        written, now = self.read(), self.clock()
        shares, limit = written.shares, written.limit
        assert shares.keys() == written.leases.keys() >= set(written.waiting)
        assert sum(shares.values()) == written.lent
        assert written.lent + written.lack > limit, "enough is free, and one waits"
        self.bound += max(0, limit - self.limit)
        self.limit = limit
        self.see_whose_lease_has_ended(written)
        in_flight = sum(member.in_flight for member in self.members)
        usable = 0
        uncounted = 0
        for member in self.members:
            borrower = member.store._borrower
            share = shares[borrower.member] if borrower.member in written.homes else 0
            if now < borrower._until:
                assert borrower.places <= share, "it may admit more than it was lent"
                usable += borrower.places
            uncounted += max(0, member.in_flight - share)
        assert in_flight <= self.bound
        assert usable <= self.bound
        self.bound = min(self.bound, max(limit, written.lent) + uncounted)

    def teardown(self) -> None:
        try:
            if hasattr(self, "members"):
                self.all_places_can_be_had()
        finally:
            for member in getattr(self, "members", ()):
                self.hang_up(member)
                member.store.ledger.close()
            if hasattr(self, "late"):
                self.late.close()

    def all_places_can_be_had(self) -> None:
        """Those who died are forgotten, and those who live give back what others need."""
        for member in self.members:
            member.fault = ""
            member.in_flight = 0
            member.store.leave(0, 0)
        for _ in range(3):
            self.pass_time(LEASE / 2)
            for member in self.members:
                member.store.beat()
        for member in self.members:
            member.store.give_back()
        last = self.add_member(self.configured).store
        taken = 0
        while self.can_be_taken(last, taken + 1):
            taken += 1
        assert taken == last.limit

    def can_be_taken(self, store: Store, wanted: int) -> bool:
        for _ in range(2):
            self.clock.now += 1
            if store.take(wanted):
                return True
            for member in self.members[:-1]:
                member.store.give_back()
        return False


@dataclass
class Written:
    """What the server has."""

    limit: int
    lent: int
    shares: dict[str, int]
    leases: dict[str, float]
    """When each ends, in milliseconds."""
    waiting: list[str]
    """In their turn."""
    least: dict[str, int]
    """How many places are of use to each."""
    now: int

    @property
    def lack(self) -> float:
        """Return how many places the first who waits has to be given."""
        if not self.waiting:
            return math.inf
        first = self.waiting[0]
        return max(1, min(self.least[first], self.limit) - self.shares[first])

    @property
    def homes(self) -> set[str]:
        """Return whose lease has not ended."""
        return {name for name, until in self.leases.items() if until > self.now}


@pytest.fixture
def state(valkey: Valkey) -> Iterator[Members]:
    with valkey.client() as client:
        state = type("Machine", (Members,), {"valkey": valkey, "client": client})()
        yield state
        state.teardown()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_limit_holds_and_no_place_is_lost(valkey: Valkey) -> None:
    with valkey.client() as client:
        run_state_machine_as_test(
            type("Machine", (Members,), {"valkey": valkey, "client": client}),
            settings=settings(max_examples=200, stateful_step_count=40, deadline=None),
        )


def test_a_call_that_comes_twice_does_no_more_than_one(state: Members) -> None:
    state.begin(limit=5)
    state.start(limit=None)
    state.start(limit=None)
    state.acquire(number=0, starving=False, fault="")
    state.acquire(number=1, starving=False, fault="")
    state.a_call_comes_late(back=1)
    state.the_limit_holds()


def test_who_is_cut_off_keeps_what_it_tells_that_it_keeps(state: Members) -> None:
    state.begin(limit=8)
    state.start(limit=None)
    state.acquire(number=0, starving=False, fault="")
    state.beat(number=0, keeps_all=True, fault="before")
    state.hear_that_others_wait(number=0, fault="after")
    state.the_limit_holds()


def test_who_does_not_hear_of_a_lower_limit_admits_no_more_than_it_has(state: Members) -> None:
    state.begin(limit=7)
    state.start(limit=None)
    state.acquire(number=0, starving=False, fault="")
    state.resize(number=0, limit=1, fault="after")
    state.the_limit_holds()


def test_a_place_that_may_have_been_taken_away_is_not_used(state: Members) -> None:
    state.begin(limit=2)
    state.start(limit=None)
    state.start(limit=None)
    state.acquire(number=0, starving=False, fault="")
    state.acquire(number=0, starving=False, fault="")
    state.acquire(number=1, starving=True, fault="")
    state.hear_that_others_wait(number=0, fault="")
    state.pass_time(seconds=0.3)
    state.release(number=0, queued=1, fault="after")
    state.the_limit_holds()


def test_places_are_others_from_the_moment_on_that_a_lease_ends(state: Members) -> None:
    state.begin(limit=1)
    state.start(limit=None)
    state.start(limit=None)
    state.acquire(number=0, starving=False, fault="")
    state.the_limit_holds()
    state.pass_time(seconds=0.5 * LEASE)
    state.pass_time(seconds=0.5 * LEASE)
    state.the_limit_holds()
    state.acquire(number=1, starving=False, fault="")
    assert [member.in_flight for member in state.members] == [1, 1]
    state.the_limit_holds()


def test_a_late_call_returns_nothing_to_one_whose_lease_has_ended(state: Members) -> None:
    state.begin(limit=2)
    state.start(limit=None)
    state.start(limit=None)
    state.acquire(number=0, starving=False, fault="")
    state.acquire(number=0, starving=False, fault="")
    state.beat(number=0, keeps_all=True, fault="")
    state.release(number=0, queued=0, fault="")
    state.the_limit_holds()
    state.pass_time(seconds=LEASE + 1)
    state.acquire(number=1, starving=False, fault="")
    state.acquire(number=1, starving=False, fault="")
    state.the_limit_holds()
    state.a_call_comes_late(back=2)  # That of the beat, which said that there were two in flight.
    state.acquire(number=0, starving=False, fault="")
    assert [member.in_flight for member in state.members] == [1, 2]
    state.the_limit_holds()


def test_a_grant_that_comes_late_is_not_used(state: Members) -> None:
    state.begin(limit=1)
    state.start(limit=None)
    state.start(limit=None)
    state.acquire(number=0, starving=False, fault="")
    state.acquire(number=1, starving=True, fault="")
    state.hear_that_others_wait(number=0, fault="")
    state.release(number=0, queued=0, fault="")
    state.pass_time(seconds=0.3)
    state.beat(number=1, keeps_all=False, fault="")
    state.fetch_messages(state.members[1])
    assert state.members[1].messages
    state.acquire(number=0, starving=False, fault="")
    state.acquire(number=1, starving=True, fault="")
    state.hear_of_a_grant(number=1, which=0, again=False, fault="")
    state.the_limit_holds()
