"""Windowed: let an algorithm learn from what many requests have in common.

For a second, or longer where that is asked for, requests are only counted up. The first that ends
after it makes one sample of them all: their mean round trip, or a percentile of it; the most that
were in flight; and a drop if there was any. Requests that took next to no time say nothing about
the load, and aren't counted.

Known weaknesses: a window with too few requests is thrown away, and its drops with it, so with
little traffic nothing is ever learned. A percentile is one of the first requests of a window only,
and drops after them are missed.

Source: ``WindowedLimit`` of Netflix/concurrency-limits, commit 78a74b9.
"""

from __future__ import annotations

from math import inf
from typing import Literal

from .checks import check_integer
from .checks import check_number
from .checks import check_seconds
from .measures import LONGEST
from .protocol import Algorithm


class Window:
    """What the requests of a window have in common, and their mean.

    Round trips are in nanoseconds.
    """

    __slots__ = ("_sum", "best", "count", "dropped", "in_flight")

    def __init__(self) -> None:
        self.count = 0
        self.best: float = inf
        """The shortest round trip."""
        self.in_flight = 0
        """The most there were."""
        self.dropped = False
        """Whether any was."""
        self._sum = 0

    def add(self, rtt: int, in_flight: int, dropped: bool) -> None:
        """Take in one more request."""
        self.count += 1
        self._sum += rtt
        if rtt < self.best:
            self.best = rtt
        if in_flight > self.in_flight:
            self.in_flight = in_flight
        if dropped:
            self.dropped = True

    @property
    def rtt(self) -> int:
        """The round trip that stands for all."""
        return self._sum // self.count


class PercentileWindow(Window):
    """What the first requests of a window have in common, and a percentile of theirs.

    :param percentile: which one; from 0 to 1.
    :param most: how many requests those are.
    """

    __slots__ = ("_most", "_percentile", "_rtts")

    def __init__(self, percentile: float, most: int) -> None:
        super().__init__()
        self._percentile = percentile
        self._most = most
        self._rtts: list[int] = []

    def add(self, rtt: int, in_flight: int, dropped: bool) -> None:
        if self.count < self._most:
            super().add(rtt, in_flight, dropped)
            self._rtts.append(rtt)

    @property
    def rtt(self) -> int:
        # Half a place is rounded up, where `round` goes to the even one.
        place = int(self.count * self._percentile + 0.5)
        return sorted(self._rtts)[max(place, 1) - 1]


class Windowed:
    """An algorithm that gets one sample for many requests.

    :param algorithm: gets them.
    :param min_window: for how many seconds requests are counted up, at least.
    :param max_window: and at most. In between it is for twice the shortest round trip.
    :param size: how many requests make a sample, at least.
    :param min_rtt: from which round trip on a request is counted, in seconds.
    :param tracked: which round trip stands for all: ``"average"``, or a percentile such as 0.9.
    :param most: of how many requests a percentile is, at most.
    :raises ValueError: a setting can't be. The message says what it must be.
    """

    __slots__ = (
        "_algorithm",
        "_counted",
        "_end",
        "_max_window",
        "_min_rtt",
        "_min_window",
        "_most",
        "_size",
        "_tracked",
        "_window",
        "limit",
    )

    def __init__(
        self,
        algorithm: Algorithm,
        *,
        min_window: float = 1.0,
        max_window: float = 1.0,
        size: int = 10,
        min_rtt: float = 1e-4,
        tracked: float | Literal["average"] = "average",
        most: int = 1000,
    ) -> None:
        check_seconds("min_window", min_window)
        check_seconds("max_window", max_window, min_window, "'min_window'")
        check_integer("size", size, 1)
        check_seconds("min_rtt", min_rtt, 0)
        if tracked != "average":
            check_number(
                "tracked", tracked, lambda share: 0 < share < 1, "between 0 and 1, or 'average'"
            )
        check_integer("most", most, size, "'size'")
        self.limit = algorithm.limit
        """How many may be in flight."""
        self._algorithm = algorithm
        self._min_window = round(min_window * 1e9)
        self._max_window = round(max_window * 1e9)
        self._size = size
        self._min_rtt = min_rtt
        self._tracked = tracked
        self._most = most
        #: When the window is over, in nanoseconds.
        self._end = 0
        self._window = self._next_window()
        #: How many requests made the last sample.
        self._counted = 0

    def on_sample(
        self, start: float, rtt: float, in_flight: int, dropped: bool = False, waited: float = 0.0
    ) -> int:
        """Learn from one request that has ended. Return the limit from now on."""
        if not (self._min_rtt <= rtt <= LONGEST and -LONGEST <= start <= LONGEST):
            return self.limit
        elapsed = round(rtt * 1e9)
        now = round(start * 1e9) + elapsed
        self._window.add(elapsed, in_flight, dropped)
        if now > self._end:
            self._conclude(start, now)
        return self.limit

    def _conclude(self, start: float, now: int) -> None:
        """Begin the next window, and make a sample of this one.

        :param start: when the last request began, in seconds.
        :param now: when it ended, in nanoseconds.
        """
        window = self._window
        self._window = self._next_window()
        twice = 2 * int(window.best)
        self._end = now + min(max(twice, self._min_window), self._max_window)
        if window.count >= self._size:
            self._counted = window.count
            self.limit = self._algorithm.on_sample(
                start, window.rtt / 1e9, window.in_flight, window.dropped
            )

    def _next_window(self) -> Window:
        if self._tracked == "average":
            return Window()
        return PercentileWindow(self._tracked, self._most)

    @property
    def reason(self) -> str:
        """Why the limit is what it is now, in figures."""
        if not self._counted:
            return f"no window of {self._size} requests is over yet"
        what = "mean" if self._tracked == "average" else f"percentile {self._tracked:g}"
        return f"{self._algorithm.reason}, by the {what} of {self._counted} requests"
