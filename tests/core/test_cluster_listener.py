"""What a member hears, and how it notices that nobody says anything any more."""

from __future__ import annotations

from collections import deque

import pytest
from core_support import Clock

from flask_concurrency_guard.core.cluster.address import read_url
from flask_concurrency_guard.core.cluster.connect import Connector
from flask_concurrency_guard.core.cluster.ledger import Grant
from flask_concurrency_guard.core.cluster.ledger import Listener
from flask_concurrency_guard.core.cluster.store import ClusterStore

PONG = {"type": "pong", "channel": None, "data": b""}


class PubSub:
    """What has been said is what the test says."""

    def __init__(self) -> None:
        self.said: deque[dict[str, object]] = deque()
        self.pings = 0

    def get_message(self, timeout: float) -> dict[str, object] | None:
        return self.said.popleft() if self.said else None

    def ping(self) -> None:
        self.pings += 1


def message(channel: bytes, data: bytes) -> dict[str, object]:
    return {"type": "message", "channel": b"guard:{shop}:" + channel, "data": data}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pubsub() -> PubSub:
    return PubSub()


@pytest.fixture
def listener(pubsub: PubSub, clock: Clock) -> Listener:
    return Listener(pubsub, ignored="me", patience=3.0, clock=clock)


def test_what_others_say_is_heard_and_what_it_says_itself_is_not(
    listener: Listener, pubsub: PubSub
) -> None:
    pubsub.said += [message(b"short", b"me"), message(b"me", b"1 2 3"), message(b"short", b"other")]
    assert list(listener.messages(0.0)) == [Grant(1, 2, 3), None]


def test_who_hears_something_does_not_ask(listener: Listener, pubsub: PubSub, clock: Clock) -> None:
    for _ in range(5):
        clock.now += 2.9
        pubsub.said.append(message(b"short", b"other"))
        assert list(listener.messages(0.0)) == [None]
    clock.now += 2.9
    assert list(listener.messages(0.0)) == []
    assert pubsub.pings == 0


def test_a_server_that_answers_is_asked_after_each_silence(
    listener: Listener, pubsub: PubSub, clock: Clock
) -> None:
    for asked in range(1, 4):
        clock.now += 3.0
        assert list(listener.messages(0.0)) == []
        assert pubsub.pings == asked
        clock.now += 0.1
        pubsub.said.append(PONG)
        assert list(listener.messages(0.0)) == []


def test_a_server_that_does_not_answer_is_not_there(
    listener: Listener, pubsub: PubSub, clock: Clock
) -> None:
    clock.now += 3.0
    assert list(listener.messages(0.0)) == []
    clock.now += 2.9
    assert list(listener.messages(0.0)) == []
    clock.now += 0.1
    with pytest.raises(ConnectionError) as raised:
        list(listener.messages(0.0))
    assert str(raised.value) == "The server doesn't answer where it is listened to."
    assert pubsub.pings == 1


def test_an_answer_counts_that_came_while_this_process_stood_still(
    listener: Listener, pubsub: PubSub, clock: Clock
) -> None:
    clock.now += 3.0
    assert list(listener.messages(0.0)) == []
    pubsub.said.append(PONG)
    clock.now += 1000.0
    assert list(listener.messages(0.0)) == []


@pytest.mark.parametrize(("lease_time", "patience"), [(30.0, 10.0), (0.3, 1.0)])
def test_a_member_is_as_patient_as_its_lease_allows(lease_time: float, patience: float) -> None:
    connector = Connector(read_url("redis://localhost"), 1.0)
    store = ClusterStore(connector, "shop", 8, lease_time=lease_time)
    assert store.ledger._patience == patience
