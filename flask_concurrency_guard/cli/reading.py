"""Read access logs, for the commands that are about them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ..logs.errors import LogError
from ..logs.opening import size_of
from ..logs.progress import showing
from ..logs.reading import read_logs
from ..logs.reading import without_collector
from ..logs.requests import TimeIs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..logs.reading import File
    from ..logs.requests import Requests

time_is_option = click.option(
    "--time-is",
    type=click.Choice([str(each) for each in TimeIs]),
    default=str(TimeIs.END),
    show_default=True,
    help="What the time in a server's log is: when a request ended (gunicorn, nginx) or when it"
    " started (Apache).",
)


@contextmanager
def reading(
    names: tuple[str, ...], time_is: str, files: list[File]
) -> Iterator[Iterator[Requests]]:
    """Let the block make something of what stands in some logs, and show how far it is.

    :param time_is: see `time_is_option`.
    :param files: what each log was read as is added to it.
    :raises ClickException: one of them can't be read, or made into that.
    """
    try:
        with showing(size_of(names)) as on_bytes, without_collector():
            yield read_logs(names, files, time_is=TimeIs(time_is), on_bytes=on_bytes)
    except LogError as error:
        raise click.ClickException(str(error)) from error
