from __future__ import annotations

import json
from collections import Counter

import pytest

from flask_concurrency_guard.observe.history import KEPT
from flask_concurrency_guard.observe.history import History
from flask_concurrency_guard.observe.history import Sample
from flask_concurrency_guard.observe.history import bucket
from flask_concurrency_guard.observe.history import decode
from flask_concurrency_guard.observe.history import quantile


def sample(step: int, good: int = 0, **numbers: int) -> Sample:
    values = {"failed": 0, "rejected": 0, "limit": 8, "in_flight": 0, "queued": 0, **numbers}
    return Sample(step, good, durations=f"30.{good}" if good else "", **values)


def read(history: History) -> list[Sample]:
    return decode(json.loads(history.encode()))


def test_what_happens_in_one_step_is_added_up() -> None:
    history = History()
    history.add(sample(1, 2, rejected=1, in_flight=5))
    history.add(sample(1, 3, failed=4, in_flight=6))
    history.add(sample(2, 1))
    first, second = read(history)
    assert first == sample(1, 5, failed=4, rejected=1, in_flight=6)
    assert second == sample(2, 1)


def test_only_the_last_minutes_are_kept() -> None:
    history = History()
    for step in range(KEPT + 10):
        history.add(sample(step))
    assert [one.step for one in read(history)] == list(range(9, KEPT + 10))


def test_nothing_is_nothing() -> None:
    assert read(History()) == []
    assert quantile({}, 0.99) is None


@pytest.mark.parametrize("seconds", [0.00011, 0.001, 0.0234, 0.5, 1.0, 59.9, 900.0])
def test_a_duration_is_found_again_to_within_twelve_percent(seconds: float) -> None:
    found = quantile({bucket(seconds): 1}, 0.99)
    assert found == pytest.approx(seconds, rel=0.1221)


@pytest.mark.parametrize(("seconds", "found"), [(0.0, 0), (1e-9, 0), (1e9, 139)])
def test_what_is_too_short_or_too_long_is_in_the_last_bucket(seconds: float, found: int) -> None:
    assert bucket(seconds) == found


def test_quantiles_are_those_of_the_counts() -> None:
    durations = Counter(bucket(0.01) for _ in range(98))
    durations += Counter([bucket(2.0)] * 2)
    assert quantile(durations, 0.5) == pytest.approx(0.01, rel=0.123)
    assert quantile(durations, 0.98) == pytest.approx(0.01, rel=0.123)
    assert quantile(durations, 0.99) == pytest.approx(2.0, rel=0.123)
