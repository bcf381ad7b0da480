"""More limits than the app's own, as an app sees them."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint
from flask import Flask
from flask import current_app
from flask.views import MethodView
from flask.views import View
from werkzeug.routing import BaseConverter
from werkzeug.test import create_environ

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import ConfigurationError
from flask_concurrency_guard import LimitReached
from flask_concurrency_guard import Rejection
from flask_concurrency_guard import SetupError
from flask_concurrency_guard import request_admitted
from flask_concurrency_guard import request_queued
from flask_concurrency_guard import request_rejected
from flask_concurrency_guard import request_released
from flask_concurrency_guard.core.decisions import Reason
from flask_concurrency_guard.core.shedder import Arrival
from flask_concurrency_guard.core.shedder import Verdict
from flask_concurrency_guard.limit_settings import LimitSettings
from flask_concurrency_guard.settings import SETTINGS


def make_app(limits: Any = None, **settings: Any) -> tuple[Flask, ConcurrencyGuard]:
    app = Flask(__name__)
    app.config["CONCURRENCY_GUARD_MAX_WAIT"] = 0
    app.config["CONCURRENCY_GUARD_LIMITS"] = {} if limits is None else limits
    for key, value in settings.items():
        app.config[f"CONCURRENCY_GUARD_{key.upper()}"] = value
    guard = ConcurrencyGuard(app)
    app.add_url_rule("/", "index", lambda: "index")
    app.add_url_rule("/<path:path>", "any", lambda path: path, methods=["GET", "POST"])
    return app, guard


def limits_of(app: Flask, path: str, method: str = "GET") -> set[str]:
    """The names of all limits whose place a request to `path` holds."""
    state = app.extensions["concurrency_guard"]
    # As a server puts it: the test client takes what begins with two slashes for a host.
    environ = {"PATH_INFO": path}
    with app.test_client().open(method=method, environ_overrides=environ, buffered=False):
        return {name for name, limit in state.limits.items() if limit.limiter.in_flight}


REPORTS = {"reports": {"limit": 1, "match": "/reports/*"}}


def test_a_path() -> None:
    app, _ = make_app(REPORTS)
    assert limits_of(app, "/reports/2026") == {"default", "reports"}
    assert limits_of(app, "/reports") == {"default"}
    assert limits_of(app, "/") == {"default"}


@pytest.mark.parametrize("slashes", ["/", "//", "///", ""], ids=repr)
def test_slashes_in_front_make_no_difference(slashes: str) -> None:
    app, guard = make_app(REPORTS)
    app.add_url_rule("/chart", "chart", guard.limit("charts", 1)(lambda: "chart"))
    assert limits_of(app, f"{slashes}reports/2026") == {"default", "reports"}
    assert limits_of(app, f"{slashes}chart") == {"default", "charts"}


@pytest.mark.parametrize("lenient", [True, False])
def test_a_slash_at_the_end_that_may_be_there(lenient: bool) -> None:
    app, _ = make_app({"reports": {"limit": 1, "match": ["/report", "/chart/"]}})
    app.add_url_rule("/other", "other", lambda: "other", strict_slashes=not lenient)
    for path in ("/report", "/chart/"):
        assert limits_of(app, path) == {"default", "reports"}
    for path in ("/report/", "/chart"):
        assert limits_of(app, path) == ({"default", "reports"} if lenient else {"default"})


def test_the_case_of_the_method_makes_no_difference() -> None:
    app, guard = make_app()

    class Report(MethodView):
        @guard.limit("writes", 1)
        def post(self) -> str:
            return "written"

    app.add_url_rule("/report", view_func=Report.as_view("report"))
    for method in ("POST", "Post"):
        environ = {"PATH_INFO": "/report", "REQUEST_METHOD": method}
        with app.test_client().open(environ_overrides=environ, buffered=False) as response:
            assert response.status_code == 200
            assert guard.snapshot(name="writes").in_flight == 1


def test_a_slash_at_the_end_that_may_be_left_out() -> None:
    app, guard = make_app()
    view = guard.limit("reports", 1)(lambda: "report")
    app.add_url_rule("/report/", "report", view, strict_slashes=False)
    assert limits_of(app, "/report/") == {"default", "reports"}
    assert limits_of(app, "/report") == {"default", "reports"}


def test_all_settings_of_a_limit_have_a_type() -> None:
    names = {setting.name for setting in SETTINGS if setting.per_limit}
    assert set(LimitSettings.__annotations__) == names - {"limit"} | {"match", "endpoint"}


def test_the_narrow_limit_rejects_and_leaves_the_rest_alone() -> None:
    app, guard = make_app(REPORTS)
    client = app.test_client()
    with client.get("/reports/1", buffered=False):
        rejected = client.get("/reports/2")
        assert client.get("/").status_code == 200
    assert (rejected.status_code, rejected.json) == (
        503,
        {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "The server is busy with other requests of this kind. Try again later.",
            "reason": "limit",
            "limit": "reports",
        },
    )
    assert guard.snapshot(name="reports").rejected["limit"] == 1
    assert guard.snapshot().rejected["limit"] == 0
    assert guard.snapshot().in_flight == guard.snapshot(name="reports").in_flight == 0


def test_a_request_that_the_app_rejects_holds_nothing() -> None:
    app, guard = make_app(REPORTS, limit=1)
    client = app.test_client()
    with client.get("/", buffered=False):
        rejected = client.get("/reports/1")
    assert rejected.json is not None
    assert rejected.json["limit"] == "default"
    snapshot = guard.snapshot(name="reports")
    assert (snapshot.in_flight, snapshot.admitted) == (0, 0)


def test_several_limits_for_one_request() -> None:
    app, _ = make_app(
        {
            "api": {"limit": 4, "match": ["/api/*", "/v2/*"]},
            "export": {"limit": 2, "match": "/api/export"},
        }
    )
    assert limits_of(app, "/api/export") == {"default", "api", "export"}
    assert limits_of(app, "/v2/x") == {"default", "api"}


def test_the_narrowest_is_asked_first() -> None:
    app, _ = make_app(
        {
            "learned": {"limit": "adaptive", "match": "/*"},
            "b": {"limit": 2, "match": "/*"},
            "wide": {"limit": 9, "match": "/*"},
            "a": {"limit": 2, "match": "/*"},
        }
    )
    app.test_client().get("/").close()
    match = app.extensions["concurrency_guard"].middleware.match
    names = [limiter.name for limiter in match({"PATH_INFO": "/", "REQUEST_METHOD": "GET"})]
    assert names == ["a", "b", "wide", "learned"]


def test_nobody_waits_for_longer_than_the_age_allows_whichever_limit_it_is_for() -> None:
    reports = {"limit": 1, "match": "/reports", "max_wait": 60}
    app, _ = make_app({"reports": reports}, max_wait=0.1, max_age=5)
    shedder = app.extensions["concurrency_guard"].middleware.shedder
    assert shedder.judge(Arrival(age=1.0)) == Verdict(None, 4.0, Reason.TOO_OLD)


def test_an_endpoint() -> None:
    app, _ = make_app({"a": {"limit": 1, "endpoint": "any"}, "b": {"limit": 1, "endpoint": "in*"}})
    assert limits_of(app, "/x") == {"default", "a"}
    assert limits_of(app, "/") == {"default", "b"}


def test_an_endpoint_that_there_is_not(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = make_app({"a": {"limit": 1, "endpoint": "report*"}})
    with caplog.at_level(logging.WARNING):
        assert limits_of(app, "/") == {"default"}
    assert caplog.messages == [
        "The limit 'a' is for the endpoint 'report*', which the app doesn't have."
    ]


def test_a_view() -> None:
    app, guard = make_app()

    @app.get("/report")
    @guard.limit("reports", 1)
    def report() -> str:
        return "report"

    @guard.limit("reports")
    @app.get("/chart/<name>")
    def chart(name: str) -> str:
        return name

    assert limits_of(app, "/report") == {"default", "reports"}
    assert limits_of(app, "/chart/x") == {"default", "reports"}
    assert limits_of(app, "/report/x") == {"default"}
    client = app.test_client()
    with client.get("/report", buffered=False):
        assert client.get("/chart/x").status_code == 503


def test_an_async_view() -> None:
    pytest.importorskip("asgiref")
    app, guard = make_app()

    @app.get("/report")
    @guard.limit("reports", 1)
    async def report() -> str:
        await asyncio.sleep(0)
        return str(guard.snapshot(name="reports").in_flight)

    assert app.test_client().get("/report").text == "1"


def test_two_limits_on_one_view() -> None:
    app, guard = make_app()

    @app.get("/report")
    @guard.limit("reports", 1)
    @guard.limit("database", 8)
    def report() -> str:
        return "report"

    assert limits_of(app, "/report") == {"default", "reports", "database"}


def test_a_view_class_and_its_methods() -> None:
    app, guard = make_app()

    class Items(MethodView):
        def get(self) -> str:
            return "items"

        @guard.limit("writes", 1)
        def post(self) -> str:
            return "posted"

    class Readers(MethodView):
        @guard.limit("reads", 1)
        def get(self) -> str:
            return "read"

    @guard.limit("classes", 1)
    class Whole(View):
        def dispatch_request(self) -> str:
            return "whole"

    class Decorated(View):
        decorators = (guard.limit("decorated", 1),)

        def dispatch_request(self) -> str:
            return "decorated"

    app.add_url_rule("/items", view_func=Items.as_view("items"))
    app.add_url_rule("/reads", view_func=Readers.as_view("reads"))
    app.add_url_rule("/whole", view_func=Whole.as_view("whole"))
    app.add_url_rule("/decorated", view_func=Decorated.as_view("decorated"))
    assert limits_of(app, "/items") == {"default"}
    assert limits_of(app, "/items", "POST") == {"default", "writes"}
    assert limits_of(app, "/reads") == {"default", "reads"}
    match = app.extensions["concurrency_guard"].middleware.match
    head = create_environ("/reads", method="HEAD")
    assert [limiter.name for limiter in match(head)] == ["reads"]
    assert limits_of(app, "/whole") == {"default", "classes"}
    assert limits_of(app, "/decorated") == {"default", "decorated"}


@pytest.mark.parametrize("methods", [["GET", "HEAD"], ["HEAD", "GET"], ["get"], ["get", "head"]])
def test_methods_may_be_named_in_any_way(methods: list[str]) -> None:
    app, guard = make_app()

    class Reports(MethodView):
        @guard.limit("reports", 1)
        def get(self) -> str:
            return "report"

    Reports.methods = methods
    app.add_url_rule("/reports", view_func=Reports.as_view("reports"))
    assert limits_of(app, "/reports") == {"default", "reports"}
    match = app.extensions["concurrency_guard"].middleware.match
    head = create_environ("/reports", method="HEAD")
    assert [limiter.name for limiter in match(head)] == ["reports"]


def test_a_method_of_an_object() -> None:
    class Reports:
        def index(self) -> str:
            return "index"

    app, guard = make_app()
    view = guard.limit("reports", 1, cost=2)(Reports().index)
    app.add_url_rule("/report", "report", view)
    assert limits_of(app, "/report") == {"default", "reports"}


class Item(BaseConverter):
    """As one that gets the item from the app's database."""

    def to_python(self, value: str) -> Any:
        return current_app.config["ITEMS"][value]


