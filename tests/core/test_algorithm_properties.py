"""What holds for every algorithm, whatever comes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flask_concurrency_guard.core.algorithms.aimd import AIMD
from flask_concurrency_guard.core.algorithms.gradient import Gradient
from flask_concurrency_guard.core.algorithms.gradient2 import Gradient2
from flask_concurrency_guard.core.algorithms.protocol import Algorithm
from flask_concurrency_guard.core.algorithms.vegas import Vegas
from flask_concurrency_guard.core.algorithms.windowed import Windowed

KINDS: dict[str, Callable[..., Algorithm]] = {
    "aimd": AIMD,
    "vegas": Vegas,
    "gradient": Gradient,
    "gradient2": Gradient2,
}
kinds = st.sampled_from(sorted(KINDS))
windows = st.sampled_from([None, "average", 0.5, 0.99])

Sample = tuple[float, float, int, bool]
sane = st.tuples(
    st.floats(0, 1e5), st.floats(1e-4, 5), st.one_of(st.just(5000), st.integers(1, 50))
)
odd = st.tuples(st.floats(), st.floats(), st.integers(-(10**20), 10**20))
samples = st.lists(
    st.tuples(st.one_of(sane, sane, odd), st.booleans()).map(lambda pair: (*pair[0], pair[1])),
    min_size=1,
    max_size=100,
)


@st.composite
def bounds(draw: st.DrawFn) -> dict[str, int]:
    least, initial, greatest = sorted(draw(st.tuples(*[st.integers(1, 2000)] * 3)))
    return {"min_limit": least, "initial": initial, "max_limit": greatest}


def build(kind: str, window: str | float | None, **options: Any) -> Algorithm:
    algorithm = KINDS[kind](**options)
    if window is None:
        return algorithm
    return Windowed(algorithm, min_window=1e-3, size=2, tracked=window)  # type: ignore[arg-type]


def limits_of(algorithm: Algorithm, samples: list[Sample]) -> list[int]:
    return [algorithm.on_sample(*sample) for sample in samples]


@settings(deadline=None, max_examples=300)
@given(kind=kinds, window=windows, bounds=bounds(), share=st.floats(0.001, 1), samples=samples)
def test_limit_is_an_integer_within_its_bounds(
    kind: str,
    window: str | float | None,
    bounds: dict[str, int],
    share: float,
    samples: list[Sample],
) -> None:
    options: dict[str, float] = {} if kind == "aimd" else {"smoothing": share}
    algorithm = build(kind, window, **bounds, **options)
    assert algorithm.limit == bounds["initial"]
    for sample in samples:
        limit = algorithm.on_sample(*sample)
        assert type(limit) is int
        assert limit == algorithm.limit
        assert bounds["min_limit"] <= limit <= bounds["max_limit"]
        assert algorithm.reason


@pytest.mark.parametrize("share", [0.01, 0.02, 0.05, 0.06, 0.3])
@pytest.mark.parametrize("least", [1, 3, 7, 20])
def test_the_least_limit_of_vegas_is_not_lost_in_rounding(share: float, least: int) -> None:
    vegas = Vegas(initial=least, min_limit=least, smoothing=share, probe_multiplier=None)
    vegas.on_sample(0, 0.01, 1)
    assert {vegas.on_sample(0, 0.01, 1, True) for _ in range(5)} == {least}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("greatest", [1, 2, 3])
def test_limit_can_be_as_small_as_one_likes(kind: str, greatest: int) -> None:
    algorithm = KINDS[kind](initial=1, min_limit=0, max_limit=greatest)
    grown = {algorithm.on_sample(0, 0.01, 5) for _ in range(3000)}
    assert max(grown) == greatest
    shrunk = {algorithm.on_sample(0, 0.5, 5, True) for _ in range(3000)}
    assert min(shrunk) >= 1


@settings(deadline=None)
@given(kind=st.sampled_from(["vegas", "gradient"]), window=windows, samples=samples)
def test_same_seed_and_same_samples_give_the_same_limits(
    kind: str, window: str | float | None, samples: list[Sample]
) -> None:
    often = {"probe_multiplier": 1} if kind == "vegas" else {"probe_interval": 3}
    one, other = (
        build(kind, window, initial=4, **often, randomness=random.Random(7)) for _ in range(2)
    )
    assert limits_of(one, samples) == limits_of(other, samples)
    assert one.reason == other.reason


BROKEN = [0.0, -0.0, -1.0, 1e-10, 1e10, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("kind", ["vegas", "gradient", "gradient2"])
@pytest.mark.parametrize("rtt", BROKEN, ids=str)
@pytest.mark.parametrize("dropped", [False, True])
def test_sample_of_a_broken_clock_is_as_if_it_had_not_been(
    kind: str, rtt: float, dropped: bool
) -> None:
    plain, disturbed = KINDS[kind](initial=40), KINDS[kind](initial=40)
    plain.on_sample(0, 0.02, 40)
    disturbed.on_sample(0, 0.02, 40)
    before = disturbed.reason
    assert disturbed.on_sample(0, rtt, 40, dropped) == plain.limit
    assert disturbed.reason == before
    # Neither has it left a trace in what later samples are judged by.
    later = [(0.0, rtt, 40, False) for rtt in (0.021, 0.03, 0.05, 0.02)]
    assert limits_of(disturbed, later) == limits_of(plain, later)


@pytest.mark.parametrize("rtt", BROKEN, ids=str)
def test_aimd_takes_a_drop_for_one_however_long_it_took(rtt: float) -> None:
    assert AIMD(initial=30).on_sample(0, rtt, 0, True) == 27


def test_aimd_needs_no_round_trip_to_grow() -> None:
    assert AIMD(initial=30).on_sample(0, 0.0, 30) == 31


@pytest.mark.parametrize(("second", "mean"), [(9_999_999, "19 ms"), (10_000_000, "20 ms")])
def test_gradient2_shortens_a_mean_of_more_than_twice_the_round_trip(
    second: int, mean: str
) -> None:
    gradient2 = Gradient2(warm_up=2, long_window=10**6)
    gradient2.on_sample(0, 0.03, 1)
    gradient2.on_sample(0, second / 1e9, 1)
    gradient2.on_sample(0, 0.02, 1)
    assert f"against {mean} in the mean" in gradient2.reason


@pytest.mark.parametrize("rtt", [-1.0, -math.inf, math.nan], ids=str)
def test_aimd_ignores_what_a_broken_clock_says(rtt: float) -> None:
    aimd = AIMD(initial=30)
    assert aimd.on_sample(0, rtt, 30) == 30
    assert aimd.reason == "no request has ended yet"


@pytest.mark.parametrize("start", [math.nan, math.inf, -math.inf, 1e300], ids=str)
def test_windowed_ignores_what_a_broken_clock_says(start: float) -> None:
    windowed = Windowed(AIMD(), size=2)
    windowed.on_sample(1, 0.01, 20)
    windowed.on_sample(1.5, 0.01, 20)
    assert windowed.on_sample(start, 0.01, 20) == 20
    assert windowed.on_sample(2.1, 0.01, 20) == 21


@pytest.mark.parametrize("kind", KINDS)
def test_limit_stays_while_less_than_half_of_it_is_in_use(kind: str) -> None:
    algorithm = KINDS[kind](initial=40)
    assert {algorithm.on_sample(0, 0.01, 19) for _ in range(500)} == {40}


@pytest.mark.parametrize("kind", KINDS)
def test_half_of_it_is_enough_for_it_to_grow(kind: str) -> None:
    options = {"gradient2": {"queue": 5}}  # With less it grows by less than 1.
    algorithm = KINDS[kind](initial=40, **options.get(kind, {}))
    algorithm.on_sample(0, 0.01, 19)
    assert algorithm.on_sample(0, 0.01, 20) > 40


@pytest.mark.parametrize("kind", KINDS)
def test_limit_grows_to_its_bound_while_nothing_gets_slower(kind: str) -> None:
    options = {"vegas": {"probe_multiplier": None}, "gradient": {"probe_interval": None}}
    algorithm = KINDS[kind](initial=40, max_limit=60, **options.get(kind, {}))
    limits = [algorithm.limit, *(algorithm.on_sample(0, 0.01, 60) for _ in range(200))]
    assert limits == sorted(limits)
    assert limits[-1] == 60


@pytest.mark.parametrize("kind", KINDS)
def test_drop_lowers_the_limit_but_for_gradient2(kind: str) -> None:
    algorithm = KINDS[kind](initial=40)
    algorithm.on_sample(0, 0.01, 1)
    limits = [algorithm.on_sample(0, 0.01, 1, True) for _ in range(4)]
    if kind == "gradient2":
        assert set(limits) == {40}
    else:
        assert limits == sorted(set(limits), reverse=True)


class Fixed:
    """Chance that isn't."""

    def __init__(self, number: float) -> None:
        self.number = number

    def random(self) -> float:
        return self.number


