"""All workers of a host together: what the status page and the command show."""

from __future__ import annotations

from collections import Counter
from collections import defaultdict
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

from ..core.decisions import Partition
from .history import KEPT
from .history import STEP
from .history import Sample
from .history import merge
from .history import quantile
from .history import step_at

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Iterator
    from collections.abc import Mapping
    from collections.abc import Sequence

    from .workers import Change
    from .workers import Worker
    from .workers import WorkerLimit

RECENT = 5
"""How many samples make what is going on now: ten seconds."""

_LATE = 0.5  # How many seconds after its end a sample is there for sure.


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit, over all workers."""

    name: str
    scope: str
    mode: str
    is_learned: bool
    limit: int
    """How many may be in flight: in all of the workers together, or wherever the scope says."""
    in_flight: int
    queued: int
    max_queue: int
    admitted: int
    rejected: Mapping[str, int]
    peak: int
    """The most that one worker ever had in flight at once."""
    workers: int
    """How many workers there are that have it."""
    partitions: Mapping[str, Partition]
    changes: tuple[Change, ...]
    """The last ones, of all workers; the newest first."""
    alone: int
    """How many workers can't use what they share now. Each has a limit for itself until then."""
    store_error: str | None
    """Why, as one of them tells."""
    admits: str | None
    """What that one admits meanwhile."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What came out of something lately."""

    good: float
    """How many requests a second ended with a status below 500."""
    failed: float
    """How many a second ended with 5xx, or with no answer at all."""
    rejected: float
    """How many a second were rejected."""
    p50: float | None
    """How many seconds half of them took at most; None where there were none."""
    p99: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """What all workers did in one step of time."""

    time: float
    """When it was over, in seconds since 1970."""
    rates: Rates
    limit: int
    """The app's own limit, in all of them together; 0 where there was none."""
    in_flight: int
    queued: int


def all_limits(workers: Sequence[Worker]) -> list[Limit]:
    """Return all limits that the living have, the app's own first."""
    alive = [worker for worker in workers if worker.is_alive]
    newest_first = sorted(alive, key=lambda worker: -worker.written)
    by_name: dict[str, list[WorkerLimit]] = {}
    for worker in newest_first:
        for limit in worker.limits:
            by_name.setdefault(limit.name, []).append(limit)
    return [_together(limits) for limits in by_name.values()]


def _together(limits: Sequence[WorkerLimit]) -> Limit:
    newest = limits[0]
    rejected: Counter[str] = Counter()
    for limit in limits:
        rejected.update(limit.rejected)
    in_flight = sum(limit.in_flight for limit in limits)
    is_own = newest.scope == "process"
    alone = [limit for limit in limits if limit.store_error is not None]
    return Limit(
        name=newest.name,
        scope=newest.scope,
        mode=newest.mode,
        is_learned=newest.is_learned,
        limit=sum(limit.limit for limit in limits) if is_own else newest.limit,
        in_flight=in_flight if newest.all_in_flight is None or alone else newest.all_in_flight,
        queued=sum(limit.queued for limit in limits),
        max_queue=sum(limit.max_queue for limit in limits),
        admitted=sum(limit.admitted for limit in limits),
        rejected=dict(rejected),
        peak=max(limit.peak for limit in limits),
        workers=len(limits),
        partitions=_all_partitions(limits, is_shared=not is_own),
        changes=tuple(_last_changes(limits)),
        alone=len(alone),
        store_error=alone[0].store_error if alone else None,
        admits=alone[0].admits if alone else None,
    )


def _all_partitions(limits: Iterable[WorkerLimit], *, is_shared: bool) -> dict[str, Partition]:
    found: dict[str, Partition] = {}
    for limit in limits:
        for name, part in limit.partitions.items():
            so_far = found.get(name)
            if so_far is None:
                found[name] = part
                continue
            # Of a limit that they share, each tells what is guaranteed in all of them.
            more = 0 if is_shared else part.guaranteed
            found[name] = Partition(so_far.guaranteed + more, so_far.in_flight + part.in_flight)
    return found


def _last_changes(limits: Iterable[WorkerLimit]) -> list[Change]:
    changes = {change for limit in limits for change in limit.changes}
    return sorted(changes, key=lambda change: -change.time)[:10]


