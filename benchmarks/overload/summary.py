"""The results in short, as Markdown: what goes into the documentation."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path

from results import Results
from results import Run

FILE = "summary.md"


def write_summary(results: Results, folder: Path) -> Path:
    """Write the summary to the folder; return its file."""
    tables = [_loads(results), _steps(results)]
    file = folder / FILE
    file.write_text("\n\n".join("\n".join(table) for table in tables if table) + "\n", "utf-8")
    return file


def _loads(results: Results) -> list[str]:
    """Return goodput as a share of the capacity, by load; of each variant, the last one in bold."""
    runs = [run for group in results.groups for run in group.runs if run.step is None]
    loads = sorted({run.load for run in runs})
    if not runs:
        return []
    *others, own = dict.fromkeys(run.variant for run in runs)
    titles = ["server", "view", "capacity", *(f"{load:g}×" for load in loads)]
    rows = _head([*titles, "of left", "p50", "p99"])
    for group in results.groups:
        found = {
            (cell[0].load, cell[0].variant): cell[0]
            for cell in group.cells()
            if cell[0].step is None
        }
        cells = (
            " · ".join(_goodput(found.get((load, variant))) for variant in others)
            + f" · **{_goodput(found.get((load, own)))}**"
            for load in loads
        )
        mine = [run for (_, variant), run in found.items() if variant == own]
        rate = f"{group.capacity.rate:.0f}/s"
        rows.append(_row([group.server, group.view, rate, *cells, _of_left(mine), *_times(mine)]))
    return rows


def _goodput(run: Run | None) -> str:
    return "-" if run is None else f"{run.of_capacity:.2f}{'' if run.is_valid else '!'}"


def _of_left(runs: Iterable[Run]) -> str:
    """Return the smallest share of what rejections leave, of the runs that are an overload."""
    shares = [run.of_left for run in runs if run.load > 1 and run.of_left is not None]
    return f"{min(shares):.2f}" if shares else "-"


def _times(runs: Iterable[Run]) -> tuple[str, str]:
    """Return the longest p50 and p99 of the runs that are an overload."""
    figures = [run.figures for run in runs if run.load > 1]
    longest = (
        max((time for time in times if time is not None), default=None)
        for times in ([each.p50 for each in figures], [each.p99 for each in figures])
    )
    p50, p99 = ("-" if time is None else f"{time * 1000:.0f} ms" for time in longest)
    return p50, p99


def _steps(results: Results) -> list[str]:
    """Return goodput before and during a step as shares of the capacity, and the recovery."""
    groups = [group for group in results.groups if any(run.step for run in group.runs)]
    if not groups:
        return []
    rows = _head(["server", "view", "", "before", "during", "all well after"])
    for group in groups:
        for run in (cell[0] for cell in group.cells()):
            if run.step is None:
                continue
            step, rate = run.step, group.capacity.rate
            recovery = "-" if step.recovery is None else f"{step.recovery:.1f} s"
            mark = "" if run.is_valid else "!"
            rows.append(
                _row(
                    [group.server, group.view, run.variant + mark, f"{step.before / rate:.2f}",
                     f"{step.during / rate:.2f}", recovery]
                )
            )  # fmt: skip
    return rows


def _head(titles: Sequence[str]) -> list[str]:
    return [_row(titles), _row(["---"] * len(titles))]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