# It is due after 15 to 30 times the limit.
@pytest.mark.parametrize(("chance", "after"), [(0.0, 150), (0.5, 225), (0.999, 300)])
def test_vegas_measures_the_best_round_trip_anew(chance: float, after: int) -> None:
    vegas = Vegas(initial=10, max_limit=10, randomness=Fixed(chance))
    for turn in range(3):
        vegas.on_sample(0, 0.01, 10)
        for _ in range(after - 2):
            vegas.on_sample(0, 0.05 + turn, 1)
        assert "against 10 ms at best" in vegas.reason
        vegas.on_sample(0, 0.05, 1)
        assert "against 50 ms at best" in vegas.reason


@pytest.mark.parametrize(("chance", "after"), [(0.0, 1000), (0.5, 1500), (0.9999, 1999)])
def test_gradient_measures_the_best_round_trip_anew(chance: float, after: int) -> None:
    gradient = Gradient(initial=100, randomness=Fixed(chance))
    assert {gradient.on_sample(0, 0.01, 1) for _ in range(after)} == {100}
    assert gradient.on_sample(0, 0.01, 1) == 10
    assert {gradient.on_sample(0, 0.05, 1) for _ in range(after)} == {10}
    assert "against 50 ms at best" in gradient.reason
    assert gradient.on_sample(0, 0.01, 1) == 4


def test_probing_is_jittered_by_default() -> None:
    algorithms = [Gradient(initial=100, probe_interval=50) for _ in range(40)]
    falls = set()
    for algorithm in algorithms:
        limits = limits_of(algorithm, [(0.0, 0.01, 1, False)] * 101)
        falls.add(limits.index(10))
    assert len(falls) > 5
    assert 50 <= min(falls) <= max(falls) < 100


@pytest.mark.parametrize("kind", ["vegas", "gradient"])
def test_probing_can_be_switched_off(kind: str) -> None:
    never = {"vegas": "probe_multiplier", "gradient": "probe_interval"}[kind]
    algorithm = KINDS[kind](initial=10, max_limit=10, **{never: None})
    algorithm.on_sample(0, 0.01, 1)
    assert set(limits_of(algorithm, [(0.0, 0.05, 1, False)] * 5000)) == {10}
    assert "against 10 ms at best" in algorithm.reason
