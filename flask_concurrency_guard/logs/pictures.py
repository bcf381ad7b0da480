"""Charts as SVG: shapes only, so that they can be stretched; their labels are text beside them."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from html import escape

from . import figures
from .document import Chart

WIDTH, HEIGHT = 1000, 100
"""Of the drawing. On the page it is as wide as there is room."""


def figure(chart: Chart) -> str:
    """Return a chart as an HTML element."""
    highest = max((*chart.values, *chart.peaks), default=0.0)
    label = (
        f"{chart.title}, from {chart.begin} to {chart.end}: at most {figures.number(highest)},"
        f" {figures.number(sum(chart.values) / len(chart.values))} in the mean"
    )
    legend = " <span class=legend>(line: the peaks; area: the mean)</span>" if chart.peaks else ""
    return (
        f'<figure class="{"bad" if chart.is_bad else "good"}">'
        f"<figcaption>{escape(chart.title)}{legend}</figcaption>"
        f"<div class=plot><span class=highest>{figures.number(highest)}</span>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(label)}">{_shapes(chart, highest)}</svg></div>'
        f"<div class=axis><span>{escape(chart.begin)}</span><span>{escape(chart.end)}</span></div>"
        "</figure>"
    )


def _shapes(chart: Chart, highest: float) -> str:
    grid = "".join(
        f'<path class=grid d="M0 {height}H{WIDTH}"/>' for height in (0, HEIGHT // 2, HEIGHT)
    )
    if not highest:
        return grid
    area = f'<path class=area d="M0 {HEIGHT}L{_steps(chart.values, highest)}V{HEIGHT}Z"/>'
    line = f'<path class=line d="M{_steps(chart.peaks or chart.values, highest)}"/>'
    return grid + area + line


def _steps(values: Sequence[float], highest: float) -> str:
    return " ".join(_corners(values, highest))


def _corners(values: Sequence[float], highest: float) -> Iterable[str]:
    width = WIDTH / len(values)
    for place, value in enumerate(values):
        height = HEIGHT * (1 - value / highest)
        yield f"{place * width:.1f},{height:.1f} {(place + 1) * width:.1f},{height:.1f}"