def make_app_with_items() -> tuple[Flask, ConcurrencyGuard]:
    app, guard = make_app()
    app.config["ITEMS"] = {"1": "an item"}
    app.url_map.converters["item"] = Item
    app.add_url_rule("/items/<item:item>", "item", guard.limit("items", 1)(lambda item: item))
    return app, guard


def test_a_converter_may_need_the_app() -> None:
    app, _ = make_app_with_items()
    assert limits_of(app, "/items/1") == {"default", "items"}
    assert app.test_client().get("/items/1").text == "an item"


def test_what_a_converter_raises_is_left_to_the_app() -> None:
    app, _ = make_app_with_items()
    app.register_error_handler(500, lambda error: (repr(error.original_exception), 500))
    assert app.test_client().get("/items/2").text == "KeyError('2')"


def test_a_blueprint() -> None:
    app, guard = make_app()
    reports = Blueprint("reports", __name__, url_prefix="/reports")
    reports.add_url_rule("/<int:year>", "year", lambda year: str(year))
    guard.limit("reports", 2, max_wait=0.5)(reports)
    app.register_blueprint(reports)
    assert limits_of(app, "/reports/2026") == {"default", "reports"}
    assert limits_of(app, "/reports/x") == {"default"}


def test_what_is_exempt_has_no_limit() -> None:
    app, guard = make_app({"all": {"limit": 1, "match": "/*"}}, exempt=["/healthz"])
    view = guard.exempt(guard.limit("all")(lambda: "fine"))
    app.add_url_rule("/live", "live", view)
    assert limits_of(app, "/healthz") == set()
    assert limits_of(app, "/live") == set()


