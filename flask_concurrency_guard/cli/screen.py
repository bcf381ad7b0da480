"""Write to the terminal: with rich, if it is there, and in plain text with the same content if not.

Into a pipe or a file everything is written in plain text. What comes from elsewhere (a server's
headers, an app's names) is written without anything that a terminal would obey.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from contextlib import contextmanager
from contextlib import suppress
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

import click

from ..logs.terminal import NARROWEST
from ..logs.terminal import WIDEST
from ..logs.terminal import harmless

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence
    from typing import TextIO

NARROWEST_CELL = 24
"""How many columns the last cell of a row needs beside the others. With fewer it goes below."""

STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "bold red", "": ""}
"""How what is so severe looks."""

json_option = click.option("--json", "wants_json", is_flag=True, help="Write JSON.")
"""For each command: whether to write what others read."""


@contextmanager
def writing() -> Iterator[None]:
    """Let the block write to stdout, and all of it get there.

    :raises ClickException: it doesn't, as the disk is full.
    """
    try:
        yield
        click.echo(nl=False)  # Which flushes.
    except BrokenPipeError:
        raise  # Who has read enough, such as 'head': click ends quietly.
    except OSError as error:
        with suppress(OSError):
            sys.stdout.close()  # Otherwise Python tries once more, at its end.
        raise click.ClickException(f"The output can't be written: {error.strerror}.") from error


def counted(number: int, what: str) -> str:
    """Return so many of what, in words."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


class Screen(Protocol):
    """What output is made of."""

    def title(self, text: str) -> None:
        """Write a line that the next ones belong to."""

    def text(self, text: str, indent: int = 0) -> None:
        """Write a paragraph."""

    def marked(self, mark: str, text: str) -> None:
        """Write a paragraph with a mark in front: one of `STYLES`."""

    def table(self, rows: Sequence[Sequence[str]], headers: Sequence[str] = ()) -> None:
        """Write rows of cells. The last cell of a row may be long."""

    def line(self) -> None:
        """Write an empty line."""


def make_screen(stream: TextIO | None = None) -> Screen:
    """Return a screen that writes to a stream; to stdout, where not given."""
    stream = sys.stdout if stream is None else stream
    console = _console(stream)
    return PlainScreen(stream) if console is None else RichScreen(console, stream)


def _console(stream: TextIO) -> Any:
    """Return a console of rich, if there is one, and it writes to a terminal."""
    try:
        from rich.console import Console

        console = Console(file=stream, highlight=False, markup=False, emoji=False)
        return console if console.is_terminal else None
    except Exception:
        return None  # A broken one is none, too.


def printable(text: str, stream: TextIO | None = None) -> str:
    """Return `text` as the stream can show it, and the terminal only shows it."""
    return encodable(harmless(text), stream)


def encodable(text: str, stream: TextIO | None) -> str:
    """Return `text` with escapes in place of what the stream's encoding has no letters for."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


class PlainScreen:
    """A `Screen` of plain text."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        columns = shutil.get_terminal_size().columns
        self._width = max(NARROWEST, min(columns, WIDEST))

    def title(self, text: str) -> None:
        self.text(text)

    def text(self, text: str, indent: int = 0) -> None:
        self._wrap(" " * indent, text)

    def marked(self, mark: str, text: str) -> None:
        self._wrap(f"{mark:<9}", text)

    def table(self, rows: Sequence[Sequence[str]], headers: Sequence[str] = ()) -> None:
        every = [row for row in (headers, *rows) if row]
        widths = [
            max(map(len, column)) for column in zip(*(row[:-1] for row in every), strict=True)
        ]
        for row in every:
            cells = [f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=False)]
            self._wrap("  " + "".join(cells), row[-1])

    def line(self) -> None:
        self._stream.write("\n")

    def _wrap(self, first: str, text: str) -> None:
        # Where the front takes nearly all, what follows begins further left.
        indent = min(len(first), self._width // 2)
        lines = textwrap.wrap(
            printable(text, self._stream),
            self._width,
            initial_indent=printable(first, self._stream),
            subsequent_indent=" " * indent,
            break_on_hyphens=False,
            break_long_words=False,
        )
        self._stream.write("\n".join(lines or [first.rstrip()]) + "\n")


class RichScreen:
    """A `Screen` by rich.

    :param console: rich's.
    :param stream: what it writes to.
    """

    def __init__(self, console: Any, stream: TextIO) -> None:
        self._console = console
        self._stream = stream

    def title(self, text: str) -> None:
        self._print(text, "bold")

    def text(self, text: str, indent: int = 0) -> None:
        from rich.padding import Padding
        from rich.text import Text

        self._console.print(Padding(Text(self._shown(text)), (0, 0, 0, indent)))

    def marked(self, mark: str, text: str) -> None:
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=8)
        grid.add_column()
        grid.add_row(Text(mark, STYLES.get(mark, "")), Text(self._shown(text)))
        self._console.print(grid)

    def table(self, rows: Sequence[Sequence[str]], headers: Sequence[str] = ()) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        if rows and self._is_too_wide([row for row in (headers, *rows) if row]):
            self._stack(rows, headers)
            return
        table = Table(box=SIMPLE_HEAD if headers else None, show_header=bool(headers))
        last = len(rows[0]) - 1 if rows else 0
        for place in range(last + 1):
            header = headers[place] if headers else ""
            style = "" if headers or place else "cyan"
            table.add_column(header, style=style, no_wrap=place < last, overflow="fold")
        for row in rows:
            table.add_row(*(Text(self._shown(cell)) for cell in row))
        self._console.print(table)

    def line(self) -> None:
        self._console.print()

    def _is_too_wide(self, every: Sequence[Sequence[str]]) -> bool:
        *front, last = [max(map(len, column)) for column in zip(*every, strict=True)]
        room = int(self._console.width) - sum(width + 3 for width in front)
        return room < min(last, NARROWEST_CELL)

    def _stack(self, rows: Sequence[Sequence[str]], headers: Sequence[str]) -> None:
        if headers:
            self.title("  ".join(headers))
        for row in rows:
            self._print("  ".join(row[:-1]), "cyan")
            self.text(row[-1], indent=4)

    def _print(self, text: str, style: str) -> None:
        from rich.text import Text

        self._console.print(Text(self._shown(text), style))

    def _shown(self, text: str) -> str:
        return printable(text, self._stream)
