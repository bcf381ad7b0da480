"""Show a document as one page of HTML that needs nothing else: no script, no network."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from html import escape

from .document import Chart
from .document import Document
from .document import Section
from .document import Table
from .pictures import figure

STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #2b2d33; --faint: #666a73;
  --line: #dcd9d1; --good: #1f6fb8; --bad: #b3402e; }
@media (prefers-color-scheme: dark) { :root { --paper: #17191d; --ink: #e4e3df; --faint: #9a9ea8;
  --line: #353941; --good: #6fb2ee; --bad: #f08a76; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 62rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
p { margin: .5rem 0; max-width: 46rem; }
.wide { overflow-x: auto; overflow-wrap: normal; margin: .5rem 0; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem 1rem .2rem 0; text-align: right; vertical-align: top; white-space: nowrap; }
thead th { color: var(--faint); font-weight: normal; border-bottom: 1px solid var(--line); }
.left, tbody th { text-align: left; font-weight: normal; }
.facts tbody th { color: var(--faint); white-space: normal; min-width: 6rem; }
.facts td { text-align: left; white-space: normal; }
figure { margin: 1rem 0; }
figcaption { font-size: .875rem; }
.legend, .axis, .highest { color: var(--faint); font-size: .75rem; }
.axis { display: flex; justify-content: space-between; gap: 1rem; }
.plot { position: relative; padding-top: 1.1rem; }
.highest { position: absolute; top: 0; left: 0; }
svg { display: block; width: 100%; height: 7rem; overflow: visible; }
.good { --colour: var(--good); }
.bad { --colour: var(--bad); }
.area { fill: var(--colour); opacity: .3; }
.line { fill: none; stroke: var(--colour); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.grid { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
"""

HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
"""


def page(document: Document) -> str:
    """Return a document as HTML."""
    title = escape(document.title)
    body = "\n".join(_lines(document.sections))
    return (
        f"{HEAD}<title>{title}</title>\n<style>{STYLE}</style>\n"
        f"<main>\n<h1>{title}</h1>\n{body}\n</main>\n</html>\n"
    )


def _lines(sections: Sequence[Section]) -> Iterator[str]:
    for section in sections:
        yield f"<section><h2>{escape(section.title)}</h2>"
        for part in section.parts:
            if isinstance(part, Table):
                yield _table(part, section.title)
            elif isinstance(part, Chart):
                yield figure(part)
            else:
                yield f"<p>{escape(part)}</p>"
        yield "</section>"


def _table(table: Table, title: str) -> str:
    left = table.left if table.columns else 2
    head = ""
    if table.columns:
        cells = [
            f'<th scope="col"{_side(place, left)}>{escape(text)}</th>'
            for place, text in enumerate(table.columns)
        ]
        head = f"<thead><tr>{''.join(cells)}</tr></thead>"
    rows = "\n".join(_row(row, left) for row in table.rows)
    kind = "" if table.columns else " class=facts"
    # By keyboard, only what has the focus can be scrolled.
    return (
        f'<div class=wide tabindex="0" role="region" aria-label="{escape(title)}">'
        f"<table{kind}>{head}<tbody>\n{rows}\n</tbody></table></div>"
    )


def _row(row: Sequence[str], left: int) -> str:
    first, *others = row
    cells = [
        f"<td{_side(place, left)}>{escape(text)}</td>" for place, text in enumerate(others, start=1)
    ]
    return f'<tr><th scope="row"{_side(0, left)}>{escape(first)}</th>{"".join(cells)}</tr>'


def _side(place: int, left: int) -> str:
    return " class=left" if place < left else ""
