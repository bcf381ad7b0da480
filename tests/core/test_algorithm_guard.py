"""The guard's own algorithm: windows, trials, comparisons."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable
from heapq import heappop
from heapq import heappush
from itertools import accumulate
from random import Random

import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st

from flask_concurrency_guard.core.algorithms.contest import ROUNDS
from flask_concurrency_guard.core.algorithms.contest import Contest
from flask_concurrency_guard.core.algorithms.contest import Noise
from flask_concurrency_guard.core.algorithms.guard import Guard
from flask_concurrency_guard.core.algorithms.room import ENOUGH
from flask_concurrency_guard.core.algorithms.room import TOO_MANY
from flask_concurrency_guard.core.algorithms.room import Room

Server = Callable[[int], float]
"""Returns how long a request takes with so many in flight, in seconds."""


def interpreter(in_flight: int) -> float:
    return 0.005 * in_flight


def pool(in_flight: int) -> float:
    """Of eight connections."""
    return 0.02 * max(8, in_flight) / 8


def serve(algorithm: Guard, server: Server, seconds: float, start: float = 0.0) -> float:
    """Let so much come that all places are always taken. Return when it is over."""
    now = start
    while now < start + seconds:
        limit = algorithm.limit
        rtt = server(limit)
        now += rtt / limit
        algorithm.on_sample(now - rtt, rtt, limit)
    return now


def test_it_ends_where_no_more_is_served() -> None:
    algorithm = Guard()
    now = serve(algorithm, interpreter, 10)
    assert algorithm.limit in (1, 2)  # Now and then, another one is tried.
    now = serve(algorithm, pool, 20, now)
    assert 7 <= algorithm.limit <= 9
    serve(algorithm, interpreter, 20, now)
    assert algorithm.limit in (1, 2)


def test_a_slow_server_is_no_crowded_one() -> None:
    """For ten minutes, a pool takes twenty times as long; it needs no other limit."""
    algorithm = Guard()
    now = serve(algorithm, pool, 10)
    now = serve(algorithm, lambda in_flight: 20 * pool(in_flight), 600, now)
    assert 6 <= algorithm.limit <= 10
    serve(algorithm, pool, 10, now)
    assert 6 <= algorithm.limit <= 10


@pytest.mark.parametrize(("least", "most"), [(1, 6), (12, 40), (5, 5)])
def test_trials_stay_within_the_bounds(least: int, most: int) -> None:
    seen = set()

    def server(in_flight: int) -> float:
        seen.add(in_flight)
        return pool(in_flight)

    serve(Guard(min_limit=least, max_limit=most, initial=most), server, 20)
    assert least <= min(seen) <= max(seen) <= most


def test_what_was_dropped_was_not_served() -> None:
    """Four can be served at once; whoever is there besides fails, and quickly."""
    algorithm = Guard()
    now = 0.0
    turn = 0
    while now < 30:
        limit = algorithm.limit
        turn = (turn + 1) % limit
        now += 0.02 / limit
        algorithm.on_sample(now - 0.02, 0.02, limit, dropped=turn >= 4)
    assert 4 <= algorithm.limit <= 5


def too_late(algorithm: Guard, at_once: int, seconds: float, start: float = 0.0) -> float:
    """Let a server be asked for so much that all places are taken, and fail for everybody after a
    second where more than `at_once` ask. Return when it is over."""
    now = start
    while now < start + seconds:
        limit = algorithm.limit
        fails = limit > at_once
        rtt = 1.0 if fails else 0.05
        now += rtt / limit
        algorithm.on_sample(now - rtt, rtt, limit, dropped=fails)
    return now


@pytest.mark.parametrize("at_once", [1, 3, 10])
def test_where_nothing_is_served_less_is_tried(at_once: int) -> None:
    algorithm = Guard()
    too_late(algorithm, at_once, 60)
    assert at_once / 1.2 < algorithm.limit <= at_once + 1  # Now and then, another one is tried.


def test_where_nothing_helps_it_comes_back() -> None:
    algorithm = Guard()
    seen = set()
    now = serve(algorithm, pool, 10)
    for _ in range(300):
        now = too_late(algorithm, 0, 1, now)
        seen.add(algorithm.limit)
    assert min(seen) == 1
    assert max(seen) > 16
    serve(algorithm, pool, 10, now)
    assert 6 <= algorithm.limit <= 10


class Fixed:
    def __init__(self, limit: int) -> None:
        self.limit = limit

    def on_sample(self, *sample: object) -> int:
        return self.limit


def served(
    algorithm: Guard | Fixed, came: list[float], work: Callable[[], tuple[float, bool]]
) -> int:
    """Return how many are served of those that come, where 32 may wait, for a second.

    :param work: returns how long the next one takes, in seconds, and whether it fails.
    """
    line: deque[float] = deque()
    at_work: list[tuple[float, float, int, bool, float]] = []
    done = 0

    def begin(now: float, since: float) -> None:
        took, fails = work()
        in_flight = len(at_work) + 1
        heappush(at_work, (now + took, now, in_flight, fails, now - since))

    for now in came:
        while at_work and at_work[0][0] <= now:
            end, start, in_flight, fails, waited = heappop(at_work)
            done += not fails
            algorithm.on_sample(start, end - start, in_flight, fails, waited)
            while line and len(at_work) < algorithm.limit:
                since = line.popleft()
                if end - since < 1:
                    begin(end, since)
        if len(at_work) < algorithm.limit:
            begin(now, now)
        elif len(line) < 32:
            line.append(now)
    return done


def test_those_that_fail_slowly_leave_room_for_the_others() -> None:
    """Three of ten wait three seconds for something that is dead, and the others are quick."""
    random = Random(1)
    came = list(accumulate(random.expovariate(100) for _ in range(20_000)))

    def work() -> tuple[float, bool]:
        return (3.0, True) if random.random() < 0.3 else (0.02, False)

    assert served(Guard(), came, work) > served(Fixed(32), came, work)


def test_batches_are_no_rush() -> None:
    """Between them, nobody comes, and what is served then says nothing of the limit."""
    came = [second + number / 1e6 for second in range(60) for number in range(100)]

    def work() -> tuple[float, bool]:
        return 0.1, False

    assert served(Guard(), came, work) > served(Fixed(32), came, work)


@pytest.mark.parametrize("clients", [17, 20, 31])
def test_a_rival_that_has_room_for_all_wins(clients: int) -> None:
    """So many come again and again, and each takes 0.1 s whatever the limit is."""
    algorithm = Guard(max_limit=60)
    line, at_work, in_flight, now = deque([0.0] * clients), list[tuple[float, ...]](), 0, 0.0
    limits = []
    while now < 30:
        while line and in_flight < algorithm.limit:
            in_flight += 1
            heappush(at_work, (now + 0.1, now, in_flight, now - line.popleft()))
        now, start, among, waited = heappop(at_work)
        in_flight -= 1
        line.append(now)
        limits.append(algorithm.on_sample(start, now - start, int(among), waited=waited))
    assert set(limits[len(limits) // 2 :]) == {32}


def test_a_lull_in_a_trial_is_not_held_against_the_rival() -> None:
    algorithm = Guard(max_limit=60)
    now = 0.0
    while algorithm.limit == 16:
        now = serve(algorithm, lambda _: 0.1, 0.05, now)
    rival = algorithm.limit
    assert rival == 32
    for _ in range(80):  # One after the other.
        now += 0.01
        algorithm.on_sample(now - 0.01, 0.01, 1)
    assert algorithm.limit == rival
    assert algorithm.reason == "a trial: is 32 better than 16?"


def test_a_rival_at_which_nothing_is_served_has_lost() -> None:
    """Its trials get rarer, like those of any other."""
    algorithm = Guard(initial=10)
    now = too_late(algorithm, 10, 60)
    trials = 0
    before = algorithm.limit
    while now < 160:
        now = too_late(algorithm, 10, 0.05, now)
        trials += algorithm.limit > 10 >= before
        before = algorithm.limit
    assert 0 < trials < 20


def test_while_there_is_room_the_limit_is_left_alone() -> None:
    algorithm = Guard(initial=10)
    for number in range(10_000):
        algorithm.on_sample(number / 100, 0.02, 1 + number % 5)
    assert algorithm.limit == 10


def test_a_limit_that_is_reached_though_nothing_gets_slower_is_raised() -> None:
    algorithm = Guard(initial=10)
    for number in range(10_000):
        algorithm.on_sample(number / 100, 0.02, 1 + number % min(algorithm.limit, 14))
    assert 12 <= algorithm.limit <= 20
    assert algorithm.reason.startswith("20 ms with ")


def test_a_limit_that_is_reached_where_more_take_longer_is_lowered() -> None:
    algorithm = Guard(initial=20)
    now = 0.0
    for number in range(5_000):
        in_flight = 1 + number % algorithm.limit
        now += 0.005
        algorithm.on_sample(now - 0.005 * in_flight, 0.005 * in_flight, in_flight)
    assert algorithm.limit < 20


def test_who_waited_in_front_of_the_app_shows_that_it_is_full() -> None:
    """Its threads are never all inside the app at once, and still there is more than enough."""
    algorithm = Guard(initial=8, max_limit=8)
    now = 0.0
    for number in range(4000):
        limit = algorithm.limit
        now += 0.005
        rtt = 0.005 * limit
        algorithm.on_sample(now - rtt, rtt, limit - number % 2 if limit > 1 else 1, waited=0.1)
    assert algorithm.limit <= 2


def test_a_time_in_which_nobody_comes_is_no_window() -> None:
    """Bursts with an hour between: they show what is served in a burst, and nothing of the hour."""
    algorithm = Guard(initial=8)
    limits = set()
    for hour in range(20):
        for number in range(40):
            start = 3600.0 * hour + number // 8 * 0.02
            limits.add(algorithm.on_sample(start, 0.02, 8))
    assert limits == {8}


def test_a_limit_that_is_out_of_reach_comes_down() -> None:
    """Something else bounds how many are in flight, and more wait in front of that."""
    algorithm = Guard(initial=16)
    for number in range(30):
        algorithm.on_sample(number / 100, 0.02, 5 - number % 3, waited=0.1)
    assert algorithm.limit == 5
    assert algorithm.reason == "requests wait, though 5 of 16 places are all that is used"


def test_where_hardly_anybody_is_left_the_limit_stays() -> None:
    """As long as most are shed by age in front of it, since rejections need all of the CPU."""
    algorithm = Guard()
    now = serve(algorithm, pool, 10)
    level = algorithm.limit
    seen = set()
    for number in range(60):
        now += 0.05
        seen.add(algorithm.on_sample(now - 0.02, 0.02, 1 + number % 2, waited=0.3))
    assert min(seen) > level / 2
    # It may be that those who come now take longer, and something else bounds how many they are.
    for number in range(1000):
        now += 0.05
        algorithm.on_sample(now - 0.02, 0.02, 1 + number % 2, waited=0.3)
    assert algorithm.limit <= 2


def test_where_nothing_is_enforced_it_tells_by_littles_law() -> None:
    algorithm = Guard(initial=10)
    now = 0.0
    for _ in range(200):  # A calm time.
        now += 0.05
        algorithm.on_sample(now - 0.02, 0.02, 1)
    for _ in range(4000):  # And then 50 at once, that are served at 400/s.
        now += 1 / 400
        algorithm.on_sample(now - 50 / 400, 50 / 400, 50)
    assert algorithm.limit in (8, 9)
    assert re.fullmatch(r"\d+/s, of 2\d ms in a calm time", algorithm.reason)


def test_it_says_why() -> None:
    algorithm = Guard()
    reasons: list[str] = []
    now = 0.0
    while now < 10:
        before = algorithm.limit
        rtt = interpreter(before)
        now += rtt / before
        if algorithm.on_sample(now - rtt, rtt, before) != before:
            reasons.append(algorithm.reason)
    assert "a trial: is 32 better than 16?" in reasons
    assert any(reason.startswith("200/s at 16 against 20") for reason in reasons)


durations = st.floats(0, 20)


@example(
    41,
    [
        (0.0, 9.85, 48, False, 51, 0.0),
        (0.0, 2e-173, 25, False, 53, 0.0),
        (1.0, 0.0, 0, False, 1, 0.0),
    ],
)
@given(
    st.integers(1, 50),
    st.lists(
        st.tuples(
            durations, durations, st.integers(0, 300), st.booleans(), st.integers(1, 60), durations
        ),
        max_size=60,
    ),
)
def test_it_stays_within_bounds_whatever_comes(
    initial: int, bursts: list[tuple[float, float, int, bool, int, float]]
) -> None:
    algorithm = Guard(initial=initial, max_limit=60)
    now = 0.0
    for pause, rtt, in_flight, dropped, count, waited in bursts:
        for _ in range(count):
            now += pause / count
            limit = algorithm.on_sample(now - rtt, rtt, in_flight, dropped, waited)
            assert limit == algorithm.limit
            assert type(limit) is int
            assert 1 <= limit <= 60
            assert algorithm.reason


@pytest.mark.parametrize("rtt", [-1.0, math.nan, math.inf])
def test_a_clock_that_is_wrong_tells_nothing(rtt: float) -> None:
    algorithm = Guard()
    for number in range(1000):
        assert algorithm.on_sample(number / 10, rtt, 200) == 16


@pytest.mark.parametrize(
    "settings", [{"initial": 0}, {"max_limit": 8}, {"min_limit": 300}, {"initial": 1.5}]
)
def test_what_can_not_be_set(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Guard(**settings)


def contest(low: tuple[int, float], high: tuple[int, float], rounds: int = 1) -> Contest:
    """Return one between 10 and 20, of so many that were served in so many seconds."""
    contest = Contest(Noise(), 10, 20)
    for _ in range(rounds):
        contest.add(10, *low)
        contest.add(20, *high)
    return contest


def test_the_higher_limit_wins_where_more_is_served() -> None:
    assert contest((1000, 1.0), (1500, 1.0)).winner() == 20


def test_the_lower_limit_wins_where_as_much_is_served() -> None:
    assert contest((10_000, 1.0), (10_000, 1.0)).winner() == 10
    assert contest((10_000, 1.0), (8_000, 1.0)).winner() == 10


def test_a_little_more_is_not_worth_it() -> None:
    # 8 % of a doubling, that is 5.7 %.
    assert contest((100_000, 1.0), (105_000, 1.0)).winner() == 10
    assert contest((100_000, 1.0), (107_000, 1.0)).winner() == 20


def test_chance_decides_nothing_at_first() -> None:
    assert contest((20, 1.0), (22, 1.0)).winner() is None
    assert contest((20, 1.0), (22, 1.0), ROUNDS).winner() == 20
    half = Contest(Noise(), 10, 20)
    half.add(10, 1000, 1.0)
    assert half.winner() is None


def test_a_contest_tells_how_it_stands() -> None:
    assert str(contest((100, 0.5), (150, 0.5))) == "200/s at 10 against 300/s at 20"


def test_noise_is_learned() -> None:
    noise = Noise()
    for served in (100, 120) * 20:
        assert not noise.is_change(served, 1.0)
    loud = noise.value
    for _ in range(40):
        noise.is_change(100, 1.0)
    assert noise.value < loud / 4
    assert noise.is_change(60, 1.0)
    noise.forget()
    assert not noise.is_change(200, 1.0)


def test_the_same_in_half_the_time_is_a_change() -> None:
    noise = Noise()
    noise.is_change(100, 1.0)
    assert noise.is_change(100, 0.5)


def room(near: float, below: float, *, at_limit: int = 20, count: int = 100) -> Room:
    """Return one of a limit of 10, with so many seconds each."""
    room = Room(10)
    for number in range(count):
        # No two are the same.
        room.add(10 if number < at_limit else 9, near * (1 + number % 5 / 100), False)
        room.add(5, below * (1 + number % 5 / 100), False)
        room.add(3, 1.0, False)  # Too few to be compared with.
    return room


def test_a_higher_limit_would_do() -> None:
    assert room(0.021, 0.02).direction() == 1


def test_a_lower_limit_would_do() -> None:
    assert room(0.036, 0.02).direction() == -1


def test_in_doubt_it_stays() -> None:
    assert room(0.0271, 0.02).direction() == 0
    assert room(0.021, 0.02, at_limit=9).direction() == 0
    assert room(0.021, 0.02, count=ENOUGH - 1).direction() == 0
    assert room(0.0, 0.0).direction() == 0
    assert Room(1).direction() == 0


def test_failures_near_the_limit_speak_against_more() -> None:
    fails = room(0.02, 0.02)
    for _ in range(150):
        fails.add(10, 0.001, True)
    assert fails.direction() == -1


def test_what_is_old_is_forgotten() -> None:
    fresh = Room(1)
    for _ in range(TOO_MANY):
        fresh.add(1, 0.02, False)
    assert not fresh.is_stale
    fresh.add(1, 0.02, False)
    assert fresh.is_stale
