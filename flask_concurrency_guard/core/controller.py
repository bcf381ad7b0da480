"""CoDel for a server whose capacity nobody knows: how long a request may have waited."""

from __future__ import annotations

import time
from collections.abc import Callable

from .codel import INTERVAL
from .codel import TARGET
from .codel import CoDel
from .codel import stretched

EXCESS = 0.1
"""From which share of overdue requests on it doesn't matter any more which ones are served."""

LASTING = 20
"""After how many intervals a queue of the same length is too much, even if nobody is overdue."""

SAME = 0.25
"""By which share of what it was the least delay may change where the queue keeps its length."""

IDLE = 5
"""After how many intervals in which nobody came what was before tells nothing any more."""

DOWN = 0.2
UP = 0.1
"""By what part of it the bound gets shorter or longer from one interval to the next. Slower up than
down: while few are overdue for a moment, there may still be far too many."""

GENTLY = 0.01
"""By what part it begins to get shorter again where a shorter one was of no use, and by how much
more each time from then on."""

SHORTER = 0.9
"""What a queue is of what it was an interval ago, at most, if it gets shorter."""

PLENTY = 10
"""How many are many in an interval. Where so many are served, one of them doesn't matter: the first
of the next one passes, however long it has waited; and where nobody was served. Where so many are
rejected, it is that which takes the time."""

FEW = 3
MANY = 10
"""How many requests are served in the mean within the shortest bound there is, and the longest.

Where much more comes than can be served, there nearly always is one among few that came a moment
ago. Where it is only a little more, chance alone lets now many come and now none, and a thread
finds nobody to serve if the many were sent away.
"""


class Controller(CoDel):
    """CoDel, with a bound and an interval that follow from what happens.

    Where a little more comes than can be served, a short queue costs capacity: it is empty by
    chance again and again, and then a thread has nothing to do. So the bound is long there, four
    times the interval. Where much more comes, the queue never gets empty, however short; so the
    bound goes down as long as many are overdue, and those who are served are served at once.

    What a lower bound makes overdue at once doesn't count for the next one. Otherwise a queue that
    was too long by chance, for once, would be sent away as a whole.

    A queue that keeps its length is shed as well, although nobody is overdue: by chance it gets
    longer and shorter. It may be one that can't get longer, since the kernel drops whoever finds it
    full.

    Where all are overdue, and the queue still gets no shorter, sending them away is of no use: that
    takes all the server has, and nobody is served meanwhile. So the bound becomes what the least of
    them has waited, and goes down from there no faster than the queue does.

    Where the limit turns away what is too much, few are overdue, but a longer bound would only let
    the queue grow again. So it stays as it is.

    What is long depends on the views, so an interval lasts for at least as long as a request
    takes, within reason; and so does the bound.

    :param target: how long the least delay of an interval may be, in seconds; also half of the
        shortest bound.
    :param interval: how long a burst may last, in seconds, where requests take less than that.
    :param service_time: returns how long requests take in the mean, in seconds.
    :param is_rush: returns whether the limit turns many away.
    :param clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        *,
        target: float = TARGET,
        interval: float = INTERVAL,
        service_time: Callable[[], float] = float,
        is_rush: Callable[[], bool] = bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shortest_interval = interval
        self._service_time = service_time
        self._is_rush = is_rush
        super().__init__(target=target, interval=interval, clock=clock)

    def after_fork(self) -> None:
        super().after_fork()
        self.interval = self._shortest_interval
        self.bound = self._longest = 4 * self.interval
        self._lowered = 0.0  # By how much the bound is lower than in the interval before.
        self._length = 0.0  # The least delay when the queue began to keep its length,
        self._kept = 0  # so many intervals ago.
        self._before = 0.0  # The least delay of the interval before.
        self._down = DOWN

    def _begin_interval(self, least: float, delay: float) -> None:
        service_time = self._service_time()
        interval, self.interval = self.interval, stretched(self._shortest_interval, service_time)
        came = self._overdue + self._served
        # Where there was a queue, who comes now was there already, and has only found no thread.
        # One or two that were late tell nothing of what comes after an idle time.
        was_queue = self.is_standing or (came > 1 and least > self.bound)
        # For how long nobody came.
        pause = self._clock() - self._end - (delay if was_queue else 0.0)
        if pause > max(IDLE * interval, 2 * service_time) or self.interval > 2 * interval:
            # It tells nothing: it is long ago, or was short for how long requests take by now.
            self.is_standing = False
        else:
            super()._begin_interval(least, delay)
        excess = self._overdue / came
        of_the_last_step = self._served * self._lowered / interval / came
        # In a queue that stands, it is the capacity that was served. There is at least one thread.
        each = min(interval / max(self._served, 1), service_time)
        if not self.is_standing or abs(least - self._length) > SAME * self._length:
            self._length, self._kept = least, 0
        self._kept += 1
        shortest = max(2 * self.target, FEW * each)
        longest = max(4 * self.interval, MANY * each)
        bound = self.bound
        if not self.is_standing:
            self._down = DOWN
            if bound >= self._longest:
                bound = longest  # It needn't grow first: where requests take long, so does a burst.
        if self._is_in_vain(least):
            bound = longest = least
            self._down = GENTLY
        elif self.is_standing and (excess - of_the_last_step > EXCESS or self._kept > LASTING):
            bound *= 1 - self._down
            longest = max(longest, bound)
            self._down = min(self._down + GENTLY, DOWN)
        elif excess <= EXCESS / 2 and not self._is_rush():
            bound *= 1 + UP
        bound = min(max(bound, shortest), longest)
        self._before = least
        self._longest = longest
        self._lowered = max(self.bound - bound, 0.0)
        self.bound = bound

    def _lets_pass_first(self, delay: float, patience: float) -> bool:
        # With one thread, and requests that take as long as an interval, it would serve no others.
        is_dear = 0 < self._served < PLENTY
        return not (self.is_standing and is_dear and delay > self.bound * patience)

    def _is_in_vain(self, least: float) -> bool:
        """Return whether all were rejected, and the queue has got no shorter by it."""
        return (
            self.is_standing
            and self._served <= 1  # The first of an interval may have passed.
            and self._overdue >= PLENTY
            and least > max(self.bound, SHORTER * self._before)
        )
