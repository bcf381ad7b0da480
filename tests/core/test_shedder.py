from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_concurrency_guard.core.shedder import WELCOME
from flask_concurrency_guard.core.shedder import Arrival
from flask_concurrency_guard.core.shedder import Shedder
from flask_concurrency_guard.core.shedder import Verdict

LATE = "queue_timeout"


@pytest.mark.parametrize(
    ("max_age", "age", "patience", "reason", "max_wait", "late"),
    [
        pytest.param(None, None, None, None, inf, LATE, id="nothing is known"),
        pytest.param(None, 99.0, None, None, inf, LATE, id="no bound"),
        pytest.param(2.0, None, None, None, 2.0, "too_old", id="unknown age counts as none"),
        pytest.param(2.0, 0.5, None, None, 1.5, "too_old", id="young"),
        pytest.param(2.0, 2.0, None, "too_old", inf, LATE, id="as old as may be"),
        pytest.param(2.0, 2.5, None, "too_old", inf, LATE, id="too old"),
        pytest.param(None, 0.5, 2.0, None, 1.5, "deadline", id="within the deadline"),
        pytest.param(None, None, 2.0, None, 2.0, "deadline", id="deadline, unknown age"),
        pytest.param(None, 2.0, 2.0, "deadline", inf, LATE, id="at the deadline"),
        pytest.param(2.0, 0.5, 1.0, None, 0.5, "deadline", id="the deadline comes first"),
        pytest.param(2.0, 0.5, 3.0, None, 1.5, "too_old", id="the bound comes first"),
        pytest.param(2.0, 0.5, 2.0, None, 1.5, "deadline", id="both at once"),
        pytest.param(2.0, 9.0, 1.0, "deadline", inf, LATE, id="both are over"),
    ],
)
def test_the_verdict(
    max_age: float | None,
    age: float | None,
    patience: float | None,
    reason: str | None,
    max_wait: float,
    late: str,
) -> None:
    verdict = Shedder(max_age=max_age).judge(Arrival(age, patience))
    assert verdict == (reason, max_wait, late, False)


def test_who_has_left_is_not_served_whatever_else_is_known() -> None:
    shedder = Shedder(max_age=1.0)
    assert shedder.judge(Arrival(5.0, 1.0, is_gone=True)).reason == "client_gone"
    assert shedder.judge(Arrival(None, None, is_gone=True)).reason == "client_gone"


def test_who_has_left_can_be_served_all_the_same() -> None:
    shedder = Shedder(max_age=1.0, serve_gone=True)
    assert shedder.judge(Arrival(0.5, None, is_gone=True)).reason is None
    assert shedder.judge(Arrival(5.0, None, is_gone=True)).reason == "too_old"


def test_nothing_to_say_costs_nothing() -> None:
    assert Shedder().judge(Arrival(5.0)) is WELCOME


seconds = st.floats(0, 1e6)
unknown = st.none() | seconds


@given(max_age=st.none() | st.floats(1e-3, 1e6), age=unknown, patience=unknown)
def test_who_may_wait_may_wait_for_a_while(
    max_age: float | None, age: float | None, patience: float | None
) -> None:
    """Then it is rejected as whoever comes at that age; never is there a wait of no time."""
    shedder = Shedder(max_age=max_age)
    reason, max_wait, late, _ = verdict = shedder.judge(Arrival(age, patience))
    assert isinstance(verdict, Verdict)
    if reason is None:
        assert max_wait > 0
        if max_wait < inf:
            then = (age or 0.0) + max_wait
            assert shedder.judge(Arrival(then * (1 + 1e-9), patience)).reason == late
