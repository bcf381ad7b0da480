"""A report in words, tables and charts."""

from __future__ import annotations

from collections.abc import Iterator

from . import figures
from .analysis import Report
from .analysis import Traffic
from .describe_limit import limit_section
from .describe_times import over_time
from .describe_times import routes_section
from .describe_times import shortened
from .describe_times import slowest_section
from .describe_times import times_section
from .document import Document
from .document import Section
from .document import Table
from .reading import File
from .requests import REJECTED_BY_STATUS
from .requests import REJECTIONS
from .requests import UNKNOWN
from .times import shown_time

OUTCOMES = {REJECTED_BY_STATUS: "rejected, by their status"}
"""What outcomes are called that are more than a word."""


def describe(report: Report) -> Document:
    """Return what to show of a report."""
    sections = [
        _log(report),
        _traffic(report),
        _outcomes(report),
        _concurrency(report),
        times_section(report),
        routes_section(report),
        slowest_section(report),
        limit_section(report),
    ]
    return Document("Access log report", [section for section in sections if section.parts])


def _log(report: Report) -> Section:
    section = Section("Log")
    rows = [
        (file.name, file.format, figures.count(file.lines), figures.count(file.unread))
        for file in report.files
    ]
    section.parts.append(Table(("file", "read as", "lines", "not read"), rows, left=2))
    section.parts += [note for file in report.files for note in _notes(file)]
    if report.timed < report.requests:
        section.parts.append(
            f"{_of(report.requests - report.timed, report.requests)} have no time: they are in no"
            " figure that is about time."
        )
    return section


def _notes(file: File) -> Iterator[str]:
    if file.first_unread is not None:
        yield (
            f"The first line of '{file.name}' that can't be read is line {file.first_unread}:"
            f" {file.first_unread_text}"
        )
    if file.ends_early:
        yield (
            f"'{file.name}' is packed, and its end is missing or broken: what came before it is"
            " counted."
        )


def _traffic(report: Report) -> Section:
    section = Section("Traffic")
    rows = [("requests", figures.count(report.requests))]
    traffic = report.traffic
    if traffic is None:
        section.parts.append("The log has no times, so there is no rate and nothing over time.")
    else:
        rows += [
            ("from", f"{shown_time(traffic.first)} UTC"),
            ("until", f"{shown_time(traffic.last)} UTC, {figures.length(traffic.seconds)}"),
        ]
        rows += _rates(traffic)
    rows += [
        (f"status {status}", _of(count, report.requests))
        for status, count in report.statuses.items()
    ]
    section.parts.append(Table((), rows))
    if traffic is not None and traffic.mean_rate is not None:
        rates = [moment.rate for moment in report.moments]
        section.parts.append(over_time(report, "requests a second", rates))
    return section


def _rates(traffic: Traffic) -> Iterator[tuple[str, str]]:
    if traffic.mean_rate is None:
        return
    is_second = traffic.peak_seconds == 1
    busiest = "second" if is_second else figures.length(traffic.peak_seconds)
    yield "mean rate", f"{figures.number(traffic.mean_rate)} a second"
    yield (
        f"busiest {busiest}",
        f"{figures.number(traffic.peak_rate)} a second, at {shown_time(traffic.peak_at)}",
    )


def _outcomes(report: Report) -> Section:
    section = Section("Outcomes")
    if report.outcomes.keys() - {UNKNOWN, REJECTED_BY_STATUS}:
        rows = [
            (OUTCOMES.get(name, name), _of(count, report.requests))
            for name, count in report.outcomes.items()
        ]
        section.parts.append(Table((), rows))
    by_status = report.outcomes.get(REJECTED_BY_STATUS, 0)
    if by_status:
        section.parts.append(
            f"{_of(by_status, report.requests)} count as rejected by their status,"
            f" {' or '.join(sorted(REJECTIONS))}. Whether it was the guard that rejected them, or"
            " the app, the log doesn't say. The tag 'decision' does, and the guard's own access"
            " log."
        )
    if report.causes:
        causes = [
            (
                cause.limiter or "default",
                cause.reason or "-",
                "rejected" if cause.enforced else "admitted all the same (shadow)",
                figures.count(cause.count),
                figures.share(cause.count / report.requests),
            )
            for cause in report.causes
        ]
        columns = ("limit", "reason", "decision", "requests", "of all")
        section.parts.append(Table(columns, causes, left=3))
    section.parts += _rejected_routes(report)
    rejected = [moment.rejected for moment in report.moments]
    if any(rejected):
        section.parts.append(over_time(report, "rejected a second", rejected, is_bad=True))
    return section


