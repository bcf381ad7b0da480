"""`flask guard simulate`: what other limits would have made of a log."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite

import click

from .. import standard_json
from ..core.line import Order
from ..logs.progress import showing
from ..logs.replay.candidates import Settings
from ..logs.replay.candidates import read_limit
from ..logs.replay.comparison import compare
from ..logs.replay.describe import describe
from ..logs.replay.workload import Collector
from ..logs.replay.workload import Workload
from ..logs.show import show
from .reading import How
from .reading import reading
from .reading import reading_options
from .screen import json_option
from .screen import writing

LONG = 20_000
"""What has fewer requests is simulated in a moment."""

POSITIVE = click.FloatRange(min=0, min_open=True)


def _read_limits(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[int | str, ...]:
    try:
        return tuple(dict.fromkeys(map(read_limit, texts)))
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error


def _read_finite(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if not isfinite(value):
        raise click.BadParameter(f"'{value}' is no finite number.", context, parameter)
    return value


@click.command("simulate", short_help="Tell what other limits would have made of a log.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    callback=_read_limits,
    required=True,
    metavar="N|adaptive|none",
    help="A limit to try. Give it several times to compare.",
)
@click.option(
    "--max-queue", type=click.IntRange(0), default=None, help="How many may wait in the line."
)
@click.option(
    "--max-wait",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    callback=_read_finite,
    help="How many seconds one may wait there; 0 rejects at once.",
)
@click.option(
    "--queue-order",
    type=click.Choice([str(each) for each in Order]),
    default=str(Order.ADAPTIVE),
    show_default=True,
    help="Whose turn it is in the line.",
)
@click.option(
    "--max-age",
    type=POSITIVE,
    default=10.0,
    show_default=True,
    callback=_read_finite,
    help="How many seconds a request may have waited in all.",
)
@click.option("--threads", type=click.IntRange(1), help="Server threads; else without end.")
@click.option(
    "--scope",
    type=click.Choice(["process", "host"]),
    default="process",
    show_default=True,
    help="Whether each process in the log has a limit of its own, or all have one together.",
)
@click.option(
    "--deadline",
    type=POSITIVE,
    default=1.0,
    show_default=True,
    callback=_read_finite,
    help="After how many seconds clients leave.",
)
@click.option(
    "--speed",
    type=POSITIVE,
    default=1.0,
    show_default=True,
    callback=_read_finite,
    help="2: twice as dense as they came.",
)
@click.option(
    "--contention",
    is_flag=True,
    help="Let requests take longer with more in flight, by as much as they did in the log.",
)
@click.option(
    "--requests",
    "most",
    type=click.IntRange(1),
    default=100_000,
    show_default=True,
    help="How many to take, of the densest part of the log.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="What chance depends on.")
@json_option
@reading_options
def simulate(
    files: tuple[str, ...],
    limits: tuple[int | str, ...],
    max_queue: int | None,
    max_wait: float,
    queue_order: str,
    max_age: float,
    threads: int | None,
    scope: str,
    deadline: float,
    speed: float,
    contention: bool,
    most: int,
    seed: int,
    wants_json: bool,
    how: How,
) -> None:
    """Let what stands in access logs happen again under other limits, and compare: how many are
    served in time, how long they take, how many are rejected.

    FILE is as for 'flask guard report'. The log needs times and durations. No app is needed.
    """
    workload = _read(files, how, most, seed)
    work = len(workload) * len(limits)
    with showing(work, what="simulating", least=LONG) as on_done:
        found = compare(
            workload,
            limits,
            Settings(max_queue, max_wait, queue_order, max_age, threads),
            deadline=deadline,
            per_process=scope == "process",
            speed=speed,
            with_contention=contention,
            on_done=on_done,
        )
    with writing():
        if wants_json:
            click.echo(standard_json.dumps(asdict(found), indent=2))
        else:
            show(describe(found))


def _read(names: tuple[str, ...], how: How, most: int, seed: int) -> Workload:
    collector = Collector()
    with reading(names, how, []) as batches:
        for requests in batches:
            collector.add(requests)
        return collector.workload(most, seed)
