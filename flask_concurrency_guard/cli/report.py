"""`flask guard report`: what an access log tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from .. import standard_json
from ..logs.analysis import Report
from ..logs.analysis import analyse
from ..logs.describe import describe
from ..logs.errors import LogError
from ..logs.opening import size_of
from ..logs.page import page
from ..logs.progress import showing
from ..logs.reading import File
from ..logs.reading import read_logs
from ..logs.reading import without_collector
from ..logs.requests import TimeIs
from ..logs.show import show
from ..logs.tally import Tally
from .screen import writing

TIME_IS = (
    "What the time in a server's log is: when a request ended (gunicorn, nginx) or when it"
    " started (Apache)."
)


@click.command("report", short_help="Tell what an access log tells.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as one JSON object.")
@click.option(
    "--html",
    "html_path",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write a page with pictures to this file.",
)
@click.option(
    "--time-is",
    type=click.Choice([str(each) for each in TimeIs]),
    default=str(TimeIs.END),
    show_default=True,
    help=TIME_IS,
)
def report(files: tuple[str, ...], as_json: bool, html_path: Path | None, time_is: str) -> None:
    """Tell what access logs tell: rates, rejections, how many were in flight, waits, the slowest
    paths and requests, and which limit would have been right.

    FILE is an access log of the guard, or one of gunicorn, nginx, Apache or Flask's development
    server; plain, .gz or .zst; or - for the standard input. Several are read as one log. No app is
    needed.
    """
    found = read(files, TimeIs(time_is))
    if html_path is not None:
        _write(html_path, page(describe(found)))
    with writing():
        if as_json:
            click.echo(standard_json.dumps(asdict(found), indent=2))
        elif html_path is not None:
            click.echo(f"The report is in '{click.format_filename(html_path)}'.")
        else:
            show(describe(found))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        name = click.format_filename(path)
        raise click.ClickException(f"'{name}': {error.strerror}.") from error


def read(names: tuple[str, ...], time_is: TimeIs) -> Report:
    """Return the report on some logs.

    :raises ClickException: one of them can't be read.
    """
    tally = Tally()
    files: list[File] = []
    with telling_errors(), showing(size_of(names)) as on_bytes, without_collector():
        for requests in read_logs(names, files, time_is=time_is, on_bytes=on_bytes):
            tally.add(requests)
        return analyse(tally, files)


@contextmanager
def telling_errors() -> Iterator[None]:
    """Make of an error what ends a command with one sentence."""
    try:
        yield
    except LogError as error:
        raise click.ClickException(str(error)) from error
