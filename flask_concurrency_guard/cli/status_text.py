"""What all workers are doing, as text that is as wide as the terminal."""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from typing import TYPE_CHECKING

import click

from ..observe.overview import all_limits
from ..observe.overview import recent_rates
from .screen import counted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence

    from ..observe.overview import Limit
    from ..observe.overview import Rates
    from ..observe.workers import Serving
    from ..observe.workers import Worker

NARROWEST, COLUMNS, WIDEST = 60, 80, 120
SHORTEST_BAR, BAR = 8, 20
MOST_REQUESTS = 10
MOST_KILLED = 3
OLD = 0.1
"""For how many seconds a request has waited before it is worth a line."""
LONGEST = 999
"""How many days are still told. What is more comes of a clock that was set."""


def render(
    workers: Sequence[Worker], now: float, *, columns: int = COLUMNS, can_draw: bool = True
) -> str:
    """Return it.

    :param now: seconds since 1970.
    :param columns: how wide the terminal is.
    :param can_draw: whether there may be other characters than ASCII.
    """
    columns = max(NARROWEST, min(columns, WIDEST))
    alive = [worker for worker in workers if worker.is_alive]
    clock = time.strftime("%H:%M:%S", time.localtime(now))
    count = counted(len(alive), "worker") if alive else "no workers"
    right = min(columns, COLUMNS) - len(count)
    parts = [[click.style(count, bold=True) + clock.rjust(right)]]
    if alive:
        parts += [
            _limits(all_limits(workers), "█░" if can_draw else "#.", columns),
            _recent(recent_rates(workers, now), columns),
            _workers(alive, now, columns),
            _requests(alive, columns),
        ]
    parts.append(_killed(workers, now, columns))
    lines = [line for part in parts if part for line in ["", *part]]
    return "\n".join(lines[1:])


def duration(seconds: float | None) -> str:
    """Return a duration for people to read: three digits, and a unit."""
    if seconds is None:
        return "-"
    if seconds < 0.9995:
        return f"{max(0.0, seconds * 1000):.3g} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    if seconds >= LONGEST * 86400:
        return f"over {LONGEST} d"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours:02} h"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {left:02} s"


def _heading(text: str) -> str:
    return click.style(text, dim=True)


def _cut(text: str, columns: int) -> str:
    return text if len(text) <= columns else f"{text[: columns - 3]}..."


def _wrapped(text: str, columns: int) -> list[str]:
    return textwrap.wrap(text, columns, initial_indent="  ", subsequent_indent="    ")


def _limits(limits: Sequence[Limit], inks: str, columns: int) -> list[str]:
    figures = [
        (
            f"{limit.in_flight}/{limit.limit}",
            f"{limit.queued}/{limit.max_queue}",
            f"{sum(limit.rejected.values()):,}",
        )
        for limit in limits
    ]
    # As wide as it looks good; on a narrow terminal as wide as it must be.
    least = (11, 11, 12) if columns >= COLUMNS else (3, 6, 8)
    in_flight, queued, rejected = widths = [
        max(least[place], *(len(each[place]) for each in figures)) for place in range(3)
    ]
    room = min(columns, WIDEST) - sum(widths) - 6
    longest = max(len(limit.name) for limit in limits)
    name = max(20, min(longest, room - SHORTEST_BAR))
    bar = max(0, min(BAR, room - name))
    heading = f"{'IN FLIGHT':<{bar + 1 + in_flight}} {'QUEUED':>{queued}} {'REJECTED':>{rejected}}"
    lines = [_heading(f"{'LIMIT':<{name}} {heading}")]
    for limit, (held, waiting, refused) in zip(limits, figures, strict=True):
        lines.append(
            f"{_cut(limit.name, name):<{name}} {_bar(limit, inks, bar)} {held:<{in_flight}}"
            f" {waiting:>{queued}} {refused:>{rejected}}"
        )
        lines += _more(limit, columns)
    return lines


def _bar(limit: Limit, inks: str, columns: int) -> str:
    share = min(1.0, limit.in_flight / limit.limit)
    full = round(share * columns)
    # Full is shown as such only where it is.
    full = min(full, columns - 1) if share < 1 else full
    colour = "red" if share >= 1 else "yellow" if share >= 0.75 else "green"
    return click.style(inks[0] * full, fg=colour) + click.style(
        inks[1] * (columns - full), dim=True
    )


def _more(limit: Limit, columns: int) -> list[str]:
    more = []
    if limit.mode != "enforce":
        more.append(f"mode: {limit.mode}")
    if limit.scope != "process":
        more.append(f"scope: {limit.scope}")
    if limit.is_learned:
        more.append("adaptive")
    reasons = [
        f"{reason} {count:,}"
        for reason, count in sorted(limit.rejected.items(), key=lambda item: -item[1])
    ]
    if reasons:
        more.append(f"rejected: {', '.join(reasons)}")
    lines = _wrapped("; ".join(more), columns)
    if limit.alone:
        told = (
            f"store down in {limit.alone} of {limit.workers} workers, each admits {limit.admits}:"
            f" {limit.store_error}"
        )
        lines += [click.style(line, fg="red") for line in _wrapped(told, columns)]
    if limit.partitions:
        shares = [
            f"{name} {part.in_flight}/{part.guaranteed}" for name, part in limit.partitions.items()
        ]
        lines += _wrapped(f"in flight of guaranteed: {', '.join(shares)}", columns)
    if limit.changes:
        newest = limit.changes[0]
        told = f"last change: {newest.before} -> {newest.after}, {newest.reason}"
        lines += _wrapped(told, columns)
    return lines


