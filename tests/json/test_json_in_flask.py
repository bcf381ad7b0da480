"""What Flask itself does with the provider."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import Any

import flask
import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient
from markupsafe import Markup

NAN = float("nan")


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_view_returns_safe_json(app: Flask, client: FlaskClient) -> None:
    @app.get("/")
    def view() -> Any:
        return {"b": [1.5, NAN], "a": "é"}

    response = client.get("/")

    assert response.get_data() == b'{"a":"\\u00e9","b":[1.5,null]}\n'
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

    assert response.json == {"when": "Tue, 02 Jan 2024 00:00:00 GMT", "x": [1, None]}


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


def test_templates_take_an_indent(app: Flask) -> None:
    with app.app_context():
        html = flask.render_template_string("{{ v|tojson(indent=1) }}", v={"b": 1, "a": "'"})

    assert html == '{\n "a": "\\u0027",\n "b": 1\n}'


def test_flasks_own_functions_use_it(app: Flask, tmp_path: Any) -> None:
    with app.app_context():
        assert flask.json.dumps([NAN], indent=None) == "[null]"
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
