"""The experiment: find the capacity, then give each variant the same load, in turns."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace

from figures import LEAST_ANSWERED
from figures import MOST_DRIFT
from figures import OK
from figures import Figures
from figures import Raw
from figures import figures
from figures import left
from figures import possible
from figures import share
from guards import PREFIX
from load import LEAD_SECONDS
from load import arrivals
from load import closed_loop
from load import open_loop
from machine import Machine
from options import Options
from results import Capacity
from results import Group
from results import Run
from servers import ServerFailed
from servers import running
from steps import AFTER_SECONDS
from steps import CALM
from steps import CALM_SECONDS
from steps import STORM
from steps import STORM_SECONDS
from steps import read_step
from variants import Variant
from views import CPU_SECONDS
from views import iterations_for

CLIENTS = (2, 4, 8, 12, 16)
QUICK_CLIENTS = (4, 8)
"""How many clients the closed loops have that look for the capacity."""
CAPACITY_SECONDS = 1.5
QUICK_CAPACITY_SECONDS = 1.0
EMPTY_SECONDS = 2.0
QUICK_EMPTY_SECONDS = 1.0
EMPTY_TRIES = 3
EMPTY_CLIENTS = 32

NO_GUARD = Variant("none")


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab on this machine, set up for what is to be measured."""

    options: Options
    machine: Machine
    cpu_iterations: int

    def rehearse(self) -> None:
        """Start each variant once.

        :raises ServerFailed: one doesn't start. Better now than after the first few minutes.
        """
        for variant in self.options.variants:
            with running(self.options.servers[0], self._environment(variant), self.machine):
                pass

    def begin(self, server: str, view: str) -> Group:
        """Find the capacity that all runs of this view on this server are held against."""
        capacity = self._capacity(server, view)
        return Group(server, view, capacity, self._closed(server, "empty", EMPTY_CLIENTS))

    def measure(self, group: Group) -> Iterator[Run]:
        """Measure all variants under all loads; yield each run that was added to the group."""
        loads = [*self.options.loads, *([None] if self.options.step else [])]
        for load in loads:
            # A step ends where it began, so its rejections are those of its storm.
            self._answer_cost(group, STORM if load is None else load)
            for number in range(self.options.rounds):
                for variant in self.options.variants:
                    for run in self._runs(group, variant, load, number):
                        group.runs.append(run)
                        yield run
        group.capacity_after = self._closed(group.server, group.view, group.capacity.clients)
        _mark_drift(group)

    def _capacity(self, server: str, view: str) -> Capacity:
        """Return the best of several closed loops without a guard."""
        numbers = QUICK_CLIENTS if self.options.quick else CLIENTS
        loops = [self._closed(server, view, clients) for clients in numbers]
        return max(loops, key=lambda loop: loop.rate)

    def _closed(self, server: str, view: str, clients: int) -> Capacity:
        tell(f"{server}, {view}: capacity, {clients} clients")
        seconds = QUICK_CAPACITY_SECONDS if self.options.quick else CAPACITY_SECONDS
        with running(server, self._environment(NO_GUARD), self.machine) as process:
            raw = closed_loop(process, self.machine, f"/{view}", clients, seconds)
        ended = [due + took for due, status, took in raw.outcomes if status == OK]
        served = sum(raw.begin <= end < raw.end for end in ended)
        if not served:
            raise ServerFailed(f"'{server}' served nobody in a closed loop of {clients} clients.")
        return Capacity(served / raw.seconds, clients, raw.server_cpu / raw.seconds)

    def _answer_cost(self, group: Group, load: float) -> None:
        """Measure what an empty answer costs the server at the rate of this load's excess."""
        if load <= 1 or str(load) in group.answer_costs:
            return
        rate = group.capacity.rate * (load - 1)
        seconds = QUICK_EMPTY_SECONDS if self.options.quick else EMPTY_SECONDS
        for _ in range(EMPTY_TRIES):
            tell(f"{group.title}: {load:g}x, empty answers, {rate:.0f}/s")
            due = arrivals([(rate, seconds + 0.5)], f"{group.title} empty", self.options.even)
            with running(group.server, self._environment(NO_GUARD), self.machine) as server:
                raw = open_loop(
                    server, self.machine, "/empty", due, (0.5, 0.5 + seconds), self.options.deadline
                )
            answered = sum(status == OK for _, status, _ in raw.counted())
            if answered:
                group.answer_costs[str(load)] = raw.server_cpu / answered
            if answered >= LEAST_ANSWERED * len(raw.counted()):
                return
            # The server can't even do nothing at this rate; what it wasted would count, too.
            rate /= 2

    def _runs(
        self, group: Group, variant: Variant, load: float | None, number: int
    ) -> Iterator[Run]:
        """Yield a run; and if it came out invalid, which is no fault of the variant, another."""
        for _ in range(1 if self.options.quick else 2):
            run = self._run(group, variant, load, number)
            yield run
            if run.is_valid:
                return

    def _run(self, group: Group, variant: Variant, load: float | None, number: int) -> Run:
        tell(f"{group.title}: {'step' if load is None else f'{load:g}x'}, {variant.name}")
        seed = f"{group.title}, {load}, {number}"
        with running(group.server, self._environment(variant), self.machine) as server:
            due, window = self._plan(group.capacity.rate, load, seed)
            raw = open_loop(
                server, self.machine, f"/{group.view}", due, window, self.options.deadline
            )
        return _read(group, variant, load, number, raw, len(self.machine.server_cpus))

    def _plan(
        self, capacity: float, load: float | None, seed: str
    ) -> tuple[list[float], tuple[float, float]]:
        """Return when requests are due, and from when to when they count.

        The load goes on for one deadline after that: those who come last must not find the
        queue shorter than those before.
        """
        warm_up = self.options.warm_up
        if load is None:
            before, after = warm_up + CALM_SECONDS, AFTER_SECONDS + self.options.deadline
            phases = [(CALM, before), (STORM, STORM_SECONDS), (CALM, after)]
            seconds = CALM_SECONDS + STORM_SECONDS + AFTER_SECONDS
        else:
            seconds = self.options.seconds
            phases = [(load, warm_up + seconds + self.options.deadline)]
        rates = [(times * capacity, length) for times, length in phases]
        return arrivals(rates, seed, self.options.even), (warm_up, warm_up + seconds)

    def _environment(self, variant: Variant) -> dict[str, str]:
        return {f"{PREFIX}CPU_ITERATIONS": str(self.cpu_iterations), **variant.environment()}


