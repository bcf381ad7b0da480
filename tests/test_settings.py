from __future__ import annotations

import runpy
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import ConfigurationError
from flask_concurrency_guard.core.cluster.address import read_url
from flask_concurrency_guard.json.backends import NAMES
from flask_concurrency_guard.json.policy import STYLES
from flask_concurrency_guard.settings import PREFIX
from flask_concurrency_guard.settings import SETTINGS
from flask_concurrency_guard.settings import read_settings

WHEN = date(2024, 1, 2)
TAGS = (
    "process_id, parent_process_id, thread_id, thread_ident, thread_name, main_thread_id,"
    " decision, in_flight, limit, priority, queue_age, queue_time, request_number"
)


def read(key: str, value: Any) -> Any:
    return getattr(read_settings({PREFIX + key: value}), key.lower())


def test_the_defaults() -> None:
    config: dict[str, Any] = {}
    settings = read_settings(config)
    assert (settings.mode, settings.limit, settings.max_queue) == ("enforce", 32, None)
    assert (settings.max_wait, settings.exempt, settings.reject_status) == (1.0, (), 503)
    assert (settings.retry_after, settings.reject_via) == (None, "wsgi")
    assert (settings.max_age, settings.deadline_header) == (10.0, None)
    assert (settings.codel_target, settings.codel_interval) == (0.02, 0.1)
    assert settings.queue_order == "adaptive"
    assert (settings.trust_request_start, settings.serve_gone) == (False, False)
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
        ("LIMIT", " adaptive ", "adaptive"),
        ("ALGORITHM", "vegas", "vegas"),
        ("ALGORITHM_OPTIONS", '{"max_limit": 50}', {"max_limit": 50}),
        ("SCOPE", "host", "host"),
        ("NAME", "my-app_2.0", "my-app_2.0"),
        ("NAME", "none", None),
        ("NAME", " NULL ", None),
        ("NAME", " 2024 ", "2024"),
        ("NAME", 2024, "2024"),
        ("NAME", "2.0", "2.0"),
        ("NAME", "true", "true"),
        ("STATUS_TOKEN", "1234567890123456", "1234567890123456"),
        ("STATUS_TOKEN", 1234567890123456, "1234567890123456"),
        ("STATUS_TOKEN", "None", None),
        ("DIR", "/run/app", Path("/run/app")),
        ("DIR", Path("/run/app"), Path("/run/app")),
        ("STORE_URL", "redis://cache:6379/1", read_url("redis://cache:6379/1")),
        ("LEASE_TIME", 5, 5.0),
        ("ON_STORE_ERROR", "closed", "closed"),
        ("MAX_QUEUE", 0, 0),
        ("MAX_QUEUE", None, None),
        ("MAX_QUEUE", "none", None),
        ("MAX_WAIT", 0, 0.0),
        ("MAX_WAIT", "0.25", 0.25),
        ("MAX_AGE", None, None),
        ("MAX_AGE", "none", None),
        ("MAX_AGE", "0.5", 0.5),
        ("MAX_AGE", 2, 2.0),
        ("TRUST_REQUEST_START", True, True),
        ("TRUST_REQUEST_START", "true", True),
        ("TRUST_REQUEST_START", "false", False),
        ("DEADLINE_HEADER", "X-Request-Timeout", "X-Request-Timeout"),
        ("DEADLINE_HEADER", "none", None),
        ("SERVE_GONE", "true", True),
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
        ("HEADERS", {"limit": "X-Limit", "thread_id": "none"}, {"limit": "X-Limit"}),
        ("HEADERS", '{"queue_time": "X-Queue-Time"}', {"queue_time": "X-Queue-Time"}),
        ("METRICS", "prometheus", ("prometheus",)),
        ("METRICS", ["otel", "prometheus"], ("prometheus", "otel")),
        ("METRICS", "otel, prometheus", ("prometheus", "otel")),
        ("METRICS", "none", ()),
        ("ACCESS_LOG", "json", "json"),
        ("ACCESS_LOG", "none", None),
        ("JSON_BACKEND", None, None),
        ("JSON_BACKEND", "none", None),
        *(("JSON_BACKEND", name, name) for name in NAMES),
        ("JSON_STYLE", "modern", "modern"),
        ("JSON_NAN", "error", "error"),
        ("JSON_NAN", "null", "null"),
        ("JSON_NAN", None, "null"),
        ("JSON_DECIMAL", "number", "number"),
        ("JSON_BIGINT", "string", "string"),
        ("JSON_BIGINT", "error", "error"),
        ("JSON_DATETIME", "http", "http"),
        ("JSON_DATETIME", "iso", "iso"),
        ("JSON_DATETIME", "style", "style"),
        ("JSON_NAIVE", "error", "error"),
        ("JSON_BYTES", "base64", "base64"),
        ("JSON_SORT_KEYS", False, False),
        ("JSON_SORT_KEYS", "true", True),
        ("JSON_SORT_KEYS", "style", "style"),
        ("JSON_ENSURE_ASCII", True, True),
        ("JSON_ENSURE_ASCII", "False", False),
        ("JSON_DUPLICATE_KEYS", "error", "error"),
        ("JSON_MAX_DEPTH", 1, 1),
        ("JSON_MAX_DEPTH", "500", 500),
        ("JSON_MAX_BYTES", 1, 1),
        ("JSON_MAX_BYTES", "65536", 65536),
        ("JSON_MAX_BYTES", None, None),
        ("JSON_MAX_BYTES", "none", None),
        ("JSON_MAX_BYTES", "style", "style"),
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
        ("LIMIT", "ten", "must be a positive integer or 'adaptive', got 'ten'."),
        ("LIMIT", 0, "must be a positive integer or 'adaptive', got 0."),
        ("LIMIT", -1, "must be a positive integer or 'adaptive', got -1."),
        ("LIMIT", 1.5, "must be a positive integer or 'adaptive', got 1.5."),
        ("LIMIT", True, "must be a positive integer or 'adaptive', got True."),
        (
            "LIMIT",
            2**31,
            "must be a positive integer or 'adaptive', got 2147483648 (2,147,483,647 at most).",
        ),
        ("LIMIT", "true", "must be a positive integer or 'adaptive', got 'true'."),
        ("LIMIT", None, "must be a positive integer or 'adaptive', got None."),
        ("SCOPE", "network", "must be 'process', 'host' or 'cluster', got 'network'."),
        (
            "NAME",
            "a/b",
            "must be a name of letters, digits, '.', '_' and '-', or None, got 'a/b'.",
        ),
        ("NAME", True, "must be a name of letters, digits, '.', '_' and '-', or None, got True."),
        ("NAME", 2.5, "must be a name of letters, digits, '.', '_' and '-', or None, got 2.5."),
        (
            "STATUS_TOKEN",
            "123456789012345",
            "must be a text of at least 16 characters, or None, got something else.",
        ),
        ("DIR", 1, "must be the absolute path of a folder, or None, got 1."),
        (
            "DIR",
            "run",
            "must be the absolute path of a folder, or None, got 'run' (it is relative to the"
            " folder that a process happens to be in).",
        ),
        (
            "STORE_URL",
            "http://user:secret@cache:6379",
            "must be a URL such as 'redis://localhost:6379/0', or None, got"
            " 'http://…@cache:6379' (it begins with none of 'redis://', 'rediss://', 'unix://',"
            " 'redis+sentinel://' and 'redis+cluster://').",
        ),
        (
            "STORE_URL",
            6379,
            "must be a URL such as 'redis://localhost:6379/0', or None, got 6379.",
        ),
        ("STORE_TIMEOUT", 0, "must be a positive number of seconds, got 0."),
        ("LEASE_TIME", None, "must be a positive number of seconds, got None."),
        ("ON_STORE_ERROR", "wait", "must be 'local', 'open' or 'closed', got 'wait'."),
        (
            "MAX_QUEUE",
            -1,
            "must be an integer of at least 0, or None to leave it to the guard, got -1.",
        ),
        ("MAX_WAIT", -0.1, "must be a number of seconds of at least 0, got -0.1."),
        ("MAX_WAIT", "1s", "must be a number of seconds of at least 0, got '1s'."),
        ("MAX_WAIT", float("nan"), "must be a number of seconds of at least 0, got nan."),
        ("MAX_WAIT", float("inf"), "must be a number of seconds of at least 0, got inf."),
        ("MAX_AGE", 0, "must be a positive number of seconds, or None for no bound, got 0."),
        ("MAX_AGE", "1s", "must be a positive number of seconds, or None for no bound, got '1s'."),
        ("TRUST_REQUEST_START", 1, "must be True or False, got 1."),
        ("TRUST_REQUEST_START", "nginx", "must be True or False, got 'nginx'."),
        (
            "DEADLINE_HEADER",
            "X Timeout",
            "must be the name of a request header such as 'X-Request-Timeout', or None, got"
            " 'X Timeout'.",
        ),
        (
            "DEADLINE_HEADER",
            "Content-Length",
            "must be the name of a request header such as 'X-Request-Timeout', or None, got"
            " 'Content-Length'.",
        ),
        ("SERVE_GONE", None, "must be True or False, got None."),
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
        (
            "JSON_BACKEND",
            "rapid",
            "must be 'stdlib', 'msgspec', 'orjson', 'simplejson' or 'ujson', or None to leave"
            " 'app.json' alone, got 'rapid'.",
        ),
        (
            "METRICS",
            ["statsd"],
            "must be 'prometheus' or 'otel', or a list of both, or None for no metrics, got"
            " ['statsd'].",
        ),
        ("ACCESS_LOG", True, "must be 'logfmt' or 'json', or None for no access log, got True."),
        ("JSON_STYLE", "old", "must be 'flask' or 'modern', got 'old'."),
        ("JSON_STYLE", None, "must be 'flask' or 'modern', got None."),
        ("JSON_NAN", "nan", "must be 'null' or 'error', got 'nan'."),
        ("JSON_NAN", 0, "must be 'null' or 'error', got 0."),
        ("JSON_DECIMAL", "float", "must be 'string' or 'number', got 'float'."),
        ("JSON_BIGINT", "float", "must be 'number', 'string' or 'error', got 'float'."),
        ("JSON_DATETIME", "unix", "must be 'style', 'http' or 'iso', got 'unix'."),
        ("JSON_NAIVE", "local", "must be 'utc', 'keep' or 'error', got 'local'."),
        ("JSON_BYTES", "utf-8", "must be 'error' or 'base64', got 'utf-8'."),
        ("JSON_SORT_KEYS", None, "must be 'style', True or False, got None."),
        ("JSON_SORT_KEYS", 1, "must be 'style', True or False, got 1."),
        ("JSON_ENSURE_ASCII", "ascii", "must be 'style', True or False, got 'ascii'."),
        ("JSON_DUPLICATE_KEYS", "first", "must be 'last' or 'error', got 'first'."),
        ("JSON_MAX_DEPTH", 0, "must be an integer from 1 to 500, got 0."),
        ("JSON_MAX_DEPTH", 501, "must be an integer from 1 to 500, got 501."),
        ("JSON_MAX_DEPTH", True, "must be an integer from 1 to 500, got True."),
        (
            "JSON_MAX_BYTES",
            0,
            "must be 'style', a positive integer, or None for no limit, got 0.",
        ),
        (
            "JSON_MAX_BYTES",
            "1 MiB",
            "must be 'style', a positive integer, or None for no limit, got '1 MiB'.",
        ),
    ],
    ids=repr,
)
def test_a_wrong_value_says_what_to_write(key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read(key, value)
    assert str(error.value) == f"'CONCURRENCY_GUARD_{key}' {message}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("me:hunter2@cache:6379", "'…@cache:6379'"),
        ("redis:/me:hunter2@cache", "'…@cache'"),
        ("me:hun//ter2@cache", "'…@cache'"),
        ("redis://me:hun@ter2/@cache", "'redis://…@cache'"),
        ("redis://me:hun/ter2@cache", "'redis://…@cache'"),
        ("redis://me:hunter2\u2100@cache", "'redis://…@cache'"),
        ("me:hunter2\n@cache", "'…@cache'"),
        ("http://cache?a=1&password=hunter2&b=2", "'http://cache?a=1&password=…&b=2'"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read("STORE_URL", url)
    message = str(error.value)
    assert f"or None, got {shown} (" in message
    assert "hun" not in message
    assert "ter2" not in message


@pytest.mark.parametrize("others", [{}, {"STYLE": "modern", "DATETIME": "http"}], ids=repr)
def test_a_zone_that_http_dates_have_is_not_to_be_left_out(others: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as error:
        json_rules(NAIVE="keep", **others)
    assert str(error.value) == (
        "'CONCURRENCY_GUARD_JSON_NAIVE' is 'keep', which HTTP dates can't do: they are always in"
        " UTC. Set it to 'utc', or 'CONCURRENCY_GUARD_JSON_DATETIME' to 'iso'."
    )


@pytest.mark.parametrize("others", [{"STYLE": "modern"}, {"DATETIME": "iso"}], ids=repr)
def test_other_dates_can_be_without_a_zone(others: dict[str, Any]) -> None:
    assert json_rules(NAIVE="keep", **others)["naive"] == "keep"


def test_rules_for_json_that_nobody_heeds_may_be_any() -> None:
    assert json_rules(NAIVE="keep", BACKEND=None)["naive"] == "keep"


@pytest.mark.parametrize("value", [10**400, str(10**400)], ids=["integer", "text"])
@pytest.mark.parametrize(
    "key",
    [
        "STORE_TIMEOUT",
        "LEASE_TIME",
        "MAX_WAIT",
        "MAX_AGE",
        "CODEL_TARGET",
        "CODEL_INTERVAL",
        "SLOW_AFTER",
    ],
)
def test_more_seconds_than_a_float_can_be_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f" got {value!r}\\.$"):
        read(key, value)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("LIMITT", "Did you mean 'CONCURRENCY_GUARD_LIMIT'?"),
        ("RETRY", "Did you mean 'CONCURRENCY_GUARD_RETRY_AFTER'?"),
        ("EXEMPTED", "Did you mean 'CONCURRENCY_GUARD_EXEMPT'?"),
        (
            "FOO",
            "After 'CONCURRENCY_GUARD_' there can be: "
            + ", ".join(setting.key.removeprefix(PREFIX) for setting in SETTINGS)
            + ".",
        ),
        ("JSON_NAM", "Did you mean 'CONCURRENCY_GUARD_JSON_NAN'?"),
        ("JSON_DEPTH", "Did you mean 'CONCURRENCY_GUARD_JSON_MAX_DEPTH'?"),
    ],
)
def test_an_unknown_key_names_the_nearest(key: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read_settings({PREFIX + key: 1})
    assert str(error.value) == f"'CONCURRENCY_GUARD_{key}' is not a setting. {hint}"


def test_a_key_of_the_app_that_is_no_text_is_not_ours() -> None:
    config: dict[Any, Any] = {5: 1, None: 2}
    assert read_settings(config).limit == 32
    assert (config[5], config[None]) == (1, 2)


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
        "NAME": "2024",
        "STATUS_TOKEN": "1234567890123456",
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
    assert (settings.name, settings.status_token) == ("2024", "1234567890123456")


RULES_OF_NO_STYLE = {
    "nan": "null",
    "decimal": "string",
    "bigint": "number",
    "naive": "utc",
    "bytes": "error",
    "duplicate_keys": "last",
    "max_depth": 200,
}


def json_rules(**values: Any) -> dict[str, Any]:
    return read_settings(
        {f"{PREFIX}JSON_{key}": value for key, value in values.items()}
    ).json_rules()


def test_rules_for_json_leave_to_the_style_what_is_not_set() -> None:
    assert json_rules() == json_rules(STYLE="modern") == RULES_OF_NO_STYLE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DATETIME", "iso"),
        ("SORT_KEYS", False),
        ("SORT_KEYS", True),
        ("ENSURE_ASCII", False),
        ("MAX_BYTES", None),
        ("MAX_BYTES", 5),
    ],
)
def test_rules_for_json_have_what_is_set(key: str, value: Any) -> None:
    assert json_rules(**{key: value}) == {**RULES_OF_NO_STYLE, key.lower(): value}


