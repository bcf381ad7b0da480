"""Show a document as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from collections.abc import Sequence

from .bars import draw
from .document import Chart
from .document import Document
from .document import Table
from .terminal import NARROWEST
from .terminal import WIDEST
from .terminal import harmless


def plain(document: Document, width: int = 80, *, is_ascii: bool = False) -> str:
    """Return a document as text.

    :param width: how many columns a line has, at most; a table that needs more has more.
    :param is_ascii: whether there are no other characters than these.
    """
    lines = list(_lines(document, max(NARROWEST, min(width, WIDEST)), is_ascii=is_ascii))
    text = "\n".join(lines)
    return to_ascii(text) if is_ascii else text


def _lines(document: Document, width: int, *, is_ascii: bool) -> Iterator[str]:
    for number, section in enumerate(document.sections):
        if number:
            yield ""
        yield harmless(section.title)
        yield ("-" if is_ascii else "─") * len(section.title)
        for place, part in enumerate(section.parts):
            if place and isinstance(part, Table | Chart):
                yield ""
            if isinstance(part, Table):
                yield from _table(part)
            elif isinstance(part, Chart):
                yield from draw(part, width, is_ascii=is_ascii)
            else:
                # A path or a setting that is broken can't be copied.
                yield from textwrap.wrap(
                    harmless(part), width, break_long_words=False, break_on_hyphens=False
                )


def _table(table: Table) -> Iterator[str]:
    every = [table.columns, *table.rows] if table.columns else table.rows
    rows = [[harmless(cell) for cell in row] for row in every]
    left = table.left if table.columns else 2
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield _row(row, widths, left)


def _row(row: Sequence[str], widths: Sequence[int], left: int) -> str:
    cells = [
        text.ljust(width) if place < left else text.rjust(width)
        for place, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def to_ascii(text: str) -> str:
    """Return a text for where there are no other characters."""
    return text.replace("µ", "u").replace("…", "...").encode("ascii", "backslashreplace").decode()
