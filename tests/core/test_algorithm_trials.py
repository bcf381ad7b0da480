"""Which limits are tried, when, and what is remembered of it."""

from __future__ import annotations

import pytest

from flask_concurrency_guard.core.algorithms.contest import Contest
from flask_concurrency_guard.core.algorithms.contest import Noise
from flask_concurrency_guard.core.algorithms.guard import Guard
from flask_concurrency_guard.core.algorithms.trials import FIRST_PAUSE
from flask_concurrency_guard.core.algorithms.trials import LONGEST_PAUSE
from flask_concurrency_guard.core.algorithms.trials import REMEMBERED
from flask_concurrency_guard.core.algorithms.trials import Trials


@pytest.fixture
def trials() -> Trials:
    return Trials(Noise(), 1, 100)


def rival(trials: Trials, level: int, now: float = 0.0) -> int | None:
    contest = trials.next(level, now)
    return None if contest is None else contest.other(level)


def test_steps_get_smaller_and_then_there_are_pauses(trials: Trials) -> None:
    now = 0.0
    seen = []
    pauses = []
    for _ in range(15):
        tried = rival(trials, 50, now)
        assert tried is not None
        seen.append(tried)
        began = now
        trials.lost(now)
        while rival(trials, 50, now) is None:
            now += FIRST_PAUSE
        pauses.append(now - began)
    assert seen[:6] == [100, 35, 59, 45, 55, 45]
    assert pauses[:3] == [0.0] * 3
    assert pauses[3:9] == [FIRST_PAUSE * 2**number for number in range(6)]
    assert pauses[-1] == LONGEST_PAUSE


def test_a_rival_that_wins_is_followed_by_one_farther_on(trials: Trials) -> None:
    trials.lost(0.0)
    trials.lost(0.0)
    assert rival(trials, 50) == 59
    trials.won(goes_up=True)
    assert rival(trials, 59) == 88  # By 1.49 instead of 1.19.


def test_a_change_ends_the_pause(trials: Trials) -> None:
    for _ in range(10):
        trials.lost(0.0)
    assert rival(trials, 50) is None
    trials.begin_anew()
    assert rival(trials, 50) == 100


@pytest.mark.parametrize(
    ("at_work", "expected"),
    [(0.0, None), (41.0, None), (60.0, 60), (2.0, 10), (90.0, 90), (1000.0, 100)],
)
def test_littles_law_is_followed_but_not_too_far(
    trials: Trials, at_work: float, expected: int | None
) -> None:
    assert trials.estimate(40, at_work) == expected
    contest = trials.jump(40, at_work)
    assert (None if contest is None else contest.other(40)) == expected


def test_where_there_is_one_limit_only_nothing_is_tried() -> None:
    assert Trials(Noise(), 5, 5).next(5, 0.0) is None


def held(trials: Trials, level: int) -> Contest:
    contest = trials.next(level, 0.0)
    assert contest is not None
    return contest


def test_a_contest_is_remembered(trials: Trials) -> None:
    first = held(trials, 10)
    assert held(trials, 10) is first
    trials.forget()
    assert held(trials, 10) is not first


def test_only_the_last_contests_are_remembered(trials: Trials) -> None:
    first = held(trials, 1)
    for level in range(2, REMEMBERED + 1):
        held(trials, level)
    assert held(trials, 1) is first
    second = held(trials, 2)
    for level in range(REMEMBERED, 2 * REMEMBERED - 1):
        held(trials, level)
    assert held(trials, 2) is second
    assert held(trials, 1) is not first


def indecisive() -> Contest:
    """Return one between 10 and 20 that nobody can tell the winner of."""
    contest = Contest(Noise(), 10, 20)
    add(contest, 100, 112)
    assert contest.winner() is None
    return contest


def add(contest: Contest, low: int, high: int) -> None:
    contest.add(10, low, 1.0)
    contest.add(20, high, 1.0)


def test_what_was_served_in_an_earlier_contest_counts() -> None:
    contest = indecisive()
    for _ in range(10):
        contest.begin_again()
        assert contest.winner() is None  # Not before a round of its own.
        add(contest, 100, 120)
    assert contest.winner() == 20
    assert contest.served(20) == (120, 1.0)
    assert str(contest) == "100/s at 10 against 120/s at 20"


def test_what_is_otherwise_than_before_is_looked_at_for_longer() -> None:
    contest = Contest(Noise(), 10, 20)
    for _ in range(5):
        contest.begin_again()
        add(contest, 1000, 1500)
    assert contest.winner() == 20
    contest.begin_again()
    add(contest, 1000, 900)
    assert contest.winner() is None


@pytest.mark.parametrize(("low", "high"), [(170, 20), (100, 900)])
def test_what_no_limit_explains_is_looked_at_once_more(low: int, high: int) -> None:
    """Streams have just ended, say: twice the places serve no more than twice as much, or half."""
    contest = Contest(Noise(), 10, 20)
    add(contest, low, high)
    assert contest.winner() is None
    add(contest, 1000, 1500)
    assert contest.winner() == 20


def test_what_was_served_long_ago_counts_for_little() -> None:
    contest = Contest(Noise(), 10, 20)
    add(contest, 1000, 2000)
    for _ in range(20):
        contest.begin_again()
        add(contest, 1000, 900)
    assert contest.winner() == 10


def test_a_window_is_lost_before_it_is_over() -> None:
    contest = Contest(Noise(), 10, 20)
    assert not contest.is_lost(10, 20, 0.1)  # There is nothing to hold it against.
    contest.add(20, 4000, 1.0)
    assert not contest.is_lost(10, 0, 0.1)
    assert not contest.is_lost(10, 8, 0.004)
    assert not contest.is_lost(10, 300, 0.09)  # 3333/s: 17 % less are no reason to hurry,
    assert contest.is_lost(10, 300, 0.1)  # and 3000/s are.
    assert not contest.is_lost(10, 900, 0.1)


def test_a_trial_that_is_lost_is_short() -> None:
    """A pool of 400, of 0.1 s each: whatever is missing costs, and the half costs half."""
    algorithm = Guard(initial=400, max_limit=400)
    now, before, since = 0.0, 400, 0.0
    took = {}
    while now < 20:
        limit = algorithm.limit
        now += 0.1 / limit
        algorithm.on_sample(now - 0.1, 0.1, limit)
        if algorithm.limit != before:
            took.setdefault(before, now - since)
            before, since = algorithm.limit, now
    assert algorithm.limit == 400
    # 0.1 s until it shows, another until the first has come and gone, and 0.1 s if it isn't clear.
    assert took[200] == pytest.approx(0.225, abs=0.01)
    assert took[364] == pytest.approx(0.3, abs=0.01)
