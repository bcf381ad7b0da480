"""What all workers are doing: `flask guard status`."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TYPE_CHECKING

import click

from .. import standard_json
from ..core.store import StoreError
from ..observe.overview import describe
from ..observe.postings import CAN_POST
from ..observe.postings import count_mute
from ..observe.workers import Worker
from ..observe.workers import read_workers
from ..places import place_finder
from .loading import require_state
from .screen import counted
from .screen import encodable
from .screen import json_option
from .screen import writing
from .status_text import render

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

    from ..state import AppState

EVERY = 1.0
"""After how many seconds to look again."""


@click.command("status", short_help="Show what all workers are doing.")
@click.option("--watch", is_flag=True, help="Go on showing it, until Ctrl-C.")
@json_option
@click.pass_context
def status(ctx: click.Context, *, watch: bool, wants_json: bool) -> None:
    """Show what all workers of the app on this host are doing.

    Limits, what is in flight and waits, what was rejected and why, what came out in the last ten
    seconds, and the requests that take longest. The workers have to be told to tell it:
    CONCURRENCY_GUARD_STATUS.
    """
    if watch and wants_json:
        raise click.UsageError("'--json' is written once. Leave '--watch' out.")
    if not CAN_POST:
        raise click.ClickException(
            "No worker can tell what it is doing here. That needs file locks as Linux and macOS"
            " have them (the module 'fcntl')."
        )
    read = _reader(*require_state(ctx))
    if watch and sys.stdout.isatty() and not _is_dumb():
        _watch(lambda: _shown(read()))
        return
    if wants_json:
        now = time.time()
        text = standard_json.dumps(describe(read(), now), indent=2)
    else:
        text = _shown(read())
    with writing():
        click.echo(text)


def _reader(app: Flask, state: AppState) -> Callable[[], list[Worker]]:
    find_place = place_finder(app, state.settings)
    is_on = state.status is not None

    def read() -> list[Worker]:
        try:
            folder, name = find_place()
            workers = read_workers(folder, name)
        except (OSError, StoreError) as error:
            raise click.ClickException(f"What the workers tell can't be read: {error}") from error
        if not workers:
            mute = count_mute(folder, name)
            raise click.ClickException(_nothing(folder, name, is_on=is_on, mute=mute))
        return workers

    return read


def _nothing(folder: Path, name: str, *, is_on: bool, mute: int) -> str:
    if not is_on:
        return (
            "No worker of this app tells what it is doing. Set 'CONCURRENCY_GUARD_STATUS' to True"
            " where they are started."
        )
    if mute:
        return (
            f"{counted(mute, 'worker')} of this app can't write into '{folder}' what they are"
            " doing: it is full, or they have just begun."
        )
    return (
        f"No worker has told anything yet in '{folder}/{name}:…'. Each begins with its first"
        " request. If they have served some: run this as the same user, and with the same"
        " 'CONCURRENCY_GUARD_NAME' and 'CONCURRENCY_GUARD_DIR'."
    )


def _shown(workers: list[Worker]) -> str:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    columns = shutil.get_terminal_size().columns
    can_draw = encoding.lower().startswith("utf")
    text = encodable(render(workers, time.time(), columns=columns, can_draw=can_draw), sys.stdout)
    # Rich heeds the two by itself, click doesn't.
    return click.unstyle(text) if os.environ.get("NO_COLOR") or _is_dumb() else text


def _is_dumb() -> bool:
    """Return whether the terminal can do nothing but write."""
    return os.environ.get("TERM") == "dumb"


def _watch(look: Callable[[], str]) -> None:
    try:
        show_again_and_again(look)
    except KeyboardInterrupt:
        click.echo()


def show_again_and_again(look: Callable[[], str]) -> None:
    try:
        from rich.live import Live
        from rich.text import Text
    except ImportError:
        while True:
            shown = look()
            click.clear()
            click.echo(shown)
            time.sleep(EVERY)
    # What it would put in the place of stdout has no encoding, as if nothing could be drawn.
    with Live(screen=True, auto_refresh=False, redirect_stdout=False) as live:
        while True:
            shown = Text.from_ansi(look(), no_wrap=True, overflow="crop")
            live.update(shown, refresh=True)
            time.sleep(EVERY)
