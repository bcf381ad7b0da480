"""Limits that are learned beside limits that are set, in a simulation: who serves more in time?"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random
from statistics import fmean

from simulation.limiting import Fixed
from simulation.run import PhaseResult
from simulation.run import simulate
from simulation.scenarios import SCENARIOS
from simulation.scenarios import Scenario

from flask_concurrency_guard.core.algorithms.make import ALGORITHMS
from flask_concurrency_guard.core.algorithms.make import make_algorithm

FIXED = (*range(1, 11), 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64)
SHORT = (1, 2, 4, 8, 12, 16, 24, 32, 64)
EPILOG = """\
of the best: goodput (served within a second) over that of the best fixed limit, which is another
one for each part of a scenario, found afterwards; the mean of all parts, and the worst. p99: of
those served, over that of the same limit. settled: after how many seconds of a part, at most, the
next five serve 95 % of it. The same seed gives the same figures.
"""


@dataclass(frozen=True)
class Job:
    scenario: Scenario
    contender: int | str
    """A fixed limit, or the name of an algorithm."""
    seed: int


def run(job: Job) -> list[PhaseResult]:
    if isinstance(job.contender, int):
        return simulate(job.scenario, Fixed(job.contender), job.seed).phases
    return simulate(job.scenario, make_algorithm(job.contender, {}), job.seed).phases


@dataclass(frozen=True)
class Score:
    """What became of one part of a scenario, held against the best fixed limit."""

    goodput: float
    p50: float
    p99: float
    rejected: float
    mean_limit: float
    settled: float

    @classmethod
    def of(cls, result: PhaseResult, best: PhaseResult) -> Score:
        settled = result.settled_after(best)
        return cls(
            goodput=result.goodput / best.goodput if best.goodput else 1.0,
            p50=result.percentile(0.5),
            p99=result.percentile(0.99) / best.percentile(0.99),
            rejected=result.rejected / max(1, result.offered),
            mean_limit=result.mean_limit,
            settled=result.seconds if settled is None else settled,
        )


def main() -> None:
    """Simulate, and print the table."""
    options = read_options()
    if options.picture is not None:
        draw(options.picture)
        return
    scenarios = [s for s in SCENARIOS if s.name in (options.scenario or names())]
    if options.quick:
        scenarios = [scenario.shortened(10) for scenario in scenarios]
    fixed = SHORT if options.quick else FIXED
    contenders: list[int | str] = [*fixed, *options.algorithm]
    jobs = [Job(*each) for each in product(scenarios, contenders, range(1, options.seeds + 1))]
    began = time.monotonic()
    with ProcessPoolExecutor() as pool:
        results = dict(zip(jobs, pool.map(run, jobs, chunksize=4), strict=True))
    took = time.monotonic() - began
    for scenario in scenarios:
        print(f"\n{scenario.name}: {describe(scenario)}")
        print(HEAD)
        for contender in (*options.algorithm, *options.fixed):
            scores = [
                score
                for seed in range(1, options.seeds + 1)
                for score in scores_of(results, scenario, contender, fixed, seed)
            ]
            print(row(contender, scores))
    print("\nall of them")
    print(HEAD)
    for contender in (*options.algorithm, *options.fixed):
        print(
            row(
                contender,
                [
                    score
                    for scenario in scenarios
                    for seed in range(1, options.seeds + 1)
                    for score in scores_of(results, scenario, contender, fixed, seed)
                ],
            )
        )
    simulated = sum(job.scenario.seconds for job in jobs)
    print(f"\n{simulated:,.0f} s simulated in {took:.0f} s\n\n{EPILOG}")


def draw(path: Path) -> None:
    """Draw a limit that is learned by this guard, and two others."""
    from simulation import picture  # matplotlib takes a second.

    algorithms = {
        "adaptive": lambda: make_algorithm("guard", {}),
        "Vegas": lambda: make_algorithm("vegas", {"randomness": Random(1)}),
        "fixed: 32": lambda: Fixed(32),
    }
    picture.draw(path, algorithms)
    print(path)


HEAD = "  limit      of the best  worst    p50 ms    p99  rejected  mean limit  settled"


def row(contender: int | str, scores: Sequence[Score]) -> str:
    return (
        f"  {contender:<10} {fmean(s.goodput for s in scores):11.3f}"
        f"{min(s.goodput for s in scores):7.3f}{1000 * fmean(s.p50 for s in scores):10.0f}"
        f"{fmean(s.p99 for s in scores):7.2f}{fmean(s.rejected for s in scores):10.3f}"
        f"{fmean(s.mean_limit for s in scores):12.1f}{max(s.settled for s in scores):7.0f} s"
    )


def scores_of(
    results: dict[Job, list[PhaseResult]],
    scenario: Scenario,
    contender: int | str,
    fixed: Sequence[int],
    seed: int,
) -> Iterator[Score]:
    for part, result in enumerate(results[Job(scenario, contender, seed)]):
        best = max(
            (results[Job(scenario, limit, seed)][part] for limit in fixed),
            key=lambda each: each.goodput,
        )
        yield Score.of(result, best)


def describe(scenario: Scenario) -> str:
    """Say what happens in it."""
    parts = [
        f"{phase.rate:.0f}/s for {phase.seconds:.0f} s"
        + ("" if phase.speed == 1 else f" at {phase.speed:g} of the speed")
        for phase in scenario.phases
    ]
    retries = f", {scenario.retries} retries" if scenario.retries else ""
    return ", ".join(parts) + retries


def names() -> list[str]:
    return [scenario.name for scenario in SCENARIOS]


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scenario", nargs="+", choices=names(), help="default: all of them")
    parser.add_argument(
        "--algorithm", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS), metavar="NAME",
        help=f"default: all of {', '.join(ALGORITHMS)}",
    )  # fmt: skip
    parser.add_argument(
        "--fixed", nargs="*", type=int, choices=SHORT, default=SHORT, metavar="LIMIT",
        help="which fixed limits to show; all of 1 to 64 are simulated to find the best",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, default=1, help="how often everything happens (1)")
    parser.add_argument("--quick", action="store_true", help="no part longer than 10 seconds")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw a rush, and end")
    return parser.parse_args()


if __name__ == "__main__":
    main()
