"""What `flask_concurrency_guard.testing` has for the tests of others."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from support import hold
from support import make_app

from flask_concurrency_guard import SetupError
from flask_concurrency_guard.testing import disabled
from flask_concurrency_guard.testing import full
from flask_concurrency_guard.testing import in_flight
from flask_concurrency_guard.testing import only

pytest_plugins = ["pytester"]

REPORTS = {"reports": {"limit": 3, "match": "/reports/*"}}


def status(app: Flask, path: str = "/x") -> int:
    with app.test_client().get(path) as response:
        return response.status_code


@pytest.mark.parametrize("mode", ["enforce", "shadow"])
def test_disabled(mode: str) -> None:
    app, guard = make_app(limit=1, max_wait=0, limits=REPORTS, mode=mode)
    with hold(app), disabled(app):
        assert status(app) == 200
        assert guard.snapshot(name="reports").mode == "off"
    assert guard.snapshot().mode == guard.snapshot(name="reports").mode == mode


@pytest.mark.parametrize("mode", ["enforce", "shadow", "off"])
def test_full(mode: str) -> None:
    app, guard = make_app(limits=REPORTS, mode=mode)
    with full(app):
        assert status(app) == 503
        assert status(app) == 503
    assert status(app) == 200
    with full(app, name="reports"):
        assert status(app, "/reports/1") == 503
        assert status(app) == 200
    assert (guard.snapshot().mode, guard.snapshot().limit) == (mode, 32)


def test_full_wants_nothing_in_flight() -> None:
    app, guard = make_app()
    with hold(app):
        with pytest.raises(SetupError) as error, full(app):
            pass
        assert guard.snapshot().limit == 32
    assert str(error.value) == (
        "1 in flight still, so the limit 'default' would not be reached any more when they end."
        " Close their responses first."
    )


def test_full_after_a_404_that_nobody_has_read() -> None:
    app, _ = make_app()
    app.testing = False
    app.test_client().get("/nothing")
    with full(app):
        assert status(app) == 503


def test_only() -> None:
    app, guard = make_app(limit=8, max_wait=60)
    with only(app, 2), hold(app), hold(app):
        assert status(app) == 503
    assert guard.snapshot().limit == 8
    assert app.extensions["concurrency_guard"].limiter.max_wait == 60


def test_a_limit_that_is_learned_is_learned_again() -> None:
    app, _ = make_app(limit="adaptive")
    limiter = app.extensions["concurrency_guard"].limiter
    tuner = limiter.tuner
    with only(app, 2):
        assert (limiter.tuner, limiter.limit) == (None, 2)
    assert limiter.tuner is tuner


def test_on_a_host(tmp_path: Path) -> None:
    app, guard = make_app(limit=4, scope="host", dir=str(tmp_path / "private"))
    with full(app):
        assert status(app) == 503
    assert status(app) == 200
    assert guard.snapshot(scope="host").limit == 4


def test_in_flight_does_not_count_what_nobody_has() -> None:
    app, _ = make_app()
    client = app.test_client()
    for _ in range(3):
        client.post("/x")  # A 405, whose traceback keeps the response alive.
    assert in_flight(app) == 0
    with hold(app):
        assert in_flight(app) == 1


def test_no_guard_and_no_such_limit() -> None:
    with pytest.raises(SetupError, match=r"^The Flask app 'plain' has no 'ConcurrencyGuard'\.$"):
        in_flight(Flask("plain"))
    app, _ = make_app()
    with pytest.raises(SetupError, match=r"^There is no limit 'a'\. There are: default\.$"):
        in_flight(app, name="a")


def test_the_fixtures(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest
        from flask import Flask
        from flask_concurrency_guard import ConcurrencyGuard

        pytest_plugins = ["flask_concurrency_guard.testing.plugin"]

        @pytest.fixture
        def app():
            app = Flask("app")
            ConcurrencyGuard(app)
            app.add_url_rule("/", "index", lambda: "index")
            return app
        """
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.usefixtures("guard_full")
        def test_full(app):
            assert app.test_client().get("/").status_code == 503

        @pytest.mark.usefixtures("guard_disabled")
        def test_disabled(app):
            assert "X-Process-Id" not in app.test_client().get("/").headers

        @pytest.mark.usefixtures("no_lease_left")
        def test_read(app):
            assert app.test_client().get("/").text == "index"

        kept = []

        @pytest.mark.usefixtures("no_lease_left")
        def test_unread(app):
            kept.append(app.test_client().get("/", buffered=False))
        """
    )
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(["*1 in flight after the test: *neither read nor closed."])
