"""A step: half the capacity, five times the capacity, half again; and how soon all is well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from figures import OK
from figures import Raw
from figures import percentile

CALM = 0.5
STORM = 5.0
"""Load, in multiples of the capacity."""
CALM_SECONDS = 3.0
STORM_SECONDS = 10.0
AFTER_SECONDS = 10.0

WINDOW_SECONDS = 0.5
NORMAL_SHARE = 0.95
"""Which share of the requests must be served for a window to be normal."""
NORMAL_DELAY = 0.02
"""Seconds. How much slower the median may be than before; or twice as slow."""


@dataclass(frozen=True, slots=True)
class Window:
    """Half a second of a run."""

    at: float
    """Its beginning, in seconds from when the step began."""
    offered: int
    served: int
    """Of those that were due in it."""
    p50: float | None
    ended: int
    """How many were served by an answer that came in it, whenever they were due."""

    def is_normal(self, usual: float) -> bool:
        """Return whether all was well for the requests that came in it."""
        if self.served < self.offered * NORMAL_SHARE:
            return False
        return self.p50 is None or self.p50 <= max(2 * usual, usual + NORMAL_DELAY)


@dataclass(frozen=True, slots=True)
class Step:
    """What happened before, during and after a step. Rates are per second, times in seconds."""

    before: float
    """Goodput."""
    during: float
    """Goodput."""
    recovery: float | None
    """From the end of the step until all was well and remained so; None if it never was."""
    windows: list[Window]


def read_step(raw: Raw) -> Step:
    """Return what happened. The run counts from `CALM_SECONDS` before the step."""
    begin = raw.begin + CALM_SECONDS
    total = CALM_SECONDS + STORM_SECONDS + AFTER_SECONDS
    windows = [
        _window(raw, begin, place * WINDOW_SECONDS - CALM_SECONDS)
        for place in range(round(total / WINDOW_SECONDS))
    ]
    before = [window for window in windows if window.at < 0]
    during = [window for window in windows if 0 <= window.at < STORM_SECONDS]
    after = [window for window in windows if window.at >= STORM_SECONDS]
    medians = [window.p50 for window in before if window.p50 is not None]
    return Step(
        before=sum(window.served for window in before) / CALM_SECONDS,
        during=sum(window.served for window in during) / STORM_SECONDS,
        recovery=recovery(after, percentile(medians, 50) or 0.0),
        windows=windows,
    )


def recovery(after: Sequence[Window], usual: float) -> float | None:
    """Return how long it took until all was well; None if it never was.

    :param after: the windows after the step.
    :param usual: the median time of a request before it.
    """
    lasted = 0.0
    for window in after:
        if not window.is_normal(usual):
            lasted = window.at + WINDOW_SECONDS - STORM_SECONDS
    return None if lasted >= AFTER_SECONDS else lasted


def _window(raw: Raw, begin: float, at: float) -> Window:
    first, last = begin + at, begin + at + WINDOW_SECONDS
    due = [(status, took) for when, status, took in raw.outcomes if first <= when < last]
    served = [took for status, took in due if status == OK]
    ends = (when + took for when, status, took in raw.outcomes if status == OK)
    ended = sum(first <= end < last for end in ends)
    return Window(at, len(due), len(served), percentile(served, 50), ended)
