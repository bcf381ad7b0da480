"""The small charts of the pictures: goodput over load, and goodput over time."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator
from results import Group
from results import Run
from steps import CALM
from steps import STORM_SECONDS
from steps import WINDOW_SECONDS

PAPER = "#fbfaf7"
INK = "#2b2d33"
FAINT = "#8b8f99"
GRID = "#e6e4de"
STORM_GROUND = "#f4ece1"
# Told apart by the colour-blind, too, and each with a mark of its own.
STYLES = (
    ("#a9afba", "o"),
    ("#e39a3b", "s"),
    ("#2a78c2", "D"),
    ("#3f9e79", "^"),
    ("#a05fb0", "v"),
    ("#d4577a", "P"),
)
"""Colour and mark of the variants, in their order."""
VIEWS = {
    "database": "database",
    "cpu": "CPU",
    "mixed": "CPU and database",
    "shared": "shared database",
}


def over_load(axes: Axes, group: Group, variants: Sequence[str]) -> None:
    """Draw a line of each variant: how much of the capacity is left under each load."""
    shown = [cell[0] for cell in group.cells() if cell[0].step is None]
    loads = sorted({run.load for run in shown})
    _ground(axes, group)
    axes.set_xscale("log")
    axes.set_xticks(loads, [f"{load:g}×" for load in loads])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(loads[0] / 1.15, loads[-1] * 1.15)
    bend = sorted({*loads, 1.0} if loads[0] < 1 < loads[-1] else loads)
    _dotted(axes, bend, [min(load, 1.0) for load in bend])
    for place, variant in enumerate(variants):
        runs = [run for run in shown if run.variant == variant]
        colour, mark, width = style(place)
        shares = [run.of_capacity for run in runs]
        _line(axes, [run.load for run in runs], shares, colour, width)
        for run in runs:
            axes.plot(
                run.load, run.of_capacity, mark, color=colour, markersize=3 + 1.4 * width,
                zorder=4, markerfacecolor=_inside(run, colour), markeredgewidth=1.2,
            )  # fmt: skip


def over_time(axes: Axes, group: Group, variants: Sequence[str]) -> None:
    """Draw a line of each variant: how much of the capacity is left from moment to moment."""
    shown = [cell[0] for cell in group.cells() if cell[0].step is not None]
    _ground(axes, group)
    axes.axvspan(0, STORM_SECONDS, color=STORM_GROUND, linewidth=0, zorder=0)
    axes.set_xticks([0, 5, 10, 15, 20], ["0", "5", "10", "15", "20 s"])
    for run in shown:
        assert run.step is not None
        colour, _, width = style(variants.index(run.variant))
        times = [window.at + WINDOW_SECONDS / 2 for window in run.step.windows]
        rate = group.capacity.rate * WINDOW_SECONDS
        _line(axes, times, [window.ended / rate for window in run.step.windows], colour, width)
        ends = (run.step.windows[0].at, run.step.windows[-1].at + WINDOW_SECONDS)
        axes.set_xlim(*ends)
        best = [CALM, CALM, 1, 1, CALM, CALM]
        _dotted(axes, [ends[0], 0, 0, STORM_SECONDS, STORM_SECONDS, ends[1]], best)


def style(place: int) -> tuple[str, str, float]:
    """Return colour, mark and width of the lines of a variant."""
    # Each narrower than the one before: where lines lie on each other, both can be seen.
    return *STYLES[place % len(STYLES)], max(3.4 - 0.8 * place, 1.4)


def _ground(axes: Axes, group: Group) -> None:
    axes.set_facecolor(PAPER)
    view = VIEWS.get(group.view, group.view)
    axes.set_title(group.server, loc="left", fontsize=9.5, fontweight="bold", color=INK, pad=5)
    axes.set_title(view, loc="right", fontsize=8, color=FAINT, pad=5)
    axes.set_ylim(-0.06, 1.26)
    axes.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axes.grid(axis="y", color=GRID, linewidth=0.9)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8, labelcolor=FAINT)


def _dotted(axes: Axes, places: Sequence[float], shares: Sequence[float]) -> None:
    axes.plot(places, shares, color=FAINT, linewidth=1, linestyle=(0, (1, 2)), zorder=1.5)


def _line(
    axes: Axes, places: Sequence[float], shares: Sequence[float], colour: str, width: float
) -> None:
    axes.plot(places, shares, color=colour, linewidth=width, zorder=3, solid_capstyle="round")


def _inside(run: Run, colour: str) -> str:
    return colour if run.is_valid else PAPER
