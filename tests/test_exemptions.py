from __future__ import annotations

from typing import Any

import pytest
from flask import Blueprint
from flask import Flask
from flask.views import MethodView

from flask_concurrency_guard import ConcurrencyGuard

guard = ConcurrencyGuard()


def make_app(**config: Any) -> Flask:
    app = Flask(__name__)
    app.config.update(CONCURRENCY_GUARD_LIMIT=1, CONCURRENCY_GUARD_MAX_WAIT=0, **config)
    guard.init_app(app)
    app.add_url_rule("/", "index", lambda: "index")
    return app


def passes(app: Flask, path: str, method: str = "GET", **options: Any) -> bool:
    """Whether a request to `path` passes while the limit is reached, without a lease."""
    client = app.test_client()
    with client.get("/"):
        admitted = guard.snapshot(app).admitted
        with client.open(path, method=method, **options) as response:
            assert guard.snapshot(app).in_flight == 1
            assert guard.snapshot(app).admitted == admitted
            return response.status_code != 503


@pytest.mark.parametrize(
    ("path", "exempt"),
    [
        ("/healthz", True),
        ("/healthz/", False),
        ("/healthz2", False),
        ("/static/app.css", True),
        ("/static/", True),
        ("/static", False),
        ("/größe", True),
        ("/other", False),
        ("/healthz?verbose=1", True),
    ],
)
def test_paths(path: str, exempt: bool) -> None:
    app = make_app(CONCURRENCY_GUARD_EXEMPT=["/healthz", "/static/*", "/größe"])
    assert passes(app, path) is exempt


@pytest.mark.parametrize("path", ["//healthz", "healthz", "///static/app.css"])
def test_slashes_in_front_make_no_difference(path: str) -> None:
    app = make_app(CONCURRENCY_GUARD_EXEMPT=["/healthz", "/static/*"])
    assert passes(app, "/", environ_overrides={"PATH_INFO": path})


def test_everything_can_be_exempt() -> None:
    app = make_app(CONCURRENCY_GUARD_EXEMPT="/*")
    client = app.test_client()
    with client.get("/"), client.get("/"):
        assert guard.snapshot(app).in_flight == 0


def test_a_view() -> None:
    app = make_app()

    @app.get("/healthz")
    @guard.exempt
    def healthz() -> str:
        return "fine"

    @app.post("/healthz")
    def post() -> str:
        return "posted"

    @app.get("/healthz/details")
    def details() -> str:
        return "details"

    assert passes(app, "/healthz")
    assert not passes(app, "/healthz", "POST")
    assert not passes(app, "/healthz", "DELETE")
    assert not passes(app, "/healthz/details")


def test_a_view_with_variables_among_others() -> None:
    app = make_app()

    @app.get("/files/<path:name>")
    @guard.exempt
    def files(name: str) -> str:
        return name

    @app.get("/files/secret/<name>")
    def secret(name: str) -> str:
        return name

    assert passes(app, "/files/a/b")
    assert not passes(app, "/files/secret/b")
    assert not passes(app, "/files/")


def test_a_view_on_a_host() -> None:
    app = Flask(__name__, host_matching=True, static_host="static.example")
    app.config.update(CONCURRENCY_GUARD_LIMIT=1, CONCURRENCY_GUARD_MAX_WAIT=0)
    guard.init_app(app)
    app.add_url_rule("/", "index", lambda: "index", host="localhost")
    view = guard.exempt(lambda: "fine")
    app.add_url_rule("/healthz", "healthz", view, host="health.example")
    app.add_url_rule("/healthz", "other", lambda: "other", host="localhost")
    assert passes(app, "/healthz", base_url="http://health.example")
    assert not passes(app, "/healthz")


def test_a_view_class() -> None:
    app = make_app()

    @guard.exempt
    class Health(MethodView):
        def get(self) -> str:
            return "fine"

    app.add_url_rule("/healthz", view_func=Health.as_view("health"))
    assert passes(app, "/healthz")


def test_a_method_of_a_view_class() -> None:
    app = make_app()

    class Health(MethodView):
        @guard.exempt
        def get(self) -> str:
            return "fine"

        def post(self) -> str:
            return "noted"

    app.add_url_rule("/healthz", view_func=Health.as_view("health"))
    assert passes(app, "/healthz")
    assert not passes(app, "/healthz", method="POST")


def test_a_method_of_an_object() -> None:
    class Health:
        def check(self) -> str:
            return "fine"

    app = make_app()
    app.add_url_rule("/healthz", view_func=guard.exempt(Health().check))
    assert passes(app, "/healthz")


def test_a_blueprint_and_those_in_it() -> None:
    app = make_app()
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    inner.add_url_rule("/live", "live", lambda: "live")
    ops = guard.exempt(Blueprint("ops", __name__, url_prefix="/ops"))
    ops.add_url_rule("/ready", "ready", lambda: "ready")
    ops.register_blueprint(inner)
    app.register_blueprint(ops)
    app.register_blueprint(inner, name="again", url_prefix="/again")
    assert passes(app, "/ops/ready")
    assert passes(app, "/ops/inner/live")
    assert not passes(app, "/again/live")


def test_a_view_can_be_marked_before_there_is_an_app() -> None:
    @ConcurrencyGuard().exempt
    def view() -> str:
        return "fine"

    app = make_app()
    app.add_url_rule("/healthz", view_func=view)
    assert passes(app, "/healthz")


def test_nothing_is_asked_where_nothing_is_exempt() -> None:
    app = make_app()
    app.test_client().get("/").close()
    assert app.extensions["concurrency_guard"].middleware.match is None
