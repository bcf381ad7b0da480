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

DOWN = 0.8
UP = 1.1
"""By what the bound is multiplied from one interval to the next, where it gets shorter or longer.
Slower up than down: while few are overdue for a moment, there may still be far too many."""

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

    def _begin_interval(self, least: float) -> None:
        service_time = self._service_time()
        interval, self.interval = self.interval, stretched(self._shortest_interval, service_time)
        pause = self._clock() - self._end
        if pause > max(IDLE * interval, 2 * service_time) or self.interval > 2 * interval:
            # It tells nothing: it is long ago, or was short for how long requests take by now.
            self.is_standing = False
        else:
            super()._begin_interval(least)
        came = self._overdue + self._served
        excess = self._overdue / came
        of_the_last_step = self._served * self._lowered / interval / came
        # In a queue that stands, it is the capacity that was served. There is at least one thread.
        each = min(interval / self._served, service_time)
        if not self.is_standing or abs(least - self._length) > SAME * self._length:
            self._length, self._kept = least, 0
        self._kept += 1
        shortest = max(2 * self.target, FEW * each)
        longest = max(4 * self.interval, MANY * each)
        bound = self.bound
        if bound >= self._longest and not self.is_standing:
            bound = longest  # It needn't grow first: where requests take long, a burst does, too.
        if self.is_standing and (excess - of_the_last_step > EXCESS or self._kept > LASTING):
            bound *= DOWN
        elif excess <= EXCESS / 2 and not self._is_rush():
            bound *= UP
        bound = min(max(bound, shortest), longest)
        self._longest = longest
        self._lowered = max(self.bound - bound, 0.0)
        self.bound = bound
