"""Let a scenario happen to a limit, and measure what becomes of it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from dataclasses import field
from itertools import pairwise
from typing import TYPE_CHECKING

from .limiting import Limiter
from .limiting import Request
from .server import Loop

if TYPE_CHECKING:
    from .limiting import Algorithm
    from .scenarios import Scenario

DEADLINE = 1.0
"""How long a client waits for its answer, in seconds."""


@dataclass
class PhaseResult:
    """What happened to the requests that came in one phase."""

    seconds: float
    offered: int = 0
    rejected: int = 0
    served: list[float] = field(default_factory=list)
    """How long each took that was served, from when it came, in seconds."""
    each_second: list[int] = field(default_factory=list)
    """How many came in each second who were served in time."""
    limit_seconds: float = 0.0

    @property
    def goodput(self) -> float:
        return sum(1 for took in self.served if took <= DEADLINE) / self.seconds

    def settled_after(self, other: PhaseResult) -> int | None:
        """Return after how many seconds as much is served as by `other`, but for a twentieth.

        In the five seconds from then on, taken together. None if that never comes.
        """
        whole = int(self.seconds)
        for second in range(whole):
            window = slice(second, min(whole, second + 5))
            if sum(self.each_second[window]) >= 0.95 * sum(other.each_second[window]):
                return second
        return None

    @property
    def mean_limit(self) -> float:
        return self.limit_seconds / self.seconds

    def percentile(self, part: float) -> float:
        if not self.served:
            return float("inf")
        return sorted(self.served)[min(len(self.served) - 1, int(part * len(self.served)))]


@dataclass
class Result:
    phases: list[PhaseResult]
    limits: list[tuple[float, int]]
    """When the limit became what."""
    served: list[tuple[float, float]]
    """When each came that was served, and how long it took."""


def simulate(scenario: Scenario, algorithm: Algorithm, seed: int = 1) -> Result:
    loop = Loop()
    site = scenario.site(loop, random.Random(f"work {seed}"))
    arrivals = random.Random(f"arrivals {seed}")
    limiter = Limiter(loop, algorithm)
    limits = [(0.0, limiter.limit)]
    limiter.on_limit = lambda limit: limits.append((loop.now, limit))
    results = [
        PhaseResult(phase.seconds, each_second=[0] * int(phase.seconds + 1))
        for phase in scenario.phases
    ]
    served: list[tuple[float, float]] = []
    starts = [0.0]
    for phase in scenario.phases:
        starts.append(starts[-1] + phase.seconds)
    current = 0

    def begin(number: int) -> None:
        nonlocal current
        current = number
        site.set_speed(scenario.phases[number].speed)

    for number, start in enumerate(starts[:-1]):
        loop.at(start, lambda number=number: begin(number))

    def phase_of(request: Request) -> int:
        number = len(starts) - 2
        while number and request.came < starts[number]:
            number -= 1
        return number

    def arrive() -> None:
        phase = scenario.phases[current]
        loop.after(arrivals.expovariate(phase.rate), arrive)
        results[current].offered += 1
        limiter.arrive(Request(loop.now, site.request()))

    def retry(request: Request) -> None:
        if request.number < scenario.retries:
            again = Request(0.0, site.request(), request.number + 1)

            def come() -> None:
                again.came = loop.now
                limiter.arrive(again)

            loop.after(arrivals.uniform(0.1, 0.3) * 2**request.number, come)

    def answered(request: Request) -> None:
        number = phase_of(request)
        assert request.answered is not None
        took = request.answered - request.came
        results[number].served.append(took)
        served.append((request.came, took))
        if took <= DEADLINE:
            results[number].each_second[int(request.came - starts[number])] += 1
        else:
            retry(request)

    def rejected(request: Request) -> None:
        results[phase_of(request)].rejected += 1
        retry(request)

    limiter.on_answer = answered
    limiter.on_reject = rejected
    loop.at(0.0, arrive)
    loop.run(starts[-1])
    for (since, limit), (until, _) in pairwise([*limits, (starts[-1], 0)]):
        for number, (start, end) in enumerate(pairwise(starts)):
            results[number].limit_seconds += limit * max(0.0, min(until, end) - max(since, start))
    return Result(results, limits, served)
