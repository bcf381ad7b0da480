"""What the processes of a host write down for the one that learns their limit; and what it says.

Each process has a ring of its own for the requests that it has served, and is the only one to
write into it. Who reads it later than it is written over has missed something, and that is all.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from typing import TypeAlias

from ..tuner import REMEMBERED
from ..tuner import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

RING = 256
"""How many requests of one process can be waiting to be learned from."""

_SAMPLE = struct.Struct("=dffI?")
SAMPLE = _SAMPLE.size

_CHANGE = struct.Struct("dIII108s")  # When, before, after, how long the reason is, the reason.
_LONGEST = 108
CHANGES = REMEMBERED * _CHANGE.size


Sample: TypeAlias = tuple[float, float, float, int, bool]
"""A request that has ended: when, on a clock that all processes share; how long it took; how long
it had waited before, all in seconds; how many were in flight in all processes; and whether it was
lost to overload."""


def write_sample(ring: memoryview, number: int, sample: Sample) -> None:
    """Write the sample of this number; it replaces the one of `RING` numbers before."""
    _SAMPLE.pack_into(ring, number % RING * SAMPLE, *sample)


def read_samples(ring: memoryview, start: int, stop: int) -> list[Sample]:
    """Read the samples of these numbers, as far as they are there still."""
    return [
        _SAMPLE.unpack_from(ring, number % RING * SAMPLE)
        for number in range(max(start, stop - RING), stop)
    ]


def write_change(changes: memoryview, number: int, change: Change) -> None:
    """Write the change of this number, counted from 0; the last ones are kept."""
    reason = change.reason.encode()[:_LONGEST]
    _CHANGE.pack_into(
        changes,
        number % REMEMBERED * _CHANGE.size,
        change.time,
        change.before,
        change.after,
        len(reason),
        reason,
    )


def read_changes(changes: memoryview, count: int) -> Iterator[Change]:
    """Read the last changes, if `count` were written."""
    for number in range(max(0, count - REMEMBERED), count):
        time, before, after, length, reason = _CHANGE.unpack_from(
            changes, number % REMEMBERED * _CHANGE.size
        )
        yield Change(time, before, after, reason[:length].decode("utf-8", "replace"))
