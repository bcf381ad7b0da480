"""Show a document on a terminal by rich: the same, and easier to read."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from .bars import draw
from .document import Chart
from .document import Document
from .document import Table
from .terminal import WIDEST
from .terminal import harmless

if TYPE_CHECKING:
    from rich.console import Console


def show(document: Document, console: Console) -> None:
    """Write a document.

    :param console: where to.
    """
    from rich.text import Text

    for number, section in enumerate(document.sections):
        if number:
            console.print()
        console.print(Text(harmless(section.title), style="bold"))
        for part in section.parts:
            if isinstance(part, Table):
                console.print(_table(part))
            elif isinstance(part, Chart):
                style = "red" if part.is_bad else "cyan"
                console.print()
                first, *lines = draw(part, min(console.width, WIDEST))
                console.print(Text(first))
                console.print(Text("\n".join(lines[:-1]), style=style), no_wrap=True, crop=False)
                console.print(Text(lines[-1], style="dim"), no_wrap=True, crop=False)
            else:
                console.print(Text(harmless(part)), width=min(console.width, WIDEST))


def _table(table: Table) -> Any:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(
        box=box.SIMPLE_HEAD if table.columns else None,
        show_header=bool(table.columns),
        header_style="bold",
        pad_edge=False,
    )
    left = table.left if table.columns else 2
    titles = table.columns or ("",) * len(table.rows[0])
    for place, title in enumerate(titles):
        drawn.add_column(
            Text(harmless(title)),
            justify="left" if place < left else "right",
            overflow="fold",
            style="" if table.columns or place else "dim",
        )
    for row in table.rows:
        drawn.add_row(*[Text(harmless(cell)) for cell in row])
    return drawn
