"""Requests that a log knows nothing of: they never ended, or were killed, or are in another log.

What shows them is that others were turned away, with fewer in flight than the limit.
"""

from __future__ import annotations

from ..core.decisions import DEFAULT
from ..core.decisions import Reason
from .history import History
from .tally import Tally

NEARLY_ALL = 0.9
"""If fewer of the rejections are for the app's own limit, they tell little of it."""

MOSTLY = 0.5
"""In fewer of the moments with rejections it may be chance."""

_FULL = {Reason.LIMIT, Reason.QUEUE_FULL, Reason.QUEUE_TIMEOUT}


def turned_away(tally: Tally) -> int:
    """Return how many found the app's own limit reached."""
    return sum(
        count
        for (outcome, limiter, reason), count in tally.causes.items()
        # Who was admitted all the same, in shadow mode, is among the others.
        if outcome == "rejected" and limiter in {"", DEFAULT} and reason in _FULL
    )


def unlogged_seconds(tally: Tally, history: History) -> float:
    """Return for how long the limit was reached by such requests, if mostly by them; else 0."""
    limit = min((int(limit) for _, limit in tally.limits), default=0)
    if not tally.is_precise or turned_away(tally) < NEARLY_ALL * tally.outcomes["rejected"]:
        return 0.0
    # Who came shortly before the end may stand in the next log.
    last = tally.last - tally.longest - history.step
    unlogged = [
        moment.bound < limit
        for moment in history.moments
        if moment.rejected and moment.start <= last
    ]
    return history.step * sum(unlogged) if sum(unlogged) > MOSTLY * len(unlogged) else 0.0
