"""Adaptive limits in the simulator of `benchmarks/simulate.py`: a short form of what it shows."""

from __future__ import annotations

from functools import cache

import pytest

from flask_concurrency_guard.core.algorithms.make import ALGORITHMS
from flask_concurrency_guard.core.algorithms.make import make_algorithm

limiting = pytest.importorskip("simulation.limiting", reason="the benchmarks aren't here")
from simulation.run import PhaseResult  # noqa: E402
from simulation.run import simulate  # noqa: E402
from simulation.scenarios import SCENARIOS  # noqa: E402
from simulation.scenarios import Scenario  # noqa: E402

pytestmark = pytest.mark.servers

BY_NAME = {scenario.name: scenario.shortened(20) for scenario in SCENARIOS}
FIXED = (1, 2, 4, 8, 12, 16, 24, 32)


@cache
def phases(name: str, algorithm: str) -> list[PhaseResult]:
    result: list[PhaseResult] = simulate(BY_NAME[name], make_algorithm(algorithm, {})).phases
    return result


@cache
def fixed(name: str) -> list[list[PhaseResult]]:
    return [simulate(BY_NAME[name], limiting.Fixed(limit)).phases for limit in FIXED]


def shares(name: str, algorithm: str = "guard") -> list[float]:
    """Return the goodput of each part over that of the best fixed limit."""
    best = [max(each.goodput for each in part) for part in zip(*fixed(name), strict=True)]
    results = phases(name, algorithm)
    return [result.goodput / most for result, most in zip(results, best, strict=True)]


@pytest.mark.parametrize("name", BY_NAME)
def test_nearly_as_much_is_served_as_at_the_best_fixed_limit(name: str) -> None:
    # In an incident all takes ten times as long, and so does it until that has been learned.
    assert min(shares(name)) > (0.8 if name == "incident" else 0.93)


@pytest.mark.parametrize("name", ["cpu", "database", "mixed"])
def test_nothing_is_rejected_at_half_of_the_load(name: str) -> None:
    assert phases(name, "guard")[0].rejected == 0


@pytest.mark.parametrize("other", sorted(set(ALGORITHMS) - {"guard"}))
def test_the_published_ones_serve_less(other: str) -> None:
    names = ("cpu", "database", "mixed", "database halved")
    ours = sum(sum(shares(name)) for name in names)
    assert ours > sum(sum(shares(name, other)) for name in names)


def test_the_same_seed_gives_the_same() -> None:
    def limits(seed: int) -> list[tuple[float, int]]:
        result: list[tuple[float, int]] = simulate(
            BY_NAME["database"].shortened(5), make_algorithm("guard", {}), seed
        ).limits
        return result

    assert limits(1) == limits(1)
    assert limits(1) != limits(2)


def served(scenario: Scenario, limit: int) -> PhaseResult:
    result: PhaseResult = simulate(scenario, limiting.Fixed(limit)).phases[-2]
    return result


def test_the_simulator_serves_what_arithmetic_says() -> None:
    # 5 ms each, one at a time.
    assert served(BY_NAME["cpu"], 1).goodput == pytest.approx(200, rel=0.03)
    # 20 ms each, four at a time, and half a millisecond before.
    assert served(BY_NAME["database"], 4).goodput == pytest.approx(4 / 0.0205, rel=0.03)