def test_nothing_is_asked_where_no_limit_is_for_a_request() -> None:
    app, _ = make_app({"outside": {"limit": 1}})
    assert limits_of(app, "/") == {"default"}
    assert app.extensions["concurrency_guard"].middleware.match is None


def test_the_config_goes_before_the_code() -> None:
    guard = ConcurrencyGuard()
    guard.limit("reports", 2)
    app = Flask(__name__)
    app.config["CONCURRENCY_GUARD_LIMITS"] = {"reports": {"limit": 5}}
    guard.init_app(app)
    assert guard.snapshot(app, name="reports").limit == 5
    late, guard = make_app({"reports": {"limit": 5}})
    guard.limit("reports", 2)
    assert guard.snapshot(late, name="reports").limit == 5


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_CONCURRENCY_GUARD_LIMITS__reports__limit", "3")
    monkeypatch.setenv("FLASK_CONCURRENCY_GUARD_LIMITS__reports__match", "/reports/*, /export")
    app = Flask(__name__)
    app.config.from_prefixed_env()
    guard = ConcurrencyGuard(app)
    assert guard.snapshot(name="reports").limit == 3
    assert limits_of(app, "/export") == {"default", "reports"}


def test_a_limit_differs_in_what_it_says_and_is_like_the_apps_else() -> None:
    app, _ = make_app(
        {
            "plain": {"limit": 1},
            "other": {"limit": 2, "mode": "off", "max_wait": 3, "reject_status": 429},
        },
        mode="shadow",
        max_queue=7,
    )
    limits = app.extensions["concurrency_guard"].limits
    plain, other = limits["plain"], limits["other"]
    assert (plain.settings.mode, plain.settings.max_queue) == ("shadow", 7)
    assert (plain.limiter.mode, plain.limiter.max_wait) == ("shadow", 0)
    assert (other.limiter.mode, other.limiter.max_wait, other.limiter.limit) == ("off", 3.0, 2)


