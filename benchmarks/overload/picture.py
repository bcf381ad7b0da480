"""The results as pictures, with a small chart for each server and view."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from panels import FAINT
from panels import INK
from panels import PAPER
from panels import over_load
from panels import over_time
from panels import style
from results import Group
from results import Results

PANEL = (3.15, 2.0)
HEAD = 1.05
FOOT = 0.75
LEAST_WIDTH = 5.9
LEGEND_LINE = 0.2
LETTER = 0.078
HANDLE = 0.62
"""Inches, all of these."""

Panel = Callable[[Axes, Group, Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture: what it is called, and what is in it."""

    name: str
    title: str
    subtitle: str
    panel: Panel
    marks: bool
    """Whether the lines have marks."""
    notes: tuple[str, ...]
    groups: list[Group]


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw the pictures that there are results for; return their files."""
    files = []
    # Text stays text in the SVG: it is smaller, and can be searched and read aloud.
    with mpl.rc_context({"font.family": "sans-serif", "svg.fonttype": "none", "font.size": 9}):
        for picture in filter(lambda picture: picture.groups, _pictures(results)):
            figure = _figure(picture)
            for kind in ("png", "svg"):
                files.append(folder / f"{picture.name}.{kind}")
                figure.savefig(files[-1], dpi=200, facecolor=PAPER)
    return files


def _pictures(results: Results) -> tuple[Picture, ...]:
    answers = f"answers within {results.setting['deadline']:g} s, as a share of the capacity"
    loads = [group for group in results.groups if any(run.step is None for run in group.runs)]
    steps = [group for group in results.groups if any(run.step for run in group.runs)]
    hollow = any(not run.is_valid for group in loads for run in group.runs if run.step is None)
    return (
        Picture(
            "overload",
            "Goodput under overload",
            f"{answers}, over the load in multiples of it",
            over_load,
            True,
            ("dotted: the best there can be", *(["hollow: not a valid run"] if hollow else [])),
            loads,
        ),
        Picture(
            "overload-step",
            "Goodput during a rush, and after it",
            f"{answers}; ten seconds at 5×, before and after at 0.5×",
            over_time,
            False,
            ("dotted: the best there can be",),
            steps,
        ),
    )


def _figure(picture: Picture) -> Figure:
    groups = picture.groups
    servers = list(dict.fromkeys(group.server for group in groups))
    views = list(dict.fromkeys(group.view for group in groups))
    variants = list(dict.fromkeys(run.variant for group in groups for run in group.runs))
    # Where there is one view only, the servers are laid out in lines of three.
    columns = min(3, len(servers)) if len(views) == 1 else len(views)
    rows = -(-len(groups) // columns) if len(views) == 1 else len(servers)
    wide = max(columns * PANEL[0] + 0.35, LEAST_WIDTH)
    abreast = _abreast(variants, wide)
    head = HEAD + (-(-len(variants) // abreast) - 1) * LEGEND_LINE
    high = rows * PANEL[1] + head + FOOT
    figure = Figure((wide, high))
    grid = figure.add_gridspec(
        rows, columns, left=0.62 / wide, right=1 - 0.2 / wide,
        top=1 - (head + 0.1) / high, bottom=FOOT / high, hspace=0.42, wspace=0.12,
    )  # fmt: skip
    for place, group in enumerate(groups):
        row, column = divmod(place, columns)
        if len(views) > 1:
            row, column = servers.index(group.server), views.index(group.view)
        axes = figure.add_subplot(grid[row, column])
        picture.panel(axes, group, variants)
        axes.tick_params(labelleft=column == 0)
    _words(figure, picture, variants, abreast)
    return figure


def _abreast(variants: Sequence[str], wide: float) -> int:
    """Return how many names of variants have room beside each other."""
    widest = max(map(len, variants)) * LETTER + HANDLE
    return min(len(variants), max(int(wide / widest), 1))


def _words(figure: Figure, picture: Picture, variants: Sequence[str], abreast: int) -> None:
    wide, high = figure.get_size_inches()
    left = 0.2 / wide
    figure.text(left, 1 - 0.3 / high, picture.title, fontsize=13, fontweight="bold", color=INK)
    figure.text(left, 1 - 0.53 / high, picture.subtitle, fontsize=8.5, color=FAINT)
    styles = [style(place) for place in range(len(variants))]
    handles = [
        Line2D([], [], color=colour, marker=mark * picture.marks, linewidth=2, label=variant)
        for variant, (colour, mark, _) in zip(variants, styles, strict=True)
    ]
    figure.legend(
        handles=handles, loc="upper left", frameon=False,
        bbox_to_anchor=(left - 0.03 / wide, 1 - 0.64 / high),
        ncols=abreast, borderaxespad=0, borderpad=0.2, fontsize=9, labelcolor=INK,
        handlelength=1.8, columnspacing=1.6,
    )  # fmt: skip
    figure.text(left, 0.16 / high, "; ".join(picture.notes), fontsize=8, color=FAINT)
