"""`flask guard config`: what is every setting, and who says so?"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import click

from .. import standard_json
from ..settings import SETTINGS
from ..shown import in_words
from ..shown import plain
from ..shown import shown_settings
from .loading import require_state
from .screen import json_option
from .screen import make_screen
from .screen import writing

if TYPE_CHECKING:
    from ..limits import AppLimit
    from ..shown import Shown
    from ..state import AppState

# With several limits these are told of each one.
PER_LIMIT = [setting.name for setting in SETTINGS if setting.per_limit]


@click.command()
@click.option("--changed", is_flag=True, help="Only what is not as it is by default.")
@json_option
@click.pass_context
def config(ctx: click.Context, changed: bool, wants_json: bool) -> None:
    """Show each setting of the app, and where it came from.

    Passwords and functions are not shown, but for the names of the latter.
    """
    _, state = require_state(ctx)
    settings = [each for each in shown_settings(state.settings) if each.is_changed or not changed]
    with writing():
        if wants_json:
            click.echo(standard_json.dumps(_as_json(state, settings), indent=2))
        else:
            _show(state, settings)


def _as_json(state: AppState, settings: list[Shown]) -> dict[str, Any]:
    return {
        "settings": [
            {
                "key": each.key,
                "value": each.value,
                "default": each.default,
                "source": each.source,
                "variables": each.variables,
            }
            for each in settings
        ],
        "limits": {name: _limit(state, limit) for name, limit in _named(state).items()},
    }


def _show(state: AppState, settings: list[Shown]) -> None:
    screen = make_screen()
    if settings:
        screen.title("Settings, without the 'CONCURRENCY_GUARD_' in front")
        screen.line()
        rows = [(each.name, each.source, _value(each)) for each in settings]
        screen.table(rows, ("setting", "from", "value"))
    else:
        screen.text("Every setting is as it is by default.")
    if named := _named(state):
        screen.line()
        screen.title("Limits for some requests; what isn't told is as above")
        screen.line()
        shown = {name: _limit(state, limit) for name, limit in named.items()}
        rows = [(name, limit.pop("source"), in_words(limit)) for name, limit in shown.items()]
        screen.table(rows, ("limit", "from", "settings"))
    for each in settings:
        if each.unread is not None:
            screen.line()
            screen.text(f"{each.unread} in the environment says something else, and isn't used.")


def _value(setting: Shown) -> str:
    value = in_words(list(setting.value) if setting.name == "LIMITS" else setting.value)
    if setting.value == setting.default:
        return value
    return f"{value} (default: {in_words(setting.default)})"


def _named(state: AppState) -> dict[str, AppLimit]:
    return {name: limit for name, limit in state.limits.items() if not limit.is_own}


def _limit(state: AppState, limit: AppLimit) -> dict[str, Any]:
    found = {"limit": limit.settings.limit, "match": limit.match, "endpoint": limit.endpoint}
    own = {
        name: getattr(limit.settings, name)
        for name in PER_LIMIT
        if name != "limit" and getattr(limit.settings, name) != getattr(state.settings, name)
    }
    in_config = limit.limiter.name in state.settings.limits
    shown: dict[str, Any] = plain({k: v for k, v in (found | own).items() if v not in ((), {})})
    return shown | {"source": "LIMITS" if in_config else "code"}
