"""Tell a queue that stands from a burst, by how long those who leave it have waited.

A burst is what queues are for: it is served in a moment. A queue that stands only makes all who
come later wait longer, and serves nobody sooner.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .fork import reset_after_fork

TARGET = 0.02
INTERVAL = 0.1
"""Seconds, both; the defaults of the guard."""

LONGEST = 10
"""How many times as long an interval gets where requests are slow."""


def stretched(interval: float, service_time: float) -> float:
    """Return how long an interval lasts where requests take `service_time`; seconds, all of them.

    What is served within the time that one request takes is a burst.
    """
    return min(max(interval, service_time), LONGEST * interval)


class CoDel:
    """Controlled delay, in the form that folly has for requests.

    A queue stands when even the least delay of an interval was more than the target. Until the
    next interval is over, whoever has waited for longer than twice the target is overdue then;
    but for the first of each interval, so that there always is something to judge the next one by.

    Sources: Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 10(5), 2012;
    ``folly/executors/Codel.cpp``.

    :param target: how long the least delay may be, in seconds; folly's, where not given.
    :param interval: how long a burst may last, in seconds; folly's, where not given.
    :param clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        *,
        target: float = 0.005,
        interval: float = 0.1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self.interval = interval
        self.bound = 2 * target
        """Who has waited for longer is overdue while the queue stands; in seconds."""
        self._clock = clock
        self.after_fork()
        reset_after_fork(self)

    def after_fork(self) -> None:
        """Forget what the parent has seen, and its lock, which another thread may have held."""
        self.is_standing = False
        """Whether the queue stood in the interval before this one."""
        self._lock = threading.Lock()
        self._end = self._clock()
        # Of this interval, as all that follows.
        self._least: float | None = None
        self._served = 0
        self._overdue = 0

    @property
    def load(self) -> float:
        """How much of the bound even the least delay of this interval takes, in percent."""
        return min(100.0, 100.0 * (self._least or 0.0) / self.bound)

    def is_overdue(self, delay: float, patience: float = 1.0) -> bool:
        """Take in how long somebody has waited. Return whether that is too long.

        :param delay: in seconds.
        :param patience: how many times the bound is allowed.
        """
        with self._lock:
            now = self._clock()
            if self._least is None or now > self._end:
                if self._least is not None:
                    self._begin_interval(self._least, delay)
                    self._end = now + self.interval
                passes = self._lets_pass_first(delay, patience)
                self._least = delay
                self._served, self._overdue = int(passes), int(not passes)
                return not passes
            if delay < self._least:
                self._least = delay
            if self.is_standing and delay > self.bound * patience:
                self._overdue += 1
                return True
            self._served += 1
            return False

    def _lets_pass_first(self, delay: float, patience: float) -> bool:
        """Return whether the first of an interval is served, however long it has waited."""
        return True

    def _begin_interval(self, least: float, delay: float) -> None:
        """Draw the conclusions.

        :param least: the least delay of the interval that is over.
        :param delay: how long the first of the next one has waited.
        """
        self.is_standing = least > self.target
