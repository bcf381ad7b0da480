"""The script that lends, by itself: what each member is told, and what is kept on the server."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from core_support import wait_until
from valkey_server import PATIENT
from valkey_server import Valkey
from valkey_server import new_name

from flask_concurrency_guard.core.cluster.address import read_url
from flask_concurrency_guard.core.cluster.connect import Connector
from flask_concurrency_guard.core.cluster.ledger import KEYS
from flask_concurrency_guard.core.cluster.ledger import Grant
from flask_concurrency_guard.core.cluster.ledger import Ledger
from flask_concurrency_guard.core.cluster.ledger import Listener
from flask_concurrency_guard.core.cluster.ledger import Terms

LEASE = 1000.0
"""So long that none ends by itself during a test."""
DAY = 86_400_000
ALL = 99
"""More than anybody has."""


class Book:
    """A limit on the server: its members, and what is written there."""

    def __init__(self, client: redis.Redis, connector: Connector) -> None:
        self.name = new_name()
        self.client = client
        self.connector = connector
        self.listeners: list[Listener] = []

    def key(self, kind: str) -> str:
        return f"flask-concurrency-guard:{{{self.name}}}:{kind}"

    @property
    def keys(self) -> list[str]:
        return [self.key(kind) for kind in KEYS]

    def member(self, name: str, limit: int = 10) -> Member:
        return Member(self, name, limit)

    def shares(self) -> dict[str, int]:
        records = self.client.hgetall(self.key("members"))
        return {name: int(record.split()[0]) for name, record in records.items()}

    def lack(self, name: str) -> int:
        """Return how many places one who waits has to be given."""
        share, _, _, least = map(int, self.client.hget(self.key("members"), name).split())
        return max(1, min(least, self.limit()) - share)

    def lent(self) -> int:
        return int(self.client.hget(self.key("limit"), "lent"))

    def limit(self) -> int:
        return int(self.client.hget(self.key("limit"), "limit"))

    def waiting(self) -> list[str]:
        return list(self.client.zrange(self.key("waiting"), 0, -1))

    def pass_time(self, seconds: float, *members: str) -> None:
        """Let the leases of these, or of all, be so much older by the server's clock."""
        leases = self.key("leases")
        for name, until in self.client.zrange(leases, 0, -1, withscores=True):
            if not members or name in members:
                self.client.zadd(leases, {name: until - seconds * 1000})

    def written(self) -> list[Any]:
        """Return all there is, but for when the leases end."""
        record = self.client.hgetall(self.key("limit"))
        record.pop("said", None)
        return [record, self.client.hgetall(self.key("members")), self.waiting()]

    def check(self) -> None:
        assert self.lent() == sum(self.shares().values())
        assert set(self.client.zrange(self.key("leases"), 0, -1)) == set(self.shares())
        assert set(self.waiting()) <= set(self.shares())


class Member:
    """One that calls, with the next number each time unless told another."""

    def __init__(self, book: Book, name: str, limit: int) -> None:
        self.book = book
        self.name = name
        self.limit = limit
        self.seq = 0
        self.ledger = Ledger(book.connector, book.name, name)

    def call(self, *, seq: int | None = None, **words: Any) -> Terms:
        if seq is None:
            self.seq = seq = self.seq + 1
        words = {"lease_time": LEASE, "limit": self.limit, **words}
        return self.ledger.settle(seq, **words)

    def listen(self) -> Listener:
        """Return a listener that is heard already."""
        listener = self.ledger.listen()
        self.book.listeners.append(listener)
        heard: list[Grant | None] = []

        def is_heard() -> bool:
            self.book.client.publish(f"{self.ledger._channels}{self.name}", "0 0")
            heard.extend(listener.messages(0.1))
            return bool(heard)

        wait_until(is_heard)
        while list(listener.messages(0.05)):
            pass
        return listener


@pytest.fixture
def book(valkey: Valkey) -> Iterator[Book]:
    connector = Connector(read_url(valkey.url), PATIENT)
    with valkey.client() as client:
        book = Book(client, connector)
        yield book
        for listener in book.listeners:
            listener.close()
    connector.close()


