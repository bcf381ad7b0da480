"""The figures that the status page asks for."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

from ..observe.history import STEP
from ..observe.overview import Points
from ..observe.overview import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..observe.overview import Point
    from ..observe.workers import Worker


SERVED = 8
"""How many requests of each worker are shown."""


class Figures:
    """What the page shows."""

    def __init__(self) -> None:
        self._points = Points()

    def of(self, workers: Sequence[Worker], now: float) -> dict[str, Any]:
        """Return it for some workers, as what can be written as JSON.

        :param now: seconds since 1970.
        """
        shown = [replace(worker, serving=worker.serving[:SERVED]) for worker in workers]
        return {
            **describe(shown, now),
            "served_by": os.getpid(),
            "series": _series(self._points.of(workers, now)),
        }


def _series(points: Sequence[Point]) -> dict[str, Any]:
    """Return the last minutes by columns, which are shorter than rows."""
    rates = [point.rates for point in points]
    return {
        "step": STEP,
        "first": points[0].time if points else None,
        "good": [round(rate.good, 2) for rate in rates],
        "failed": [round(rate.failed, 2) for rate in rates],
        "rejected": [round(rate.rejected, 2) for rate in rates],
        "p50": [_rounded(rate.p50) for rate in rates],
        "p99": [_rounded(rate.p99) for rate in rates],
        # Where there was no worker, there is a gap.
        "limit": [point.limit or None for point in points],
        "in_flight": [point.in_flight if point.limit else None for point in points],
        "queued": [point.queued if point.limit else None for point in points],
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 5)
