from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import request_admitted
from flask_concurrency_guard import request_queued
from flask_concurrency_guard import request_rejected
from flask_concurrency_guard import request_released

SIGNALS = (request_admitted, request_queued, request_rejected, request_released)


def make_app(**config: Any) -> Flask:
    app = Flask(__name__)
    app.config.update({"CONCURRENCY_GUARD_" + key: value for key, value in config.items()})
    ConcurrencyGuard(app)
    app.add_url_rule("/", "index", lambda: "hello")
    return app


@pytest.fixture
def heard() -> Iterator[list[tuple[str, Any, dict[str, Any]]]]:
    """What the signals told: name, sender, details."""
    told: list[tuple[str, Any, dict[str, Any]]] = []
    receivers = []
    for signal in SIGNALS:

        def receive(sender: Any, _name: str = signal.name, **details: Any) -> None:
            told.append((_name, sender, details))

        signal.connect(receive)
        receivers.append(receive)
    yield told
    for signal, receive in zip(SIGNALS, receivers, strict=True):
        signal.disconnect(receive)


def test_an_admitted_request(heard: Any) -> None:
    app = make_app()
    with app.test_client().get("/"):
        assert [name for name, _, _ in heard] == ["request-admitted"]
    assert [name for name, _, _ in heard] == ["request-admitted", "request-released"]
    assert all(sender is app for _, sender, _ in heard)
    admitted, released = heard[0][2], heard[1][2]
    assert admitted["environ"]["PATH_INFO"] == "/"
    assert admitted["lease"] is released["lease"]
    assert released["environ"] is admitted["environ"]
    assert released["lease"].held > 0


def test_a_rejected_request(heard: Any) -> None:
    app = make_app(LIMIT=1, MAX_WAIT=0)
    client = app.test_client()
    with client.get("/"):
        client.get("/", query_string={"second": 1})
    rejected = [details for name, _, details in heard if name == "request-rejected"]
    assert len(rejected) == 1
    assert rejected[0]["rejection"].reason == "limit"
    assert rejected[0]["rejection"].enforced
    assert rejected[0]["environ"]["QUERY_STRING"] == "second=1"


def test_a_request_that_waits(heard: Any) -> None:
    app = make_app(LIMIT=1, MAX_WAIT=0.001)
    client = app.test_client()
    with client.get("/"):
        client.get("/")
    names = [name for name, _, _ in heard]
    assert names == ["request-admitted", "request-queued", "request-rejected", "request-released"]
    assert heard[2][2]["rejection"].reason == "queue_timeout"


@pytest.mark.parametrize("wait", [0, 1e-9], ids=["nobody may wait", "the time is up"])
def test_a_request_that_shadow_mode_would_reject(heard: Any, wait: float) -> None:
    app = make_app(LIMIT=1, MAX_WAIT=wait, MODE="shadow")
    client = app.test_client()
    first = client.get("/")
    second = client.get("/")
    second.close()
    first.close()
    rejected = [details for name, _, details in heard if name == "request-rejected"]
    assert len(rejected) == 1
    assert not rejected[0]["rejection"].enforced
    assert rejected[0]["rejection"].reason == ("queue_timeout" if wait else "limit")
    assert rejected[0]["environ"]["PATH_INFO"] == "/"


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_a_receiver_that_raises_is_logged_and_harms_nobody(
    signal: Any, heard: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def receive(sender: Any, **extra: Any) -> None:
        raise ValueError("no")

    app = make_app(LIMIT=1, MAX_WAIT=0.001)
    client = app.test_client()
    with signal.connected_to(receive, app), caplog.at_level(logging.ERROR):
        with client.get("/") as response:
            assert response.status_code == 200
            assert client.get("/").status_code == 503
        assert client.get("/").text == "hello"
    assert app.extensions["concurrency_guard"].limiter.in_flight == 0
    messages = {record.getMessage() for record in caplog.records}
    assert messages == {f"A receiver of the signal '{signal.name}' raised; going on."}
    # The others were told all the same.
    assert signal.name in {name for name, _, _ in heard}


def test_a_receiver_that_ends_everything_does_not_keep_the_lease() -> None:
    def receive(sender: Any, **extra: Any) -> None:
        raise KeyboardInterrupt

    app = make_app(LIMIT=1)
    with request_admitted.connected_to(receive, app), pytest.raises(KeyboardInterrupt):
        app.test_client().get("/")
    gc.collect()
    assert app.extensions["concurrency_guard"].limiter.in_flight == 0