def heard(listener: Listener) -> list[Grant | None]:
    """Return all that has been said."""
    said = []
    wait_until(lambda: bool(said) or bool(said.extend(listener.messages(1.0)) or said))
    return said


def is_silent(listener: Listener, book: Book, member: Member) -> bool:
    """Return whether nothing was said before what is said now."""
    book.client.publish(f"{member.ledger._channels}{member.name}", "7 7")
    return heard(listener) == [Grant(7, 7)]


# What one member is told.


def test_a_member_gets_what_it_wants(book: Book) -> None:
    assert book.member("a").call(wanted=1, keep=0) == Terms(share=5, limit=10, waiting=0, members=1)
    book.check()


def test_who_wants_nothing_gets_nothing(book: Book) -> None:
    assert book.member("a").call() == Terms(share=0, limit=10, waiting=0, members=1)


def test_blocks_get_smaller_as_less_is_left(book: Book) -> None:
    a = book.member("a", limit=64)
    blocks, used = [], 0
    while used < 64:
        share = a.call(used=used, wanted=used + 1).share
        blocks.append(share - used)
        used = share
    assert blocks == [32, 16, 8, 4, 2, 1, 1]
    assert a.call(used=used, wanted=used + 1).share == 64


def test_blocks_are_smaller_the_more_members_there_are(book: Book) -> None:
    members = [book.member(name, limit=101) for name in "abcd"]
    for member in members:
        member.call()
    assert [member.call(wanted=1).share for member in members] == [13, 11, 10, 9]


def test_what_a_member_does_not_keep_is_taken_back(book: Book) -> None:
    a = book.member("a")
    assert a.call(wanted=10).share == 10
    assert a.call(used=3, keep=4).share == 4
    assert book.lent() == 4
    assert a.call(used=3, keep=0).share == 3  # What is in flight is kept in any case.


def test_who_leaves_gives_all_back_and_is_forgotten(book: Book) -> None:
    a, b = book.member("a"), book.member("b")
    a.call(wanted=10)
    b.call(wanted=1, waits=True)
    assert book.shares() == {"a": 10, "b": 0}
    assert a.call(lease_time=0.0).share == 0
    assert book.shares() == {"b": 1}
    book.check()


# Calls that come twice, or late.


@pytest.mark.parametrize(
    "words",
    [
        {"wanted": 1},
        {"used": 2, "wanted": 5},
        {"used": 2, "keep": 3},
        {"used": 1, "wanted": 2, "waits": True},
        {"used": 2, "limit": 7, "sets_limit": "always"},
    ],
    ids=["ask", "ask-more", "give-back", "wait", "set-limit"],
)
def test_a_call_that_comes_twice_does_no_more_than_one(book: Book, words: dict[str, Any]) -> None:
    book.member("other").call(used=2, wanted=4)
    a = book.member("a")
    a.call(used=2, wanted=3)
    first = a.call(**words)
    written = book.written()
    # The second time, it is told no less; with more left to others, nor more than that.
    again = a.call(seq=a.seq, **words)
    assert again == first
    assert book.written() == written
    book.check()


def test_the_call_of_one_who_waits_keeps_its_turn_when_it_comes_twice(book: Book) -> None:
    holder, a, b = (book.member(name, limit=1) for name in ("holder", "a", "b"))
    holder.call(used=1)
    for _ in range(2):
        a.call(seq=1, wanted=1, waits=True)
        b.call(seq=1, wanted=1, waits=True)
    assert book.waiting() == ["a", "b"]


def test_a_place_given_way_is_given_once_though_the_call_comes_twice(book: Book) -> None:
    rich, a, b = (book.member(name, limit=3) for name in ("rich", "a", "b"))
    rich.call(used=3)
    a.call(wanted=1, waits=True)
    b.call(wanted=1, waits=True)
    words = {"used": 2, "keep": 3, "gives_way": True}
    assert rich.call(**words).share == 2
    assert rich.call(seq=rich.seq, **words).share == 2
    assert book.shares() == {"rich": 2, "a": 1, "b": 0}


