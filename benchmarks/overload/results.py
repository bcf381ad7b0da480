"""The results: every run, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from figures import Figures
from steps import Step
from steps import Window

FILE = "results.json"


class NoResults(Exception):
    """There is no such file, or it is another one."""


@dataclass(frozen=True, slots=True)
class Run:
    """One variant under one load."""

    variant: str
    load: float
    """In multiples of the capacity; that of the storm, where it is a step."""
    round: int
    figures: Figures
    left: float
    """What goodput the arithmetic leaves, per second, after this run's rejections."""
    possible: float
    """The same, less strict on the CPU: what it has to spare is enough for some rejections."""
    of_capacity: float
    of_left: float | None
    """Against what is left, or all that was offered if that is less."""
    of_possible: float | None
    """Against what is possible, or all that was offered if that is less."""
    step: Step | None = None

    @property
    def is_valid(self) -> bool:
        """Whether to believe it."""
        return not self.figures.problems


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a server can do without a guard."""

    rate: float
    """Requests a second, in the best closed loop."""
    clients: int
    """How many clients that loop had."""
    cpu: float
    """How many CPUs the server kept busy."""

    @property
    def cpu_each(self) -> float:
        """How many seconds of CPU time an answer took."""
        return self.cpu / self.rate


@dataclass(slots=True)
class Group:
    """All runs of one view on one server."""

    server: str
    view: str
    capacity: Capacity
    empty: Capacity
    """The same for a view that does nothing."""
    capacity_after: Capacity | None = None
    """The capacity again when all the runs were done."""
    answer_costs: dict[str, float] = field(default_factory=dict)
    """Seconds of CPU time that an empty answer takes the server, by load."""
    runs: list[Run] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What it is called."""
        return f"{self.server}, {self.view}"

    def cells(self) -> Iterator[list[Run]]:
        """Yield the runs that repeat each other, the one to show first."""
        keys = dict.fromkeys((run.step is not None, run.load, run.variant) for run in self.runs)
        order = {variant: place for place, (_, _, variant) in enumerate(keys)}
        for key in sorted(keys, key=lambda key: (key[0], key[1], order[key[2]])):
            yield _best_known(
                run for run in self.runs if (run.step is not None, run.load, run.variant) == key
            )


def _best_known(runs: Iterable[Run]) -> list[Run]:
    """Put the run first whose goodput is the middle one of those that are valid."""
    runs = list(runs)
    believed = [run for run in runs if run.is_valid] or runs
    believed.sort(key=lambda run: run.figures.goodput)
    middle = believed[(len(believed) - 1) // 2]
    return [middle, *(run for run in runs if run is not middle)]


@dataclass(slots=True)
class Results:
    """What a session of the lab has measured."""

    setting: dict[str, Any]
    """What was measured where, when and how."""
    groups: list[Group] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write them to the folder, which version control is told to ignore."""
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", "utf-8")
        # Not in place: an interrupted write would lose the hour before it.
        scratch = folder / f"{FILE}.new"
        scratch.write_text(json.dumps(asdict(self), indent=1), "utf-8")
        scratch.replace(folder / FILE)


def load_results(folder: Path) -> Results:
    """Read what was saved.

    :raises NoResults: there is nothing to read.
    """
    try:
        found = json.loads((folder / FILE).read_text("utf-8"))
        return Results(found["setting"], [_group(group) for group in found["groups"]])
    except OSError as error:
        raise NoResults(f"'{folder / FILE}' can't be read: {error.strerror}.") from None
    except (KeyError, TypeError, ValueError):
        raise NoResults(f"'{folder / FILE}' is not a file of this lab, or an older one.") from None


def _group(found: dict[str, Any]) -> Group:
    after = found["capacity_after"]
    return Group(
        server=found["server"],
        view=found["view"],
        capacity=Capacity(**found["capacity"]),
        empty=Capacity(**found["empty"]),
        capacity_after=None if after is None else Capacity(**after),
        answer_costs=found["answer_costs"],
        runs=[_run(run) for run in found["runs"]],
    )


def _run(found: dict[str, Any]) -> Run:
    step = found["step"]
    if step is not None:
        step = Step(**{**step, "windows": [Window(**window) for window in step["windows"]]})
    return Run(**{**found, "figures": Figures(**found["figures"]), "step": step})
