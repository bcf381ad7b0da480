"""A JSON body that is too large is answered 413, before it is parsed and where possible unread."""

from __future__ import annotations

import io
from typing import Any

import flask
import pytest
from flask import Flask
from flask import Request
from flask.testing import FlaskClient
from support import Called
from werkzeug.exceptions import BadRequest
from werkzeug.exceptions import RequestEntityTooLarge

from flask_concurrency_guard.json import SafeJSONProvider
from flask_concurrency_guard.json.attach import install

LIMIT = 64
LARGEST = b'"' + b"x" * (LIMIT - 2) + b'"'
TOO_LARGE = b'"' + b"x" * (LIMIT - 1) + b'"'
MESSAGE = "The JSON body is larger than 64 bytes."


def new_app(**rules: Any) -> Flask:
    app = Flask("limit", static_folder=None)
    install(app, "stdlib", rules=rules)

    @app.post("/")
    def view() -> Any:
        return flask.jsonify(flask.request.get_json())

    @app.post("/silent")
    def silent() -> Any:
        return flask.jsonify(flask.request.get_json(silent=True))

    @app.post("/forced")
    def forced() -> Any:
        return flask.jsonify(flask.request.get_json(force=True))

    @app.post("/property")
    def json_property() -> Any:
        return flask.jsonify(flask.request.json)

    @app.post("/data")
    def data() -> Any:
        return flask.jsonify(len(flask.request.get_data()))

    return app


@pytest.fixture
def app() -> Flask:
    return new_app(max_bytes=LIMIT)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def post(
    client: FlaskClient, path: str, data: bytes, content_type: str = "application/json"
) -> Any:
    return client.post(path, data=data, content_type=content_type)


@pytest.mark.parametrize("path", ["/", "/silent", "/forced", "/property"])
def test_body_of_the_largest_size_is_read(client: FlaskClient, path: str) -> None:
    assert post(client, path, LARGEST).get_json() == "x" * (LIMIT - 2)


@pytest.mark.parametrize("path", ["/", "/silent", "/forced", "/property"])
def test_larger_body_is_answered_413(client: FlaskClient, path: str) -> None:
    response = post(client, path, TOO_LARGE)

    assert response.status_code == 413
    assert MESSAGE in response.get_data(as_text=True)


@pytest.mark.parametrize("content_type", ["application/vnd.api+json", "application/json; x=y"])
def test_every_type_of_json_is_limited(client: FlaskClient, content_type: str) -> None:
    assert post(client, "/", TOO_LARGE, content_type).status_code == 413


def test_size_counts_in_bytes(client: FlaskClient) -> None:
    assert post(client, "/", f'"{"é" * 31}"'.encode()).status_code == 200
    assert post(client, "/", f'"{"é" * 32}"'.encode()).status_code == 413


def test_error_is_one_that_the_app_can_handle(app: Flask) -> None:
    @app.errorhandler(RequestEntityTooLarge)
    def handle(error: RequestEntityTooLarge) -> Any:
        return {"error": error.description}, 413

    response = post(app.test_client(), "/", TOO_LARGE)

    assert (response.status_code, response.get_json()) == (413, {"error": MESSAGE})


def test_body_that_is_too_large_is_not_parsed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def loads(self: SafeJSONProvider, document: object, **options: object) -> object:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(SafeJSONProvider, "loads", loads)

    assert post(app.test_client(), "/", TOO_LARGE).status_code == 413


class Body(io.BytesIO):
    """A body that knows how much of it was asked for."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.was_read = False

    def read(self, *args: Any) -> bytes:
        self.was_read = True
        return super().read(*args)

    readinto = None  # type: ignore[assignment]


def environ_for(body: Body, **changes: Any) -> dict[str, Any]:
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": body,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    return environ | changes


def test_body_whose_length_says_so_is_not_read(app: Flask) -> None:
    body = Body(TOO_LARGE)
    environ = environ_for(body, CONTENT_LENGTH=str(len(TOO_LARGE)))

    called = Called(app, environ)
    called.close()

    assert called.status == "413 REQUEST ENTITY TOO LARGE"
    assert not body.was_read


@pytest.mark.parametrize(
    ("data", "status"),
    [(LARGEST, "200 OK"), (TOO_LARGE, "413 REQUEST ENTITY TOO LARGE")],
    ids=["allowed", "too large"],
)
def test_chunked_body_is_limited(app: Flask, data: bytes, status: str) -> None:
    """Its length comes in no header, and the server ends it, as gunicorn and waitress do."""
    environ = environ_for(
        Body(data), HTTP_TRANSFER_ENCODING="chunked", **{"wsgi.input_terminated": True}
    )
    called = Called(app, environ)
    called.close()

    assert called.status == status


def test_what_is_not_json_is_not_limited(client: FlaskClient) -> None:
    assert post(client, "/silent", TOO_LARGE, "text/plain").get_json() is None
    assert post(client, "/", TOO_LARGE, "text/plain").status_code == 415
    assert post(client, "/data", TOO_LARGE).get_json() == len(TOO_LARGE)


def test_what_is_forced_to_be_json_is_limited(client: FlaskClient) -> None:
    assert post(client, "/forced", TOO_LARGE, "text/plain").status_code == 413
    assert post(client, "/forced", LARGEST, "text/plain").status_code == 200


def test_limit_of_flask_still_counts() -> None:
    app = new_app(max_bytes=LIMIT)
    app.config["MAX_CONTENT_LENGTH"] = 10

    assert post(app.test_client(), "/", LARGEST).status_code == 413
    assert post(app.test_client(), "/", b"[1]").status_code == 200


def test_malformed_body_is_still_answered_400(client: FlaskClient) -> None:
    assert post(client, "/", b"[NaN]").status_code == 400
    assert post(client, "/silent", b"[NaN]").get_json() is None


def test_there_is_no_limit_where_none_is_set() -> None:
    app = new_app()

    assert app.request_class is Request
    assert post(app.test_client(), "/", b" " * 2**21 + b"1").get_json() == 1


@pytest.mark.parametrize(("size", "status"), [(2**20, 200), (2**20 + 1, 413)])
def test_style_modern_takes_one_mebibyte(size: int, status: int) -> None:
    app = Flask("modern", static_folder=None)
    install(app, "stdlib", style="modern")
    app.add_url_rule("/", view_func=lambda: [flask.request.get_json()], methods=["POST"])

    assert post(app.test_client(), "/", b"1".rjust(size)).status_code == status


def test_request_class_of_the_app_is_kept() -> None:
    class OwnRequest(Request):
        def on_json_loading_failed(self, e: ValueError | None) -> Any:
            raise BadRequest("a description of its own")

    app = Flask("own", static_folder=None)
    app.request_class = OwnRequest
    install(app, "stdlib", rules={"max_bytes": LIMIT})
    app.add_url_rule("/", view_func=lambda: [flask.request.get_json()], methods=["POST"])
    client = app.test_client()

    assert issubclass(app.request_class, OwnRequest)
    assert app.request_class.__name__ == "OwnRequest"
    assert post(client, "/", TOO_LARGE).status_code == 413
    assert "a description of its own" in post(client, "/", b"[").get_data(as_text=True)