def test_rules_for_json_are_those_of_a_policy_that_its_styles_share() -> None:
    for style in STYLES.values():
        assert style.with_changes(json_rules()) == style


@pytest.mark.parametrize(
    ("settings", "value", "text"),
    [
        ({}, {"b": "é", "a": WHEN}, r'{"a": "Tue, 02 Jan 2024 00:00:00 GMT", "b": "\u00e9"}'),
        ({"STYLE": "modern"}, {"b": "é", "a": WHEN}, '{"b":"é","a":"2024-01-02"}'),
        ({"STYLE": "modern", "DATETIME": "http"}, WHEN, '"Tue, 02 Jan 2024 00:00:00 GMT"'),
        ({"STYLE": "modern", "SORT_KEYS": True}, {"b": "é", "a": 1}, '{"a":1,"b":"é"}'),
        ({"ENSURE_ASCII": False}, {"b": "é", "a": 1}, '{"a": 1, "b": "é"}'),
        ({"BACKEND": "orjson", "DECIMAL": "number"}, Decimal("1.10"), "1.10"),
        ({"BACKEND": "msgspec", "BYTES": "base64"}, [b"x"], '["eA=="]'),
        ({"BIGINT": "string"}, 2**53, '"9007199254740992"'),
    ],
    ids=repr,
)
def test_settings_for_json_reach_the_provider(
    settings: dict[str, Any], value: Any, text: str
) -> None:
    app = Flask(__name__)
    app.config.update({f"{PREFIX}JSON_{key}": value for key, value in settings.items()})
    ConcurrencyGuard(app)
    assert app.json.dumps(value) == text


def test_json_is_left_alone_where_there_is_no_backend() -> None:
    app = Flask(__name__)
    app.config["CONCURRENCY_GUARD_JSON_BACKEND"] = None
    app.config["CONCURRENCY_GUARD_JSON_MAX_BYTES"] = 5
    before = app.json, app.request_class
    ConcurrencyGuard(app)
    assert (app.json, app.request_class) == before


def test_every_setting_has_a_line_of_documentation() -> None:
    for setting in SETTINGS:
        assert setting.key.startswith(PREFIX)
        assert setting.doc.endswith(".")


@pytest.mark.parametrize("page", ["README.md", "docs/configuration.md"])
def test_the_documentation_shows_the_settings_as_they_are(page: str) -> None:
    root = Path(__file__).parent.parent
    tables = runpy.run_path(str(root / "docs/settings_tables.py"))
    text = (root / page).read_text("utf-8")
    assert tables["table"](tables["PAGES"][page]) in text, "Run 'make settings'."
