"""An app under test: most responses of Flask's test client are dropped unread."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask import Response
from flask import redirect
from support import call
from werkzeug.test import TestResponse

from flask_concurrency_guard import ConcurrencyGuard

OK, NOT_FOUND, CRASH = "/", "/nowhere", "/crash"
STATUSES = {OK: 200, NOT_FOUND: 404, CRASH: 500}
LIMITS = range(1, 5)

each_path = pytest.mark.parametrize("path", STATUSES, ids=["200", "404", "500"])
each_limit = pytest.mark.parametrize("limit", LIMITS)


def make_app(*, testing: bool, limit: int, max_wait: float = 0, mode: str = "enforce") -> Flask:
    app = Flask(__name__)
    app.config.update(
        TESTING=testing,
        # A 500, as in production, rather than the exception itself.
        PROPAGATE_EXCEPTIONS=False,
        CONCURRENCY_GUARD_LIMIT=limit,
        CONCURRENCY_GUARD_MAX_WAIT=max_wait,
        CONCURRENCY_GUARD_MODE=mode,
        CONCURRENCY_GUARD_HEADERS={"queue_time": "X-Queue-Time"},
    )

    # Logged, the traceback would stay in pytest's records, and with it the response.
    app.log_exception = lambda exc_info: None  # type: ignore[method-assign]

    @app.get(OK)
    def index() -> str:
        return "hello"

    @app.get(CRASH)
    def crash() -> str:
        raise LookupError

    @app.get("/stream")
    def stream() -> Response:
        return Response(iter(["one", "two"]))

    @app.get("/moved")
    def moved() -> Any:
        return redirect(OK)

    ConcurrencyGuard(app)
    return app


def in_flight(app: Flask) -> int:
    count: int = app.extensions["concurrency_guard"].guard.snapshot(app).in_flight
    return count


@pytest.fixture(autouse=True)
def collector_stands_still() -> Iterator[None]:
    """Leave when the collector runs to the test, and not to chance."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.collect()


@pytest.fixture
def collections() -> Iterator[list[str]]:
    """One entry for each run of the collector from here on."""
    runs: list[str] = []

    def on_collection(phase: str, info: dict[str, int]) -> None:
        runs.append(phase)

    gc.callbacks.append(on_collection)
    yield runs
    gc.callbacks.remove(on_collection)


@each_path
@each_limit
def test_unread_responses_of_a_test_do_not_use_up_the_limit(limit: int, path: str) -> None:
    client = make_app(testing=True, limit=limit).test_client()
    statuses = [client.get(path).status_code for _ in range(3 * limit + 1)]
    assert statuses == [STATUSES[path]] * (3 * limit + 1)


def test_unread_responses_of_all_kinds_do_not_use_up_the_limit() -> None:
    client = make_app(testing=True, limit=2).test_client()
    for _ in range(5):
        for path, status in STATUSES.items():
            assert client.get(path).status_code == status


@pytest.mark.parametrize("path", [NOT_FOUND, CRASH], ids=["404", "500"])
@each_limit
def test_collector_is_not_run_without_testing(
    limit: int, path: str, collections: list[str]
) -> None:
    app = make_app(testing=False, limit=limit)
    client = app.test_client()
    for _ in range(limit):
        assert client.get(path).status_code == STATUSES[path]
    assert in_flight(app) == limit
    assert client.get(OK).status_code == 503
    assert collections == []


@each_limit
def test_collector_is_not_run_while_there_is_room(limit: int, collections: list[str]) -> None:
    client = make_app(testing=True, limit=limit).test_client()
    for _ in range(limit):
        client.get(NOT_FOUND)
    assert collections == []
    client.get(NOT_FOUND)
    assert collections == ["start", "stop"]


def test_testing_may_be_switched_on_after_the_guard() -> None:
    app = make_app(testing=False, limit=1)
    app.testing = True
    client = app.test_client()
    assert [client.get(NOT_FOUND).status_code for _ in range(3)] == [404, 404, 404]


def test_testing_may_be_switched_off_after_the_guard(collections: list[str]) -> None:
    app = make_app(testing=True, limit=1)
    app.testing = False
    client = app.test_client()
    assert [client.get(NOT_FOUND).status_code for _ in range(2)] == [404, 503]
    assert collections == []


