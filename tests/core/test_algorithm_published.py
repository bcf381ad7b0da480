"""The algorithms decide what Netflix/concurrency-limits decides, on the same samples."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flask_concurrency_guard.core.algorithms.aimd import AIMD
from flask_concurrency_guard.core.algorithms.gradient import Gradient
from flask_concurrency_guard.core.algorithms.gradient2 import Gradient2
from flask_concurrency_guard.core.algorithms.measures import MovingAverage
from flask_concurrency_guard.core.algorithms.measures import logarithm
from flask_concurrency_guard.core.algorithms.measures import root
from flask_concurrency_guard.core.algorithms.protocol import Algorithm
from flask_concurrency_guard.core.algorithms.vegas import Vegas
from flask_concurrency_guard.core.algorithms.windowed import PercentileWindow
from flask_concurrency_guard.core.algorithms.windowed import Window
from flask_concurrency_guard.core.algorithms.windowed import Windowed

DATA = Path(__file__).parents[1] / "data" / "limits"
VECTORS: dict[str, Any] = json.loads((DATA / "peer_vectors.json").read_text())

TRACES: dict[str, Callable[[], Algorithm]] = {
    "aimd_default": AIMD,
    "gradient2_default": Gradient2,
    "gradient_default_noprobe": lambda: Gradient(probe_interval=None),
    "vegas_default_noprobe": lambda: Vegas(probe_multiplier=None),
    "windowed_default_gradient2": lambda: Windowed(Gradient2(min_limit=1)),
}


def rows_of(name: str) -> list[tuple[int, ...]]:
    """Return start and round trip in nanoseconds, in flight, dropped, and the limit after it."""
    with (DATA / f"{name}.csv").open(newline="") as file:
        return [tuple(map(int, row)) for row in list(csv.reader(file))[1:]]


def test_every_trace_is_tried() -> None:
    assert {path.stem for path in DATA.glob("*.csv")} == set(TRACES)


@pytest.mark.parametrize("name", TRACES)
def test_every_limit_of_a_trace_is_reproduced(name: str) -> None:
    algorithm = TRACES[name]()
    rows = rows_of(name)
    limits = [
        algorithm.on_sample(start / 1e9, rtt / 1e9, in_flight, bool(dropped))
        for start, rtt, in_flight, dropped, _ in rows
    ]
    assert len(rows) >= 1500
    assert limits == [row[-1] for row in rows]


@pytest.mark.parametrize("name", TRACES)
def test_nanoseconds_survive_being_told_in_seconds(name: str) -> None:
    for start, rtt, *_ in rows_of(name):
        assert (round(start / 1e9 * 1e9), round(rtt / 1e9 * 1e9)) == (start, rtt)


FUNCTIONS: dict[str, Callable[[float], float]] = {"limit/2": lambda limit: limit / 2}
NAMES = {"min": "min_limit", "max": "max_limit"}


def settings_of(case: dict[str, Any]) -> dict[str, Any]:
    settings = {NAMES.get(name, name): value for name, value in case["cfg"].items()}
    for name in settings.keys() & {"alpha", "beta"}:
        settings[name] = lambda _, count=settings[name]: count
    for name in settings.keys() & {"decrease"}:
        settings[name] = FUNCTIONS[settings[name]]
    return settings


def limits_after(algorithm: Algorithm, case: dict[str, Any]) -> list[int]:
    unit, samples = (
        ("ns", case["samples_ns"]) if "samples_ns" in case else ("ms", case["samples_ms"])
    )
    per_second = {"ns": 1e9, "ms": 1e3}[unit]
    return [
        algorithm.on_sample(start / per_second, rtt / per_second, in_flight, dropped)
        for start, rtt, in_flight, dropped in samples
    ]


@pytest.mark.parametrize("case", VECTORS["netflix_vegas"]["cases"], ids=lambda case: case["name"])
def test_vegas_decides_as_in_its_tests(case: dict[str, Any]) -> None:
    vegas = Vegas(**settings_of(case))
    assert limits_after(vegas, case) == case["expect"]
    assert vegas.limit == case["expect"][-1]


@pytest.mark.parametrize("case", VECTORS["netflix_aimd"]["cases"], ids=lambda case: case["name"])
def test_aimd_decides_as_in_its_tests(case: dict[str, Any]) -> None:
    aimd = AIMD(**settings_of(case))
    limits = [aimd.limit, *limits_after(aimd, case)]
    assert limits == [case["cfg"]["initial"], *case.get("expect", [])]


def test_moving_average_is_the_published_one() -> None:
    vectors = VECTORS["netflix_expavg"]
    average = MovingAverage(vectors["cfg"]["window"], vectors["cfg"]["warmup"])
    means = [average.add(value) for value in vectors["add"]]
    assert means == pytest.approx(vectors["expect"], abs=1e-12)
    assert average.value == means[-1]


@pytest.mark.parametrize(
    ("limit", "expected"), VECTORS["netflix_functions"]["log10root_int(baseline 0)"]
)
def test_logarithm_is_the_published_one(limit: int, expected: int) -> None:
    assert logarithm(limit) == expected


@pytest.mark.parametrize(("limit", "expected"), VECTORS["netflix_functions"]["sqrt(baseline 4)"])
def test_root_is_the_published_one(limit: int, expected: int) -> None:
    assert root(limit, 4) == expected


def test_logarithm_counts_the_digits() -> None:
    limits = [*range(1, 20_000), *(10**power + more for power in range(5, 10) for more in (-1, 0))]
    assert [logarithm(limit) for limit in limits] == [
        max(1, len(str(limit)) - 1) for limit in limits
    ]


def tracked(window: Window, rtts: list[int]) -> int:
    for rtt in rtts:
        window.add(rtt, 1, False)
    return window.rtt


@pytest.mark.parametrize("case", VECTORS["netflix_windows"]["average"], ids=str)
def test_mean_of_a_window_is_the_published_one(case: dict[str, Any]) -> None:
    assert tracked(Window(), case["rtts"]) == case["expect"]


@pytest.mark.parametrize("case", VECTORS["netflix_windows"]["percentile(cap 10)"], ids=str)
def test_percentile_of_a_window_is_the_published_one(case: dict[str, Any]) -> None:
    assert tracked(PercentileWindow(case["p"], 10), case["rtts"]) == case["expect"]
