from __future__ import annotations

import gc
import io
import logging
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any
from weakref import ref

import pytest
from flask import Flask
from flask import Response
from flask import jsonify
from flask import request
from flask import send_file
from flask import stream_with_context
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import SetupError
from flask_concurrency_guard.json import SafeJSONProvider


def make_app(**config: Any) -> Flask:
    app = Flask(__name__)
    app.config.update({"CONCURRENCY_GUARD_" + key: value for key, value in config.items()})

    @app.get("/")
    def index() -> str:
        return "hello"

    @app.get("/json")
    def json() -> Response:
        return jsonify(ratio=float("nan"))

    @app.get("/stream")
    def stream() -> Response:
        def rows() -> Iterator[str]:
            yield "one"
            yield "two"

        return Response(stream_with_context(rows()))

    @app.get("/file")
    def file() -> Response:
        return send_file(__file__)

    return app


def test_two_lines_are_all_it_takes() -> None:
    app = make_app()
    guard = ConcurrencyGuard(app)
    response = app.test_client().get("/")
    assert response.text == "hello"
    assert response.headers["X-Process-Id"].isdecimal()
    assert response.headers["X-Thread-Id"].isdecimal()
    assert guard.snapshot().admitted == 1
    assert guard.snapshot().in_flight == 0


def test_an_app_factory_can_set_it_up_later() -> None:
    guard = ConcurrencyGuard()
    apps = [make_app(LIMIT=limit) for limit in (3, 4)]
    for app in apps:
        guard.init_app(app)
    assert [guard.snapshot(app).limit for app in apps] == [3, 4]
    with apps[1].test_client().get("/"):
        assert [guard.snapshot(app).in_flight for app in apps] == [0, 1]


def test_the_current_app_is_meant_inside_of_it() -> None:
    guard = ConcurrencyGuard()
    apps = [make_app(LIMIT=limit) for limit in (3, 4)]
    for app in apps:
        guard.init_app(app)
    with apps[1].app_context():
        assert guard.snapshot().limit == 4
        guard.set_limit(9)
        guard.set_mode("shadow")
    assert (guard.snapshot(apps[1]).limit, guard.snapshot(apps[1]).mode) == (9, "shadow")
    assert (guard.snapshot(apps[0]).limit, guard.snapshot(apps[0]).mode) == (3, "enforce")


def test_the_state_is_the_apps() -> None:
    app = make_app()
    guard = ConcurrencyGuard(app)
    state = app.extensions["concurrency_guard"]
    assert state.guard is guard
    assert state.settings.limit == 32
    assert not hasattr(guard, "app")


def test_a_second_guard_on_an_app_is_refused() -> None:
    app = make_app()
    guard = ConcurrencyGuard(app)
    for second in (guard, ConcurrencyGuard()):
        with pytest.raises(SetupError) as error:
            second.init_app(app)
        assert str(error.value) == (
            "This Flask app already has a 'ConcurrencyGuard'. Set it up once, and import that one"
            " where you need it."
        )


def test_use_before_set_up_is_refused() -> None:
    nowhere = ConcurrencyGuard()
    with pytest.raises(SetupError) as error:
        nowhere.snapshot()
    assert str(error.value) == (
        "This 'ConcurrencyGuard' is not set up with any Flask app. Call 'guard.init_app(app)'"
        " first."
    )
    app = make_app()
    ConcurrencyGuard(app)
    for call in (
        lambda: ConcurrencyGuard().snapshot(app),
        lambda: ConcurrencyGuard(make_app()).set_limit(3, app=app),
        lambda: ConcurrencyGuard().set_mode("off", app=make_app()),
    ):
        with pytest.raises(SetupError) as error:
            call()
        assert str(error.value) == (
            f"The Flask app '{app.name}' is not set up with this 'ConcurrencyGuard'. Call"
            " 'guard.init_app(app)' first, and use the same guard everywhere."
        )


def test_which_of_several_apps_must_be_said() -> None:
    guard = ConcurrencyGuard()
    apps = [make_app(), make_app()]
    for app in apps:
        guard.init_app(app)
    with pytest.raises(SetupError) as error:
        guard.snapshot()
    assert str(error.value) == (
        "This 'ConcurrencyGuard' serves 2 Flask apps. Say which one with 'app=', or call this"
        " inside 'with app.app_context():'."
    )


def test_errors_of_set_up_are_runtime_errors_and_of_settings_value_errors() -> None:
    with pytest.raises(RuntimeError):
        ConcurrencyGuard().snapshot()
    with pytest.raises(ValueError, match="LIMIT"):
        ConcurrencyGuard(make_app(LIMIT=0))