def test_request_does_not_wait_for_what_a_test_has_dropped() -> None:
    app = make_app(testing=True, limit=1, max_wait=0.2)
    client = app.test_client()
    client.get(NOT_FOUND)
    response = client.get(OK)
    assert response.status_code == 200
    assert response.headers["X-Queue-Time"] == "0.000000"


def test_shadow_mode_does_not_hold_dropped_responses_against_a_request() -> None:
    app = make_app(testing=True, limit=1, mode="shadow")
    client = app.test_client()
    for _ in range(3):
        client.get(NOT_FOUND)
    rejected = app.extensions["concurrency_guard"].guard.snapshot(app).rejected
    assert set(rejected.values()) == {0}


@each_path
def test_response_that_a_test_still_holds_does_use_up_the_limit(path: str) -> None:
    app = make_app(testing=True, limit=2)
    client = app.test_client()
    held = [client.get(path) for _ in range(2)]
    assert client.get(path).status_code == 503
    held.pop().close()
    assert client.get(path).status_code == STATUSES[path]


def leave_block(response: TestResponse) -> None:
    with response:
        pass


def read_data(response: TestResponse) -> None:
    assert response.data


def read_text(response: TestResponse) -> None:
    assert response.text


def iterate(response: TestResponse) -> None:
    assert list(response.iter_encoded())


@pytest.mark.parametrize("path", [*STATUSES, "/stream"], ids=["200", "404", "500", "stream"])
@pytest.mark.parametrize(
    "end",
    [leave_block, TestResponse.close, read_data, read_text, iterate],
    ids=lambda f: f.__name__,
)
def test_response_that_a_test_ends_gives_its_place_back(
    path: str, end: Callable[[TestResponse], None], caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(testing=False, limit=4)
    response = app.test_client().get(path)
    assert in_flight(app) == 1
    end(response)
    assert in_flight(app) == 0
    assert dropped(caplog) == []


def test_response_stays_in_flight_until_its_block_ends() -> None:
    app = make_app(testing=True, limit=1)
    client = app.test_client()
    with client.get(OK):
        assert client.get(OK).status_code == 503
    assert client.get(OK).status_code == 200


def test_redirect_that_is_followed_takes_one_place_at_a_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app(testing=False, limit=1)
    response = app.test_client().get("/moved", follow_redirects=True)
    assert response.text == "hello"
    assert in_flight(app) == 0
    assert dropped(caplog) == []


WARNING = (
    "A lease was dropped without being released, and held until it was collected."
    " Iterate over each response to its end, or close it."
)


def dropped(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [
        (record.levelno, record.getMessage())
        for record in caplog.records
        if record.name == "flask_concurrency_guard.core.lease"
    ]


@each_path
def test_dropped_response_of_the_client_gives_its_place_back(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(testing=False, limit=1)
    response = app.test_client().get(path)
    assert in_flight(app) == 1
    del response
    # Until then, the traceback of a 404 or 500 keeps it.
    assert in_flight(app) == (0 if path == OK else 1)
    gc.collect()
    assert in_flight(app) == 0
    # No mistake, as far as the guard can tell: the client has begun to read, as a server does
    # that then drops the body because its client has gone.
    assert dropped(caplog) == []


@each_path
def test_dropped_response_that_nobody_began_to_read_gives_its_place_back_with_a_warning(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(testing=False, limit=1)
    called = call(app, path)
    assert in_flight(app) == 1
    assert dropped(caplog) == []
    del called
    gc.collect()
    assert in_flight(app) == 0
    assert dropped(caplog) == [(logging.WARNING, WARNING)]


def test_logged_traceback_keeps_an_unread_response_in_flight() -> None:
    app = make_app(testing=True, limit=1)
    del app.log_exception  # type: ignore[method-assign]
    client = app.test_client()
    assert "Internal Server Error" in client.get(CRASH).text
    assert client.get(CRASH).status_code == 500
    # Pytest keeps all records, for its report on a test that fails.
    assert client.get(OK).status_code == 503
