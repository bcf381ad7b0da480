"""`flask guard`: what a server does, whether an app is set up well, and what it is at.

Every `flask` command imports this module, so it imports next to nothing; and nothing that is wrong
with one of the commands may be in the way of another one.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING
from typing import Any

import click
from flask.cli import AppGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = ("check", "config", "probe", "report", "simulate", "status")
"""Each is in the module of its name, under its name."""


class LazyGroup(AppGroup):
    """A group whose commands are imported when they are needed.

    :param commands_in: the package that has a module for each of them.
    :param names: the names of the modules, and of the commands in them. One that isn't there is no
        command.
    """

    def __init__(self, *args: Any, commands_in: str, names: Sequence[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self._package = commands_in
        self._names = names

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, whether or not they can be imported."""
        there = {name for name in self._names if find_spec(f"{self._package}.{name}") is not None}
        return sorted(there.union(super().list_commands(ctx)))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; one that only says why, where it can't be imported."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in self.list_commands(ctx):
            return own
        try:
            command: click.Command = getattr(import_module(f"{self._package}.{cmd_name}"), cmd_name)
        except Exception as error:
            return _broken(cmd_name, error)
        return command


def _broken(name: str, error: Exception) -> click.Command:
    why = f"{type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError) and error.name in sys.stdlib_module_names:
        hint = "This Python was built without that module."
    else:
        hint = "'pip install Flask-Concurrency-Guard[cli]' installs what the commands can use."

    def say_so() -> None:
        raise click.ClickException(f"'flask guard {name}' can't be loaded ({why}). {hint}")

    return click.Command(
        name,
        # Whatever it is given.
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        add_help_option=False,
        callback=say_so,
        short_help="(can't be loaded)",
    )


guard = LazyGroup(
    "guard",
    commands_in=__name__,
    names=COMMANDS,
    help="See how requests are served, and whether the guard is set up well.",
)
