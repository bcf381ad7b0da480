from __future__ import annotations

from typing import Any

import pytest

from flask_concurrency_guard.core.algorithms.aimd import AIMD
from flask_concurrency_guard.core.algorithms.gradient import Gradient
from flask_concurrency_guard.core.algorithms.gradient2 import Gradient2
from flask_concurrency_guard.core.algorithms.vegas import Vegas
from flask_concurrency_guard.core.algorithms.windowed import Windowed

ALL = [AIMD, Vegas, Gradient, Gradient2]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"initial": 0}, "'initial' must be an integer of at least 1, got 0."),
        ({"initial": 9.0}, "'initial' must be an integer of at least 1, got 9.0."),
        ({"initial": True}, "'initial' must be an integer of at least 1, got True."),
        (
            {"initial": 51, "min_limit": 1, "max_limit": 50},
            "'initial' must be at most 50, 'max_limit', got 51.",
        ),
        ({"min_limit": -1}, "'min_limit' must be an integer of at least 0, got -1."),
        ({"min_limit": "9"}, "'min_limit' must be an integer of at least 0, got '9'."),
        (
            {"min_limit": 5, "max_limit": 4},
            "'max_limit' must be an integer of at least 5, 'min_limit', got 4.",
        ),
        (
            {"min_limit": 0, "max_limit": 0},
            "'max_limit' must be an integer of at least 1, got 0.",
        ),
    ],
)
def test_limits_must_be_in_order(kind: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        kind(**settings)
    assert str(caught.value) == message


def windowed(**settings: Any) -> Windowed:
    return Windowed(AIMD(), **settings)


INTEGER = "must be an integer of at least 1"


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Vegas, {"smoothing": 0}, "'smoothing' must be a number above 0 and up to 1, got 0."),
        (
            Gradient,
            {"smoothing": 1.1},
            "'smoothing' must be a number above 0 and up to 1, got 1.1.",
        ),
        (
            Gradient2,
            {"smoothing": float("nan")},
            "'smoothing' must be a number above 0 and up to 1, got nan.",
        ),
        (AIMD, {"backoff": 1.0}, "'backoff' must be a number from 0.5 to below 1, got 1.0."),
        (Gradient, {"backoff": 0.4}, "'backoff' must be a number from 0.5 to below 1, got 0.4."),
        (AIMD, {"timeout": 0}, "'timeout' must be a number of seconds from 1e-09 to 9e+09, got 0."),
        (
            AIMD,
            {"timeout": "5"},
            "'timeout' must be a number of seconds from 1e-09 to 9e+09, got '5'.",
        ),
        (Gradient, {"tolerance": 0.9}, "'tolerance' must be a number of at least 1, got 0.9."),
        (
            Gradient2,
            {"tolerance": float("inf")},
            "'tolerance' must be a number of at least 1, got inf.",
        ),
        (Gradient2, {"tolerance": True}, "'tolerance' must be a number of at least 1, got True."),
        (Gradient, {"queue": 0}, f"'queue' {INTEGER}, got 0."),
        (Gradient2, {"queue": 1.5}, f"'queue' {INTEGER}, got 1.5."),
        (Gradient2, {"long_window": 0}, f"'long_window' {INTEGER}, got 0."),
        (Gradient2, {"warm_up": 0}, f"'warm_up' {INTEGER}, got 0."),
        (Gradient, {"probe_interval": 0}, f"'probe_interval' {INTEGER}, or None, got 0."),
        (Vegas, {"probe_multiplier": -1}, f"'probe_multiplier' {INTEGER}, or None, got -1."),
        *(
            (Vegas, {name: 7}, f"'{name}' must be a function, such as 'lambda limit: 3', got 7.")
            for name in ("alpha", "beta", "threshold", "increase", "decrease")
        ),
        (
            windowed,
            {"min_window": 0},
            "'min_window' must be a number of seconds from 1e-09 to 9e+09, got 0.",
        ),
        (
            windowed,
            {"min_window": 2},
            "'max_window' must be a number of seconds from 2, 'min_window', to 9e+09, got 1.0.",
        ),
        (
            windowed,
            {"min_rtt": -1},
            "'min_rtt' must be a number of seconds from 0 to 9e+09, got -1.",
        ),
        (windowed, {"size": 0}, f"'size' {INTEGER}, got 0."),
        (windowed, {"most": 9}, "'most' must be an integer of at least 10, 'size', got 9."),
        (
            windowed,
            {"tracked": 1},
            "'tracked' must be a number between 0 and 1, or 'average', got 1.",
        ),
        (
            windowed,
            {"tracked": "p90"},
            "'tracked' must be a number between 0 and 1, or 'average', got 'p90'.",
        ),
    ],
)
def test_setting_must_make_sense(kind: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        kind(**settings)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (AIMD, {"initial": 1, "min_limit": 0, "max_limit": 1, "backoff": 0.5}),
        (AIMD, {"initial": 3, "min_limit": 5}),
        (Vegas, {"smoothing": 1, "probe_multiplier": 1}),
        (Gradient, {"tolerance": 1, "queue": 1, "probe_interval": 1}),
        (Gradient2, {"long_window": 1, "warm_up": 1}),
        (windowed, {"min_window": 1, "max_window": 1, "min_rtt": 0, "size": 1, "most": 1}),
        (windowed, {"tracked": 0.5}),
    ],
)
def test_setting_can_be_at_its_bound(kind: Any, settings: dict[str, Any]) -> None:
    assert kind(**settings).limit == settings.get("initial", kind().limit)
