from __future__ import annotations

from typing import Any

import pytest
from cli.cli_support import run
from cli.cli_support import run_json
from flask import Flask
from support import make_app

from flask_concurrency_guard.errors import ConfigurationError
from flask_concurrency_guard.settings import SETTINGS
from flask_concurrency_guard.shown import plain
from flask_concurrency_guard.wsgi.clients import by_address


def make_into(app: Flask) -> Flask:
    from flask_concurrency_guard import ConcurrencyGuard

    ConcurrencyGuard(app)
    return app


def test_every_setting_is_there_as_it_is_written() -> None:
    settings = run_json(make_app()[0], "config")["settings"]

    assert [each["key"] for each in settings] == [setting.key for setting in SETTINGS]
    for each, setting in zip(settings, SETTINGS, strict=True):
        assert each["value"] == each["default"] == plain(setting.default)
        assert (each["source"], each["variables"]) == ("default", [])


def test_where_a_value_came_from() -> None:
    app = Flask(__name__)
    app.config["CONCURRENCY_GUARD_MAX_WAIT"] = 2

    def create() -> Flask:
        app.config.from_prefixed_env()
        return make_into(app)

    result = run(
        create, "config", "--changed",
        FLASK_CONCURRENCY_GUARD_LIMIT="8", FLASK_CONCURRENCY_GUARD_MODE="enforce",
        FLASK_CONCURRENCY_GUARD_ALGORITHM_OPTIONS__max_limit="50",
    )  # fmt: skip

    assert result.stdout == (
        "Settings, without the 'CONCURRENCY_GUARD_' in front\n"
        "\n"
        "  setting            from         value\n"
        "  MODE               environment  enforce\n"
        "  LIMIT              environment  8 (default: 32)\n"
        "  ALGORITHM_OPTIONS  environment  max_limit: 50 (default: none)\n"
        "  MAX_WAIT           app.config   2.0 (default: 1.0)\n"
    )


def test_variable_that_the_app_does_not_read_is_told() -> None:
    app, _ = make_app(limit=4)
    result = run(app, "config", "--changed", FLASK_CONCURRENCY_GUARD_LIMIT="8")

    assert result.stdout == (
        "Settings, without the 'CONCURRENCY_GUARD_' in front\n"
        "\n"
        "  setting  from        value\n"
        "  LIMIT    app.config  4 (default: 32)\n"
        "\n"
        "FLASK_CONCURRENCY_GUARD_LIMIT in the environment says something else, and isn't\n"
        "used.\n"
    )


def test_limits_for_some_requests() -> None:
    app, guard = make_app(
        limits={"reports": {"limit": 2, "match": ["/reports/*", "/r"], "max_wait": 0}}
    )
    guard.limit("charts", 4, key="header:X-Key", per_key=1)(app.view_functions["view"])
    result = run(app, "config", "--changed")

    assert result.stdout == (
        "Settings, without the 'CONCURRENCY_GUARD_' in front\n"
        "\n"
        "  setting  from        value\n"
        "  LIMITS   app.config  reports (default: none)\n"
        "\n"
        "Limits for some requests; what isn't told is as above\n"
        "\n"
        "  limit    from    settings\n"
        "  reports  LIMITS  limit: 2, match: /reports/*, /r, max_wait: 0.0\n"
        "  charts   code    limit: 4, key: header:X-Key, per_key: 1\n"
    )


def test_nothing_secret_is_shown() -> None:
    app, _ = make_app(
        scope="cluster", name="n", store_url="redis://me:secret@localhost:1/0?password=secret"
    )
    for args in (["config"], ["config", "--json"]):
        result = run(app, *args, FLASK_CONCURRENCY_GUARD_STORE_URL="redis://a:secret@b/0")
        assert "redis://localhost:1/0" in result.stdout
        assert "secret" not in result.output


def test_what_is_to_be_secret_is_not_shown() -> None:
    app, _ = make_app(status_token="a-hidden-token-of-16")
    for args in (["config"], ["config", "--json"]):
        result = run(app, *args)
        assert "a-hidden-token-of-16" not in result.output
        assert "set, and not shown" in result.stdout


def key_of(environ: Any) -> str:
    return "key"


class Key:
    def __call__(self, environ: Any) -> str:
        return "key"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (by_address, "remote_addr"),
        (key_of, f"{__name__}.key_of()"),
        (Key(), f"{__name__}.Key()"),
        ({"a": {1, 2}, 3: (None, 0.5)}, {"a": [1, 2], "3": [None, 0.5]}),
        (object, "builtins.object()"),
    ],
)
def test_plain(value: object, shown: object) -> None:
    assert plain(value) == shown


def test_app_that_has_no_guard() -> None:
    result = run(Flask("plain"), "config")

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: The app 'plain' has no guard. Set it up with 'ConcurrencyGuard(app)'.\n"
    )


def test_settings_that_are_refused_are_one_sentence() -> None:
    def create() -> Flask:
        return make_app(limit=0)[0]

    with pytest.raises(ConfigurationError) as refused:
        create()
    result = run(create, "config")

    assert (result.exit_code, result.stderr) == (1, f"Error: {refused.value}\n")
