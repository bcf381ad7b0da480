"""The right limit, in words, a table and charts."""

from __future__ import annotations

from collections.abc import Iterator

from . import figures
from .analysis import Report
from .curve import Level
from .document import Chart
from .document import Section
from .document import Table


def limit_section(report: Report) -> Section:
    """Return the limit, why, and what it was read off."""
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
    return report.workers.processes_at_once if report.workers else 0
