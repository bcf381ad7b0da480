"""`CONCURRENCY_GUARD_SCOPE = "cluster"`, as an app sees it; `tests/servers` has many workers."""

from __future__ import annotations

import logging
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from core_support import wait_until
from flask import Flask
from support import hold
from support import make_app as make_plain_app
from valkey_server import PATIENT
from valkey_server import Valkey
from valkey_server import new_name

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import ConfigurationError
from flask_concurrency_guard import SetupError
from flask_concurrency_guard import StoreUnavailable
from flask_concurrency_guard import store_failed
from flask_concurrency_guard import store_recovered
from flask_concurrency_guard.observe.overview import all_limits

DOES_NOT_WORK = "'CONCURRENCY_GUARD_SCOPE' is 'cluster', and that doesn't work here."

MakeApp = Callable[..., tuple[Flask, ConcurrencyGuard]]


@pytest.fixture
def make_app(valkey: Valkey) -> Iterator[MakeApp]:
    """Make apps that share a limit; at the end they give back what they have borrowed."""
    made = []
    name = new_name()

    def make(**settings: Any) -> tuple[Flask, ConcurrencyGuard]:
        common = {
            "scope": "cluster",
            "name": name,
            "store_url": valkey.url,
            "store_timeout": PATIENT,
            "lease_time": 10 * PATIENT,
            "max_queue": 0,
            "exempt": ["/exempt/*"],
        }
        app, guard = make_plain_app(**(common | settings))
        made.append(app)
        return app, guard

    yield make
    for app in made:
        app.extensions["concurrency_guard"].limiter._store.close()


@pytest.fixture
def own() -> Iterator[Valkey]:
    """A server that a test may kill."""
    own = Valkey()
    yield own
    own.kill()


def status(app: Flask, path: str = "/x") -> int:
    with app.test_client().get(path) as response:
        return response.status_code


def test_apps_of_one_name_share_the_limit(make_app: MakeApp) -> None:
    (one, guard), (other, _) = make_app(limit=1), make_app(limit=1)
    held = hold(one)
    assert status(other) == 503
    snapshot = guard.snapshot(scope="cluster")
    assert (snapshot.limit, snapshot.error, len(snapshot.members)) == (1, None, 2)
    assert sorted(member.places for member in snapshot.members) == [0, 1]
    held.close()
    wait_until(lambda: status(other) == 200)


def test_apps_of_other_names_do_not(make_app: MakeApp) -> None:
    (one, _), (other, _) = make_app(limit=1), make_app(limit=1, name=new_name())
    held = hold(one)
    assert status(other) == 200
    held.close()


def test_the_limit_is_changed_for_all(make_app: MakeApp) -> None:
    (one, guard), (other, its_guard) = make_app(limit=1), make_app(limit=1)
    held = hold(one)
    assert status(other) == 503
    guard.set_limit(2)
    wait_until(lambda: status(other) == 200)
    assert its_guard.snapshot().limit == its_guard.snapshot(scope="cluster").limit == 2
    held.close()


def test_shadow_mode_admits_and_counts(make_app: MakeApp) -> None:
    (one, _), (other, guard) = make_app(limit=1), make_app(limit=1, mode="shadow")
    held = hold(one)
    assert status(other) == 200
    assert guard.snapshot().rejected["limit"] == 1
    held.close()


