"""Candidates side by side, and beside what happened."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass

from .candidates import Settings
from .contention import NOTABLE
from .contention import Contention
from .contention import in_flight_at_start
from .contention import learn
from .outcome import Outcome
from .outcome import as_it_was
from .run import Scene
from .run import run
from .workload import Workload


@dataclass(frozen=True, slots=True)
class Comparison:
    """All of it, and by which assumptions."""

    requests: int
    of: int
    """How many requests the logs have. The others came in less dense times."""
    seconds: float
    made_up: int
    untold: int
    processes: int
    speed: float
    deadline: float
    per_process: bool
    settings: Settings
    slowdown: float | None
    """How many times as long requests took with most in flight as with few; None if the log
    doesn't tell."""
    uses_contention: bool
    """Whether that happens again as well."""
    as_it_was: Outcome
    candidates: tuple[Outcome, ...]

    @property
    def hides_contention(self) -> bool:
        """Whether low limits look worse than they are."""
        return not self.uses_contention and (self.slowdown or 1.0) >= NOTABLE


def compare(
    workload: Workload,
    limits: Sequence[int | str],
    settings: Settings,
    *,
    deadline: float,
    per_process: bool,
    speed: float,
    with_contention: bool,
    on_done: Callable[[int], object] | None = None,
) -> Comparison:
    """Let a workload happen once for each limit.

    :param deadline: how long clients wait, in seconds.
    :param per_process: whether each process has a limit of its own.
    :param speed: how many times as dense requests come as they did.
    :param with_contention: whether requests take longer with more in flight, as in the log.
    :param on_done: called now and then, with how many requests have come by now, of all limits.
    """
    in_flight = in_flight_at_start(workload, per_process=per_process)
    contention = learn(workload, in_flight)
    bases = None
    if contention is not None and with_contention:
        bases = _bases(workload, in_flight, contention)
    scene = Scene(
        workload, settings, deadline, per_process, speed, contention if bases else None, bases
    )
    everywhere = in_flight_at_start(workload, per_process=False) if per_process else in_flight
    return Comparison(
        requests=len(workload),
        of=workload.of,
        seconds=workload.seconds,
        made_up=workload.made_up,
        untold=workload.untold,
        processes=len(set(workload.processes)),
        speed=speed,
        deadline=deadline,
        per_process=per_process,
        settings=settings,
        slowdown=contention.most if contention else None,
        uses_contention=bases is not None,
        as_it_was=as_it_was(workload, everywhere, deadline),
        candidates=tuple(
            run(scene, limit, _counting(on_done, number * len(workload)))
            for number, limit in enumerate(limits)
        ),
    )


def _counting(
    on_done: Callable[[int], object] | None, before: int
) -> Callable[[int], object] | None:
    return None if on_done is None else lambda come: on_done(before + come)


def _bases(workload: Workload, in_flight: Sequence[int], contention: Contention) -> list[float]:
    """Return how long each would take by itself."""
    # What was rejected has the time of one that was served, and that was in flight with others.
    served = [number for number in in_flight if number]
    usual = sum(map(contention.factor, served)) / len(served)
    return [
        service / (contention.factor(number) if number else usual)
        for service, number in zip(workload.services, in_flight, strict=True)
    ]
