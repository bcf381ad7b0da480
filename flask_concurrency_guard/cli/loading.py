"""Get at the app and its guard, for the commands that are about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from flask.cli import ScriptInfo

from ..errors import ConcurrencyGuardError
from ..state import EXTENSION

if TYPE_CHECKING:
    from flask import Flask

    from ..state import AppState


def load_app(ctx: click.Context) -> Flask:
    """Return the app that `flask` is to use.

    :raises ConcurrencyGuardError: the guard doesn't take the app's settings.
    """
    return ctx.ensure_object(ScriptInfo).load_app()


def require_state(ctx: click.Context) -> tuple[Flask, AppState]:
    """Return the app that `flask` is to use, and what its guard keeps.

    :raises ClickException: it has no guard, or the guard doesn't take its settings.
    """
    try:
        app = load_app(ctx)
    except ConcurrencyGuardError as error:
        raise click.ClickException(str(error)) from error
    state = find_state(app)
    if state is None:
        raise click.ClickException(
            f"The app '{app.name}' has no guard. Set it up with 'ConcurrencyGuard(app)'."
        )
    return app, state


def find_state(app: Flask) -> AppState | None:
    """Return what the guard of an app keeps; None where it has no guard."""
    state: AppState | None = app.extensions.get(EXTENSION)
    return state
