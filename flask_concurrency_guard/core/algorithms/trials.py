"""Which limit to try next beside the one that has won so far, and when."""

from __future__ import annotations

from math import inf
from math import sqrt

from .contest import Contest
from .contest import Noise

SMALLEST_STEP = 1.1
LARGEST_STEP = 2.0
"""By what a limit is multiplied, or divided, to find a rival."""

GROWTH = 1.25
"""How steps grow as long as they lead somewhere."""

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 20.0
"""How many seconds are between two trials that change nothing."""

FARTHEST = 4
"""By what a limit is multiplied, or divided, at most, to come to what Little's law says."""

ELSEWHERE = (1 / 2, 2, 1 / 4, 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128)
"""By what a limit is multiplied, one after the other, where nothing is served at it. With fewer,
each may be in time; with more, there is room beside those that fail late."""

REMEMBERED = 16
"""How many contests are remembered."""


class Trials:
    """What was tried, and what is to be tried next.

    :param noise: how much the throughput varies by chance.
    :param min_limit: the lowest limit.
    :param max_limit: the highest.
    """

    __slots__ = (
        "_contests",
        "_goes_up",
        "_looked_at",
        "_max_limit",
        "_min_limit",
        "_next_trial",
        "_noise",
        "_pause",
        "_step",
    )

    def __init__(self, noise: Noise, min_limit: int, max_limit: int) -> None:
        self._noise = noise
        self._min_limit = min_limit
        self._max_limit = max_limit
        self._contests: dict[tuple[int, int], Contest] = {}
        self._goes_up = True
        self._looked_at = 0  # So many of those elsewhere.
        self.begin_anew()

    def begin_anew(self) -> None:
        """Look far and wide, and at once: what was found out was about another time."""
        self._step = LARGEST_STEP
        self._pause = FIRST_PAUSE
        self._next_trial = -inf
        self.forget()

    def forget(self) -> None:
        """Forget what was served at which limit."""
        self._contests.clear()

    def jump(self, level: int, at_work: float) -> Contest | None:
        """Return the contest between a limit and how many are really at work, if that is known.

        :param at_work: see `estimate`.
        """
        rival = self.estimate(level, at_work)
        return None if rival is None else self.contest(level, rival)

    def next(self, level: int, now: float) -> Contest | None:
        """Return the contest between a limit and the next rival; None if it isn't time for one."""
        if now < self._next_trial:
            return None
        rival = self._rival(level)
        return None if rival is None else self.contest(level, rival)

    def lost(self, now: float) -> None:
        """Take note that a rival was no better."""
        self._goes_up = not self._goes_up
        if self._step <= SMALLEST_STEP:
            self._next_trial = now + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._step = max(SMALLEST_STEP, sqrt(self._step))

    def won(self, *, goes_up: bool) -> None:
        """Take note that a rival was better."""
        self._goes_up = goes_up
        self._step = min(LARGEST_STEP, self._step * GROWTH)
        self._pause = FIRST_PAUSE
        self._next_trial = -inf

    def estimate(self, level: int, at_work: float) -> int | None:
        """Return the limit that lets in how many are really at work; None if `level` does.

        :param at_work: throughput times how long one takes in a calm time, by Little's law; zero
            if nobody knows.
        """
        limit = self.bounded(max(level // FARTHEST, min(level * FARTHEST, round(at_work))))
        is_far = max(limit / level, level / limit) >= SMALLEST_STEP
        return limit if at_work and is_far else None

    def elsewhere(self, level: int, limit: int) -> int:
        """Return the next limit to look at, where nothing is served at `limit`; then `level`."""
        if limit == level:
            self._looked_at = 0
        for factor in ELSEWHERE[self._looked_at :]:
            self._looked_at += 1
            other = self.bounded(int(level * factor) or 1)
            if other not in (limit, level):
                return other
        return level

    def bounded(self, limit: int) -> int:
        """Return the limit that comes nearest to `limit`."""
        return max(self._min_limit, min(self._max_limit, limit))

    def _rival(self, level: int) -> int | None:
        for _ in range(2):
            if self._goes_up:
                rival = max(level + 1, round(level * self._step))
            else:
                rival = min(level - 1, round(level / self._step))
            if self.bounded(rival) != level:
                return self.bounded(rival)
            self._goes_up = not self._goes_up
        return None

    def contest(self, level: int, rival: int) -> Contest:
        """Return the contest between two limits, with what is remembered of it."""
        limits = (min(level, rival), max(level, rival))
        contest = self._contests.pop(limits, None)
        if contest is None:
            contest = Contest(self._noise, level, rival)
        else:
            contest.begin_again()
        self._contests[limits] = contest
        if len(self._contests) > REMEMBERED:
            del self._contests[next(iter(self._contests))]
        return contest
