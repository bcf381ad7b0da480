"""A comparison in words and tables."""

from __future__ import annotations

from collections.abc import Iterator

from .. import figures
from ..document import Document
from ..document import Section
from ..document import Table
from .comparison import Comparison
from .outcome import Outcome
from .verdict import verdict

COLUMNS = (
    "limit",
    "in time, a second",
    "of all",
    "late",
    "rejected",
    "p50",
    "p99",
    "peak",
    "mean limit",
)


def describe(comparison: Comparison) -> Document:
    """Return what to show of a comparison."""
    rows = [_row(each) for each in (comparison.as_it_was, *comparison.candidates)]
    outcome = Section("What would have become of them", [Table(COLUMNS, rows)])
    outcome.parts += verdict(comparison)
    outcome.parts.append(
        f"In time: answered within {figures.time(comparison.deadline)}. p50 and p99 are of those"
        " that were served; peak is how many were in flight at most."
    )
    return Document(
        "Simulation of an access log",
        [
            Section("What came", list(_what_came(comparison))),
            outcome,
            _reasons(comparison),
            Section("How that was found", list(_model(comparison))),
        ],
    )


def _row(outcome: Outcome) -> tuple[str, ...]:
    late = outcome.served - outcome.in_time
    return (
        outcome.name,
        "-" if outcome.goodput is None else figures.number(outcome.goodput),
        figures.share(outcome.in_time / outcome.offered),
        figures.share(late / outcome.offered),
        figures.share(outcome.rejected_share),
        "-" if outcome.p50 is None else figures.time(outcome.p50),
        "-" if outcome.p99 is None else figures.time(outcome.p99),
        figures.count(outcome.most_in_flight),
        "" if outcome.limit is None else figures.number(outcome.limit),
    )


def _what_came(comparison: Comparison) -> Iterator[str | Table]:
    rows = [
        ("requests", figures.count(comparison.requests)),
        ("in", figures.length(comparison.seconds / comparison.speed)),
    ]
    if comparison.speed != 1:
        rows.append(("speed", f"{figures.number(comparison.speed)} times as dense as in the log"))
    if comparison.processes > 1:
        rows.append(("processes", figures.count(comparison.processes)))
    yield Table((), rows)
    if comparison.of > comparison.requests:
        yield (
            f"These are the densest part of the {figures.count(comparison.of)} requests in the log."
        )
    if comparison.untold:
        yield (
            f"{figures.count(comparison.untold)} more have no time or no duration in the log, and"
            " were left out."
        )


def _reasons(comparison: Comparison) -> Section:
    section = Section("Rejected, by reason")
    rows = [
        (each.name, reason, figures.count(count), figures.share(count / each.offered))
        for each in comparison.candidates
        for reason, count in each.reasons.items()
    ]
    if rows:
        section.parts.append(Table(("limit", "reason", "requests", "of all"), rows, left=2))
    else:
        section.parts.append("Nothing was rejected.")
    return section


def _model(comparison: Comparison) -> Iterator[str]:
    yield (
        "Requests come when they did in the log, and are decided on by the guard's own limiter,"
        " line and learning. Clients leave after"
        f" {figures.time(comparison.deadline)}, and none of them tries again."
    )
    slowdown = comparison.slowdown
    if comparison.uses_contention:
        yield (
            "Each takes as long as it did, made shorter or longer by how many are in flight when it"
            f" is admitted: in the log, up to {figures.number(slowdown or 1)} times as long as with"
            " few. Beyond the most that there were in the log, nothing more is served."
        )
    else:
        yield "Each takes as long to be served as it did in the log, whatever the limit is."
    if comparison.made_up:
        yield (
            f"For {figures.count(comparison.made_up)} that were rejected in the log, nobody knows"
            " how long they would have taken: that is drawn from those of the same path that were"
            " served."
        )
    if comparison.processes > 1:
        yield (
            "Each process has a limit of its own, and gets the requests that it got."
            if comparison.per_process
            else "All processes have one limit together."
        )
    yield _threads(comparison)


def _threads(comparison: Comparison) -> str:
    threads = comparison.settings.threads
    if threads is None:
        return "There are as many threads as it takes: nobody waits in front of the guard."
    each = " in each process" if comparison.per_process and comparison.processes > 1 else ""
    return (
        f"There are {figures.count(threads)} threads{each}. Who waits for one waits in front of the"
        " guard, which knows for how long."
    )
