"""Requests that a log knows nothing of: they never ended, or were killed, or are in another log.

What shows them is that others were turned away, with fewer in flight than the limit.
"""

from __future__ import annotations

from ..core.decisions import DEFAULT
from ..core.decisions import Reason
from .history import History
from .requests import REJECTED_BY_STATUS
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
    found = turned_away(tally)
    rejected = tally.outcomes["rejected"] + tally.outcomes[REJECTED_BY_STATUS]
    if not tally.is_precise or not tally.is_measured or not found >= NEARLY_ALL * rejected > 0:
        return 0.0
    # Who came shortly before the end may stand in the next log, and who shortly before the
    # beginning in the one before.
    begin, end = tally.first + tally.longest, tally.last - tally.longest - history.step
    unlogged = [
        moment.bound < limit
        for moment in history.moments
        if moment.rejected and begin <= moment.start <= end
    ]
    return history.step * sum(unlogged) if sum(unlogged) > MOSTLY * len(unlogged) else 0.0
