"""Which limit would have been right, as far as a log can tell."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from . import figures
from .curve import Curve
from .curve import Level

SLOWER = 1.3
"""From so many times the calm latency on, requests have stood in each other's way."""

MUCH_SLOWER = 2.0
"""From so many times the calm latency on, most of the time is a wait for each other."""

BEYOND = 1.5
"""There must be a level at so many times the turn to be sure of it, if requests aren't slower."""

GAP = 2.0
"""Nobody knows what lies between two levels that are so many times apart."""

OFTEN = 0.01
"""From which share of requests on that came at the limit, it was reached."""

BUSY = 1.5
"""More than one in flight, now and then at least."""

WIDE = 1.5
"""Levels that differ less tell nothing."""

FEWER = 0.8
"""If less than that is served with more in flight, it may not be their number that is to blame."""

WIDER = 2
"""By how much to raise a limit that was too low."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A limit, and why."""

    limit: int | None
    """The limit to set; None if the log doesn't tell."""
    of_each_process: bool
    """Whether that is for each process, or for all together."""
    sentences: tuple[str, ...]


def advise(
    curve: Curve | None,
    limits: Mapping[tuple[bytes, bytes], int],
    turned_away: int,
    peak_throughput: float,
    processes: int,
) -> Advice:
    """Return the limit that would have been right.

    :param curve: what was served with how many in flight, if the log tells.
    :param limits: requests by how many were in flight at their admission, and the limit then.
    :param turned_away: how many found it reached, and no place in the line.
    :param peak_throughput: how many were served in each of the busiest seconds, in all processes.
    :param processes: how many served at once; 0 if the log doesn't tell.
    """
    if curve is None:
        return Advice(
            None,
            False,
            (
                "No limit can be recommended: that needs the durations of many requests, and the"
                " times at which they came.",
            ),
        )
    if _has_turned(curve):
        return _at_turn(curve, peak_throughput, processes)
    reached = _reached(limits, turned_away)
    if curve.levels[-1].in_flight < BUSY:
        most = max((int(in_flight) for in_flight, _ in limits), default=0)
        if reached is not None and turned_away and most <= BUSY:
            return _held_down(curve, *reached)
        return _unknown(
            curve,
            "The app was never busy: next to always, there was one request in flight at most.",
            "So the log doesn't tell how many at once are too many.",
        )
    if curve.levels[-1].in_flight < WIDE * curve.calm.in_flight:
        return _unknown(
            curve,
            f"The log only tells of times with about {_number(curve.calm.in_flight)} in flight"
            f"{_where(curve)}, so there is nothing to compare them with.",
            "One that has calmer and busier times tells more, and 'adaptive' tries by itself.",
        )
    if reached is not None and _is_enough(curve):
        return _about_right(curve, *reached)
    if reached is not None:
        return _above(curve, *reached)
    return _never_too_much(curve)


def advise_nothing() -> Advice:
    """Return what to say where the limit was reached by requests that the log knows nothing of."""
    return Advice(
        None,
        False,
        (
            "As far as the log tells, the limit was mostly not reached where others were turned"
            " away for it, so it can't tell which one would have been right. If requests hung, none"
            " would. A log of another time tells more.",
        ),
    )


def _unknown(curve: Curve, *sentences: str) -> Advice:
    return Advice(None, curve.of_each_process, sentences)


def _where(curve: Curve) -> str:
    return " in each process" if curve.of_each_process else ""


def _is_enough(curve: Curve) -> bool:
    highest = curve.levels[-1]
    is_slower = highest.latency >= MUCH_SLOWER * curve.calm.latency
    return is_slower or curve.turn is not highest


def _about_right(curve: Curve, limit: int, share: float) -> Advice:
    highest, calm = curve.levels[-1], curve.calm
    slower = highest.latency / calm.latency
    at_work = highest.in_flight / slower
    return Advice(
        limit,
        curve.of_each_process,
        (
            f"The limit of {limit} was about right: {figures.share(share)} of the requests came"
            f" when it was reached, and then they took {figures.number(slower)} times"
            f" as long as with few in flight ({_described(calm)}; {_described(highest)}).",
            f"By Little's law about {_number(at_work)} of them were at work, and the others waited."
            " Whether a higher or a lower one would have served more, the log can't tell;"
            " 'adaptive' tries.",
        ),
    )


def _above(curve: Curve, limit: int, share: float) -> Advice:
    return Advice(
        WIDER * limit,
        curve.of_each_process,
        (
            f"The limit of {limit} was too low: {figures.share(share)} of the requests came when it"
            " was reached, and up to there more in flight meant more served"
            f" ({_described(curve.calm)}; {_described(curve.levels[-1])}).",
            f"Try {WIDER * limit}, or 'adaptive', and look at a log of that.",
        ),
    )


def _held_down(curve: Curve, limit: int, share: float) -> Advice:
    return Advice(
        WIDER * limit,
        curve.of_each_process,
        (
            f"The limit of {limit} was too low: {figures.share(share)} of the requests came when it"
            f" was reached, and next to always there was one in flight at most{_where(curve)}, with"
            " nobody in its way.",
            f"Try {WIDER * limit}, or 'adaptive', and look at a log of that.",
        ),
    )


