"""What all workers are doing, as text of 80 columns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from ..observe.overview import all_limits
from ..observe.overview import recent_rates

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence

    from ..observe.overview import Limit
    from ..observe.overview import Rates
    from ..observe.workers import Worker

COLUMNS = 80
BAR = 20
MOST_REQUESTS = 10
MOST_KILLED = 3


def render(workers: Sequence[Worker], now: float, *, can_draw: bool = True) -> str:
    """Return it.

    :param now: seconds since 1970.
    :param can_draw: whether there may be other characters than ASCII.
    """
    alive = [worker for worker in workers if worker.is_alive]
    clock = time.strftime("%H:%M:%S", time.localtime(now))
    count = "1 worker" if len(alive) == 1 else f"{len(alive) or 'no'} workers"
    parts = [[_aligned(click.style(count, bold=True), count, clock)]]
    if alive:
        parts += [
            _limits(all_limits(workers), "█░" if can_draw else "#."),
            [_recent(recent_rates(alive, now))],
            _workers(alive, now),
            _requests(alive),
        ]
    parts.append(_killed(workers, now))
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
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {left:02} s"


def _heading(text: str) -> str:
    return click.style(text, dim=True)


def _aligned(styled: str, plain: str, right: str) -> str:
    return styled + right.rjust(COLUMNS - len(plain))


def _cut(text: str, columns: int) -> str:
    return text if len(text) <= columns else f"{text[: columns - 3]}..."


def _limits(limits: Iterable[Limit], inks: str) -> list[str]:
    lines = [_heading(f"{'LIMIT':<20} {'IN FLIGHT':<{BAR + 12}} {'QUEUED':>11} {'REJECTED':>12}")]
    for limit in limits:
        share = min(1.0, limit.in_flight / limit.limit)
        full = round(share * BAR)
        # Full is shown as such only where it is.
        full = min(full, BAR - 1) if share < 1 else full
        colour = "red" if share >= 1 else "yellow" if share >= 0.75 else "green"
        bar = click.style(inks[0] * full, fg=colour) + click.style(inks[1] * (BAR - full), dim=True)
        figure = f"{limit.in_flight}/{limit.limit}"
        queued = f"{limit.queued}/{limit.max_queue}"
        rejected = f"{sum(limit.rejected.values()):,}"
        lines.append(f"{_cut(limit.name, 20):<20} {bar} {figure:<11} {queued:>11} {rejected:>12}")
        lines += _more(limit)
    return lines


def _more(limit: Limit) -> list[str]:
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
    lines = [f"  {_cut('; '.join(more), COLUMNS - 2)}"] if more else []
    if limit.partitions:
        shares = [
            f"{name} {part.in_flight}/{part.guaranteed}" for name, part in limit.partitions.items()
        ]
        lines.append(_cut(f"  in flight of guaranteed: {', '.join(shares)}", COLUMNS))
    if limit.changes:
        newest = limit.changes[0]
        told = f"  last change: {newest.before} -> {newest.after}, {newest.reason}"
        lines.append(_cut(told, COLUMNS))
    return lines


def _recent(rates: Rates) -> str:
    failed = f"{rates.failed:.1f}/s failed"
    rejected = f"{rates.rejected:.1f}/s rejected"
    parts = (
        f"last 10 s: {rates.good:.1f}/s good",
        click.style(failed, fg="red") if rates.failed else failed,
        click.style(rejected, fg="yellow") if rates.rejected else rejected,
        f"p50 {duration(rates.p50)}",
        f"p99 {duration(rates.p99)}",
    )
    return ", ".join(parts)


def _workers(alive: Sequence[Worker], now: float) -> list[str]:
    lines = [
        _heading(
            f"{'WORKER':>8}  {'SERVER':<25} {'IN FLIGHT':>9} {'QUEUED':>6} {'GOOD/S':>7}"
            f" {'REJ/S':>6} {'P99':>9}"
        )
    ]
    for worker in alive:
        rates = recent_rates([worker], now)
        lines.append(
            f"{worker.pid:>8}  {_server(worker):<25} {worker.own.in_flight:>9}"
            f" {worker.own.queued:>6} {rates.good:>7.1f} {rates.rejected:>6.1f}"
            f" {duration(rates.p99):>9}"
        )
        if silent := worker.silent_for(now):
            told = f"has said nothing for {duration(silent)}: it hangs, or was stopped"
            lines.append(click.style(f"{'':>10}{told}", fg="red"))
        if worker.is_draining:
            lines.append(click.style(f"{'':>10}draining: admits nobody any more", fg="yellow"))
    return lines


def _server(worker: Worker) -> str:
    if worker.server is None:
        return "-"
    if worker.threads is None:
        return _cut(worker.server, 25)
    threads = f", {worker.threads}"
    return f"{_cut(worker.server, 25 - len(threads))}{threads}"


def _requests(alive: Iterable[Worker]) -> list[str]:
    serving = [(request, worker.pid) for worker in alive for request in worker.serving]
    serving.sort(key=lambda item: -item[0].seconds)
    if not serving:
        return []
    lines = [_heading(f"{'IN FLIGHT FOR':>13}  {'WORKER':>8} {'THREAD':>8}  REQUEST")]
    for request, pid in serving[:MOST_REQUESTS]:
        limits = f" ({', '.join(request.limits)})" if request.limits else ""
        what = _cut(f"{request.what}{limits}", COLUMNS - 34)
        lines.append(
            f"{duration(request.seconds):>13}  {pid:>8} {request.thread_id or '-':>8}  {what}"
        )
    if len(serving) > MOST_REQUESTS:
        lines.append(f"{'':>13}  and {len(serving) - MOST_REQUESTS} more")
    return lines


def _killed(workers: Iterable[Worker], now: float) -> list[str]:
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
            f"  {duration(request.seconds):>11}  {_cut(request.what, COLUMNS - 15)}"
            for request in worker.serving[:MOST_REQUESTS]
        ]
    return lines