def test_nothing_is_connected_before_the_first_request(make_app: MakeApp) -> None:
    with socket.create_server(("127.0.0.1", 0)) as store:
        url = f"redis://127.0.0.1:{store.getsockname()[1]}"
        app, guard = make_app(store_url=url, store_timeout=0.1)
        assert guard.snapshot().in_flight == 0
        assert status(app, "/exempt/x") == 200
        store.setblocking(False)
        with pytest.raises(BlockingIOError):
            store.accept()
        assert status(app) == 200  # it doesn't answer, so by the fallback
        store.accept()[0].close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"name": "x"},
            "Say where the store is: 'CONCURRENCY_GUARD_STORE_URL = \"redis://…\"'.",
        ),
        (
            {"store_url": "redis://localhost"},
            "Say by 'CONCURRENCY_GUARD_NAME' what all who share the limit call it, and nobody else"
            " who uses the same store.",
        ),
        (
            {"name": "x", "store_url": "redis://localhost", "lease_time": 0.4},
            "'CONCURRENCY_GUARD_LEASE_TIME' must be at least 10 times"
            " 'CONCURRENCY_GUARD_STORE_TIMEOUT': a lease of 0.4 s can't be renewed in time.",
        ),
    ],
    ids=["no url", "no name", "short lease"],
)
@pytest.mark.parametrize("by_environment", [False, True], ids=["config", "environment"])
def test_what_is_missing_stops_the_app(
    settings: dict[str, object],
    message: str,
    by_environment: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SetupError) as raised:
        set_up({"scope": "cluster", **settings}, by_environment, monkeypatch)
    assert str(raised.value) == f"{DOES_NOT_WORK} {message}"


