"""Clients, and the limit in front of the server."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from .server import Loop
    from .server import Then


class Algorithm(Protocol):
    limit: int

    def on_sample(
        self, start: float, rtt: float, in_flight: int, dropped: bool = False, waited: float = 0.0
    ) -> int: ...


class Fixed:
    """A limit that stays what it is."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def on_sample(
        self, start: float, rtt: float, in_flight: int, dropped: bool = False, waited: float = 0.0
    ) -> int:
        return self.limit


@dataclass(slots=True, eq=False)
class Request:
    """One request of one client; `number` says how many the client has made before for it."""

    came: float
    work: Callable[[Then], None]
    number: int = 0
    admitted: float = 0.0
    in_flight: int = 0
    answered: float | None = None
    is_waiting: bool = False


class Limiter:
    """Admit at most so many as the algorithm says, let a bounded line wait, reject the rest."""

    def __init__(
        self, loop: Loop, algorithm: Algorithm, *, max_queue: int = 32, max_wait: float = 0.5
    ) -> None:
        self.algorithm = algorithm
        self.limit = algorithm.limit
        self.in_flight = 0
        self.on_answer: Callable[[Request], object] = lambda request: None
        self.on_reject: Callable[[Request], object] = lambda request: None
        self.on_limit: Callable[[int], object] = lambda limit: None
        self._loop = loop
        self._max_queue = max_queue
        self._max_wait = max_wait
        self._line: deque[Request] = deque()

    def arrive(self, request: Request) -> None:
        if self.in_flight < self.limit:
            self._admit(request)
            return
        now = self._loop.now
        # Who has waited for too long is at the head.
        while self._line and now - self._line[0].came >= self._max_wait:
            self._reject(self._line.popleft())
        if len(self._line) < self._max_queue:
            self._line.append(request)
        else:
            self._reject(request)

    def _admit(self, request: Request) -> None:
        self.in_flight += 1
        request.admitted = self._loop.now
        request.in_flight = self.in_flight
        request.work(lambda: self._finish(request))

    def _finish(self, request: Request) -> None:
        now = self._loop.now
        self.in_flight -= 1
        request.answered = now
        limit = self.algorithm.on_sample(
            request.admitted,
            now - request.admitted,
            request.in_flight,
            waited=request.admitted - request.came,
        )
        if limit != self.limit:
            self.limit = limit
            self.on_limit(limit)
        while self._line and self.in_flight < self.limit:
            first = self._line.popleft()
            if now - first.came < self._max_wait:
                self._admit(first)
            else:
                self._reject(first)
        self.on_answer(request)

    def _reject(self, request: Request) -> None:
        self.on_reject(request)