@pytest.mark.parametrize("limit", [0, "4", 2.0], ids=repr)
def test_set_limit_refuses_what_is_no_limit(limit: Any) -> None:
    app = make_app()
    guard = ConcurrencyGuard(app)
    with pytest.raises(ValueError, match=r"^'limit' must be a positive integer.*, got "):
        guard.set_limit(limit)
    assert guard.snapshot().limit == 32


@pytest.mark.parametrize("path", ["/", "/json", "/stream", "/file", "/missing"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_every_response_is_tagged_and_gives_its_lease_back(path: str, method: str) -> None:
    app = make_app(LIMIT=1, MAX_WAIT=0)
    guard = ConcurrencyGuard(app)
    plain = make_app().test_client().open(path, method=method)
    response = app.test_client().open(path, method=method)
    assert response.headers["X-Thread-Id"]
    assert response.status == plain.status
    added = set(response.headers.keys()) - set(plain.headers.keys())
    assert added == {"X-Process-Id", "X-Thread-Id"}
    assert path == "/json" or response.data == plain.data
    response.close()
    plain.close()
    assert (guard.snapshot().in_flight, guard.snapshot().admitted) == (0, 1)


def test_a_rejected_request_never_reaches_the_app() -> None:
    app = make_app(LIMIT=1, MAX_WAIT=0)
    ConcurrencyGuard(app)
    calls = []
    app.before_request(lambda: calls.append("before"))  # type: ignore[arg-type,return-value]
    app.after_request(lambda response: calls.append("after") or response)  # type: ignore[func-returns-value]
    client = app.test_client()
    with client.get("/"):
        calls.clear()
        response = client.get("/")
    assert response.status_code == 503
    assert response.content_type == "application/problem+json"
    assert response.get_json()["reason"] == "limit"
    assert calls == []


def test_a_new_limit_holds_while_serving() -> None:
    app = make_app(LIMIT=1, MAX_WAIT=0)
    guard = ConcurrencyGuard(app)
    client = app.test_client()
    with client.get("/"):
        assert client.get("/").status_code == 503
        guard.set_limit(2)
        assert client.get("/").status_code == 200
        guard.set_mode("off")
        assert "X-Thread-Id" not in client.get("/").headers
        guard.set_mode("enforce")
        guard.set_limit(1)
        assert client.get("/").status_code == 503


def test_shadow_mode_admits_and_tells(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(LIMIT=1, MAX_WAIT=0, MODE="shadow")
    guard = ConcurrencyGuard(app)
    client = app.test_client()
    with client.get("/"):
        assert client.get("/").status_code == 200
    assert guard.snapshot().rejected["limit"] == 1
    assert caplog.messages == ["Would have rejected 1 request (limit 1); the limit is 1 in flight."]


def test_a_logging_filter_that_wants_a_request_harms_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def add_url(record: logging.LogRecord) -> bool:
        record.url = request.url
        return True

    handler = logging.StreamHandler(io.StringIO())
    handler.addFilter(add_url)
    monkeypatch.setattr(logging.getLogger("flask_concurrency_guard"), "handlers", [handler])
    app = make_app(LIMIT=1, MAX_WAIT=0)
    guard = ConcurrencyGuard(app)
    now = 0.0
    log = app.extensions["concurrency_guard"].middleware.reporter._logs["default"]
    log._clock = lambda: now
    client = app.test_client()
    with client.get("/"):
        assert client.get("/").status_code == 503
        assert client.get("/").status_code == 503
        assert log.pending
        now += 2.0
    assert not log.pending  # It was tried at the end of the response.
    assert guard.snapshot().in_flight == 0


@pytest.mark.parametrize("order", ["guard first", "proxy first"])
def test_other_middleware_can_lie_on_either_side(order: str) -> None:
    app = make_app(LIMIT=1, MAX_WAIT=0)
    guard = ConcurrencyGuard()
    if order == "guard first":
        guard.init_app(app)
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    if order == "proxy first":
        guard.init_app(app)
    client = app.test_client()
    with client.get("/"):
        assert client.get("/").status_code == 503
    assert client.get("/").status_code == 200


def test_an_app_may_have_another_method_as_its_wsgi_app() -> None:
    class Prefixed(Flask):
        def prefixed(self, environ: Any, start_response: Any) -> Iterable[bytes]:
            environ["SCRIPT_NAME"] = "/prefix"
            return super().wsgi_app(environ, start_response)

    app = Prefixed(__name__)
    app.wsgi_app = app.prefixed  # type: ignore[method-assign]
    app.add_url_rule("/", "index", lambda: request.script_root)
    ConcurrencyGuard(app)
    assert app.test_client().get("/").text == "/prefix"


def test_what_a_tracer_puts_around_the_class_is_called() -> None:
    wrapt = pytest.importorskip("wrapt")

    class Traced(Flask):
        pass

    traced: list[str] = []

    # As ddtrace and New Relic do it.
    @wrapt.patch_function_wrapper(Traced, "wsgi_app")  # type: ignore[untyped-decorator]
    def trace(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        traced.append(instance.name)
        return wrapped(*args, **kwargs)

    app = Traced(__name__)
    ConcurrencyGuard(app)
    for _ in range(3):
        app.test_client().get("/")
    assert traced == [__name__] * 3


def test_what_a_tracer_puts_around_the_app_is_called() -> None:
    wrapt = pytest.importorskip("wrapt")
    app = Flask(__name__)
    traced: list[Any] = []

    def trace(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        traced.append(instance)
        return wrapped(*args, **kwargs)

    wrapt.wrap_function_wrapper(app, "wsgi_app", trace)
    ConcurrencyGuard(app)
    app.test_client().get("/")
    assert traced == [app]


class Property(Flask):
    """An app whose class has made something else of the method."""

    _wrapped: Any = None

    @property
    def wsgi_app(self) -> Any:  # type: ignore[override]
        return self._wrapped or super().wsgi_app

    @wsgi_app.setter
    def wsgi_app(self, wrapped: Any) -> None:
        self._wrapped = wrapped


@pytest.mark.parametrize("via", ["wsgi", "flask"])
def test_the_class_may_have_a_property_in_place_of_the_method(via: str) -> None:
    app = Property(__name__)
    app.config.update(CONCURRENCY_GUARD_REJECT_VIA=via, CONCURRENCY_GUARD_MAX_WAIT=0)
    guard = ConcurrencyGuard(app)
    guard.set_limit(1)
    with app.test_client().get("/") as response:
        assert response.status_code == 404
    with guard.lease():
        assert app.test_client().get("/").status_code == 503


def test_a_guarded_app_inside_a_guarded_app_takes_one_lease_of_each() -> None:
    inner, outer = make_app(), make_app()
    guard = ConcurrencyGuard()
    guard.init_app(inner)
    outer.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]
        outer.wsgi_app, {"/inner": inner}
    )
    guard.init_app(outer)
    with outer.test_client().get("/inner/file") as response:
        assert guard.snapshot(inner).in_flight == guard.snapshot(outer).in_flight == 1
        assert b"make_app" in response.data
    assert guard.snapshot(inner).in_flight == guard.snapshot(outer).in_flight == 0


def test_an_app_that_nobody_needs_is_freed_at_once() -> None:
    gc.collect()
    gc.disable()
    try:
        app = make_app()
        ConcurrencyGuard(app)
        app.test_client().get("/").close()
        weak = ref(app)
        del app
        gone = weak() is None
    finally:
        gc.enable()
    assert gone


def test_the_app_is_kept_by_whoever_serves_it() -> None:
    def serving() -> Any:
        app = make_app()
        ConcurrencyGuard(app)
        return app

    assert Client(serving()).get("/").status_code == 200


def test_an_app_of_which_only_the_wsgi_app_is_kept_says_so() -> None:
    def serving() -> Any:
        app = make_app()
        ConcurrencyGuard(app)
        return ProxyFix(app.wsgi_app)

    with pytest.raises(SetupError) as error:
        Client(serving()).get("/")
    assert str(error.value) == (
        f"Nobody has kept the Flask app '{__name__}', only its 'wsgi_app'. Keep the app:"
        " 'app = create_app()', and then 'app.wsgi_app = ProxyFix(app.wsgi_app)'."
    )


def test_json_is_made_safe() -> None:
    app = make_app()
    ConcurrencyGuard(app)
    assert isinstance(app.json, SafeJSONProvider)
    assert app.test_client().get("/json").data == b'{"ratio":null}\n'


def test_json_can_be_left_alone() -> None:
    app = make_app(JSON_BACKEND=None)
    before = app.json
    ConcurrencyGuard(app)
    assert app.json is before
    assert app.test_client().get("/json").data == b'{"ratio":NaN}\n'


def test_async_views_are_guarded(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("asgiref")
    app = make_app(LIMIT=1, MAX_WAIT=0)
    guard = ConcurrencyGuard(app)

    @app.get("/async")
    async def view() -> str:
        logging.getLogger("view").warning("in flight: %d", guard.snapshot().in_flight)
        return "async"

    assert app.test_client().get("/async").text == "async"
    assert caplog.messages == ["in flight: 1"]
