from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import ConfigurationError
from flask_concurrency_guard.settings import PREFIX
from flask_concurrency_guard.settings import SETTINGS
from flask_concurrency_guard.settings import read_settings

TAGS = (
    "process_id, parent_process_id, thread_id, thread_ident, thread_name, main_thread_id,"
    " in_flight, limit, queue_time, request_number"
)


def read(key: str, value: Any) -> Any:
    return getattr(read_settings({PREFIX + key: value}), key.lower())


def test_the_defaults() -> None:
    config: dict[str, Any] = {}
    settings = read_settings(config)
    assert (settings.mode, settings.limit, settings.max_queue) == ("enforce", 32, None)
    assert (settings.max_wait, settings.exempt, settings.reject_status) == (1.0, (), 503)
    assert (settings.retry_after, settings.reject_via) == (None, "wsgi")
    assert settings.headers == {"process_id": "X-Process-Id", "thread_id": "X-Thread-Id"}
    assert settings.json_backend == "stdlib"
    assert list(config) == [setting.key for setting in SETTINGS]


def test_the_defaults_are_not_shared() -> None:
    first: dict[str, Any] = {}
    read_settings(first)
    first["CONCURRENCY_GUARD_EXEMPT"].append("/admin")
    first["CONCURRENCY_GUARD_HEADERS"]["limit"] = "X-Limit"
    assert read_settings({}).exempt == ()
    assert "limit" not in read_settings({}).headers


