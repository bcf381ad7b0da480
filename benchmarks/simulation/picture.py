"""What a limit does through a rush and an incident, as a picture: itself, goodput and latency."""

from __future__ import annotations

from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from .run import DEADLINE
from .run import simulate
from .scenarios import DATABASE
from .scenarios import Database
from .scenarios import Phase
from .scenarios import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from .limiting import Algorithm
    from .run import Result

STORY = Scenario(
    "story",
    Database,
    (
        Phase(15, 0.6 * DATABASE),
        Phase(25, 3 * DATABASE),
        Phase(25, 3 * DATABASE, 0.4),
        Phase(20, 3 * DATABASE),
        Phase(15, 0.6 * DATABASE),
    ),
)
CHAPTERS = ("0.6×", "3×", "3×, and the database\n2.5 times as slow", "3×", "0.6×")

PAPER, INK, FAINT, GRID, SHADE = "#fbfaf7", "#2b2d33", "#8b8f99", "#e6e4de", "#f4ece1"
LINES = (("#2a78c2", 2.4), ("#e39a3b", 1.5), ("#a9afba", 1.6))
WINDOW = 1.0
"""Seconds."""

STARTS = [sum(phase.seconds for phase in STORY.phases[:count]) for count in range(6)]


def draw(path: Path, contenders: Mapping[str, Callable[[], Algorithm]]) -> None:
    """Let the same happen to each of at most three, and draw it.

    :param path: the file, whose ending says of what kind it is.
    :param contenders: by what they are called.
    """
    results = {name: simulate(STORY, make()) for name, make in contenders.items()}
    with mpl.rc_context(
        {"font.family": "sans-serif", "svg.fonttype": "none", "svg.hashsalt": "", "font.size": 9}
    ):
        figure = Figure((7.2, 5.6))
        # The limit moves the most, so it has the most room.
        rows = figure.subplots(3, 1, sharex=True, height_ratios=(1.3, 1, 1))
        figure.subplots_adjust(left=0.11, right=0.96, top=0.8, bottom=0.06, hspace=0.32)
        for axes, title, show in zip(
            rows,
            ("limit", "answers within a second, each second", "99th percentile of those, in ms"),
            (_limit, _goodput, _latency),
            strict=True,
        ):
            _ground(axes, title)
            for (colour, width), result in zip(LINES, results.values(), strict=False):
                times, values = show(result)
                style = "steps-post" if show is _limit else "default"
                axes.plot(
                    times, values, color=colour, drawstyle=style,
                    linewidth=width if show is not _limit else width - 0.8,
                    zorder=2 + width,
                )  # fmt: skip
        rows[0].set_yscale("log", base=2)
        rows[0].set_yticks([2, 4, 8, 16, 32], ["2", "4", "8", "16", "32"])
        rows[0].minorticks_off()
        rows[1].set_ylim(0, 1.1 * DATABASE)
        rows[2].set_ylim(0, None)
        rows[2].set_xticks(STARTS, [f"{start:.0f} s" for start in STARTS])
        for chapter, start, end in zip(CHAPTERS, STARTS, STARTS[1:], strict=False):
            rows[0].text(
                (start + end) / 2, 1.2, chapter, transform=rows[0].get_xaxis_transform(),
                ha="center", va="bottom", fontsize=8, color=FAINT,
            )  # fmt: skip
        figure.text(0.02, 0.955, "A rush, and an incident", fontsize=13, weight="bold", color=INK)
        for place, ((colour, _), name) in enumerate(zip(LINES, results, strict=False)):
            figure.text(0.42 + 0.2 * place, 0.957, f"— {name}", color=colour, weight="bold")
        # Whoever draws it again gets the same file.
        undated = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(path, dpi=200, facecolor=PAPER, metadata=undated)


def _ground(axes: Axes, title: str) -> None:
    axes.set_facecolor(PAPER)
    axes.set_title(title, loc="left", fontsize=8.5, color=INK, pad=4)
    axes.grid(axis="y", color=GRID, linewidth=0.9)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8, labelcolor=FAINT)
    axes.axvspan(STARTS[2], STARTS[3], color=SHADE, linewidth=0, zorder=0)
    axes.set_xlim(0, STORY.seconds)


def _limit(result: Result) -> tuple[list[float], list[float]]:
    times, limits = zip(*result.limits, (STORY.seconds, result.limits[-1][1]), strict=True)
    return list(times), list(limits)


def _goodput(result: Result) -> tuple[list[float], list[float]]:
    windows = _windows(result)
    return _middles(windows), [len(window) / WINDOW for window in windows]


def _latency(result: Result) -> tuple[list[float], list[float]]:
    windows = _windows(result)
    return _middles(windows), [
        1000 * quantiles(window, n=100)[-1] if len(window) > 1 else float("nan")
        for window in windows
    ]


def _windows(result: Result) -> list[list[float]]:
    """Return how long those took who were served in time, by the second in which they came."""
    windows: list[list[float]] = [[] for _ in range(int(STORY.seconds / WINDOW))]
    for came, took in result.served:
        if took <= DEADLINE:
            windows[int(came / WINDOW)].append(took)
    return windows


def _middles(windows: list[list[float]]) -> list[float]:
    return [(number + 0.5) * WINDOW for number in range(len(windows))]