@pytest.mark.parametrize("via", ["wsgi", "flask"])
def test_a_status_of_its_own(via: str) -> None:
    app, _ = make_app({"a": {"limit": 1, "match": "/a", "reject_status": 429}}, reject_via=via)
    client = app.test_client()
    with client.get("/a", buffered=False):
        assert client.get("/a").status_code == 429


def test_one_limit_in_shadow_mode() -> None:
    app, guard = make_app(
        {"a": {"limit": 1, "match": "/a", "mode": "shadow"}},
        headers={"decision": "X-Concurrency-Guard"},
    )
    told: list[Rejection] = []

    def receive(sender: Any, rejection: Rejection, **extra: Any) -> None:
        told.append(rejection)

    client = app.test_client()
    with request_rejected.connected_to(receive), client.get("/a", buffered=False) as first:
        second = client.get("/a")
    second.close()
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.headers["X-Concurrency-Guard"] == "admitted"
    expected = "rejected; limit=a; reason=limit; mode=shadow"
    assert second.headers["X-Concurrency-Guard"] == expected
    assert [(rejection.limiter, rejection.enforced) for rejection in told] == [("a", False)]
    snapshot = guard.snapshot(name="a")
    assert (snapshot.in_flight, snapshot.rejected["limit"]) == (0, 1)


def test_modes_change_while_serving() -> None:
    app, guard = make_app(REPORTS)
    client = app.test_client()
    with client.get("/reports/1", buffered=False):
        assert client.get("/reports/2").status_code == 503
        guard.set_mode("off", name="reports")
        assert client.get("/reports/2").status_code == 200
        assert guard.snapshot().mode == "enforce"
        guard.set_mode("enforce")
        assert client.get("/reports/2").status_code == 503
        guard.set_mode("off")
        assert "X-Thread-Id" not in client.get("/reports/2").headers
        guard.set_mode("enforce", name="reports")
        assert client.get("/reports/2").status_code == 503
        assert client.get("/").status_code == 200


def test_limits_change_while_serving() -> None:
    app, guard = make_app(REPORTS)
    client = app.test_client()
    guard.set_limit(2, name="reports")
    with client.get("/reports/1", buffered=False), client.get("/reports/1", buffered=False):
        assert client.get("/reports/1").status_code == 503
    guard.set_limit("adaptive", name="reports")
    assert app.extensions["concurrency_guard"].limits["reports"].limiter.tuner is not None
    assert guard.snapshot().limit == 32


def test_all_processes_of_a_host_share_one(tmp_path: Path) -> None:
    limits = {"reports": {"limit": 1, "match": "/reports/*", "scope": "host"}}
    one, guard = make_app(limits, dir=str(tmp_path / "private"))
    other, _ = make_app(limits, dir=str(tmp_path / "private"))
    with one.test_client().get("/reports/1", buffered=False):
        assert other.test_client().get("/reports/1").status_code == 503
        assert guard.snapshot(one, scope="host", name="reports").in_flight == 1
        assert other.test_client().get("/").status_code == 200
    assert other.test_client().get("/reports/1").status_code == 200
    with pytest.raises(SetupError) as error:
        guard.snapshot(one, scope="host")
    assert str(error.value) == "'scope' must be 'process' for the limit 'default', got 'host'."


