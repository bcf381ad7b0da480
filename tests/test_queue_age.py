"""The queue age through the extension: settings, snapshot, error handlers, log fields."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from flask import Flask
from flask import jsonify

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import RequestRejected
from flask_concurrency_guard import TagFilter
from flask_concurrency_guard.core.shedder import Arrival
from flask_concurrency_guard.wsgi.arrivals import Arrivals


def make_app(**config: Any) -> Flask:
    app = Flask(__name__)
    app.config.update({"CONCURRENCY_GUARD_" + key: value for key, value in config.items()})
    ConcurrencyGuard(app)
    app.add_url_rule("/", "index", lambda: "hello")

    @app.errorhandler(RequestRejected)
    def busy(error: RequestRejected) -> Any:
        return jsonify(handled=error.rejection.reason), error.code

    return app


def ask(app: Flask, age: float | None = None, **headers: str) -> Any:
    if age is not None:
        headers["X-Request-Start"] = f"t={time.time() - age:.3f}"
    return app.test_client().get("/", headers=headers)


def test_the_settings_reach_the_guard() -> None:
    app = make_app(
        MAX_AGE=2, CODEL_TARGET=None, TRUST_REQUEST_START=True, DEADLINE_HEADER="X-Patience"
    )
    assert ask(app, 1).status_code == 200
    assert ask(app, 3).get_json()["reason"] == "too_old"
    assert ask(app, 1, **{"X-Patience": "0.5"}).get_json()["reason"] == "deadline"
    state = app.extensions["concurrency_guard"]
    snapshot = state.guard.snapshot(app)
    assert 1 <= snapshot.queue_age < 2
    assert (snapshot.rejected["too_old"], snapshot.rejected["deadline"]) == (1, 1)
    assert ask(app, 1, **{"X-Patience": "soon"}).status_code == 200
    assert state.guard.snapshot(app).odd_headers == {"deadline_malformed": 1}
    assert not state.middleware.shedder.serve_gone


def test_nothing_is_believed_or_rejected_by_default() -> None:
    app = make_app()
    assert ask(app, 3, **{"X-Request-Timeout": "1"}).status_code == 200
    assert app.extensions["concurrency_guard"].guard.snapshot(app).queue_age is None
    assert make_app(SERVE_GONE=True).extensions["concurrency_guard"].middleware.shedder.serve_gone


def stop_after_an_interval(app: Flask) -> None:
    """Let one be over, and no other one end, however slowly all goes on."""
    codel = app.extensions["concurrency_guard"].middleware.shedder.codel
    now = codel._end + codel.interval
    codel._clock = lambda: now


def test_a_queue_that_stands_is_shed_by_default() -> None:
    app = make_app(TRUST_REQUEST_START=True)
    stop_after_an_interval(app)
    statuses = [ask(app, 3).status_code for _ in range(3)]
    assert statuses == [200, 503, 503]
    assert ask(app, 3).get_json()["reason"] == "overload"
    assert ask(app, 0).status_code == 200
    assert (
        make_app(CODEL_TARGET=None).extensions["concurrency_guard"].middleware.shedder.codel is None
    )


def test_in_shadow_mode_the_same_is_counted_and_nobody_rejected() -> None:
    app = make_app(TRUST_REQUEST_START=True, MODE="shadow")
    stop_after_an_interval(app)
    assert [ask(app, 3).status_code for _ in range(5)] == [200] * 5
    snapshot = app.extensions["concurrency_guard"].guard.snapshot(app)
    assert snapshot.rejected["overload"] == 4
    assert snapshot.admitted == 5


def test_error_handlers_see_the_new_reasons() -> None:
    app = make_app(MAX_AGE=2, TRUST_REQUEST_START=True, REJECT_VIA="flask")
    response = ask(app, 3)
    assert (response.status_code, response.get_json()) == (503, {"handled": "too_old"})
    assert response.headers["Retry-After"]


def test_nothing_of_the_app_runs_for_a_client_that_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make_app(REJECT_VIA="flask")
    monkeypatch.setattr(Arrivals, "look", lambda arrivals, environ: Arrival(is_gone=True))
    response = ask(app)
    assert response.status_code == 503
    assert response.get_json()["reason"] == "client_gone"
    assert "X-Thread-Id" in response.headers


def test_log_records_have_the_age(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(TRUST_REQUEST_START=True)
    app.add_url_rule("/log", "log", lambda: logging.getLogger("some.app").warning("here") or "")
    caplog.handler.addFilter(TagFilter())
    app.test_client().get("/log", headers={"X-Request-Start": f"t={time.time() - 5:.3f}"}).close()
    (record,) = caplog.records
    assert 5 <= record.queue_age < 10  # type: ignore[attr-defined]
