"""What the tests of the commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from click.testing import CliRunner
from click.testing import Result
from flask import Flask
from flask.cli import ScriptInfo

from flask_concurrency_guard.cli import guard


def run(app: Flask | Callable[[], Flask] | None, *args: str, **env: str) -> Result:
    """Run `flask guard` with an app, or with what makes one.

    :param env: environment variables; 80 columns and no colours, where not given.
    """
    create = app if callable(app) and not isinstance(app, Flask) else lambda: app
    info = ScriptInfo(create_app=create, set_debug_flag=False)
    environment: dict[str, str | None] = {"COLUMNS": "80", "FORCE_COLOR": None, **env}
    result = CliRunner(env=environment).invoke(guard, args, obj=info)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_json(app: Any, *args: str, **env: str) -> Any:
    return json.loads(run(app, *args, "--json", **env).stdout)
