"""What serves requests: an interpreter's lock, a pool of connections, and what only takes time."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

Then = Callable[[], None]
"""What to do when a stage of a request is over."""


class Loop:
    """The events to come, in order."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Then]] = []
        self._number = 0

    def at(self, when: float, then: Then) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, then))

    def after(self, seconds: float, then: Then) -> None:
        self.at(self.now + seconds, then)

    def run(self, until: float) -> None:
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, then = heapq.heappop(events)
            then()


class Interpreter:
    """Threads that take turns at one lock: each gets its part of one CPU.

    :param switching: what part of the CPU is lost for each thread more that is at work.
    """

    def __init__(self, loop: Loop, switching: float = 0.005) -> None:
        self.speed = 1.0
        self._loop = loop
        self._switching = switching
        self._served = 0.0  # How many seconds each has had who has been there from the beginning.
        self._since = 0.0
        self._jobs: list[tuple[float, int, Then]] = []
        self._number = 0
        self._turn = 0

    def serve(self, seconds: float, then: Then) -> None:
        self._catch_up()
        self._number += 1
        heapq.heappush(self._jobs, (self._served + seconds, self._number, then))
        self._plan()

    def set_speed(self, speed: float) -> None:
        self._catch_up()
        self.speed = speed
        self._plan()

    def _pace(self) -> float:
        threads = len(self._jobs)
        return self.speed / threads / (1 + self._switching * (threads - 1))

    def _catch_up(self) -> None:
        now = self._loop.now
        if self._jobs:
            self._served += (now - self._since) * self._pace()
        self._since = now

    def _plan(self) -> None:
        self._turn += 1
        if self._jobs:
            turn, left = self._turn, max(0.0, self._jobs[0][0] - self._served)
            self._loop.after(left / self._pace(), lambda: self._finish(turn))

    def _finish(self, turn: int) -> None:
        if turn != self._turn:
            return  # Others came or went meanwhile.
        self._catch_up()
        end, _, then = heapq.heappop(self._jobs)
        self._served = max(self._served, end)
        self._plan()
        then()


class Pool:
    """Connections to something that serves so many at once, and gets slower by those who wait.

    :param slower_per_waiter: how much longer a query takes for each that waits, as a part of it.
    """

    def __init__(self, loop: Loop, size: int, slower_per_waiter: float = 0.0) -> None:
        self.speed = 1.0
        self._loop = loop
        self._free = size
        self._slower_per_waiter = slower_per_waiter
        self._waiters: deque[tuple[float, Then]] = deque()

    def serve(self, seconds: float, then: Then) -> None:
        self._waiters.append((seconds, then))
        if self._free:
            self._free -= 1
            self._begin()

    def set_speed(self, speed: float) -> None:
        self.speed = speed

    def _begin(self) -> None:
        seconds, then = self._waiters.popleft()
        slower = 1 + self._slower_per_waiter * len(self._waiters)
        self._loop.after(seconds * slower / self.speed, lambda: self._finish(then))

    def _finish(self, then: Then) -> None:
        if self._waiters:
            self._begin()
        else:
            self._free += 1
        then()
