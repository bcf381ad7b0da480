"""`flask guard report`: what an access log tells."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from .. import standard_json
from ..logs.analysis import Report
from ..logs.analysis import analyse
from ..logs.describe import describe
from ..logs.page import page
from ..logs.reading import File
from ..logs.show import show
from ..logs.tally import Tally
from .reading import How
from .reading import reading
from .reading import reading_options
from .screen import encodable
from .screen import json_option
from .screen import writing


@click.command("report", short_help="Tell what an access log tells.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@json_option
@click.option(
    "--html",
    "html_path",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write a page with pictures to this file.",
)
@reading_options
def report(files: tuple[str, ...], wants_json: bool, html_path: Path | None, how: How) -> None:
    """Tell what access logs tell: rates, rejections, how many were in flight, waits, the slowest
    paths and requests, and which limit would have been right.

    FILE is an access log of the guard, or one of gunicorn, nginx, Apache or Flask's development
    server; plain, .gz or .zst; or - for the standard input. Several are read as one log. No app is
    needed.
    """
    found = _read(files, how)
    if html_path is not None:
        _write(html_path, page(describe(found)))
    with writing():
        if wants_json:
            click.echo(standard_json.dumps(asdict(found), indent=2))
        elif html_path is not None:
            name = encodable(click.format_filename(html_path), sys.stdout)
            click.echo(f"The report is in '{name}'.")
        else:
            show(describe(found))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        name = click.format_filename(path)
        raise click.ClickException(f"'{name}': {error.strerror}.") from error


def _read(names: tuple[str, ...], how: How) -> Report:
    tally = Tally()
    files: list[File] = []
    with reading(names, how, files) as batches:
        for requests in batches:
            tally.add(requests)
        return analyse(tally, files)