def set_up(options: Options) -> Lab:
    """Prepare this machine."""
    machine = Machine(options.pin)
    machine.settle()
    with machine.on_server_cpu():
        iterations = iterations_for(CPU_SECONDS)
    return Lab(options, machine, iterations)


def expected_seconds(options: Options) -> float:
    """Return about how long it takes, if no run has to be repeated."""
    start = LEAD_SECONDS + 0.5
    around = start + options.warm_up + 1.5 * options.deadline
    runs = len(options.loads) * (options.seconds + around)
    runs += options.step * (CALM_SECONDS + STORM_SECONDS + AFTER_SECONDS + around)
    runs *= len(options.variants) * options.rounds
    loops = len(QUICK_CLIENTS if options.quick else CLIENTS) + 2
    runs += loops * (start + (QUICK_CAPACITY_SECONDS if options.quick else CAPACITY_SECONDS))
    empty = start + 0.5 + (QUICK_EMPTY_SECONDS if options.quick else EMPTY_SECONDS)
    runs += empty * len({load for load in (*options.loads, STORM * options.step) if load > 1})
    return runs * len(options.servers) * len(options.views)


def tell(what: str) -> None:
    """Say what is going on, to whoever sits in front of it."""
    print(f"{time.strftime('%H:%M:%S')}  {what}", file=sys.stderr, flush=True)


def _read(
    group: Group, variant: Variant, load: float | None, number: int, raw: Raw, cpus: int
) -> Run:
    times = STORM if load is None else load
    found = figures(raw)
    step = None
    if load is None:
        step = read_step(raw)
        found = _of_storm(raw, found)
    capacity, busy = group.capacity, group.empty.cpu_each
    # A server that has nothing else to do takes longer over each: it falls asleep and wakes up in
    # between. The dearer figure would make the guard look better than it is.
    rejecting = found.rejected * min(group.answer_costs.get(str(times), busy), busy) / cpus
    remaining = left(capacity.rate, rejecting)
    best = possible(capacity.rate, capacity.cpu / cpus, rejecting)
    return Run(
        variant=variant.name,
        load=times,
        round=number,
        figures=found,
        left=remaining,
        possible=best,
        of_capacity=found.goodput / capacity.rate,
        of_left=share(found.goodput, min(remaining, found.offered)),
        of_possible=share(found.goodput, min(best, found.offered)),
        step=step,
    )


def _of_storm(raw: Raw, whole: Figures) -> Figures:
    """Return the figures of the storm alone, as far as it can be told apart."""
    begin = raw.begin + CALM_SECONDS
    storm = figures(replace(raw, begin=begin, end=begin + STORM_SECONDS))
    return replace(storm, server_cpu=whole.server_cpu, others=whole.others, problems=whole.problems)


def _mark_drift(group: Group) -> None:
    """Void all runs where the capacity they are held against has changed meanwhile."""
    assert group.capacity_after is not None
    drift = group.capacity_after.rate / group.capacity.rate - 1
    if abs(drift) > MOST_DRIFT:
        for run in group.runs:
            run.figures.problems.append(f"the capacity changed by {drift:+.0%} meanwhile")
