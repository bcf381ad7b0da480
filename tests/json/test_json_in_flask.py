"""What Flask itself does with the provider."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import Any
from uuid import UUID

import flask
import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient
from itsdangerous import URLSafeSerializer
from json_support import STYLES
from markupsafe import Markup

from flask_concurrency_guard.json.attach import install

NAN = float("nan")


@pytest.fixture(params=STYLES)
def app(backend: str, request: pytest.FixtureRequest) -> Flask:
    app = Flask("flask", static_folder=None)
    app.secret_key = "secret"
    install(app, backend, style=request.param)
    return app


def is_modern(app: Flask) -> bool:
    return app.json.loads(app.json.dumps(datetime(2024, 1, 2))).startswith("2024")


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_view_returns_safe_json(app: Flask, client: FlaskClient) -> None:
    @app.get("/")
    def view() -> Any:
        return {"b": [1.5, NAN], "a": "é"}

    response = client.get("/")

    assert response.get_data() == (
        '{"b":[1.5,null],"a":"é"}\n'.encode()
        if is_modern(app)
        else b'{"a":"\\u00e9","b":[1.5,null]}\n'
    )
    assert response.mimetype == "application/json"


def test_jsonify_is_indented_in_debug(app: Flask) -> None:
    app.debug = True
    with app.test_request_context():
        assert flask.jsonify(a=NAN).get_data() == b'{\n  "a": null\n}\n'


def test_client_sends_and_reads_json(app: Flask, client: FlaskClient) -> None:
    @app.post("/")
    def view() -> Any:
        return flask.jsonify(flask.request.get_json())

    response = client.post("/", json={"when": datetime(2024, 1, 2), "x": [1, None]})

    when = "2024-01-02T00:00:00Z" if is_modern(app) else "Tue, 02 Jan 2024 00:00:00 GMT"
    assert response.json == {"when": when, "x": [1, None]}


def test_sessions_and_flashed_messages_survive(app: Flask, client: FlaskClient) -> None:
    when = datetime(2024, 1, 2, tzinfo=UTC)
    value = {"tuple": (1, b"x"), "when": when, "text": "é", "markup": Markup("<b>")}

    @app.get("/write")
    def write() -> str:
        flask.session["value"] = value
        flask.flash("hello")
        return ""

    @app.get("/read")
    def read() -> Any:
        assert flask.session["value"] == value
        return flask.get_flashed_messages()

    client.get("/write")

    assert client.get("/read").json == ["hello"]


def test_cookie_of_another_provider_is_understood(app: Flask) -> None:
    plain = Flask("plain", static_folder=None)
    plain.secret_key = app.secret_key
    interface = SecureCookieSessionInterface()
    theirs = interface.get_signing_serializer(plain)
    ours = interface.get_signing_serializer(app)
    assert theirs is not None
    assert ours is not None

    with plain.app_context():
        cookie = theirs.dumps({"a": (1, "é")})
    with app.app_context():
        assert ours.loads(cookie) == {"a": (1, "é")}
        assert ours.dump_payload({"a": (1, "é")}) == theirs.dump_payload({"a": (1, "é")})


def test_cookie_of_ours_is_understood_by_others(app: Flask) -> None:
    plain = Flask("plain", static_folder=None)
    plain.secret_key = app.secret_key
    interface = SecureCookieSessionInterface()
    theirs = interface.get_signing_serializer(plain)
    ours = interface.get_signing_serializer(app)
    assert theirs is not None
    assert ours is not None
    value = {"a": (1, "é", b"x", UUID(int=1), datetime(2024, 1, 2, tzinfo=UTC), Markup("<b>"))}

    with app.app_context():
        cookie = ours.dumps(value)
    with plain.app_context():
        assert theirs.loads(cookie) == value


def test_itsdangerous_signs_with_the_provider(app: Flask) -> None:
    serializer = URLSafeSerializer("secret", serializer=app.json)
    token = serializer.dumps({"b": [1, "é"], "a": None})

    assert serializer.loads(token) == {"b": [1, "é"], "a": None}
    assert URLSafeSerializer("secret").loads(token) == {"b": [1, "é"], "a": None}


@pytest.mark.parametrize(
    "value",
    [{"b": "</script>", "a": ["'", "&", "<!--", 1.5, None, True]}, "é\u2028", [], 2**70],
    ids=repr,
)
def test_templates_write_what_a_script_can_hold(app: Flask, value: Any) -> None:
    with app.app_context():
        html = flask.render_template_string("{{ v|tojson }}", v=value)

    assert not set(html) & set("<>&'")
    assert app.json.loads(html) == value


def test_functions_of_flask_work_without_a_context(app: Flask) -> None:
    """They use the standard library then, whatever the app has."""
    assert flask.json.dumps({"b": 1, "a": [None]}, indent=None) == '{"b": 1, "a": [null]}'
    assert flask.json.loads('{"a": 1}') == {"a": 1}


def test_templates_take_an_indent(app: Flask) -> None:
    with app.app_context():
        html = flask.render_template_string("{{ v|tojson(indent=1) }}", v={"b": 1, "a": "'"})

    assert html == '{\n "a": "\\u0027",\n "b": 1\n}'


def test_flasks_own_functions_use_it(app: Flask, tmp_path: Any) -> None:
    with app.app_context():
        assert flask.json.dumps([NAN], indent=None) == "[null]"
        assert flask.json.dumps({"b": 1, "a": 2}, indent=None, separators=(",", ":")) == (
            '{"b":1,"a":2}' if is_modern(app) else '{"a":2,"b":1}'
        )
        with pytest.raises(ValueError, match="'NaN' is not JSON"):
            flask.json.loads("NaN")

        with (tmp_path / "x.json").open("w") as file:
            flask.json.dump({"a": NAN}, file)
        with (tmp_path / "x.json").open("rb") as file:
            assert flask.json.load(file) == {"a": None}


def test_client_does_not_read_what_is_not_json(app: Flask, client: FlaskClient) -> None:
    @app.get("/")
    def view() -> Any:
        return flask.Response("[NaN]", mimetype="application/json")

    with pytest.raises(ValueError, match="'NaN' is not JSON"):
        _ = client.get("/").json
