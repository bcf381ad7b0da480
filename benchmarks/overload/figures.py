"""The arithmetic: what a run's outcomes say, what overload leaves, and when not to believe it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

OK = 200
REJECTED = (429, 503)

MOST_LAG = 0.02
"""Seconds. The generator must send 99 of 100 requests no later than this, or the run is void."""
MOST_OTHERS = 0.1
"""How much of the server's CPU other programs may have taken."""
MOST_DRIFT = 0.1
"""By how much the capacity may have changed between the beginning and the end."""
LEAST_ANSWERED = 0.98
"""Which share of the empty requests must be answered for their cost to count."""

Outcome = tuple[float, int, float]
"""When a request was due, its status, and the seconds from then to its end."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A run as it was, before any arithmetic. Times are those of `time.monotonic`."""

    outcomes: Sequence[Outcome]
    lags: Sequence[float]
    begin: float
    end: float
    """Requests count if they were due from `begin` to before `end`."""
    server_cpu: float
    """Seconds that the server used between the two."""
    busy: float | None
    """Seconds that its CPU was busy; None if it had none for itself."""

    @property
    def seconds(self) -> float:
        """How long the part lasted that counts."""
        return self.end - self.begin

    def counted(self) -> list[Outcome]:
        """Return the outcomes that count."""
        return [outcome for outcome in self.outcomes if self.begin <= outcome[0] < self.end]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run says. Rates are per second, times in seconds."""

    offered: float
    goodput: float
    """Served within the deadline, counted from when they were due."""
    rejected: float
    late: float
    failed: float
    """Refused, reset, or answered with any other status."""
    p50: float | None
    p99: float | None
    rejected_p99: float | None
    lag_p99: float
    lag_max: float
    server_cpu: float
    """How many CPUs the server kept busy."""
    others: float | None
    """How much of the server's CPU others took."""
    problems: list[str] = field(default_factory=list)
    """Why not to believe it."""


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return the smallest value that so many percent don't exceed; None if there are no values."""
    if not values:
        return None
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(rank, 1) - 1]


def figures(raw: Raw) -> Figures:
    """Return what a run says."""
    counted = raw.counted()
    served = [took for _, status, took in counted if status == OK]
    rejected = [took for _, status, took in counted if status in REJECTED]
    late = sum(status == 0 for _, status, _ in counted)
    others = None if raw.busy is None else max(raw.busy - raw.server_cpu, 0) / raw.seconds
    lag = percentile(raw.lags, 99) or 0.0
    return Figures(
        offered=len(counted) / raw.seconds,
        goodput=len(served) / raw.seconds,
        rejected=len(rejected) / raw.seconds,
        late=late / raw.seconds,
        failed=(len(counted) - len(served) - len(rejected) - late) / raw.seconds,
        p50=percentile(served, 50),
        p99=percentile(served, 99),
        rejected_p99=percentile(rejected, 99),
        lag_p99=lag,
        lag_max=max(raw.lags, default=0.0),
        server_cpu=raw.server_cpu / raw.seconds,
        others=others,
        problems=problems(lag, others, sum(status == -2 for _, status, _ in raw.outcomes)),
    )


def problems(lag: float, others: float | None, unsent: int) -> list[str]:
    """Return why a run doesn't count; nothing if it does."""
    found = []
    if lag > MOST_LAG:
        found.append(f"the generator lagged by {lag * 1000:.0f} ms")
    if others is not None and others > MOST_OTHERS:
        found.append(f"others took {others:.0%} of the server's CPU")
    if unsent:
        found.append(f"{unsent} requests were never sent")
    return found


def left(capacity: float, rejecting: float) -> float:
    """Return what goodput the arithmetic leaves where serving takes all of the CPU.

    :param rejecting: which share of the server's CPU time empty answers would take, as many as
        there were rejections.
    """
    return max(capacity * (1 - rejecting), 0.0)


def possible(capacity: float, serving: float, rejecting: float) -> float:
    """Return what goodput is possible. A server that waits has CPU time left to reject with.

    :param serving: which share of the server's CPU time the capacity takes.
    :param rejecting: as for `left`.
    """
    if serving <= 0:
        return capacity
    return min(capacity, left(capacity, rejecting) / min(serving, 1.0))


def share(part: float, whole: float) -> float | None:
    """Return which share of the whole the part is; None if there is no whole."""
    return part / whole if whole > 0 else None
