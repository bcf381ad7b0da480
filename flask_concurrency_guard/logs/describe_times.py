"""How long requests took, in words and tables."""

from __future__ import annotations

from . import figures
from .analysis import Report
from .analysis import Route
from .analysis import SlowRequest
from .document import Chart
from .document import Section
from .document import Table
from .histogram import Spread
from .requests import REJECTED_BY_STATUS
from .terminal import harmless
from .times import shown_time

ENOUGH = 5
"""How many requests a moment must have, in the mean, for one of them not to make the mean."""

LONGEST_PATH = 60
"""So many characters of a path are shown."""

FOLLOWED = ("p50", "p90", "p99", "max")


def times_section(report: Report) -> Section:
    """Return how long requests took, and waited."""
    section = Section("Times")
    is_told = REJECTED_BY_STATUS not in report.outcomes
    named = {
        "duration, served": report.durations,
        "duration, rejected" + ("" if is_told else " (by status)"): report.rejection_durations,
        "age at the guard (queue_age)": report.queue_age,
        "wait in the guard's line (queue_time)": report.queue_time,
    }
    rows = [
        (name, *_spread(spread), figures.count(spread.count))
        for name, spread in named.items()
        if spread is not None
    ]
    if report.durations is None and report.rejection_durations is None:
        section.parts.append(
            "The log has no durations. Let the server write them: 'duration=%(L)s' for gunicorn,"
            " 'request_time=$request_time' for nginx, 'duration=%D' for Apache."
        )
    if rows:
        section.parts.append(Table(("", "mean", *FOLLOWED, "requests"), rows))
    if report.durations is not None and report.durations.count >= ENOUGH * len(report.moments):
        means = [1000 * mean for mean in _means(report)]
        section.parts.append(over_time(report, "mean duration in ms", means, is_bad=True))
    return section


def over_time(
    report: Report,
    title: str,
    values: list[float],
    peaks: list[float] | None = None,
    *,
    is_bad: bool = False,
) -> Chart:
    """Return a chart of the moments of a report that has some."""
    traffic = report.traffic
    assert traffic is not None
    return Chart(
        title,
        values,
        shown_time(traffic.first),
        shown_time(traffic.last),
        peaks=peaks or (),
        is_bad=is_bad,
    )


def _means(report: Report) -> list[float]:
    """By Little's law, n in flight of whom m are over in a second take n / m seconds each."""
    least = 1 / report.step
    return [moment.in_flight / max(moment.served, least) for moment in report.moments]


def _spread(spread: Spread) -> list[str]:
    values = (spread.mean, spread.p50, spread.p90, spread.p99, spread.max)
    return [figures.time(value) for value in values]


def routes_section(report: Report) -> Section:
    """Return the slowest paths."""
    section = Section("Slowest paths, by p90")
    if not report.routes:
        return section
    rows = [_route(route) for route in report.routes]
    columns = ("", "path", "requests", *FOLLOWED, "of all time")
    section.parts.append(Table(columns, rows, left=2))
    if report.routes_are_folded:
        section.parts.append("There are many paths, so a '*' stands for any number or id in them.")
    more = report.route_count - len(rows)
    if more > 0:
        section.parts.append(f"And {figures.count(more)} more.")
    return section


def _route(route: Route) -> tuple[str, ...]:
    return (
        route.method,
        shortened(route.path),
        figures.count(route.duration.count),
        *_spread(route.duration)[1:],
        figures.share(route.share),
    )


def slowest_section(report: Report) -> Section:
    """Return the slowest requests."""
    section = Section("Slowest requests")
    if report.slowest:
        columns = ("came at", "", "path", "status", "process", "thread", "in flight", "took")
        rows = [_slow(slow) for slow in report.slowest]
        section.parts.append(Table(columns, rows, left=3))
    return section


def _slow(slow: SlowRequest) -> tuple[str, ...]:
    came = "" if slow.start is None else shown_time(slow.start, milliseconds=True)
    rest = (slow.status, slow.process, slow.thread, slow.in_flight)
    return (came, slow.method, shortened(slow.path), *rest, figures.time(slow.duration))


def shortened(path: str) -> str:
    """Return a path as it may be shown: not too long, and with nothing in it that isn't text."""
    shown = harmless(path)
    return shown if len(shown) <= LONGEST_PATH else shown[: LONGEST_PATH - 1] + "…"