@pytest.mark.parametrize(
    "late",
    [
        {"used": 0, "keep": 0},
        {"used": 9, "wanted": 10},
        {"used": 1, "wanted": 2, "waits": True},
        {"used": 1, "keep": 2, "gives_way": True},
        {"limit": 3, "sets_limit": "always"},
        {"limit": 3, "sets_limit": "configured"},
        {"lease_time": 0.0},
    ],
    ids=["gives-back", "claims", "waits", "gives-way", "sets-limit", "configures", "leaves"],
)
def test_a_late_call_changes_nothing(book: Book, late: dict[str, Any]) -> None:
    a, b = book.member("a"), book.member("b")
    b.call(used=7)
    a.call(seq=5, used=2, wanted=3)
    b.call(used=7, wanted=9, waits=True)
    written = book.written()
    until = book.client.zscore(book.key("leases"), "a")
    assert a.call(seq=4, **late) == Terms(share=3, limit=10, waiting=2, members=2)
    assert book.written() == written
    assert book.client.zscore(book.key("leases"), "a") == until


def test_a_late_call_of_one_who_waits_leaves_it_its_turn(book: Book) -> None:
    holder, a = book.member("holder", limit=1), book.member("a", limit=1)
    holder.call(used=1)
    a.call(seq=5, wanted=1, waits=True)
    a.call(seq=4)
    assert book.waiting() == ["a"]


# What ends, by the server's clock.


def test_a_lease_that_has_ended_is_lent_to_others(book: Book) -> None:
    a, b = book.member("a"), book.member("b")
    assert a.call(wanted=10).share == 10
    book.pass_time(LEASE - 100)
    assert b.call(wanted=1).share == 0
    book.pass_time(200, "a")
    assert b.call(wanted=10).share == 10
    assert book.shares() == {"b": 10}
    book.check()


def test_who_waited_and_ended_waits_no_more(book: Book) -> None:
    holder, a, b = (book.member(name, limit=1) for name in ("holder", "a", "b"))
    holder.call(used=1)
    a.call(wanted=1, waits=True)
    b.call(wanted=1, waits=True)
    book.pass_time(LEASE + 1, "a")
    holder.call(used=1)
    assert book.waiting() == ["b"]
    holder.call()
    assert book.shares() == {"holder": 0, "b": 1}


def test_a_renewal_is_from_the_call_on(book: Book) -> None:
    a, b = book.member("a"), book.member("b")
    for _ in range(3):
        assert a.call(wanted=10).share == 10
        book.pass_time(0.9 * LEASE)
    assert b.call(wanted=1).share == 0


@pytest.mark.parametrize("used", [0, 1, 4])
def test_a_renewal_revives_nothing_that_has_ended(book: Book, used: int) -> None:
    a = book.member("a")
    a.call(used=8)
    book.pass_time(LEASE + 1)
    assert a.call(used=used, keep=8, wanted=used).share == used
    book.check()


def test_a_renewal_takes_nothing_from_those_who_borrowed_since(book: Book) -> None:
    a, b = book.member("a"), book.member("b")
    a.call(wanted=10)
    book.pass_time(LEASE + 1)
    b.call(used=6, wanted=6)
    assert a.call(used=3, keep=10, wanted=3).share == 3
    assert book.shares() == {"a": 3, "b": 6}


@pytest.mark.parametrize("ends_early", [False, True])
def test_the_lease_is_as_long_as_the_member_says(book: Book, ends_early: bool) -> None:
    a = book.member("a")
    a.call(lease_time=3.0 if ends_early else 30.0, used=1)
    book.pass_time(10.0)
    book.member("b").call()
    assert ("a" in book.shares()) is not ends_early


# What is in flight beyond the limit.


