"""The last minutes of a process: what it has served, how fast, and how many it turned away."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections import deque
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

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

    durations: Mapping[int, int]
    """How many requests took so long, by `bucket`."""


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
                durations=Counter(last.durations) + Counter(sample.durations),
            )
        elif last is not None:
            self._past.append(_encode(last))
        self._last = sample

    def encode(self) -> str:
        """Return all samples as JSON, the oldest first."""
        last = [] if self._last is None else [_encode(self._last)]
        return f"[{','.join([*self._past, *last])}]"


def decode(samples: Iterable[list[Any]]) -> list[Sample]:
    """Return the samples that `History.encode` has written.

    :raises ValueError: it has not written these; or `TypeError`.
    """
    return [
        Sample._make([*numbers, dict(zip(buckets[::2], buckets[1::2], strict=True))])
        for *numbers, buckets in samples
    ]


def _encode(sample: Sample) -> str:
    *numbers, durations = sample
    pairs = [number for pair in sorted(durations.items()) for number in pair]
    return json.dumps([*numbers, pairs], separators=(",", ":"))


def step_at(time: float) -> int:
    """Return the step that a time belongs to, in seconds since 1970."""
    return math.floor(time / STEP)


def bucket(seconds: float) -> int:
    """Return in which bucket to count a duration. They are 12 % apart."""
    if seconds <= _SHORTEST:
        return 0
    return min(_LAST, int(math.log10(seconds / _SHORTEST) * _PER_DECADE))


def quantile(durations: Mapping[int, int], share: float) -> float | None:
    """Return the duration in seconds that so many took at most, 6 % more or less.

    :param share: how many, from 0 to 1. None where there are none.
    """
    left = share * sum(durations.values())
    found = None
    for number, count in sorted(durations.items()):
        found = number
        left -= count
        if left <= 0:
            break
    return None if found is None else _SHORTEST * 10 ** ((found + 0.5) / _PER_DECADE)


def merge(durations: Iterable[Mapping[int, int]]) -> Counter[int]:
    """Return all durations together."""
    merged: Counter[int] = Counter()
    for one in durations:
        merged.update(one)
    return merged