def _recent(rates: Rates, columns: int) -> list[str]:
    failed = f"{rates.failed:.1f}/s failed"
    rejected = f"{rates.rejected:.1f}/s rejected"
    parts = (
        f"last 10 s: {rates.good:.1f}/s good",
        click.style(failed, fg="red") if rates.failed else failed,
        click.style(rejected, fg="yellow") if rates.rejected else rejected,
        f"p50 {duration(rates.p50)}",
        f"p99 {duration(rates.p99)}",
    )
    lines = [parts[0]]
    for part in parts[1:]:
        together = f"{lines[-1]}, {part}"
        if len(click.unstyle(together)) < columns:
            lines[-1] = together
        else:
            lines[-1] += ","
            lines.append(f"  {part}")
    return lines


def _workers(alive: Sequence[Worker], now: float, columns: int) -> list[str]:
    is_narrow = columns < COLUMNS
    longest = max(len(_server(worker, WIDEST)) for worker in alive)
    # On a narrow terminal what the line above tells of all together is left out.
    pid, server = (7, columns - 45) if is_narrow else (8, max(25, min(longest, columns - 53)))
    refused = "" if is_narrow else f" {'REJ/S':>6}"
    heading = f"{'IN FLIGHT':>9} {'QUEUED':>6} {'GOOD/S':>7}{refused} {'P99':>9}"
    lines = [_heading(f"{'WORKER':>{pid}}  {'SERVER':<{server}} {heading}")]
    for worker in alive:
        rates = recent_rates([worker], now)
        refused = "" if is_narrow else f" {rates.rejected:>6.1f}"
        lines.append(
            f"{worker.pid:>{pid}}  {_server(worker, server):<{server}} {worker.own.in_flight:>9}"
            f" {worker.own.queued:>6} {rates.good:>7.1f}{refused} {duration(rates.p99):>9}"
        )
        if silent := worker.silent_for(now):
            told = f"has said nothing for {duration(silent)}: it hangs, or was stopped"
            lines += _under(told, "red", columns)
        is_serving = rates.good or rates.failed or rates.rejected
        if is_serving and worker.queue_age is not None and worker.queue_age >= OLD:
            waited = duration(worker.queue_age)
            told = f"the newest request had waited {waited} in front of the app"
            lines += _under(told, "yellow", columns)
        if worker.is_draining:
            lines += _under("draining: admits nobody any more", "yellow", columns)
    return lines


def _under(text: str, colour: str, columns: int) -> list[str]:
    """Return what is told of the line above, each line in its colour."""
    return [click.style(f"{'':>10}{line}", fg=colour) for line in textwrap.wrap(text, columns - 10)]


def _server(worker: Worker, columns: int) -> str:
    if worker.server is None:
        return "-"
    threads = "" if worker.threads is None else f", {worker.threads}"
    server, room = worker.server, columns - len(threads)
    if len(server) > room:
        server = server.partition(" (")[0]  # gunicorn's kind of worker.
    return f"{_cut(server, room)}{threads}"


def _requests(alive: Iterable[Worker], columns: int) -> list[str]:
    serving = [(request, worker.pid) for worker in alive for request in worker.serving]
    serving.sort(key=lambda item: -item[0].seconds)
    if not serving:
        return []
    age, ids = ("FOR", 7) if columns < COLUMNS else ("IN FLIGHT FOR", 8)
    wide = max(10, len(age))
    lines = [_heading(f"{age:>{wide}}  {'WORKER':>{ids}} {'THREAD':>{ids}}  REQUEST")]
    for request, pid in serving[:MOST_REQUESTS]:
        front = (
            f"{duration(request.seconds):>{wide}}  {pid:>{ids}} {request.thread_id or '-':>{ids}}  "
        )
        lines.append(f"{front}{_request(request, columns - len(front))}")
    in_flight = max(len(serving), sum(worker.requests for worker in alive))
    if len(serving) > MOST_REQUESTS:
        more = f"{'':>{wide}}  and {in_flight - MOST_REQUESTS} more"
        ((what, count),) = Counter(request.what for request, _ in serving).most_common(1)
        if 2 * count > len(serving):
            # A worker tells of so many, and not of more.
            is_all = len(serving) == in_flight
            those = f"all {in_flight}" if is_all else f"the {len(serving)} longest"
            more += f"; {count} of {those} are {what}"
        lines.append(_cut(more, columns))
    return lines


def _request(request: Serving, columns: int) -> str:
    """Return what it asks for, and the names of its limits whole, if there is room for both."""
    limits = f" ({', '.join(request.limits)})" if request.limits else ""
    if len(limits) > columns // 2:
        return _cut(f"{request.what}{limits}", columns)
    return f"{_cut(request.what, columns - len(limits))}{limits}"


def _killed(workers: Iterable[Worker], now: float, columns: int) -> list[str]:
    killed = [worker for worker in workers if worker.was_killed]
    killed.sort(key=lambda worker: -worker.written)
    lines = []
    for worker in killed[:MOST_KILLED]:
        lines.append(
            click.style(
                f"Worker {worker.pid} died {duration(now - worker.written)} ago, with"
                f" {worker.requests} in flight.",
                fg="red",
            )
        )
        lines += [
            f"  {duration(request.seconds):>11}  {_cut(request.what, columns - 15)}"
            for request in worker.serving[:MOST_REQUESTS]
        ]
    return lines
