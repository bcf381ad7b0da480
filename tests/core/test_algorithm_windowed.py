from __future__ import annotations

import pytest

from flask_concurrency_guard.core.algorithms.aimd import AIMD
from flask_concurrency_guard.core.algorithms.windowed import PercentileWindow
from flask_concurrency_guard.core.algorithms.windowed import Window
from flask_concurrency_guard.core.algorithms.windowed import Windowed


def window_of(rtts: list[int], percentile: float, most: int = 100) -> PercentileWindow:
    window = PercentileWindow(percentile, most)
    for place, rtt in enumerate(rtts, 1):
        window.add(rtt, place, place == len(rtts))
    return window


@pytest.mark.parametrize(
    ("count", "percentile", "place"),
    [(5, 0.5, 3), (1, 0.5, 1), (10, 0.25, 3), (10, 0.9, 9), (10, 0.999, 10)],
)
def test_half_a_place_is_rounded_up(count: int, percentile: float, place: int) -> None:
    rtts = [100 * number for number in range(count, 0, -1)]
    assert window_of(rtts, percentile).rtt == 100 * place


@pytest.mark.parametrize("percentile", [0.001, 0.1])
def test_percentile_below_all_is_the_shortest(percentile: float) -> None:
    assert window_of([30, 10, 20], percentile).rtt == 10


def test_what_comes_after_the_most_is_not_counted_for_a_percentile() -> None:
    window = window_of([30, 20, 10], 0.999, most=2)
    assert (window.rtt, window.best, window.count) == (30, 20, 2)
    assert (window.in_flight, window.dropped) == (2, False)


def test_window_knows_the_most_in_flight_and_any_drop() -> None:
    window = Window()
    for in_flight, dropped in [(3, False), (9, True), (5, False)]:
        window.add(10, in_flight, dropped)
    assert (window.in_flight, window.dropped, window.best) == (9, True, 10)


def test_limit_is_that_of_the_algorithm_to_begin_with() -> None:
    assert Windowed(AIMD(initial=33)).limit == 33


def tell(windowed: Windowed, start: float, count: int, rtt: float = 0.01) -> int:
    for _ in range(count):
        windowed.on_sample(start, rtt, 20)
    return windowed.limit


def test_requests_of_a_window_make_one_sample() -> None:
    windowed = Windowed(AIMD())
    assert tell(windowed, 100.0, 1) == 20  # The very first one ends a window, of too few.
    assert tell(windowed, 100.5, 500) == 20
    assert tell(windowed, 101.1, 1) == 21
    assert tell(windowed, 102.0, 500) == 21


def test_window_with_too_few_requests_is_thrown_away() -> None:
    windowed = Windowed(AIMD())
    tell(windowed, 100.0, 1)
    windowed.on_sample(100.1, 0.01, 20, True)
    tell(windowed, 100.5, 7)
    assert tell(windowed, 101.1, 1) == 20
    tell(windowed, 101.5, 9)
    assert tell(windowed, 102.2, 1) == 21  # Of the drop before nothing is left.


def test_request_that_took_next_to_no_time_is_not_counted() -> None:
    windowed = Windowed(AIMD())
    tell(windowed, 100.0, 1)
    tell(windowed, 100.5, 500, rtt=99_999e-9)
    assert tell(windowed, 101.1, 1) == 20
    tell(windowed, 101.5, 9, rtt=100_000e-9)
    assert tell(windowed, 102.2, 1) == 21


@pytest.mark.parametrize(
    ("rtt", "length"), [(0.1, 1.0), (0.75, 1.5), (9.0, 3.0)], ids=["least", "twice", "most"]
)
def test_window_is_twice_as_long_as_the_shortest_round_trip(rtt: float, length: float) -> None:
    """In between its bounds; and it begins when the request that ended the last one did."""
    windowed = Windowed(AIMD(), max_window=3.0, size=2)
    windowed.on_sample(100 - rtt, rtt, 20)
    assert windowed.on_sample(100 + length - 0.02, 0.01, 20) == 20
    assert windowed.on_sample(100 + length, 0.01, 20) == 21


def test_of_several_round_trips_the_shortest_counts_for_the_length() -> None:
    windowed = Windowed(AIMD(), max_window=9.0, size=2)
    tell(windowed, 100.0, 1)
    windowed.on_sample(100.1, 0.75, 20)
    assert windowed.on_sample(98.0, 4.0, 20) == 21  # Ends at 102, so the next one at 103.5.
    assert windowed.on_sample(103.39, 0.1, 20) == 21
    assert windowed.on_sample(103.41, 0.1, 20) == 22