def test_what_is_used_is_honoured_beyond_the_limit_and_drains_first(book: Book) -> None:
    a, b, c = (book.member(name, limit=4) for name in "abc")
    assert a.call(used=6).share == 6
    assert b.call(used=3, wanted=4, waits=True).share == 3
    assert book.lent() == 9
    assert c.call(wanted=1, waits=True).share == 0
    for used in (5, 4, 3, 2, 1):
        assert a.call(used=used).share == used
        assert book.shares()["b"] == 3
        assert book.shares()["c"] == 0
        assert c.call(wanted=1, waits=True).share == 0
    assert a.call(used=0).share == 0  # The first that is given: to who came first.
    assert book.shares() == {"a": 0, "b": 4, "c": 0}
    book.check()


def test_who_has_more_than_it_uses_gives_it_up_when_the_limit_falls(book: Book) -> None:
    a, b = book.member("a"), book.member("b")
    a.call(used=6)
    a.call(used=2, keep=6)
    b.call(used=4)
    b.call(used=4, limit=5, sets_limit="always")
    assert book.lent() == 10
    # What it keeps it may use before it has the answer, unless it says otherwise.
    assert a.call(used=2, keep=ALL).share == 6
    assert a.call(used=2, keep=ALL, gives_way=True).share == 2
    assert b.call(used=4).share == 4
    assert a.call(used=1).share == 1
    assert a.call(used=1, wanted=2).share == 1
    book.check()


def test_no_more_is_taken_than_is_too_much(book: Book) -> None:
    a = book.member("a")
    a.call(used=2, wanted=10)
    book.member("b").call(limit=7, sets_limit="always")
    assert a.call(used=2, keep=ALL, gives_way=True).share == 7


# Who waits.


def test_who_waits_is_served_in_turn(book: Book) -> None:
    holder = book.member("holder", limit=3)
    holder.call(used=3)
    names = ["d", "a", "c", "b"]
    for name in names:
        assert book.member(name, limit=3).call(wanted=1, waits=True).share == 0
    assert book.waiting() == names
    for used, served in ((2, {"d"}), (0, {"d", "a", "c"})):
        holder.call(used=used)
        assert {name for name, share in book.shares().items() if share and name in names} == served
    assert book.waiting() == ["b"]
    book.check()


def test_who_comes_does_not_overtake_who_waits(book: Book) -> None:
    holder, a, b = (book.member(name, limit=2) for name in ("holder", "a", "b"))
    holder.call(used=2)
    a.call(wanted=2, waits=True)
    holder.call(used=1)
    assert book.shares()["a"] == 1
    a.call(used=1, wanted=2, waits=True)
    assert b.call(wanted=1).share == 0
    assert holder.call(used=0).share == 0
    assert book.shares() == {"holder": 0, "a": 2, "b": 0}


def test_who_waits_is_given_a_place_by_its_own_call(book: Book) -> None:
    holder, a = book.member("holder", limit=1), book.member("a", limit=1)
    holder.call(used=1)
    a.call(wanted=1, waits=True)
    book.pass_time(LEASE + 1, "holder")
    assert a.call(wanted=1, waits=True).share == 1
    assert book.waiting() == []


def test_who_waits_no_longer_is_given_nothing(book: Book) -> None:
    holder, a, b = (book.member(name, limit=1) for name in ("holder", "a", "b"))
    holder.call(used=1)
    a.call(wanted=1, waits=True)
    b.call(wanted=1, waits=True)
    a.call()
    holder.call(used=0)
    assert book.shares() == {"holder": 0, "a": 0, "b": 1}


def test_who_does_not_wait_is_not_put_in_line(book: Book) -> None:
    holder, a = book.member("holder", limit=1), book.member("a", limit=1)
    holder.call(used=1)
    assert a.call(wanted=1).share == 0
    assert book.waiting() == []


def test_the_answer_says_how_many_others_wait(book: Book) -> None:
    holder, a, b = (book.member(name, limit=1) for name in ("holder", "a", "b"))
    assert holder.call(used=1).waiting == 0
    # And one more where there is not one left for each of the others.
    assert a.call(wanted=1, waits=True).waiting == 1
    assert holder.call(used=1).waiting == 2
    assert b.call(wanted=1, waits=True).waiting == 2
    assert holder.call(used=1).waiting == 3


