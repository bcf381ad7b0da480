"""The results as text."""

from __future__ import annotations

from collections.abc import Iterable

from results import Group
from results import Run

COLUMNS = (
    ("offered/s", 10), ("goodput/s", 10), ("of capacity", 12), ("of left", 8), ("of possible", 12),
    ("p50 ms", 7), ("p99 ms", 7), ("rejected/s", 11), ("late/s", 7), ("failed/s", 9), ("lag ms", 7),
)  # fmt: skip
LEGEND = """\
goodput: served within the deadline, from when the request was due. late: no answer by then.
of left: of capacity x (1 - rejections a second x CPU time of an empty answer). of possible: the
same, but a server that mostly waits has CPU time to spare for them. Both: of what was offered if
that is less. lag: how late the generator sent 99 of 100 requests, at most.
! before a run: not valid, see below the table. Its figures are not to be used."""


def table(group: Group) -> str:
    """Return what was measured of one view on one server."""
    cells = list(group.cells())
    width = max((len(cell[0].variant) for cell in cells), default=0)
    titles = "".join(f"{title:>{size}}" for title, size in COLUMNS)
    lines = [*_heading(group), "", f"  {'load':5} {'':{width}}{titles}"]
    last = ""
    for cell in cells:
        load = _load(cell[0])
        lines.append(_line(cell, load if load != last else "", width))
        last = load
    steps = (cell[0] for cell in cells if cell[0].step is not None)
    lines += (_step_line(run, width) for run in steps)
    lines += _complaints(cells)
    return "\n".join(line.rstrip() for line in lines)


def _heading(group: Group) -> Iterable[str]:
    after = group.capacity_after
    again = "" if after is None else f"; at the end: {after.rate:.0f}/s"
    capacity = group.capacity
    yield f"{group.title}"
    yield f"  capacity: {capacity.rate:.0f}/s, in a loop of {capacity.clients} clients{again}"
    yield f"  {capacity.cpu:.2f} CPUs busy at capacity"
    costs = [f"{cost * 1e6:.0f} us at {load}x" for load, cost in group.answer_costs.items()]
    busy = f"{group.empty.cpu_each * 1e6:.0f} us at {group.empty.rate:.0f}/s, as many as it can"
    yield f"  CPU time of an empty answer: {', '.join([*costs, busy])}"


def _load(run: Run) -> str:
    return "step" if run.step is not None else f"{run.load:g}x"


def _line(cell: list[Run], load: str, width: int) -> str:
    run, figures = cell[0], cell[0].figures
    values = (
        f"{figures.offered:.0f}",
        f"{figures.goodput:.0f}",
        f"{run.of_capacity:.2f}",
        _share(run.of_left),
        _share(run.of_possible),
        _milliseconds(figures.p50),
        _milliseconds(figures.p99),
        f"{figures.rejected:.0f}",
        f"{figures.late:.0f}",
        f"{figures.failed:.0f}",
        f"{figures.lag_p99 * 1000:.0f}",
    )
    columns = zip(values, COLUMNS, strict=True)
    shown = "".join(f"{value:>{size}}" for value, (_, size) in columns)
    return f"{_mark(run)} {load:5} {run.variant:{width}}{shown}{_spread(cell)}"


def _spread(cell: list[Run]) -> str:
    """Say how far the runs of a cell lie apart, where there are several to believe."""
    shares = [run.of_capacity for run in cell if run.is_valid]
    return f"  ({min(shares):.2f} to {max(shares):.2f})" if len(shares) > 1 else ""


def _step_line(run: Run, width: int) -> str:
    assert run.step is not None
    step = run.step
    after = (
        "not well again before the end"
        if step.recovery is None
        else f"all well after {step.recovery:.1f} s"
    )
    return (
        f"{_mark(run)} step  {run.variant:{width}}  goodput {step.before:.0f}/s before,"
        f" {step.during:.0f}/s during; {after}"
    )


def _complaints(cells: list[list[Run]]) -> Iterable[str]:
    for cell in cells:
        if problems := cell[0].figures.problems:
            yield f"! {_load(cell[0])}, {cell[0].variant}: {'; '.join(problems)}"


def _mark(run: Run) -> str:
    return " " if run.is_valid else "!"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.2f}"


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f}"