@pytest.mark.parametrize(
    ("key", "value", "result"),
    [
        ("MODE", "shadow", "shadow"),
        ("MODE", "off", "off"),
        ("LIMIT", 1, 1),
        ("LIMIT", "8", 8),
        ("LIMIT", " 8 ", 8),
        ("MAX_QUEUE", 0, 0),
        ("MAX_QUEUE", None, None),
        ("MAX_QUEUE", "none", None),
        ("MAX_WAIT", 0, 0.0),
        ("MAX_WAIT", "0.25", 0.25),
        ("EXEMPT", ["/healthz", "/static/*"], ("/healthz", "/static/*")),
        ("EXEMPT", "/healthz", ("/healthz",)),
        ("EXEMPT", "/healthz, /static/*", ("/healthz", "/static/*")),
        ("EXEMPT", '["/healthz"]', ("/healthz",)),
        ("EXEMPT", "", ()),
        ("EXEMPT", "/*", ("/*",)),
        ("REJECT_STATUS", "429", 429),
        ("RETRY_AFTER", "auto", None),
        ("RETRY_AFTER", "30", 30),
        ("REJECT_VIA", "flask", "flask"),
        ("HEADERS", False, {}),
        ("HEADERS", "false", {}),
        ("HEADERS", {}, {}),
        ("HEADERS", True, {"process_id": "X-Process-Id", "thread_id": "X-Thread-Id"}),
        ("HEADERS", {"limit": "X-Limit", "thread_id": None}, {"limit": "X-Limit"}),
        ("HEADERS", '{"queue_time": "X-Queue-Time"}', {"queue_time": "X-Queue-Time"}),
        ("JSON_BACKEND", None, None),
        ("JSON_BACKEND", "none", None),
        ("JSON_BACKEND", "stdlib", "stdlib"),
    ],
    ids=repr,
)
def test_a_right_value(key: str, value: Any, result: Any) -> None:
    assert read(key, value) == result


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("MODE", "on", "must be 'enforce', 'shadow' or 'off', got 'on'."),
        ("MODE", False, "must be 'enforce', 'shadow' or 'off', got False."),
        ("LIMIT", "ten", "must be a positive integer, got 'ten'."),
        ("LIMIT", 0, "must be a positive integer, got 0."),
        ("LIMIT", -1, "must be a positive integer, got -1."),
        ("LIMIT", 1.5, "must be a positive integer, got 1.5."),
        ("LIMIT", True, "must be a positive integer, got True."),
        ("LIMIT", "true", "must be a positive integer, got 'true'."),
        ("LIMIT", None, "must be a positive integer, got None."),
        (
            "MAX_QUEUE",
            -1,
            "must be an integer of at least 0, or None for as many as the limit, got -1.",
        ),
        ("MAX_WAIT", -0.1, "must be a number of seconds of at least 0, got -0.1."),
        ("MAX_WAIT", "1s", "must be a number of seconds of at least 0, got '1s'."),
        ("MAX_WAIT", float("nan"), "must be a number of seconds of at least 0, got nan."),
        ("MAX_WAIT", float("inf"), "must be a number of seconds of at least 0, got inf."),
        (
            "EXEMPT",
            ["healthz"],
            "must be a list of paths such as '/healthz' or '/static/*', got ['healthz']"
            " ('healthz' has no '/' in front).",
        ),
        (
            "EXEMPT",
            ["/a/*/b"],
            "must be a list of paths such as '/healthz' or '/static/*', got ['/a/*/b']"
            " ('/a/*/b' has a '*' before its end).",
        ),
        (
            "EXEMPT",
            5,
            "must be a list of paths such as '/healthz' or '/static/*', got 5.",
        ),
        ("REJECT_STATUS", 500, "must be 503 or 429, got 500."),
        ("RETRY_AFTER", 0, "must be a whole number of seconds of at least 1, or 'auto', got 0."),
        ("REJECT_VIA", "nginx", "must be 'wsgi' or 'flask', got 'nginx'."),
        (
            "HEADERS",
            {"pid": "X-Pid"},
            f"must be False, or a mapping of tags ({TAGS}) to header names, got"
            " {'pid': 'X-Pid'} ('pid' is not a tag).",
        ),
        (
            "HEADERS",
            {"limit": "X Limit"},
            f"must be False, or a mapping of tags ({TAGS}) to header names, got"
            " {'limit': 'X Limit'} ('X Limit' can't be used as a header name).",
        ),
        (
            "HEADERS",
            {"limit": "Connection"},
            f"must be False, or a mapping of tags ({TAGS}) to header names, got"
            " {'limit': 'Connection'} ('Connection' can't be used as a header name).",
        ),
        (
            "HEADERS",
            {"limit": "X-A", "in_flight": "x-a"},
            f"must be False, or a mapping of tags ({TAGS}) to header names, got"
            " {'limit': 'X-A', 'in_flight': 'x-a'} (a name is there twice).",
        ),
        ("JSON_BACKEND", "rapid", "must be 'stdlib', or None to leave 'app.json' alone, got"),
    ],
    ids=repr,
)
def test_a_wrong_value_says_what_to_write(key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read(key, value)
    full = f"'CONCURRENCY_GUARD_{key}' {message}"
    assert str(error.value) == full if full.endswith(".") else str(error.value).startswith(full)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("LIMITT", "Did you mean 'CONCURRENCY_GUARD_LIMIT'?"),
        ("RETRY", "Did you mean 'CONCURRENCY_GUARD_RETRY_AFTER'?"),
        ("EXEMPTED", "Did you mean 'CONCURRENCY_GUARD_EXEMPT'?"),
        (
            "FOO",
            "After 'CONCURRENCY_GUARD_' there can be: MODE, LIMIT, MAX_QUEUE, MAX_WAIT, EXEMPT,"
            " REJECT_STATUS, RETRY_AFTER, REJECT_VIA, HEADERS, JSON_BACKEND.",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest(key: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read_settings({PREFIX + key: 1})
    assert str(error.value) == f"'CONCURRENCY_GUARD_{key}' is not a setting. {hint}"


def test_a_wrong_setting_stops_init_app_and_leaves_the_app_alone() -> None:
    app = Flask(__name__)
    app.config["CONCURRENCY_GUARD_LIMIT"] = "ten"
    before = app.wsgi_app, app.json
    with pytest.raises(ConfigurationError):
        ConcurrencyGuard(app)
    assert (app.wsgi_app, app.json) == before
    assert "concurrency_guard" not in app.extensions
    app.config["CONCURRENCY_GUARD_LIMIT"] = 10
    ConcurrencyGuard(app)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {
        "LIMIT": "3",
        "MAX_WAIT": "0.5",
        "MODE": "shadow",
        "EXEMPT": "/healthz,/static/*",
        "HEADERS__process_id": "X-Worker",
        "HEADERS__queue_time": "X-Queued",
        "JSON_BACKEND": "null",
    }.items():
        monkeypatch.setenv(f"FLASK_CONCURRENCY_GUARD_{key}", value)
    app = Flask(__name__)
    app.config.from_prefixed_env()
    settings = read_settings(app.config)
    assert (settings.limit, settings.max_wait, settings.mode) == (3, 0.5, "shadow")
    assert settings.exempt == ("/healthz", "/static/*")
    assert settings.headers == {"process_id": "X-Worker", "queue_time": "X-Queued"}
    assert settings.json_backend is None


def test_every_setting_has_a_line_of_documentation() -> None:
    for setting in SETTINGS:
        assert setting.key.startswith(PREFIX)
        assert setting.doc.endswith(".")


def table() -> str:
    """The settings as the documentation shows them."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for setting in SETTINGS:
        name = setting.key.removeprefix(PREFIX)
        rows.append(f"| `{name}` | `{setting.default!r}` | {setting.doc} |")
    return "\n".join(rows)


@pytest.mark.parametrize("page", ["README.md", "docs/configuration.md"])
def test_the_documentation_shows_the_settings_as_they_are(page: str) -> None:
    text = (Path(__file__).parent.parent / page).read_text("utf-8")
    assert table() in text
