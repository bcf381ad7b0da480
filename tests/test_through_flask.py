from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask import Response
from flask import jsonify
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.exceptions import TooManyRequests
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import ConcurrencyGuardError
from flask_concurrency_guard import RequestRejected
from flask_concurrency_guard import ServerBusy
from flask_concurrency_guard import TooManyInFlight


def make_app(status: int = 503, mounts: Any = None, **config: Any) -> Flask:
    app = Flask(__name__)
    if mounts is not None:
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, mounts)  # type: ignore[method-assign]
    app.config.update(
        CONCURRENCY_GUARD_LIMIT=1,
        CONCURRENCY_GUARD_MAX_WAIT=0,
        CONCURRENCY_GUARD_REJECT_VIA="flask",
        CONCURRENCY_GUARD_REJECT_STATUS=status,
        CONCURRENCY_GUARD_RETRY_AFTER=7,
        **config,
    )
    ConcurrencyGuard(app)
    app.add_url_rule("/", "index", lambda: "hello", methods=["GET", "POST"])
    return app


def rejected(app: Flask, path: str = "/", **options: Any) -> Any:
    client: FlaskClient = app.test_client()
    with client.get("/") as response:
        assert response.status_code == 200
        return client.open(path, **options)


def values(response: Any, name: str) -> list[str]:
    return response.headers.getlist(name)  # type: ignore[no-any-return]


@pytest.mark.parametrize("path", ["/", "/missing"])
def test_answers_as_the_guard_does_by_itself(path: str) -> None:
    response = rejected(make_app(), path)
    assert response.status == "503 SERVICE UNAVAILABLE"
    assert response.content_type == "application/problem+json"
    assert response.get_json()["reason"] == "limit"
    assert values(response, "Retry-After") == ["7"]
    assert values(response, "Cache-Control") == ["no-store"]
    assert len(values(response, "X-Thread-Id")) == 1
    page = rejected(make_app(), path, headers={"Accept": "text/html"})
    assert page.content_type == "text/html; charset=utf-8"
    assert rejected(make_app(), path, method="HEAD").data == b""


def test_after_request_functions_see_it() -> None:
    app = make_app()

    @app.after_request
    def allow(response: Response) -> Response:
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    assert rejected(app).headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    "handled",
    [503, HTTPException, ServiceUnavailable, ServerBusy, RequestRejected, ConcurrencyGuardError],
    ids=str,
)
def test_error_handlers_see_it_and_can_not_lose_the_headers(handled: Any) -> None:
    app = make_app()

    @app.errorhandler(handled)
    def busy(error: ServerBusy) -> tuple[Response, int]:
        return jsonify(busy=error.rejection.reason, again=error.retry_after), 503

    response = rejected(app)
    assert response.get_json() == {"busy": "limit", "again": 7}
    assert values(response, "Retry-After") == ["7"]
    assert values(response, "Cache-Control") == ["no-store"]
    assert values(response, "X-Process-Id")


def test_what_an_error_handler_says_counts() -> None:
    app = make_app()

    @app.errorhandler(ServerBusy)
    def busy(error: ServerBusy) -> Response:
        return Response("busy", 500, {"Retry-After": "99"})

    response = rejected(app)
    assert response.status_code == 500
    assert values(response, "Retry-After") == ["99"]


def test_the_status_can_be_429() -> None:
    app = make_app(429)
    seen = []

    @app.errorhandler(TooManyRequests)
    def busy(error: TooManyRequests) -> HTTPException:
        seen.append(error)
        return error

    response = rejected(app)
    assert response.status_code == 429
    assert response.get_json()["status"] == 429
    assert isinstance(seen[0], TooManyInFlight)


def test_neither_the_view_nor_other_before_request_functions_run() -> None:
    app = make_app()
    calls: list[str] = []
    app.before_request(lambda: calls.append("before"))  # type: ignore[arg-type,return-value]
    app.add_url_rule("/view", "view", lambda: calls.append("view") or "")  # type: ignore[func-returns-value]
    client = app.test_client()
    with client.get("/"):
        calls.clear()
        assert client.get("/view").status_code == 503
    assert calls == []
    assert client.get("/view").status_code == 200
    assert calls == ["before", "view"]


def test_an_app_that_is_mounted_inside_the_guard_is_not_called() -> None:
    mounted = Flask("mounted")
    mounted.add_url_rule("/", "index", lambda: "mounted")
    app = make_app(mounts={"/mounted": mounted})
    assert app.test_client().get("/mounted/").text == "mounted"
    response = rejected(app, "/mounted/")
    assert response.status_code == 503
    assert values(response, "Retry-After") == ["7"]


def test_a_client_can_not_pretend_to_be_rejected() -> None:
    app = make_app()
    headers = {"Flask-Concurrency-Guard.Rejected": "1", "flask_concurrency_guard.rejected": "1"}
    assert app.test_client().get("/", headers=headers).status_code == 200


def test_the_error_reads_well() -> None:
    app = make_app()
    seen: list[ServerBusy] = []

    @app.errorhandler(ServerBusy)
    def busy(error: ServerBusy) -> str:
        seen.append(error)
        return ""

    rejected(app)
    assert str(seen[0]) == (
        "503 Service Unavailable: The server is temporarily unable to service your request due to"
        " maintenance downtime or capacity problems. Please try again later."
    )
    assert seen[0].rejection.reason == "limit"
