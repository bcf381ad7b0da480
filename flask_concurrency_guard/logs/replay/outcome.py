"""What became of the requests under a limit."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

from .workload import REJECTED
from .workload import Workload


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of one candidate, or of the log itself."""

    name: str
    offered: int
    """How many requests came."""
    served: int
    in_time: int
    """How many of these were answered before their clients had left."""
    goodput: float | None
    """How many of those a second, while requests came; None if all came at once."""
    rejected: int
    reasons: Mapping[str, int]
    p50: float | None
    """How long those took who were served, in seconds."""
    p99: float | None
    most_in_flight: int
    """In all processes together."""
    limit: float | None
    """Of a process in the mean of the time; None where there is none, or nobody knows."""

    @property
    def rejected_share(self) -> float:
        """Which part of all was rejected."""
        return self.rejected / self.offered


def summarise(
    name: str,
    latencies: Sequence[float],
    reasons: Mapping[str, int],
    *,
    offered: int,
    seconds: float,
    deadline: float,
    most_in_flight: int,
    limit: float | None,
) -> Outcome:
    """Return the figures.

    :param latencies: how long each took that was served, in seconds.
    :param seconds: how long requests came.
    :param deadline: how long a client waits, in seconds.
    """
    ordered = sorted(latencies)
    in_time = sum(latency <= deadline for latency in ordered)
    return Outcome(
        name=name,
        offered=offered,
        served=len(ordered),
        in_time=in_time,
        goodput=in_time / seconds if seconds else None,
        rejected=offered - len(ordered),
        reasons=reasons,
        p50=_at(ordered, 0.5),
        p99=_at(ordered, 0.99),
        most_in_flight=most_in_flight,
        limit=limit,
    )


def as_it_was(workload: Workload, in_flight: Sequence[int], deadline: float) -> Outcome:
    """Return the figures of what happened in the log."""
    latencies = [
        latency
        for latency, kind in zip(workload.latencies, workload.kinds, strict=True)
        if kind != REJECTED
    ]
    return summarise(
        "as it was",
        latencies,
        {},
        offered=len(workload),
        seconds=workload.seconds,
        deadline=deadline,
        most_in_flight=max(in_flight, default=0),
        limit=None,
    )


def _at(ordered: Sequence[float], share: float) -> float | None:
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