def test_a_place_is_kept_for_each_other_member(book: Book) -> None:
    a, b, c = (book.member(name, limit=4) for name in "abc")
    b.call()
    c.call()
    assert a.call(used=2, wanted=2).waiting == 0
    assert a.call(used=3, wanted=3).waiting == 1


def test_who_gives_way_gives_one_place_to_the_first_that_has_less(book: Book) -> None:
    rich, same, poor = (book.member(name, limit=6) for name in ("rich", "same", "poor"))
    rich.call(used=3)
    same.call(used=3)
    same.call(used=3, wanted=4, waits=True)
    poor.call(wanted=2, waits=True)
    assert rich.call(used=1, keep=3, gives_way=True).share == 2
    assert book.shares() == {"rich": 2, "same": 3, "poor": 1}
    assert book.waiting() == ["same"]
    book.check()


def test_who_gives_way_keeps_what_is_in_flight(book: Book) -> None:
    rich, poor = book.member("rich", limit=3), book.member("poor", limit=3)
    rich.call(used=3)
    poor.call(wanted=1, waits=True)
    assert rich.call(used=3, keep=ALL, gives_way=True).share == 3
    assert book.shares()["poor"] == 0


def test_who_gives_way_keeps_its_places_where_all_have_as_much(book: Book) -> None:
    rich, same = book.member("rich", limit=4), book.member("same", limit=4)
    rich.call(used=2)
    same.call(used=2, wanted=3, waits=True)
    assert rich.call(used=1, keep=2, gives_way=True).share == 2


def test_who_does_not_give_way_keeps_its_places(book: Book) -> None:
    rich, poor = book.member("rich", limit=3), book.member("poor", limit=3)
    rich.call(used=3)
    poor.call(wanted=1, waits=True)
    assert rich.call(used=1, keep=3).share == 3


def test_who_waits_for_more_than_is_left_gets_what_is_left(book: Book) -> None:
    holder, a = book.member("holder", limit=3), book.member("a", limit=3)
    holder.call(used=2)
    assert a.call(wanted=2, waits=True).share == 1
    assert book.waiting() == ["a"]
    book.check()


def test_who_needs_several_places_gets_all_of_them_or_none(book: Book) -> None:
    holder, a, b = (book.member(name, limit=4) for name in ("holder", "a", "b"))
    holder.call(used=3)
    assert a.call(wanted=2, need=2).share == 0
    assert a.call(wanted=2, need=2, waits=True).share == 0
    assert b.call(wanted=1).share == 0  # It would overtake who waits.
    holder.call(used=2)
    assert book.shares() == {"holder": 2, "a": 2, "b": 0}
    assert book.waiting() == []
    book.check()


def test_what_is_given_way_adds_up_for_who_needs_several_places(book: Book) -> None:
    holder, a = book.member("holder", limit=3), book.member("a", limit=3)
    holder.call(wanted=3)
    a.call(wanted=2, need=2, waits=True)
    assert holder.call(used=1, keep=3, gives_way=True).share == 2
    assert book.shares()["a"] == 0
    assert holder.call(used=1, keep=2, gives_way=True).share == 1
    assert book.shares()["a"] == 2
    book.check()


def test_who_needs_more_than_the_lower_limit_gets_all_there_is(book: Book) -> None:
    holder, a = book.member("holder", limit=4), book.member("a", limit=4)
    holder.call(used=4)
    a.call(wanted=4, need=4, waits=True)
    holder.call(used=1, limit=2, sets_limit="always")
    assert book.shares()["a"] == 0
    holder.call(used=0)
    assert book.shares()["a"] == 2
    book.check()


def test_those_who_wait_keep_their_turn_when_the_limit_was_lost(book: Book) -> None:
    holder, a, b, c, new = (book.member(name, limit=1) for name in "habcn")
    holder.call(used=1)
    for member in (a, b, c):
        member.call(wanted=1, waits=True)
    book.client.delete(book.key("limit"))
    holder.call(used=1)
    new.call(wanted=1, waits=True)
    assert book.waiting() == ["a", "b", "c", "n"]


# What is said.