def set_up(
    settings: dict[str, object], by_environment: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Flask(__name__)
    for key, value in settings.items():
        if by_environment:
            monkeypatch.setenv(f"FLASK_CONCURRENCY_GUARD_{key.upper()}", str(value))
        else:
            app.config[f"CONCURRENCY_GUARD_{key.upper()}"] = value
    app.config.from_prefixed_env()
    ConcurrencyGuard(app)


@pytest.mark.parametrize("by_environment", [False, True], ids=["config", "environment"])
@pytest.mark.parametrize(
    ("url", "shown", "details"),
    [
        (
            "http://cache",
            "'http://cache'",
            "it begins with none of 'redis://', 'rediss://', 'unix://', 'redis+sentinel://' and"
            " 'redis+cluster://'",
        ),
        ("redis://me:secret@", "'redis://…@'", "it names no host"),
        ("unix://", "'unix://'", "it names no socket"),
        (
            "redis+sentinel://:secret@one,two",
            "'redis+sentinel://…@one,two'",
            "it lacks the name of the service, as in '…:26379/mymaster'",
        ),
    ],
)
def test_a_wrong_url_stops_the_app_and_shows_no_password(
    url: str, shown: str, details: str, by_environment: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"scope": "cluster", "name": "x", "store_url": url}
    with pytest.raises(ConfigurationError) as raised:
        set_up(settings, by_environment, monkeypatch)
    assert str(raised.value) == (
        "'CONCURRENCY_GUARD_STORE_URL' must be a URL such as 'redis://localhost:6379/0', or None,"
        f" got {shown} ({details})."
    )


def test_redis_py_is_asked_for(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(SetupError) as raised:
        make_app()
    assert str(raised.value) == (
        f"{DOES_NOT_WORK} It needs redis-py: 'pip install Flask-Concurrency-Guard[redis]'."
    )


@pytest.mark.parametrize(
    ("scope", "allowed"), [("process", "'process'"), ("host", "'process' or 'host'")]
)
def test_there_is_nothing_to_see_in_another_scope(scope: str, allowed: str, tmp_path: Any) -> None:
    _, guard = make_plain_app(scope=scope, dir=str(tmp_path / "folder"))
    with pytest.raises(SetupError) as raised:
        guard.snapshot(scope="cluster")
    assert str(raised.value) == (
        f"'scope' must be {allowed} for the limit 'default', got 'cluster'."
    )


def test_signals_tell_of_the_store(make_app: MakeApp, own: Valkey) -> None:
    app, guard = make_app(store_url=own.url)
    other, _ = make_app(store_url=own.url, name=new_name())
    told: list[tuple[str, object, str]] = []

    def on_failed(sender: object, error: Exception, **extra: object) -> None:
        told.append(("failed", sender, str(error)))

    def on_recovered(sender: object, **extra: object) -> None:
        told.append(("recovered", sender, ""))

    with (
        store_failed.connected_to(on_failed, sender=app),
        store_recovered.connected_to(on_recovered, sender=app),
        store_failed.connected_to(on_failed, sender=other),
    ):
        held = hold(app)
        own.kill()
        guard_error(guard)
        wait_until(lambda: len(told) == 1)
        own.start()
        wait_until(lambda: len(told) == 2)
    assert [(what, sender) for what, sender, _ in told] == [("failed", app), ("recovered", app)]
    # A call that was on its way sees the connection end.
    assert re.search("Connection (refused|reset|closed)", told[0][2])
    assert guard.snapshot(scope="cluster").error is None
    held.close()


def guard_error(guard: ConcurrencyGuard) -> str:
    """Have the guard find out that the server is gone; return how it says so."""
    with pytest.raises(StoreUnavailable) as raised:
        guard.set_limit(5)
    return str(raised.value)


def test_a_limit_that_cannot_be_changed_stays_what_it_was(make_app: MakeApp) -> None:
    _, guard = make_app(limit=3, store_url="redis://me:secret@127.0.0.1:1/2?protocol=2")
    assert guard_error(guard) == (
        "redis://127.0.0.1:1/2 can't be used now, so the limit is what it was."
    )
    assert guard.snapshot().limit == 3
    snapshot = guard.snapshot(scope="cluster")
    assert snapshot.limit == 3
    assert "Connection refused" in str(snapshot.error)


@pytest.mark.parametrize(
    ("policy", "statuses", "words"),
    [
        ("closed", [503, 503], "nothing"),
        ("local", [200, 503], "1 at once"),
        ("open", [200, 200], "everything"),
    ],
)
def test_without_a_store_the_policy_says_what_to_do(
    make_app: MakeApp,
    caplog: pytest.LogCaptureFixture,
    policy: str,
    statuses: list[int],
    words: str,
) -> None:
    url = "redis://me:secret@127.0.0.1:1/?client_name=secret"
    app, _ = make_app(limit=1, name="mine", store_url=url, on_store_error=policy)
    held = [hold(app, "/x?secret=1") for _ in range(2)]
    assert [response.status_code for response in held] == statuses
    assert status(app, "/exempt/x") == 200
    for response in held:
        response.close()
    start = "redis://127.0.0.1:1/ can't be used for the limit 'mine': Error 111 "

    def told() -> list[str]:
        lines = [record.getMessage() for record in caplog.records]
        return [line for line in lines if line.startswith(start)]

    wait_until(lambda: bool(told()))  # The keeper may be writing it just now.
    (line,) = told()
    assert line.endswith(f". Until it can be, this process admits {words}.")
    assert "secret" not in caplog.text


def test_the_status_says_that_the_store_is_down(make_app: MakeApp, tmp_path: Path) -> None:
    url = "redis://127.0.0.1:1"
    app, _ = make_app(limit=1, store_url=url, status=True, dir=str(tmp_path))
    told = app.extensions["concurrency_guard"].status
    told.publisher._thread = threading.current_thread()
    told.publisher.publish(time.time())
    (limit,) = all_limits(told.read())
    assert (limit.alone, limit.store_error, limit.admits) == (0, None, None)
    assert status(app) == 200
    told.publisher.publish(time.time())
    (limit,) = all_limits(told.read())
    assert (limit.alone, limit.workers, limit.admits) == (1, 1, "1 at once")
    assert str(limit.store_error).startswith("Error 111 ")


def test_query_strings_are_shown_nowhere(
    make_app: MakeApp, valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    app, guard = make_app(limit=1)
    held = hold(app, "/report?secret=1")
    assert status(app, "/report?secret=2") == 503
    assert "secret" not in repr(guard.snapshot(scope="cluster"))
    assert "secret" not in caplog.text
    with valkey.client() as client:
        written = [client.hgetall(key) for key in client.scan_iter(_type="hash")]
    assert written
    assert "secret" not in repr(written)
    held.close()
