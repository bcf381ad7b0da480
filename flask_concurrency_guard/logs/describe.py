"""A report in words, tables and charts."""

from __future__ import annotations

from collections.abc import Iterator

from . import figures
from .analysis import Report
from .analysis import Route
from .analysis import SlowRequest
from .curve import Level
from .document import Chart
from .document import Document
from .document import Section
from .document import Table
from .histogram import Spread
from .reading import File
from .times import shown_time

LONGEST_PATH = 60
"""So many characters of a path are shown."""

FOLLOWED = ("p50", "p90", "p99", "max")


def describe(report: Report) -> Document:
    """Return what to show of a report."""
    sections = [
        _log(report),
        _traffic(report),
        _outcomes(report),
        _concurrency(report),
        _times(report),
        _routes(report),
        _slowest(report),
        _limit(report),
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
        busiest = (
            "busiest second"
            if traffic.peak_seconds == 1
            else (f"busiest {figures.length(traffic.peak_seconds)}")
        )
        rows += [
            ("from", f"{shown_time(traffic.first)} UTC"),
            ("until", f"{shown_time(traffic.last)} UTC, {figures.length(traffic.seconds)}"),
            ("mean rate", f"{figures.number(traffic.mean_rate)} a second"),
            (
                busiest,
                f"{figures.number(traffic.peak_rate)} a second, at {shown_time(traffic.peak_at)}",
            ),
        ]
    rows += [
        (f"status {status}", _of(count, report.requests))
        for status, count in report.statuses.items()
    ]
    section.parts.append(Table((), rows))
    if traffic is not None:
        rates = [moment.rate for moment in report.moments]
        section.parts.append(_chart(report, "requests a second", rates))
    return section


def _outcomes(report: Report) -> Section:
    section = Section("Outcomes")
    if set(report.outcomes) == {"unknown"}:
        busy = sum(report.statuses.get(status, 0) for status in ("429", "503"))
        if busy:
            section.parts.append(
                f"{_of(busy, report.requests)} were answered by 429 or 503; whether the guard has"
                " rejected them, the log doesn't say. The tag 'decision' does, and the guard's own"
                " access log."
            )
        return section
    rows = [(name, _of(count, report.requests)) for name, count in report.outcomes.items()]
    section.parts.append(Table((), rows))
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
    rejected = [moment.rejected for moment in report.moments]
    if any(rejected):
        section.parts.append(_chart(report, "rejected a second", rejected, is_bad=True))
    return section


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
        section.parts.append(
            _chart(
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
        yield "processes that served", figures.count(workers.processes)
    if workers.processes > 1:
        share = figures.share(workers.busiest_process_share)
        yield "the busiest of them", f"{workers.busiest_process}, with {share} of the requests"
    if workers.threads:
        yield "threads that served", figures.count(workers.threads)
    if workers.threads > 1:
        share = figures.share(workers.busiest_thread_share)
        yield "the busiest of them", f"{workers.busiest_thread}, with {share} of the requests"


def _times(report: Report) -> Section:
    section = Section("Times")
    named = {
        "duration, served": report.durations,
        "duration, rejected": report.rejection_durations,
        "age at the guard (queue_age)": report.queue_age,
        "wait in the guard's line (queue_time)": report.queue_time,
    }
    rows = [
        (name, *_spread(spread), figures.count(spread.count))
        for name, spread in named.items()
        if spread is not None
    ]
    if report.durations is None:
        section.parts.append(
            "The log has no durations. Let the server write them: 'duration=%(L)s' for gunicorn,"
            " 'request_time=$request_time' for nginx, 'duration=%D' for Apache."
        )
    if rows:
        section.parts.append(Table(("", "mean", *FOLLOWED, "requests"), rows))
    return section


def _spread(spread: Spread) -> list[str]:
    values = (spread.mean, spread.p50, spread.p90, spread.p99, spread.max)
    return [figures.time(value) for value in values]


def _routes(report: Report) -> Section:
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


def _slowest(report: Report) -> Section:
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


def _limit(report: Report) -> Section:
    advice = report.advice
    found = "unknown" if advice.limit is None else str(advice.limit)
    if advice.limit is not None and advice.of_each_process and _processes(report) > 1:
        found += " in each process"
    section = Section(f"The right limit: {found}", list(advice.sentences))
    if len(report.levels) > 1:
        rows = [_level(level) for level in report.levels]
        columns = ("in flight", "served a second", "mean duration", "requests")
        section.parts.append(Table(columns, rows, left=0))
        section.parts.append(_about(report))
        section.parts += _curves(report)
    return section


def _curves(report: Report) -> Iterator[Chart]:
    begin, end = (
        f"{figures.number(level.in_flight)} in flight"
        for level in (report.levels[0], report.levels[-1])
    )
    throughputs = [level.throughput for level in report.levels]
    latencies = [1000 * level.latency for level in report.levels]
    yield Chart("served a second, level by level", throughputs, begin, end)
    yield Chart("mean duration in ms, level by level", latencies, begin, end, is_bad=True)


def _about(report: Report) -> str:
    if report.levels_are_of_each_process:
        without = " without the wait in the line" if report.queue_time else ""
        return (
            "By how many were in flight in its process when a request was admitted: so many, over"
            f" how long these took{without}, are served in a second."
        )
    return "In windows of time, by how many were in flight in all processes in the mean of each."


def _level(level: Level) -> tuple[str, ...]:
    return (
        figures.number(level.in_flight),
        figures.number(level.throughput),
        figures.time(level.latency),
        figures.count(level.requests),
    )


def _processes(report: Report) -> int:
    return report.workers.processes if report.workers else 0


def _chart(
    report: Report,
    title: str,
    values: list[float],
    peaks: list[float] | None = None,
    *,
    is_bad: bool = False,
) -> Chart:
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


def _of(count: int, of: int) -> str:
    return f"{figures.count(count)} ({figures.share(count / of)})"


def shortened(path: str) -> str:
    """Return a path as it may be shown: not too long, and with nothing in it that isn't text."""
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in path)
    return shown if len(shown) <= LONGEST_PATH else shown[: LONGEST_PATH - 1] + "…"
