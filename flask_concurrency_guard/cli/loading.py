"""Get at the app and its guard, for the commands that are about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from flask.cli import ScriptInfo

from ..state import EXTENSION

if TYPE_CHECKING:
    from flask import Flask

    from ..state import AppState


def load_app(ctx: click.Context) -> Flask:
    """Return the app that `flask` is to use.

    :raises ConcurrencyGuardError: the guard doesn't take the app's settings.
    """
    return ctx.ensure_object(ScriptInfo).load_app()


def find_state(app: Flask) -> AppState | None:
    """Return what the guard of an app keeps; None where it has no guard."""
    state: AppState | None = app.extensions.get(EXTENSION)
    return state