def test_the_decision_is_a_tag() -> None:
    app, _ = make_app(
        REPORTS, headers={"decision": "X-Concurrency-Guard"}, exempt=["/healthz"], limit=2
    )
    client = app.test_client()

    def decision(path: str) -> str:
        return client.get(path).headers["X-Concurrency-Guard"]

    with client.get("/reports/1", buffered=False):
        assert decision("/") == "admitted"
        assert decision("/healthz") == "exempt"
        assert decision("/reports/2") == "rejected; limit=reports; reason=limit"
        with client.get("/", buffered=False):
            assert decision("/") == "rejected; limit=default; reason=limit"


def test_signals_tell_of_each_request_once() -> None:
    app, guard = make_app({"reports": {"limit": 1, "match": "/reports/*", "max_wait": 0.01}})
    told = []

    def receive(name: str) -> Any:
        return lambda sender, **details: told.append((name, details))

    receivers = [
        (signal, receive(signal.name))
        for signal in (request_admitted, request_queued, request_rejected, request_released)
    ]
    for signal, receiver in receivers:
        signal.connect(receiver)
    with app.test_client().get("/reports/1", buffered=False):
        app.test_client().get("/reports/2")
    assert [name for name, _ in told] == [
        "request-admitted",
        "request-queued",
        "request-rejected",
        "request-released",
    ]
    assert told[0][1]["lease"].limiter.name == "default"
    assert told[1][1]["lease"].limiter.name == "reports"
    assert told[2][1]["rejection"].limiter == "reports"
    guard.lease("reports").release()
    assert len(told) == 4


