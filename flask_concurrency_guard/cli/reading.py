"""Read access logs, for the commands that are about them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING
from typing import Any

import click

from ..logs.errors import LogError
from ..logs.opening import size_of
from ..logs.progress import showing
from ..logs.reading import between
from ..logs.reading import read_logs
from ..logs.reading import without_collector
from ..logs.requests import TimeIs
from ..logs.times import written_seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

    from ..logs.reading import File
    from ..logs.requests import Requests


@dataclass(frozen=True, slots=True)
class How:
    """How to read a log, and what of it."""

    time_is: TimeIs
    since: float | None
    until: float | None
    """In seconds since 1970."""


def _read_time(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> float | None:
    try:
        return None if text is None else written_seconds(text)
    except ValueError as error:
        raise click.BadParameter(
            f"'{text}' is no time. Write it as the report does, in UTC: '2026-11-29 13:20:00'; or"
            " with a zone: '2026-11-29T14:20+01:00'.",
            context,
            parameter,
        ) from error


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how to read the logs. The command gets them as `how`."""

    @click.option(
        "--since", metavar="TIME", callback=_read_time, help="Only what came then or later."
    )
    @click.option(
        "--until", metavar="TIME", callback=_read_time, help="Only what came before then."
    )
    @click.option(
        "--time-is",
        type=click.Choice([str(each) for each in TimeIs]),
        default=str(TimeIs.END),
        show_default=True,
        help="What the time in a server's log is: when a request ended (gunicorn, nginx) or when it"
        " started (Apache).",
    )
    @wraps(command)
    def with_how(
        *args: Any, time_is: str, since: float | None, until: float | None, **options: Any
    ) -> None:
        command(*args, how=How(TimeIs(time_is), since, until), **options)

    return with_how


@contextmanager
def reading(names: tuple[str, ...], how: How, files: list[File]) -> Iterator[Iterator[Requests]]:
    """Let the block make something of what stands in some logs, and show how far it is.

    :param files: what each log was read as is added to it.
    :raises ClickException: one of them can't be read, or made into that.
    """
    try:
        with showing(size_of(names)) as on_bytes, without_collector():
            found = read_logs(names, files, time_is=how.time_is, on_bytes=on_bytes)
            if how.since is not None or how.until is not None:
                found = between(found, how.since, how.until)
            yield found
    except LogError as error:
        raise click.ClickException(str(error)) from error
