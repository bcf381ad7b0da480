from __future__ import annotations

from collections.abc import Callable

import pytest

from flask_concurrency_guard.core.algorithms.aimd import AIMD
from flask_concurrency_guard.core.algorithms.gradient import Gradient
from flask_concurrency_guard.core.algorithms.gradient2 import Gradient2
from flask_concurrency_guard.core.algorithms.protocol import Algorithm
from flask_concurrency_guard.core.algorithms.vegas import Vegas
from flask_concurrency_guard.core.algorithms.windowed import Windowed
from flask_concurrency_guard.core.durations import duration


@pytest.mark.parametrize("kind", [AIMD, Vegas, Gradient, Gradient2])
def test_without_a_sample_there_is_none(kind: Callable[[], Algorithm]) -> None:
    assert kind().reason == "no request has ended yet"


@pytest.mark.parametrize(
    ("kind", "against"),
    [
        (AIMD, "a timeout of 5 s"),
        (Vegas, "21 ms at best"),
        (Gradient, "21 ms at best"),
        (Gradient2, "28 ms in the mean"),
    ],
)
def test_tells_what_was_measured_against_what(kind: Callable[[], Algorithm], against: str) -> None:
    algorithm = kind()
    algorithm.on_sample(0, 0.021, 7)
    algorithm.on_sample(0, 0.0344, 12)
    assert algorithm.reason == f"round trip 34 ms against {against}, 12 in flight"
    algorithm.on_sample(0, 0.0345, 13, True)
    assert algorithm.reason.endswith(", 13 in flight, dropped")


def test_gradient_tells_that_it_begins_anew() -> None:
    gradient = Gradient(probe_interval=1)
    while gradient.on_sample(0, 0.02, 1) == 50:
        pass
    assert gradient.reason == "round trip 20 ms against none yet: beginning anew, 1 in flight"


def test_drop_that_took_no_time_is_one() -> None:
    aimd = AIMD()
    aimd.on_sample(0, -1, 3, True)
    assert aimd.reason == "round trip 0 ms against a timeout of 5 s, 3 in flight, dropped"


@pytest.mark.parametrize(("tracked", "what"), [("average", "mean"), (0.9, "percentile 0.9")])
def test_windowed_tells_of_how_many_requests(tracked: float, what: str) -> None:
    windowed = Windowed(AIMD(), tracked=tracked)
    assert windowed.reason == "no window of 10 requests is over yet"
    for place in range(14):
        windowed.on_sample(100 + place / 10, 0.02, place)
    expected = "round trip 20 ms against a timeout of 5 s, 11 in flight"
    assert windowed.reason == f"{expected}, by the {what} of 11 requests"


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (0, "0 ms"),
        (45_000, "0.045 ms"),
        (4_360_000, "4.4 ms"),
        (34_400_000, "34 ms"),
        (999_000_000, "999 ms"),
        (1_000_000_000, "1 s"),
        (12_340_000_000, "12.3 s"),
    ],
)
def test_duration_is_told_in_few_digits(nanoseconds: int, expected: str) -> None:
    assert duration(nanoseconds / 1e9) == expected
