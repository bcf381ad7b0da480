"""How a server serves, concluded from what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .facts import Facts


class Model(StrEnum):
    """How a server serves."""

    SERIAL = "serial"
    """One request at a time."""
    THREADS = "threads"
    """Several at a time, by threads of one process."""
    PROCESSES = "processes"
    """One at a time in each of several processes."""
    BOTH = "processes-with-threads"
    GREENLETS = "greenlets"
    UNBOUNDED = "thread-per-request"
    FORKS = "process-per-request"
    SOME = "some-at-once"
    """As many as were seen; nobody tells who they are."""
    ALL = "all-at-once"
    """As many as were sent, at least."""
    REJECTS = "all-rejected"
    UNKNOWN = "too-fast-to-tell"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """How a server serves, as far as that is known."""

    model: Model
    at_once: int
    """How many at once, in all; 0 where that isn't known."""
    at_least: bool
    """Whether it may be more, since no more were sent."""
    all_seen: bool = False
    """Whether there are no more processes and threads than were seen."""
    waits: bool = False
    """Whether more workers had requests than were served at once."""
    compete: bool = False
    """Whether all are served at once, and that takes as long as one after the other."""


def conclude(facts: Facts) -> Conclusion:
    """Return what `facts` mean."""
    if not facts.served:
        return Conclusion(Model.REJECTS, 0, False)
    if facts.workers:
        return _by_tags(facts)
    return _by_timing(facts)


def _by_timing(facts: Facts) -> Conclusion:
    if facts.is_too_fast:
        return Conclusion(Model.UNKNOWN, 0, False)
    peak = facts.peak
    if facts.compete:
        # Not all began at once, maybe. Some did, or the first of them would not be slow.
        return Conclusion(Model.SOME, max(peak, 2), True, compete=True)
    if facts.rejected:
        return Conclusion(Model.SOME, peak, False)
    if peak == 1:
        return Conclusion(Model.SERIAL, 1, False)
    if peak >= min(facts.at_once, len(facts.served)):
        return Conclusion(Model.ALL, peak, True)
    return Conclusion(Model.SOME, peak, False)


def _by_tags(facts: Facts) -> Conclusion:
    workers = len(facts.workers)
    most = min(facts.at_once, len(facts.served))
    model = _model_by_tags(facts)
    has_pool = model in (Model.SERIAL, Model.THREADS, Model.PROCESSES, Model.BOTH)
    if facts.is_too_fast:
        # Who answers is known, but hardly who did so at the same time.
        return Conclusion(Model.UNKNOWN if has_pool else model, 0, False)
    if facts.compete:
        return Conclusion(model, min(workers, most), workers >= most, compete=True)
    peak = facts.peak
    waits = peak < min(workers, most) and model is not Model.FORKS
    # To turn others away, a few are enough.
    all_seen = has_pool and facts.are_all_busy and (peak == workers or not facts.rejected)
    return Conclusion(model, peak, peak >= most and not facts.rejected, all_seen, waits)


def _model_by_tags(facts: Facts) -> Model:
    if facts.has_greenlets:
        return Model.GREENLETS
    processes = facts.processes
    if facts.is_fresh_each and not facts.has_pool:
        if len(processes) == len(facts.workers):
            return Model.FORKS
        if len(processes) == 1:
            return Model.UNBOUNDED
    if len(facts.workers) == 1:
        return Model.SERIAL
    if len(processes) == 1:
        return Model.THREADS
    return Model.PROCESSES if max(processes.values()) == 1 else Model.BOTH