def _rejected_routes(report: Report) -> Iterator[str | Table]:
    if report.rejected_route_count < 2:
        return
    rows = [
        (
            route.method,
            shortened(route.path),
            figures.count(route.count),
            "" if route.share is None else figures.share(route.share),
        )
        for route in report.rejected_routes
    ]
    yield Table(("", "path", "rejected", "of its requests"), rows, left=2)
    more = report.rejected_route_count - len(rows)
    if more > 0:
        yield f"And {figures.count(more)} more."


def _concurrency(report: Report) -> Section:
    section = Section("In flight")
    rows = []
    concurrency = report.concurrency
    if concurrency is None:
        section.parts.append(
            "How many were in flight over time isn't known: that needs times and durations."
        )
    else:
        rows = [
            ("mean", figures.number(concurrency.mean)),
            ("p50 of the time", figures.number(concurrency.p50)),
            ("p95 of the time", figures.number(concurrency.p95)),
            ("peak", figures.number(concurrency.peak)),
        ]
    if report.most_in_flight is not None:
        rows.append(("peak of one process, as it counted", figures.count(report.most_in_flight)))
    if report.limits:
        limits = list(report.limits)
        more = f" and {len(limits) - 3} more" if len(limits) > 3 else ""
        rows.append(("limit" if len(limits) == 1 else "limits", ", ".join(limits[:3]) + more))
    rows += _workers(report)
    if rows:
        section.parts.append(Table((), rows))
    if concurrency is not None:
        section.parts.append(_looked(concurrency.every, is_mean=concurrency.is_mean))
    if report.unlogged_seconds:
        section.parts.append(
            f"For {figures.length(report.unlogged_seconds)} requests were turned away, with fewer"
            " in flight than the limit, as far as the log tells. The others have no line here: they"
            " never ended, were killed, stand in another log, or cost several places each; or some"
            " places were kept for another partition. 'flask guard status' shows what hangs, and"
            " CONCURRENCY_GUARD_SLOW_AFTER logs it."
        )
    if concurrency is not None:
        section.parts.append(
            over_time(
                report,
                "in flight",
                [moment.in_flight for moment in report.moments],
                peaks=None if concurrency.is_mean else [moment.peak for moment in report.moments],
            )
        )
    return section


def _looked(every: float, *, is_mean: bool) -> str:
    if is_mean:
        return (
            f"In all processes together, the mean of each {figures.length(every)}: the log's times"
            " are whole seconds, so nobody knows how many there were at one instant."
        )
    return f"In all processes together, looked at every {figures.time(every)}."


def _workers(report: Report) -> Iterator[tuple[str, str]]:
    workers = report.workers
    if workers is None:
        return
    if workers.processes:
        more = workers.processes > workers.processes_at_once
        at_once = f", {figures.count(workers.processes_at_once)} at once" if more else ""
        yield "processes that served", f"{figures.count(workers.processes)}{at_once}"
    if workers.processes > 1:
        share = figures.share(workers.busiest_process_share)
        yield "the busiest of them", f"{workers.busiest_process}, with {share} of the requests"
    if workers.threads:
        yield "threads that served", figures.count(workers.threads)
    if workers.threads > 1:
        share = figures.share(workers.busiest_thread_share)
        yield "the busiest of them", f"{workers.busiest_thread}, with {share} of the requests"


def _of(count: int, of: int) -> str:
    return f"{figures.count(count)} ({figures.share(count / of)})"
