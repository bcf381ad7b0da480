from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask import request
from support import hold
from support import make_app

from flask_concurrency_guard import ConfigurationError

TOKEN = "correct-horse-battery"
PAGES = ["/_guard", "/_guard/figures", "/_guard/settings", "/_guard/page.js", "/_guard/page.css"]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path)


def make(folder: str, **settings: Any) -> Flask:
    return make_app(dir=folder, name="shop", status_path="/_guard", **settings)[0]


def basic(password: str) -> dict[str, str]:
    encoded = base64.b64encode(f"anybody:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_there_is_no_page_by_default() -> None:
    app = make_app()[0]
    assert not [rule for rule in app.url_map.iter_rules() if "concurrency_guard" in rule.endpoint]


def test_a_page_for_everybody_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_app(status_path="/_guard")
    assert str(caught.value) == (
        "'CONCURRENCY_GUARD_STATUS_PATH' is set, and nothing says who may see the status page. Set"
        " 'CONCURRENCY_GUARD_STATUS_TOKEN' to a text that is hard to guess (python -c \"import"
        " secrets; print(secrets.token_urlsafe())\"), or 'CONCURRENCY_GUARD_STATUS_AUTHORIZE' to a"
        " function that returns whether the current request may."
    )


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("status_token", "hunter2", "be a text of at least 16 characters, or None, got something"
         " else."),
        ("status_token", 1e20, "be a text of at least 16 characters, or None, got something else."),
        ("status_path", "_guard", "be a path such as '/_guard', or None for no page, got"
         " '_guard'."),
        ("status_path", "/", "be a path such as '/_guard', or None for no page, got '/'."),
        ("status_path", "/<x>", "be a path such as '/_guard', or None for no page, got '/<x>'."),
        ("status_authorize", "me", "be a function without arguments, or None, got 'me'."),
        ("status", 1, "be True or False, got 1."),
    ],
)  # fmt: skip
def test_wrong_settings_say_what_to_write(setting: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_app(**{setting: value})
    assert str(caught.value) == f"'CONCURRENCY_GUARD_{setting.upper()}' must {message}"


@pytest.mark.parametrize("headers", [basic(TOKEN), bearer(TOKEN)], ids=["basic", "bearer"])
def test_the_token_opens_every_page(folder: str, headers: dict[str, str]) -> None:
    client = make(folder, status_token=TOKEN).test_client()
    for path in PAGES:
        assert client.get(path, headers=headers).status_code == 200
        assert client.head(path, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, basic("wrong"), basic(""), basic(TOKEN + "x"), bearer(TOKEN[:-1]), bearer("é"),
     {"Authorization": f"Digest {TOKEN}"}, {"Authorization": TOKEN},
     {"Authorization": "Basic !!!"}, {"Cookie": f"token={TOKEN}"}],
)  # fmt: skip
def test_nothing_else_does(folder: str, headers: dict[str, str]) -> None:
    client = make(folder, status_token=TOKEN).test_client()
    for path in PAGES:
        answer = client.get(f"{path}?token={TOKEN}", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert answer.text == "The status page needs its password.\n"


def test_without_a_token_who_may_not_is_told_nothing(folder: str) -> None:
    client = make(folder, status_authorize=lambda: "admin" in request.cookies).test_client()
    for path in PAGES:
        for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
            refused = client.open(path, method=method, headers=basic(TOKEN))
            assert refused.status_code == 404
            assert "Content-Security-Policy" not in refused.headers
    client.set_cookie("admin", "1")
    for path in PAGES:
        assert client.get(path).status_code == 200


def test_an_error_is_a_no(folder: str, caplog: pytest.LogCaptureFixture) -> None:
    client = make(folder, status_authorize=lambda: 1 / 0).test_client()
    assert client.get("/_guard").status_code == 404
    assert caplog.messages == ["'CONCURRENCY_GUARD_STATUS_AUTHORIZE' has failed: nobody may."]


def test_either_of_the_two_is_enough(folder: str) -> None:
    client = make(folder, status_token=TOKEN, status_authorize=lambda: False).test_client()
    assert client.get("/_guard", headers=bearer(TOKEN)).status_code == 200
    assert client.get("/_guard").status_code == 401


def test_there_is_nothing_to_change(folder: str) -> None:
    client = make(folder, status_token=TOKEN).test_client()
    for path in PAGES:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = client.open(path, method=method, headers=bearer(TOKEN))
            assert answer.status_code == 405
            assert answer.headers["Allow"] == "GET, HEAD"


def test_nobody_else_can_use_or_keep_it(folder: str) -> None:
    client = make(folder, status_token=TOKEN).test_client()
    for path in PAGES:
        answer = client.get(path, headers=bearer(TOKEN))
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
        policy = answer.headers["Content-Security-Policy"].split("; ")
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "style-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in " ".join(policy)
        assert "Set-Cookie" not in answer.headers


def test_the_page_passes_whatever_the_load(folder: str) -> None:
    app = make(folder, status_token=TOKEN, limit=1, max_queue=0)
    guard = app.extensions["concurrency_guard"].guard
    client = app.test_client()
    with hold(app, "/slow"):
        assert client.get("/other").status_code == 503
        for path in PAGES:
            assert client.get(path, headers=bearer(TOKEN)).status_code == 200
    guard.drain(0)
    assert client.get("/other").status_code == 503
    for path in PAGES:
        assert client.get(path, headers=bearer(TOKEN)).status_code == 200
    assert guard.snapshot(app).admitted == 1


def figures(app: Flask) -> Any:
    # At the moment after the next: what is read is good for a second.
    return json.loads(app.test_client().get("/_guard/figures", headers=bearer(TOKEN)).text)


def test_it_shows_what_is_in_flight_and_no_secret(folder: str) -> None:
    limits = {"reports": {"limit": 2, "match": "/reports/*"}}
    url = "redis://me:secret@localhost/0"
    app = make(folder, status_token=TOKEN, store_url=url, limits=limits)
    with hold(app, "/slow?card=4711"):
        app.extensions["concurrency_guard"].status.publisher.publish(time.time())
        told = figures(app)
    assert [one["what"] for one in told["workers"][0]["serving"]] == ["GET /slow"]
    assert told["limits"][0]["in_flight"] == 1
    settings = app.test_client().get("/_guard/settings", headers=bearer(TOKEN)).text
    shown = {one["key"]: one for one in json.loads(settings)["settings"]}
    assert shown["CONCURRENCY_GUARD_STATUS_TOKEN"]["value"] == "set, and not shown"
    assert shown["CONCURRENCY_GUARD_STORE_URL"]["value"] == "redis://localhost/0"
    assert shown["CONCURRENCY_GUARD_LIMITS"]["value"] == (
        "reports: match: /reports/*, endpoint: none, limit: 2"
    )
    assert shown["CONCURRENCY_GUARD_NAME"] == {
        "key": "CONCURRENCY_GUARD_NAME",
        "value": "shop",
        "default": False,
    }
    assert shown["CONCURRENCY_GUARD_LIMIT"]["default"]
    for text in (settings, json.dumps(told)):
        assert TOKEN not in text
        assert "secret@" not in text
        assert "4711" not in text


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    told = figures(make(str(tmp_path), status_token=TOKEN))
    assert told == {
        "error": f"Others may write to '{tmp_path}'. Take that right away ('chmod go-w')."
    }


def test_it_is_found_below_the_path_of_the_app(folder: str) -> None:
    app = make(folder, status_token=TOKEN)
    app.name = "<shop>"
    answer = app.test_client().get(
        "/_guard", headers=bearer(TOKEN), environ_overrides={"SCRIPT_NAME": '/"><b>'}
    )
    assert 'src="/&#34;&gt;&lt;b&gt;/_guard/page.js"' in answer.text
    assert "<h1>&lt;shop&gt;</h1>" in answer.text
