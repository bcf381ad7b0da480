"""What happens to a server: who comes, what that takes, and what changes meanwhile."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from .server import Interpreter
from .server import Pool

if TYPE_CHECKING:
    from .server import Loop
    from .server import Then

Work = Callable[["Then"], None]


class Site:
    """A server at work: `request` returns what one more request takes."""

    def __init__(self, loop: Loop, rng: random.Random) -> None:
        self.loop = loop
        self.rng = rng

    def request(self) -> Work:
        raise NotImplementedError

    def set_speed(self, speed: float) -> None:
        """Become so many times as fast as at first."""
        raise NotImplementedError


def lognormal(rng: random.Random, mean: float, sigma: float = 0.5) -> float:
    return rng.lognormvariate(math.log(mean) - sigma * sigma / 2, sigma)


class TwoServers(Site):
    """Netflix's own example: two servers, 20 ms in the mean."""

    def __init__(self, loop: Loop, rng: random.Random) -> None:
        super().__init__(loop, rng)
        self.pool = Pool(loop, 2)
        self.set_speed = self.pool.set_speed  # type: ignore[method-assign]

    def request(self) -> Work:
        return partial(self.pool.serve, lognormal(self.rng, 0.02))


class Cpu(Site):
    """Views that compute for 5 ms, under the interpreter's lock."""

    def __init__(self, loop: Loop, rng: random.Random) -> None:
        super().__init__(loop, rng)
        self.interpreter = Interpreter(loop)
        self.set_speed = self.interpreter.set_speed  # type: ignore[method-assign]

    def request(self) -> Work:
        return partial(self.interpreter.serve, lognormal(self.rng, 0.005, 0.2))


class Database(Site):
    """Views that ask a database for 20 ms, over a pool of 8 that gets slower by those who wait,
    and compute for half a millisecond."""

    def __init__(self, loop: Loop, rng: random.Random) -> None:
        super().__init__(loop, rng)
        self.interpreter = Interpreter(loop)
        self.pool = Pool(loop, 8, 0.02)
        self.set_speed = self.pool.set_speed  # type: ignore[method-assign]

    def request(self) -> Work:
        query = lognormal(self.rng, 0.02, 0.2)
        return lambda then: self.interpreter.serve(0.0005, lambda: self.pool.serve(query, then))


class Mixed(Site):
    """Nine of ten compute for 2 ms, one asks a slow service for 300 ms that has room for 20."""

    def __init__(self, loop: Loop, rng: random.Random) -> None:
        super().__init__(loop, rng)
        self.interpreter = Interpreter(loop)
        self.pool = Pool(loop, 20)

    def set_speed(self, speed: float) -> None:
        self.interpreter.set_speed(speed)
        self.pool.set_speed(speed)

    def request(self) -> Work:
        if self.rng.random() < 0.9:
            return partial(self.interpreter.serve, lognormal(self.rng, 0.002, 0.2))
        return partial(self.pool.serve, lognormal(self.rng, 0.3, 0.2))


@dataclass(frozen=True)
class Phase:
    """A time in which nothing changes.

    :param seconds: how long it lasts.
    :param rate: how many requests come, in a second.
    :param speed: how fast the server is; 1 at first.
    """

    seconds: float
    rate: float
    speed: float = 1.0


@dataclass(frozen=True)
class Scenario:
    name: str
    site: Callable[[Loop, random.Random], Site]
    phases: tuple[Phase, ...]
    retries: int = 0
    """How often a client tries again that got no answer in time."""

    @property
    def seconds(self) -> float:
        return sum(phase.seconds for phase in self.phases)

    def shortened(self, longest: float) -> Scenario:
        """Return the same with no phase longer than so many seconds."""
        phases = tuple(
            Phase(min(phase.seconds, longest), phase.rate, phase.speed) for phase in self.phases
        )
        return Scenario(self.name, self.site, phases, self.retries)


def steady(*loads: float, capacity: float, seconds: float = 30.0) -> tuple[Phase, ...]:
    return tuple(Phase(seconds, load * capacity) for load in loads)


# What each can serve in a second, at its best limit.
TWO, CPU, DATABASE, MIXED = 100, 200, 400, 500

SCENARIOS = (
    Scenario("netflix", TwoServers, tuple(Phase(100, rate) for rate in (50, 90, 200, 100))),
    Scenario("cpu", Cpu, steady(0.5, 0.9, 1.1, 2, 5, capacity=CPU)),
    Scenario("database", Database, steady(0.5, 0.9, 1.1, 2, 5, capacity=DATABASE)),
    Scenario("mixed", Mixed, steady(0.5, 0.9, 1.1, 2, 5, capacity=MIXED)),
    Scenario(
        "cpu halved",
        Cpu,
        (Phase(30, 1.2 * CPU), Phase(60, 1.2 * CPU, 0.5), Phase(60, 1.2 * CPU)),
    ),
    Scenario(
        "database halved",
        Database,
        (Phase(30, 1.2 * DATABASE), Phase(60, 1.2 * DATABASE, 0.5), Phase(60, 1.2 * DATABASE)),
    ),
    Scenario("cpu step", Cpu, steady(0.5, 5, 0.5, capacity=CPU)),
    Scenario("database step", Database, steady(0.5, 5, 0.5, capacity=DATABASE)),
    Scenario(
        "incident",
        Database,
        (Phase(60, 0.6 * DATABASE), Phase(600, 0.6 * DATABASE, 0.1), Phase(60, 0.6 * DATABASE)),
    ),
    Scenario(
        "retries",
        Database,
        (Phase(30, 0.7 * DATABASE), Phase(30, 3 * DATABASE), Phase(60, 0.7 * DATABASE)),
        retries=3,
    ),
)
