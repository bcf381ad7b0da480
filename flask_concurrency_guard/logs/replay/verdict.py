"""Which limit serves best, in words."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence

from .. import figures
from .candidates import NONE
from .comparison import Comparison
from .outcome import Outcome

NEARLY = 0.97
"""What differs by less is as good."""


def verdict(comparison: Comparison) -> Iterator[str]:
    """Return which limit serves best, beside what happened, and what speaks against it."""
    if comparison.as_it_was.goodput is None:
        who = "One request doesn't" if comparison.requests == 1 else "Requests at one instant don't"
        yield f"{who} tell which limit serves best."
        return
    chosen = _chosen(comparison.candidates)
    most = max(each.in_time for each in comparison.candidates)
    # What came denser than it did is not to be compared with what happened.
    if comparison.speed == 1 and most < NEARLY * comparison.as_it_was.in_time:
        yield _worse(comparison, chosen)
    else:
        yield _best(comparison, chosen)
    if comparison.hides_contention:
        yield (
            f"But in this log requests took {figures.number(comparison.slowdown or 1)} times as"
            " long with many in flight as with few. A lower limit makes them quicker, so it is"
            " better than it looks here, and a higher one worse: '--contention' takes that in."
        )


def _chosen(candidates: Sequence[Outcome]) -> Outcome:
    """Return the limit that serves best, or none where a limit would cost too much."""
    limited = [each for each in candidates if each.name != NONE]
    most = max(each.in_time for each in candidates)
    near = [each for each in limited if each.in_time >= NEARLY * most]
    if not near:
        return next(each for each in candidates if each.in_time == most)
    least = min(each.p99 or 0.0 for each in near)
    return next(each for each in near if NEARLY * (each.p99 or 0.0) <= least)


def _best(comparison: Comparison, chosen: Outcome) -> str:
    rate = f"{_rate(chosen)} a second"
    as_it_was = f", and {_rate(comparison.as_it_was)} as it was" if comparison.speed == 1 else ""
    if len(comparison.candidates) == 1:
        return f"{_with(chosen)}, {rate} are served in time{as_it_was}."
    if chosen.name == NONE:
        return f"Without a limit, most are served in time: {rate}{as_it_was}."
    return (
        f"Of these, '{chosen.name}' serves best: {rate} in time{as_it_was}."
        " No other one serves 3 % more, or as many with a p99 that is 3 % lower."
    )


def _worse(comparison: Comparison, chosen: Outcome) -> str:
    was = f"than as it was ({_rate(comparison.as_it_was)} a second)"
    if len(comparison.candidates) == 1:
        return f"{_with(chosen)}, fewer are served in time ({_rate(chosen)} a second) {was}."
    return (
        f"With each of these, fewer are served in time {was}."
        f" The best of them is '{chosen.name}', with {_rate(chosen)}."
    )


def _with(outcome: Outcome) -> str:
    return "Without a limit" if outcome.name == NONE else f"With '{outcome.name}'"


def _rate(outcome: Outcome) -> str:
    return figures.number(outcome.goodput or 0.0)
