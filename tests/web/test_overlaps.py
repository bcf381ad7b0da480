from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint
from flask import Flask

from flask_concurrency_guard import ConcurrencyGuard

TOKEN = "correct-horse-battery"
TO_DO = "Set 'CONCURRENCY_GUARD_STATUS_PATH' to a path that the app doesn't have."


def make(folder: Path) -> Flask:
    app = Flask("shop")
    app.config.update(
        CONCURRENCY_GUARD_STATUS_PATH="/_guard",
        CONCURRENCY_GUARD_STATUS_TOKEN=TOKEN,
        CONCURRENCY_GUARD_DIR=str(folder),
    )
    return app


def add(app: Flask | Blueprint, rule: str, **options: Any) -> None:
    app.add_url_rule(rule, "mine", lambda **parts: "mine", **options)


def get(app: Flask, path: str) -> str:
    return app.test_client().get(path, headers={"Authorization": f"Bearer {TOKEN}"}).text


def test_a_route_that_was_there_first_hides_the_page(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make(tmp_path)
    add(app, "/_guard")
    ConcurrencyGuard(app)
    assert get(app, "/_guard") == "mine"
    assert get(app, "/_guard") == "mine"
    assert caplog.messages == [
        f"The status page isn't reached at '/_guard': 'mine' is there. {TO_DO}"
    ]


def test_the_page_hides_a_route_that_comes_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make(tmp_path)
    ConcurrencyGuard(app)
    blueprint = Blueprint("figures", "shop")
    add(blueprint, "/figures", methods=["POST"])
    app.register_blueprint(blueprint, url_prefix="/_guard")
    assert app.test_client().post("/_guard/figures").status_code == 401
    assert caplog.messages == [
        f"'figures.mine' isn't reached at '/_guard/figures': the status page is there. {TO_DO}"
    ]


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("/_guard/", {}),
        ("/_guard/more", {}),
        ("/<path:path>", {}),
        ("/_guard/<name>", {}),
        ("/_guard", {"methods": ["POST"]}),
    ],
    ids=repr,
)
def test_what_leaves_the_page_where_it_is_is_nothing_to_tell(
    rule: str, options: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make(tmp_path)
    add(app, rule, **options)
    ConcurrencyGuard(app)
    assert "<h1>shop</h1>" in get(app, "/_guard")
    assert caplog.messages == []
