"""What the processes of an app on this host tell of themselves, read and put together."""

from __future__ import annotations

import time
from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

from .. import standard_json
from ..core.decisions import Partition
from .history import Sample
from .history import decode
from .postings import read_postings
from .publisher import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SILENT = 5.0
"""After how many seconds without a word a process is busy with something that lets nothing else
run, or was stopped."""


@dataclass(frozen=True, slots=True)
class Change:
    """A limit that is learned was changed."""

    time: float
    """When, in seconds since 1970."""
    before: int
    after: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerLimit:
    """A limit, as one process sees it."""

    name: str
    scope: str
    mode: str
    is_learned: bool
    limit: int
    in_flight: int
    """How many this process has in flight; `all_in_flight`, how many all of the host have."""
    all_in_flight: int | None
    """None where each process has the limit for itself, or nobody knows."""
    queued: int
    max_queue: int
    admitted: int
    rejected: Mapping[str, int]
    peak: int
    partitions: Mapping[str, Partition]
    changes: tuple[Change, ...]
    store_error: str | None = None
    """Why what processes share can't be used now, if so."""
    admits: str | None = None
    """What this process admits until it can be, such as ``"2 at once"``."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A request in flight."""

    what: str
    """Its method and path, cut where they are long."""
    seconds: float
    """For how long it had been in flight when its process told."""
    thread_id: int | None
    limits: tuple[str, ...]
    """The names of the limits that it keeps to besides the app's own."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that serves the app, or has done so until a moment ago."""

    pid: int
    is_alive: bool
    has_ended: bool
    """Whether it has come to its end by itself, rather than being killed."""
    started: float
    """When the process began, in seconds since 1970."""
    written: float
    """When it told all this."""
    server: str | None
    threads: int | None
    """How many requests its server can have in it at once, if that is known."""
    is_draining: bool
    queue_age: float | None
    """How long its newest request had waited in front of the app, in seconds, if that is known."""
    limits: tuple[WorkerLimit, ...]
    """The app's own is the first."""
    requests: int
    """How many requests it has in flight: fewer than `in_flight` says, if some cost more places."""
    serving: tuple[Serving, ...]
    """The longest in flight first; 50 at most."""
    history: tuple[Sample, ...]

    @property
    def own(self) -> WorkerLimit:
        """The app's own limit."""
        return self.limits[0]

    @property
    def was_killed(self) -> bool:
        """Whether it has died in the middle of its work, by a signal or since it took too long."""
        return not self.is_alive and (not self.has_ended or bool(self.serving))

    def silent_for(self, now: float) -> float:
        """Return for how many seconds it has said nothing that it should have; mostly zero."""
        silence = now - self.written
        return silence if self.is_alive and silence >= SILENT else 0.0


def read_workers(folder: Path, name: str, now: float | None = None) -> list[Worker]:
    """Return what the processes of an app tell, the oldest first.

    :param folder: where they do it.
    :param name: that of the app.
    :param now: seconds since 1970. Of a process that says nothing any more, the requests grow older
        until then.
    :raises OSError: that can't be read.
    :raises StoreError: somebody else can write there.
    """
    now = time.time() if now is None else now
    found = []
    for posted in read_postings(folder, name):
        try:
            found.append(_worker(standard_json.loads(posted.text), posted.is_alive, now))
        except (ValueError, TypeError, LookupError):
            continue  # Another release wrote it, to which the others are to be updated as well.
    return sorted(found, key=lambda worker: (worker.started, worker.pid))


def _worker(told: dict[str, Any], is_alive: bool, now: float) -> Worker:
    if told.pop("format") != FORMAT:
        raise ValueError
    silence = now - told["written"]
    # A second ago most of them were younger by a second; but most of them have ended since then.
    since = silence if is_alive and silence >= SILENT else 0.0
    serving = [Serving(**{**one, "limits": tuple(one["limits"])}) for one in told.pop("serving")]
    limits = [_limit(limit) for limit in told.pop("limits")]
    if not limits:
        raise ValueError
    return Worker(
        is_alive=is_alive,
        limits=tuple(limits),
        serving=tuple(replace(one, seconds=one.seconds + since) for one in serving),
        history=tuple(decode(told.pop("history"))),
        **told,
    )


def _limit(told: dict[str, Any]) -> WorkerLimit:
    partitions = {name: Partition(**part) for name, part in told.pop("partitions").items()}
    changes = tuple(Change(**change) for change in told.pop("changes"))
    return WorkerLimit(partitions=partitions, changes=changes, **told)