def test_a_grant_says_which_call_it_follows_and_the_new_share(book: Book) -> None:
    holder, a = book.member("holder", limit=3), book.member("a", limit=3)
    listener = a.listen()
    holder.call(used=2)
    a.call(seq=41, used=1, wanted=3, waits=True)
    holder.call(used=1)
    assert heard(listener) == [Grant(seq=41, share=2)]
    a.call(seq=42, used=2, wanted=3, waits=True)
    holder.call(used=1, keep=1, gives_way=True)
    assert is_silent(listener, book, a)
    holder.call(used=0)
    assert heard(listener) == [Grant(seq=42, share=3)]


def test_a_place_given_way_is_told(book: Book) -> None:
    rich, poor = book.member("rich", limit=2), book.member("poor", limit=2)
    listener = poor.listen()
    rich.call(used=2)
    poor.call(seq=9, wanted=1, waits=True)
    rich.call(used=1, keep=2, gives_way=True)
    assert heard(listener) == [Grant(seq=9, share=1)]


def test_all_are_told_when_the_first_two_begin_to_wait(book: Book) -> None:
    """The first may have places itself that it has stopped waiting for, and heard of no other."""
    holder, a, b, c = (book.member(name, limit=1) for name in ("holder", "a", "b", "c"))
    listener = holder.listen()
    holder.call(used=1)
    for member in (a, b):
        member.call(wanted=1, waits=True)
        assert heard(listener) == [None]
    c.call(wanted=1, waits=True)
    b.call(wanted=1, waits=True)
    assert is_silent(listener, book, holder)


def test_all_are_told_that_one_found_too_little(book: Book) -> None:
    holder, a = book.member("holder", limit=1), book.member("a", limit=1)
    listener = holder.listen()
    holder.call(used=1)
    a.call(wanted=1)
    assert heard(listener) == [None]


def test_nothing_is_said_where_there_is_enough(book: Book) -> None:
    holder, a = book.member("holder"), book.member("a")
    listener = holder.listen()
    holder.call(used=1, wanted=2)
    a.call(wanted=1, waits=True)
    assert is_silent(listener, book, holder)


# The limit.


def test_a_configured_limit_counts_where_it_is_news(book: Book) -> None:
    assert book.member("a", limit=4).call(sets_limit="configured").limit == 4
    assert book.member("b", limit=6).call(sets_limit="configured").limit == 6
    assert book.member("c", limit=6).call(limit=3, sets_limit="always").limit == 3
    assert book.member("d", limit=6).call(sets_limit="configured").limit == 3
    assert book.member("e", limit=5).call(sets_limit="configured").limit == 5
    assert book.limit() == 5


def test_a_limit_is_never_set_by_a_renewal_but_where_there_is_none(book: Book) -> None:
    a = book.member("a", limit=4)
    assert a.call(sets_limit="never").limit == 4
    assert a.call(sets_limit="never", limit=9).limit == 4
    assert book.limit() == 4


def test_a_limit_that_is_set_is_no_configured_one(book: Book) -> None:
    a = book.member("a", limit=4)
    a.call(sets_limit="configured")
    a.call(sets_limit="always", limit=8)
    assert a.call(sets_limit="configured", limit=8).limit == 8
    assert book.client.hget(book.key("limit"), "configured") == "8"
    assert a.call(sets_limit="configured", limit=4).limit == 4


def test_a_higher_limit_is_for_those_who_wait_first(book: Book) -> None:
    holder, a, b = (book.member(name, limit=1) for name in ("holder", "a", "b"))
    holder.call(used=1)
    a.call(wanted=1, waits=True)
    b.call(wanted=1, waits=True)
    assert holder.call(used=1, wanted=2, limit=2, sets_limit="always").share == 1
    assert book.shares() == {"holder": 1, "a": 1, "b": 0}


