"""Charts of block characters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from . import figures
from .document import Chart

HEIGHT = 5
"""Lines."""

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = " .:#"


def draw(chart: Chart, width: int, *, is_ascii: bool = False) -> list[str]:
    """Return the lines of a chart.

    :param width: how many columns there are.
    :param is_ascii: whether there are no other characters than these.
    """
    blocks = ASCII_BLOCKS if is_ascii else BLOCKS
    highest = max((*chart.values, *chart.peaks), default=0.0)
    labels = [figures.number(highest), "0"]
    margin = max(map(len, labels))
    columns = squeezed(chart.values, max(8, width - margin - 3))
    marks = squeezed(chart.peaks, max(8, width - margin - 3), keep_highest=True)
    steps = len(blocks) - 1
    lines = [f"{' ' * margin}   {_title(chart)}"]
    for row in reversed(range(HEIGHT)):
        label = labels[0] if row == HEIGHT - 1 else labels[1] if row == 0 else ""
        edge = ("|" if is_ascii else "┤") if label else ("|" if is_ascii else "│")
        cells = [
            _cell(value, peak, row, highest, blocks, steps, is_ascii=is_ascii)
            for value, peak in zip(columns, marks or columns, strict=True)
        ]
        lines.append(f"{label:>{margin}} {edge} {''.join(cells)}".rstrip())
    gap = max(2, len(columns) - len(chart.begin) - len(chart.end))
    lines.append(f"{' ' * margin}   {chart.begin}{' ' * gap}{chart.end}")
    return lines


def _title(chart: Chart) -> str:
    return f"{chart.title}: the mean, and dots at the peaks" if chart.peaks else chart.title


def _cell(
    value: float,
    peak: float,
    row: int,
    highest: float,
    blocks: str,
    steps: int,
    *,
    is_ascii: bool,
) -> str:
    filled = value / highest * HEIGHT * steps - row * steps if highest else 0
    if filled > 0:
        return blocks[max(1, min(steps, round(filled)))]
    is_peak = peak > value and row == min(HEIGHT - 1, int(peak / highest * HEIGHT))
    return ("'" if is_ascii else "·") if is_peak else " "


def squeezed(values: Sequence[float], width: int, *, keep_highest: bool = False) -> Sequence[float]:
    """Return at most so many values, each of which stands for as many of those."""
    if len(values) <= width:
        repeat = max(1, width // len(values)) if values else 1
        return [value for value in values for _ in range(repeat)]
    bounds = [round(place * len(values) / width) for place in range(width + 1)]
    groups = [values[begin:end] for begin, end in pairwise(bounds)]
    return [max(group) if keep_highest else sum(group) / len(group) for group in groups]