def rates(samples: Sequence[Sample], seconds: float) -> Rates:
    """Return what came out in so many seconds."""
    durations = merge(sample.durations for sample in samples)
    return Rates(
        good=sum(sample.good for sample in samples) / seconds,
        failed=sum(sample.failed for sample in samples) / seconds,
        rejected=sum(sample.rejected for sample in samples) / seconds,
        p50=quantile(durations, 0.5),
        p99=quantile(durations, 0.99),
    )


def recent_rates(workers: Iterable[Worker], now: float) -> Rates:
    """Return what came out of some workers in the last ten seconds.

    :param now: seconds since 1970.
    """
    end = _end(now)
    samples = [
        sample
        for worker in workers
        for sample in worker.history[-2 * RECENT :]
        if end - RECENT <= sample.step < end
    ]
    return rates(samples, RECENT * STEP)


class Points:
    """What all workers did in each step of the last minutes.

    It keeps what it has reckoned: only the last steps are new each time.
    """

    def __init__(self) -> None:
        # With how many workers had told of a step by then.
        self._known: dict[int, tuple[int, Point]] = {}

    def of(self, workers: Iterable[Worker], now: float) -> list[Point]:
        """Return it, with those workers included that are gone.

        It begins with the first step of which anything is known.
        """
        end = _end(now)
        by_step: defaultdict[int, list[Sample]] = defaultdict(list)
        shared = True
        for worker in workers:
            shared = shared and worker.own.scope != "process"
            for sample in _filled(worker):
                if end - KEPT <= sample.step < end:
                    by_step[sample.step].append(sample)
        known: dict[int, tuple[int, Point]] = {}
        for step in range(min(by_step, default=end), end):
            count = len(by_step[step])
            point = self._known.get(step)
            if point is None or point[0] != count:
                point = count, _point(step, by_step[step], shared)
            known[step] = point
        self._known = known  # At once: another thread may be at it, too.
        return [point for _, point in known.values()]


def _filled(worker: Worker) -> Iterator[Sample]:
    """Yield the samples, and others where a worker was too busy to tell: as it was before."""
    before: Sample | None = None
    # Where the clock was set back, the same step comes again.
    by_step = {sample.step: sample for sample in worker.history}
    for sample in sorted(by_step.values()):
        if before is not None:
            # Where the clock was set forward, there may be more than anybody could count.
            for step in range(max(before.step + 1, sample.step - KEPT), sample.step):
                yield before._replace(step=step, good=0, failed=0, rejected=0, durations="")
            yield before
        before = sample
    if before is not None:
        # At the end of the step in which it died it had nothing any more; maybe its successor had.
        yield before if worker.is_alive else before._replace(limit=0, in_flight=0, queued=0)


def _point(step: int, samples: Sequence[Sample], shared: bool) -> Point:
    limits = [sample.limit for sample in samples]
    return Point(
        time=(step + 1) * STEP,
        rates=rates(samples, STEP),
        limit=max(limits, default=0) if shared else sum(limits),
        in_flight=sum(sample.in_flight for sample in samples),
        queued=sum(sample.queued for sample in samples),
    )


def describe(workers: Sequence[Worker], now: float) -> dict[str, Any]:
    """Return how things are, as what can be written as JSON.

    :param now: seconds since 1970.
    """
    alive = [worker for worker in workers if worker.is_alive]
    killed = [worker for worker in workers if worker.was_killed]
    return {
        "time": round(now, 3),
        "limits": [asdict(limit) for limit in all_limits(workers)],
        # Those that have ended, too: a moment ago they served a part of it.
        "rates": asdict(recent_rates(workers, now)),
        "workers": [_describe(worker, now) for worker in alive],
        "killed": [_describe(worker, now) for worker in killed],
    }


def _describe(worker: Worker, now: float) -> dict[str, Any]:
    told = asdict(replace(worker, history=()))  # It would be copied, down to the last number.
    del told["history"], told["is_alive"], told["has_ended"]
    return {
        **told,
        "silent_for": round(worker.silent_for(now), 3),
        "rates": asdict(recent_rates([worker], now)),
    }


def _end(now: float) -> int:
    """Return the first step that may not be over yet in all workers."""
    return step_at(now - _LATE)