def test_the_log_tells_which_limit(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = make_app(REPORTS)
    client = app.test_client()
    with client.get("/reports/1", buffered=False):
        client.get("/reports/2")
    assert caplog.messages == ["Rejected 1 request (limit 1); the limit 'reports' is 1 in flight."]
    assert (caplog.records[0].limiter, caplog.records[0].reason) == ("reports", "limit")


def test_a_lease_outside_of_requests() -> None:
    app, guard = make_app({"reports": {"limit": 1, "match": "/reports/*"}})
    client = app.test_client()
    with guard.lease("reports") as lease:
        assert lease.holder is None
        assert client.get("/reports/1").status_code == 503
        with pytest.raises(LimitReached) as reached:
            guard.lease("reports")
        with pytest.raises(LimitReached) as timeout:
            guard.lease("reports", wait=0.01)
        assert guard.snapshot().in_flight == 0
    assert client.get("/reports/1").status_code == 200
    assert str(reached.value) == "The limit 'reports' has no place (limit, after 0 s)."
    assert reached.value.rejection.limiter == "reports"
    assert timeout.value.rejection.reason == "queue_timeout"
    with guard.lease():
        assert guard.snapshot().in_flight == 1


@pytest.mark.parametrize("wait", [-1, float("nan")])
def test_a_wait_that_is_none(wait: float) -> None:
    _, guard = make_app(REPORTS)
    with pytest.raises(ValueError, match=r"^'wait' must be a number of seconds of at least 0"):
        guard.lease("reports", wait=wait)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            "reports",
            "'CONCURRENCY_GUARD_LIMITS' must be a dictionary of limits such as"
            " {'reports': {'limit': 2, 'match': '/reports/*'}}, got 'reports'.",
        ),
        (
            {"reports": 2},
            "The limit 'reports' must be a dictionary that says the 'limit', such as {'limit': 2,"
            " 'match': '/reports/*'}, got 2.",
        ),
        (
            {"reports": {"match": "/reports/*"}},
            "The limit 'reports' must be a dictionary that says the 'limit', such as {'limit': 2,"
            " 'match': '/reports/*'}, got {'match': '/reports/*'}.",
        ),
        (
            {"re:ports": {"limit": 2}},
            "The name of a limit must be letters, digits, '_' and '-', got 're:ports'.",
        ),
        (
            {"default": {"limit": 2}},
            "The limit 'default' is the app's own: set 'CONCURRENCY_GUARD_LIMIT' and the like.",
        ),
        (
            {"reports": {"limit": 2, "max_wiat": 1}},
            "The limit 'reports' has no setting 'max_wiat'. Did you mean 'max_wait'?",
        ),
        (
            {"reports": {"limit": 2, "json_backend": "stdlib"}},
            "The limit 'reports' has no setting 'json_backend'. There can be: match, endpoint,"
            " mode, limit, algorithm, algorithm_options, scope, on_store_error, max_queue,"
            " max_wait, queue_order, key, per_key, partitions, partition, reject_status,"
            " retry_after.",
        ),
        (
            {"reports": {"limit": 0}},
            "'limit' of the limit 'reports' must be a positive integer or 'adaptive', got 0.",
        ),
        (
            {"reports": {"limit": 2, "match": "reports"}},
            "'match' of the limit 'reports' must be a path such as '/reports/*', or a list of"
            " them, got 'reports' ('reports' has no '/' in front).",
        ),
        (
            {"reports": {"limit": 2, "endpoint": "a*b"}},
            "'endpoint' of the limit 'reports' must be an endpoint such as 'reports.index' or"
            " 'reports.*', or a list of them, got 'a*b' ('a*b' has a '*' before its end).",
        ),
    ],
)
def test_a_wrong_limit(limits: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        make_app(limits)
    assert str(error.value) == message


def test_a_wrong_limit_in_the_code() -> None:
    guard = ConcurrencyGuard()
    with pytest.raises(ConfigurationError, match="'limit' of the limit 'a' must be a positive"):
        guard.limit("a", 0)
    with pytest.raises(ConfigurationError, match=r"The limit 'a' has no setting 'wait'\."):
        guard.limit("a", 1, wait=2)
    with pytest.raises(ConfigurationError, match="'limit' of the limit 'a' must be a positive"):
        guard.limit("a", max_wait=2)


def test_a_limit_is_declared_once() -> None:
    _, guard = make_app()
    guard.limit("a", 2)
    guard.limit("a", 2)
    with pytest.raises(SetupError) as error:
        guard.limit("a", 3)
    assert str(error.value) == (
        "The limit 'a' is there already, with other settings. Say what it is once, and"
        " '@guard.limit(\"a\")' from then on."
    )


@pytest.mark.parametrize("order", ["guard first", "limit first"])
def test_the_apps_of_one_factory_may_differ_in_a_limit(order: str) -> None:
    guard = ConcurrencyGuard()

    def make_another(limit: int) -> Flask:
        app = Flask(__name__)
        if order == "guard first":
            guard.init_app(app)
        app.add_url_rule("/", "index", guard.limit("a", limit)(lambda: "index"))
        if order == "limit first":
            guard.init_app(app)
        assert app.test_client().get("/").status_code == 200
        return app

    apps = [make_another(2), make_another(3)]
    assert [guard.snapshot(app, name="a").limit for app in apps] == [2, 3]


def test_a_limit_of_a_new_app_is_none_of_one_that_serves() -> None:
    serving, guard = make_app()
    serving.test_client().get("/").close()
    app = Flask(__name__)
    guard.init_app(app)
    app.add_url_rule("/report", "report", guard.limit("reports", 1)(lambda: "report"))
    assert limits_of(app, "/report") == {"default", "reports"}
    assert limits_of(serving, "/report") == {"default"}


def test_a_limit_that_there_is_not(caplog: pytest.LogCaptureFixture) -> None:
    app, guard = make_app(REPORTS)
    message = (
        "There is no limit 'report'. Declare it in 'CONCURRENCY_GUARD_LIMITS' or by"
        " '@guard.limit('report', 2)'. There are: default, reports."
    )
    for use in (
        lambda: guard.limit("report"),
        lambda: guard.lease("report"),
        lambda: guard.snapshot(name="report"),
        lambda: guard.set_limit(2, name="report"),
        lambda: guard.set_mode("off", name="report"),
    ):
        with pytest.raises(SetupError) as error:
            use()
        assert str(error.value) == message
    view = ConcurrencyGuard().limit("elsewhere")(lambda: "x")
    app.add_url_rule("/report", "report", view)
    assert limits_of(app, "/report") == {"default"}
    assert caplog.messages == ["There is no limit 'elsewhere', which a view has."]


def test_a_limit_comes_too_late_when_requests_have_come() -> None:
    app, guard = make_app()
    app.test_client().get("/").close()
    with pytest.raises(SetupError) as error:
        guard.limit("late", 2)
    assert str(error.value) == (
        f"The app '{__name__}' has served requests already, so the limit 'late' comes too"
        " late. Declare it where the app is set up."
    )
