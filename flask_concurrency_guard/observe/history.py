"""The last minutes of a process: what it has served, how fast, and how many it turned away."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from .. import standard_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping

STEP = 2
"""How many seconds make a sample. All processes begin theirs at the same moments of the clock."""

KEPT = 300
"""How many samples are kept: ten minutes."""

_SHORTEST = 1e-4
_PER_DECADE = 20
_LAST = 7 * _PER_DECADE - 1


class Sample(NamedTuple):
    """What happened in one step."""

    step: int
    """Which one: seconds since 1970 over `STEP`."""

    good: int
    """How many requests ended with another status than 5xx."""

    failed: int
    """How many ended with 5xx, or without any."""

    rejected: int
    """How many were rejected, by all limits; in shadow mode: would have been."""

    limit: int
    """The app's own limit, at the end of the step, as are the next two."""

    in_flight: int
    """How many were in flight."""

    queued: int
    """How many waited in the line of the app's own limit."""

    durations: str
    """How many requests took so long, by `bucket`: see `write_durations`."""


class History:
    """The samples of one process, kept as they are written."""

    def __init__(self) -> None:
        self._past: deque[str] = deque(maxlen=KEPT)
        self._last: Sample | None = None

    def add(self, sample: Sample) -> None:
        """Add what has happened since the last call; to the last sample, if it is the same step."""
        last = self._last
        if last is not None and last.step == sample.step:
            sample = sample._replace(
                good=last.good + sample.good,
                failed=last.failed + sample.failed,
                rejected=last.rejected + sample.rejected,
                durations=write_durations(merge([last.durations, sample.durations])),
            )
        elif last is not None:
            self._past.append(_encode(last))
        self._last = sample

    def encode(self) -> str:
        """Return all samples as JSON, the oldest first."""
        last = [] if self._last is None else [_encode(self._last)]
        return f"[{','.join([*self._past, *last])}]"


def decode(samples: Iterable[Iterable[Any]]) -> list[Sample]:
    """Return the samples that `History.encode` has written.

    :raises TypeError: it has not written these.
    """
    return [Sample._make(sample) for sample in samples]


def _encode(sample: Sample) -> str:
    return standard_json.dumps(sample, separators=(",", ":"))


def write_durations(durations: Mapping[int, int]) -> str:
    """Return durations as a text, which costs little as long as nobody wants to know."""
    return " ".join([f"{number}.{count}" for number, count in sorted(durations.items())])


def step_at(time: float) -> int:
    """Return the step that a time belongs to, in seconds since 1970."""
    return math.floor(time / STEP)


def bucket(seconds: float) -> int:
    """Return in which bucket to count a duration. They are 12 % apart."""
    if seconds <= _SHORTEST:
        return 0
    return min(_LAST, int(math.log10(seconds / _SHORTEST) * _PER_DECADE))


def quantile(durations: Mapping[int, int], share: float) -> float | None:
    """Return the duration in seconds that so many took at most, 12 % more or less.

    :param share: how many, from 0 to 1. None where there are none.
    """
    left = share * sum(durations.values())
    for number, count in sorted(durations.items()):
        if left <= count:
            # As if those of a bucket were spread over it.
            return float(_SHORTEST * 10 ** ((number + left / count) / _PER_DECADE))
        left -= count
    return None


def merge(durations: Iterable[str]) -> dict[int, int]:
    """Return how many requests took so long, by `bucket`, of several samples together."""
    merged: dict[int, int] = {}
    for pair in " ".join(durations).split():
        number, _, count = pair.partition(".")
        merged[int(number)] = merged.get(int(number), 0) + int(count)
    return merged