def _never_too_much(curve: Curve) -> Advice:
    highest, calm = curve.levels[-1], curve.calm
    most = f"about {_number(highest.in_flight)} in flight{_where(curve)}"
    levels = f"({_described(calm)}; {_described(highest)})"
    if highest.latency <= SLOWER * calm.latency:
        return _unknown(
            curve,
            f"The app was never busy: with {most}, the most that there were often enough to tell,"
            f" requests took hardly longer than with fewer {levels}.",
            "A lower limit would have turned away what could be served. Where it gets too much,"
            " only a log of a busier time can show.",
        )
    return _unknown(
        curve,
        f"The log doesn't show where it gets too much: with {most}, the most that there were often"
        f" enough to tell, requests took longer, but more were served than with fewer {levels}.",
        "A lower limit would have cost throughput. 'adaptive' finds the right one, or a log of a"
        " busier time shows it.",
    )


def _has_turned(curve: Curve) -> bool:
    highest, turn = curve.levels[-1], curve.turn
    is_far = highest.in_flight >= max(BEYOND * turn.in_flight, 2)
    return turn is not highest and (is_far or highest.latency >= MUCH_SLOWER * curve.calm.latency)


def _at_turn(curve: Curve, peak_throughput: float, processes: int) -> Advice:
    turn, highest = curve.turn, curve.levels[-1]
    # With only one place, that one is empty whenever the next request isn't there yet.
    limit = max(2, ceil(turn.in_flight - 0.25))
    sentences = [
        f"From about {_number(turn.in_flight)} in flight on, more of them took longer and brought"
        f" next to nothing ({_described(turn)}; {_described(highest)})."
    ]
    if highest.throughput < FEWER * turn.throughput:
        sentences.append(
            f"With {_number(highest.in_flight)} even less was served. Either they stand in each"
            " other's way, or something else was slow at that time, and then this limit is too"
            " low: look at that time alone, and at the others ('--since', '--until')."
        )
    below = curve.below(turn)
    if below is not None and turn.in_flight >= GAP * below.in_flight:
        at_work = curve.best.throughput * curve.calm.latency
        limit = max(2, ceil(min(max(at_work, below.in_flight), turn.in_flight)))
        sentences.append(
            f"Between {_number(below.in_flight)} and {_number(turn.in_flight)} there were too few"
            f" to tell. By Little's law, {curve.best.throughput:.3g} a second and"
            f" {figures.time(curve.calm.latency)} each with few in flight make {_number(at_work)}"
            " at work at once; the others waited."
        )
        return Advice(
            limit, curve.of_each_process, (*sentences, *_for_each(curve, limit, processes))
        )
    law = _by_littles_law(curve, peak_throughput, processes)
    if law is not None:
        sentences.append(law)
    return Advice(limit, curve.of_each_process, (*sentences, *_for_each(curve, limit, processes)))


def _for_each(curve: Curve, limit: int, processes: int) -> Iterator[str]:
    if processes > 1 and curve.of_each_process:
        yield (
            f"That is for each of the {processes} processes, as they count how many are in flight"
            f" for themselves; with 'CONCURRENCY_GUARD_SCOPE = \"host\"', {processes * limit}."
        )
    elif processes > 1:
        yield (
            f"That is for all {processes} processes together: 'CONCURRENCY_GUARD_SCOPE = \"host\"',"
            f" or {ceil(limit / processes)} in each."
        )


def _by_littles_law(curve: Curve, peak_throughput: float, processes: int) -> str | None:
    if curve.calm.in_flight > 0.7 * curve.levels[-1].in_flight or not peak_throughput:
        return None
    at_work = peak_throughput * curve.calm.latency
    share = f", {_number(at_work / processes)} in each process" if processes > 1 else ""
    return (
        f"By Little's law, {peak_throughput:.3g} a second in the busiest times and"
        f" {figures.time(curve.calm.latency)} each with few in flight make {_number(at_work)} at"
        f" work at once{share}."
    )


def _reached(
    limits: Mapping[tuple[bytes, bytes], int], turned_away: int
) -> tuple[int, float] | None:
    """Return the limit that was reached most often, and by which share of all requests."""
    total = sum(limits.values()) + turned_away
    at_limit: dict[int, int] = {}
    for (in_flight, limit), count in limits.items():
        if int(in_flight) >= int(limit):
            at_limit[int(limit)] = at_limit.get(int(limit), 0) + count
    if limits and turned_away and not at_limit:
        # Where processes share it, none of them sees how many are in flight in all.
        usual = int(max(limits, key=lambda key: limits[key])[1])
        at_limit[usual] = at_limit.get(usual, 0) + turned_away
    if sum(at_limit.values()) < OFTEN * total or not at_limit:
        return None
    return max(at_limit, key=lambda limit: at_limit[limit]), sum(at_limit.values()) / total


def _described(level: Level) -> str:
    each = figures.time(level.latency)
    return f"{_number(level.in_flight)}: {level.throughput:.3g} a second, {each} each"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 9.5 else f"{value:.1f}".removesuffix(".0")
