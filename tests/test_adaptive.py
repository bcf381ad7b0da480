"""`CONCURRENCY_GUARD_LIMIT = "adaptive"`, as an app sees it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import support
from core_support import wait_until
from flask import Flask
from support import hold

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import ConfigurationError
from flask_concurrency_guard import SetupError
from flask_concurrency_guard.core.algorithms.aimd import AIMD
from flask_concurrency_guard.core.algorithms.guard import Guard
from flask_concurrency_guard.core.algorithms.windowed import Windowed


def make_app(**settings: Any) -> tuple[Flask, ConcurrencyGuard]:
    return support.make_app(**({"limit": "adaptive"} | settings))


linux = pytest.mark.skipif(sys.platform != "linux", reason="host scope needs Linux")


@pytest.fixture
def on_host(tmp_path: Path) -> dict[str, Any]:
    options = {"initial": 1, "min_limit": 1, "max_limit": 3}
    return {
        "scope": "host",
        "dir": str(tmp_path / "host"),
        "max_queue": 0,
        "algorithm": "aimd",
        "algorithm_options": options,
    }


def algorithm_of(app: Flask) -> Any:
    return app.extensions["concurrency_guard"].limiter.tuner.algorithm


def test_it_begins_with_a_limit() -> None:
    app, guard = make_app()
    assert app.test_client().get("/x").status_code == 200
    assert guard.snapshot().limit == 16
    assert guard.snapshot().changes == ()
    assert isinstance(algorithm_of(app), Guard)


def test_options_go_to_the_algorithm() -> None:
    app, guard = make_app(
        algorithm="aimd", algorithm_options={"initial": 3, "min_limit": 2, "backoff": 0.5}
    )
    assert isinstance(algorithm_of(app), AIMD)
    assert guard.snapshot().limit == 3


@pytest.mark.parametrize("window", ["average", 0.9])
def test_a_published_algorithm_can_learn_from_windows(window: object) -> None:
    app, guard = make_app(algorithm="gradient2", algorithm_options={"window": window})
    assert isinstance(algorithm_of(app), Windowed)
    assert guard.snapshot().limit == 20


def test_options_can_come_as_text() -> None:
    _, guard = make_app(algorithm_options='{"initial": 5}')
    assert guard.snapshot().limit == 5


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_what_fails_is_not_served(status: int) -> None:
    app, guard = make_app(algorithm="aimd", algorithm_options={"min_limit": 1})

    @app.get("/busy")
    def busy() -> tuple[str, int]:
        return "busy", status

    app.test_client().get("/busy")
    (change,) = guard.snapshot().changes
    assert (change.before, change.after) == (20, 18)
    assert "dropped" in change.reason


def test_what_ends_with_an_exception_is_not_served() -> None:
    app, guard = make_app(algorithm="aimd", algorithm_options={"min_limit": 1})
    app.testing = True

    @app.get("/broken")
    def broken() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        app.test_client().get("/broken")
    (change,) = guard.snapshot().changes
    assert (change.before, change.after) == (20, 18)


@pytest.mark.parametrize("status", [200, 404])
def test_other_answers_are_served(status: int) -> None:
    app, guard = make_app(algorithm="aimd", algorithm_options={"min_limit": 1, "initial": 1})

    @app.get("/other")
    def other() -> tuple[str, int]:
        return "other", status

    app.test_client().get("/other")
    assert guard.snapshot().limit == 2


def test_a_limit_of_some_requests_learns_what_is_not_served_as_well() -> None:
    options = {"algorithm": "aimd", "algorithm_options": {"min_limit": 1}}
    app, guard = make_app(
        limit=50, limits={"reports": {"limit": "adaptive", "match": "/busy"}}, **options
    )

    @app.get("/busy")
    def busy() -> tuple[str, int]:
        return "busy", 503

    assert app.test_client().get("/busy").data == b"busy"
    (change,) = guard.snapshot(name="reports").changes
    assert (change.before, change.after) == (20, 18)


def test_exempt_requests_tell_nothing() -> None:
    app, guard = make_app(
        algorithm="aimd", algorithm_options={"min_limit": 1, "initial": 1}, exempt=["/healthz"]
    )
    app.test_client().get("/healthz")
    assert guard.snapshot().limit == 1
    app.test_client().get("/x")
    assert guard.snapshot().limit == 2


def test_the_limit_is_a_tag_like_any_other() -> None:
    app, guard = make_app(headers={"limit": "X-Limit"})
    assert app.test_client().get("/x").headers["X-Limit"] == str(guard.snapshot().limit)


def test_more_than_the_limit_wait_or_are_rejected() -> None:
    app, _ = make_app(algorithm_options={"initial": 1}, max_queue=0)
    held = hold(app, "/x")
    assert app.test_client().get("/x").status_code == 503
    held.close()
    assert app.test_client().get("/x").status_code == 200


def test_it_can_be_ended_and_begun_while_serving() -> None:
    app, guard = make_app(algorithm="aimd", algorithm_options={"min_limit": 1, "initial": 1})
    guard.set_limit(7)
    app.test_client().get("/x")
    assert guard.snapshot().limit == 7
    guard.set_limit("adaptive")
    assert guard.snapshot().limit == 1
    app.test_client().get("/x")
    assert guard.snapshot().limit == 2
    with pytest.raises(ValueError, match="must be a positive integer or 'adaptive', got 'adaptiv'"):
        guard.set_limit("adaptiv")  # type: ignore[arg-type]


def test_a_limit_that_is_set_can_be_learned_from_then_on() -> None:
    _, guard = support.make_app(limit=3)
    guard.set_limit("adaptive")
    assert guard.snapshot().limit == 16


def serve_until(app: Flask, condition: Callable[[], bool]) -> None:
    """Serve until what was served was learned from: that is looked for now and then."""

    def serves() -> bool:
        assert app.test_client().get("/x").status_code == 200
        return condition()

    wait_until(serves)


@linux
def test_a_host_learns_one_limit(on_host: dict[str, Any]) -> None:
    (one, _), (other, guard) = make_app(**on_host), make_app(**on_host)
    serve_until(one, lambda: guard.snapshot(scope="host").limit == 3)
    held = [hold(other, "/x") for _ in range(3)]
    assert one.test_client().get("/x").status_code == 503
    for response in held:
        response.close()
    changes = guard.snapshot().changes
    assert [(change.before, change.after) for change in changes] == [(1, 2), (2, 3)]
    assert changes[-1].reason.endswith("1 in flight")


@linux
def test_a_host_can_end_it_and_begin_it_again(on_host: dict[str, Any]) -> None:
    (one, guard), (other, _) = make_app(**on_host), make_app(**on_host)
    guard.set_limit(2)
    one.test_client().get("/x")
    assert guard.snapshot(scope="host").limit == 2
    guard.set_limit("adaptive")
    serve_until(other, lambda: guard.snapshot(scope="host").limit == 3)


@linux
def test_a_host_learns_only_what_all_of_it_learn(on_host: dict[str, Any]) -> None:
    _, guard = make_app(**on_host | {"limit": 3})
    with pytest.raises(SetupError, match="set 'CONCURRENCY_GUARD_LIMIT' to 'adaptive' for them"):
        guard.set_limit("adaptive")


@linux
def test_wrong_options_are_told_on_a_host_as_well(on_host: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="'most' is not an option of 'aimd'"):
        make_app(**on_host | {"algorithm_options": {"most": 5}})


def test_a_cluster_does_not_learn() -> None:
    with pytest.raises(SetupError, match="'CONCURRENCY_GUARD_LIMIT' must be a number where"):
        make_app(scope="cluster")
    reports = {"limit": "adaptive", "scope": "cluster", "match": "/reports"}
    with pytest.raises(SetupError, match="The limit 'reports' must be a number where its scope"):
        make_app(limits={"reports": reports})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"limit": "adaptiv"}, "must be a positive integer or 'adaptive', got 'adaptiv'"),
        ({"algorithm": "codel"}, "must be 'guard', 'gradient2', 'gradient', 'vegas' or 'aimd'"),
        ({"algorithm_options": 5}, "must be a dictionary of options by name, got 5"),
        (
            {"algorithm_options": {"most": 5}},
            r"'most' is not an option of 'guard': initial, min_limit, max_limit\)",
        ),
        ({"algorithm_options": {"initial": 0}}, "'initial' must be an integer of at least 1"),
        (
            {"algorithm": "vegas", "algorithm_options": {"window": 9}},
            "'tracked' must be a number between 0 and 1, or 'average', got 9",
        ),
        (
            {"algorithm": "aimd", "algorithm_options": {"backoff": "much"}},
            "'backoff' must be a number from 0.5 to below 1, got 'much'",
        ),
    ],
)
def test_what_is_wrong_is_said_at_the_start(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_app(**settings)


@pytest.mark.parametrize("algorithm", ["guard", "gradient2", "gradient", "vegas", "aimd"])
def test_no_limit_is_higher_than_the_server_has_threads(algorithm: str) -> None:
    app, guard = make_app(algorithm=algorithm)
    limiter = app.extensions["concurrency_guard"].limiter
    limiter.set_ceiling(4)
    assert guard.snapshot().limit <= 4
    for _ in range(100):
        assert app.test_client().get("/x").status_code == 200
    assert guard.snapshot().limit <= 4