# What is kept.


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_that_was_lost_is_made_anew(book: Book, kind: str) -> None:
    members = [book.member(name, limit=6) for name in "abc"]
    for member in members[:2]:
        member.call(used=2, wanted=3)
    members[2].call(wanted=1, waits=True)
    assert book.client.delete(book.key(kind)) == 1
    # Each says what it has in flight with its next call.
    for member, used in zip(members, (2, 2, 0), strict=True):
        assert member.call(used=used, wanted=used + (not used), waits=not used).share >= used
        book.check()
    assert book.limit() == 6
    assert book.lent() <= 6
    for member in members:
        member.call(keep=0)
    assert members[0].call(wanted=6).share == 6


@pytest.mark.parametrize("kind", ["limit", "waiting"])
def test_no_place_is_lent_twice_where_only_a_sum_was_lost(book: Book, kind: str) -> None:
    a, b, c = (book.member(name, limit=6) for name in "abc")
    a.call(used=3)
    b.call(used=3)
    c.call(wanted=1, waits=True)
    book.client.delete(book.key(kind))
    assert c.call(wanted=1, waits=True).share == 0
    assert book.lent() == 6
    book.check()


def test_nothing_is_kept_for_longer_than_a_day(book: Book) -> None:
    a, b = book.member("a", limit=1), book.member("b", limit=1)
    a.call(used=1)
    b.call(wanted=1, waits=True)
    assert sorted(book.client.keys(f"*{{{book.name}}}*")) == sorted(book.keys)
    for key in book.keys:
        assert DAY - 60_000 < book.client.pttl(key) <= DAY
        book.client.persist(key)
    a.call(used=1)
    for key in book.keys:
        assert DAY - 60_000 < book.client.pttl(key) <= DAY


def test_keys_are_kept_for_as_long_as_a_lease_at_least(book: Book) -> None:
    book.member("a").call(used=1, lease_time=90_000.0)
    assert book.client.pttl(book.key("members")) > 90_000_000


def test_a_call_touches_no_other_key(book: Book, valkey: Valkey) -> None:
    """In a cluster they are all on one node, and all are named beforehand."""
    other = Book(book.client, book.connector)
    other.member("a").call(used=3)
    written = other.written()
    book.member("a").call(used=5)
    assert other.written() == written
    hashes = {book.client.execute_command("CLUSTER KEYSLOT", key) for key in book.keys}
    assert len(hashes) == 1


@pytest.mark.parametrize("seed", range(12))
def test_the_sum_is_that_of_the_shares_whatever_is_called(book: Book, seed: int) -> None:
    chance = random.Random(seed)
    limit = chance.randint(1, 12)
    members = [book.member(str(number), limit) for number in range(chance.randint(2, 5))]
    for _ in range(80):
        member = chance.choice(members)
        what = chance.random()
        if what < 0.05:
            book.pass_time(LEASE + 1, member.name)
        elif what < 0.1:
            book.client.delete(book.key(chance.choice(KEYS)))
        used, need = chance.randint(0, 3), chance.choice((1, 1, 2, 3))
        words = {
            "used": used,
            "keep": used + chance.randint(0, 3),
            "wanted": used + chance.choice((0, need)),
            "need": need,
            "waits": chance.random() < 0.5,
            "gives_way": chance.random() < 0.3,
            "limit": chance.randint(1, 12),
            "sets_limit": chance.choice(("configured", "always", "never", "never", "never")),
        }
        if what > 0.95:
            words = {"lease_time": 0.0}
        terms = member.call(seq=member.seq if 0.8 < what < 0.9 else None, **words)
        book.check()
        assert terms.limit == book.limit()
        assert terms.share == book.shares().get(member.name, 0)
        for first in book.waiting()[:1]:
            assert book.lent() + book.lack(first) > book.limit(), "enough is free, and one waits"


def test_the_members_are_those_whose_lease_goes_on(book: Book) -> None:
    a, b, c = (book.member(name) for name in "abc")
    assert a.ledger.members() == (None, ())
    a.call(used=2, wanted=3)
    b.call(used=1)
    c.call(used=1)
    book.pass_time(LEASE + 1, "b")
    limit, members = a.ledger.members()
    assert limit == 10
    assert [(one.name, one.places, one.in_flight) for one in members] == [("a", 6, 2), ("c", 1, 1)]
