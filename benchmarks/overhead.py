"""What the guard costs: beside a bare app, a semaphore, Flask itself and Flask-Limiter."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
from importlib.metadata import version
from statistics import median
from typing import NamedTuple

from contenders import ENVIRON
from contenders import ENVIRON_WITH_FILE_WRAPPER
from contenders import PLENTY
from contenders import SemaphoreMiddleware
from contenders import bare
from contenders import costly_hello
from contenders import environ_with_connection
from contenders import full
from contenders import full_hello
from contenders import guarded
from contenders import guarded_hello
from contenders import hello
from contenders import hello_for_each
from contenders import limited_by_path
from contenders import limited_by_view
from contenders import limited_hello
from contenders import log_to_nowhere
from contenders import measured_hello
from contenders import ranked_hello
from contenders import semaphore_hello
from contenders import shared_hello
from timing import Contention
from timing import Times
from timing import contend
from timing import measure
from timing import request

PACKAGES = ("Flask", "Werkzeug", "Flask-Limiter", "limits")
THREADS = (1, 8, 64)
FEW = 4  # A limit that contending threads reach all the time.


class Target(NamedTuple):
    """What a figure is to be at most."""

    text: str
    reached: bool


class Row(NamedTuple):
    """One line of the table."""

    name: str
    microseconds: float
    against: str = ""
    targets: tuple[Target, ...] = ()


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="of each measurement (100)")
    parser.add_argument("--seconds", type=float, default=0.2, help="of threads contending (0.2)")
    options = parser.parse_args()
    log_to_nowhere()
    print_setting()
    print_rows(rows(single_thread(options.rounds)))
    print_contention(max(options.rounds // 20, 1), options.seconds)


def print_setting() -> None:
    """Say what is measured where, and how."""
    print(f"$ {shlex.join(['python', *sys.argv])}")
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(f"Python {platform.python_version()}, {packages}, {os.cpu_count()} CPUs")


def single_thread(rounds: int) -> Times:
    """Measure one thread that has the process to itself."""
    apps = {
        "bare": bare,
        "semaphore": SemaphoreMiddleware(bare, PLENTY),
        "guard": guarded(bare),
        "rejection": full(guarded(bare, limit=1, max_queue=0)),
        "flask": hello("plain"),
        "flask again": hello("plain, again"),
        "flask semaphore": semaphore_hello(),
        "flask guarded": guarded_hello(),
        "access log": guarded_hello(CONCURRENCY_GUARD_ACCESS_LOG="logfmt"),
        "access log, json": guarded_hello(CONCURRENCY_GUARD_ACCESS_LOG="json"),
        "prometheus": guarded_hello(CONCURRENCY_GUARD_METRICS="prometheus"),
        "otel": measured_hello(),
        "other path": limited_by_path("/reports/*"),
        "path": limited_by_path("/"),
        "view": limited_by_view(),
        "each client": hello_for_each(),
        "priorities": ranked_hello(),
        "shares": shared_hello(),
        "costs": costly_hello(),
        "status": guarded_hello(CONCURRENCY_GUARD_STATUS=True),
        "flask rejection": full_hello(),
        "limiter": limited_hello("1000000000/day"),
        "limiter rejection": limited_hello("1/day"),
    }
    calls = {name: request(app, ENVIRON) for name, app in apps.items()}
    calls["bare, files"] = request(bare, ENVIRON_WITH_FILE_WRAPPER)
    calls["guard, files"] = request(guarded(bare), ENVIRON_WITH_FILE_WRAPPER)
    calls["guard, connection"] = request(guarded(bare), environ_with_connection())
    return measure(calls, rounds)


def rows(times: Times) -> list[Row]:
    """Return what the measurements say, and what they should."""
    return [
        Row("bare WSGI app", times.of("bare")),
        adding(times, "+ 20 lines with a semaphore", "semaphore", "bare"),
        adding(times, "+ guard", "guard", "bare", most=3.0),
        adding(times, "+ guard, with a file wrapper", "guard, files", "bare, files", most=3.0),
        adding(times, "+ guard, which sees the connection", "guard, connection", "bare"),
        Row("Flask hello world", times.of("flask")),
        slowing(times, "the same again, to show the noise", "flask again"),
        slowing(times, "+ 20 lines with a semaphore", "flask semaphore"),
        slowing(times, "+ guard", "flask guarded", percent=8),
        slowing(times, "+ guard, its access log as logfmt", "access log"),
        slowing(times, "+ guard, its access log as JSON", "access log, json"),
        slowing(times, "+ guard, its metrics for Prometheus", "prometheus"),
        slowing(times, "+ guard, its metrics for OpenTelemetry", "otel"),
        slowing(times, "+ guard, another path has a limit", "other path"),
        slowing(times, "+ guard, and a limit by path", "path"),
        slowing(times, "+ guard, and a limit on the view", "view"),
        slowing(times, "+ guard, and a limit for each client", "each client"),
        slowing(times, "+ guard, and priorities by a header", "priorities"),
        slowing(times, "+ guard, and shares by a header", "shares"),
        slowing(times, "+ guard, and a view that costs two places", "costs"),
        slowing(times, "+ guard, and its status is told", "status"),
        slowing(times, "+ Flask-Limiter", "limiter"),
        Row("rejected by Flask-Limiter", times.of("limiter rejection")),
        rejecting(times, "rejected by the guard", "rejection"),
        rejecting(times, "rejected by the guard of a Flask app", "flask rejection"),
    ]


def adding(times: Times, label: str, name: str, to: str, most: float | None = None) -> Row:
    """Return the row of what is added to an app."""
    added = times.added(name, to)
    targets = () if most is None else (Target(f"adds <= {most:g} us", added <= most),)
    return Row(label, times.of(name), f"{added:+.2f} us", targets)


def slowing(times: Times, label: str, name: str, percent: float | None = None) -> Row:
    """Return the row of what is added to Flask's hello world."""
    slower = (times.ratio(name, "flask") - 1) * 100
    against = f"{times.added(name, 'flask'):+.2f} us, {slower:+.1f} %"
    targets = () if percent is None else (Target(f"<= {percent:g} %", slower <= percent),)
    return Row(label, times.of(name), against, targets)


def rejecting(times: Times, label: str, name: str) -> Row:
    """Return the row of what a rejection costs."""
    of_flask, of_limiter = times.ratio("flask", name), times.ratio("limiter rejection", name)
    return Row(
        label,
        times.of(name),
        f"1/{of_flask:.1f} of Flask, 1/{of_limiter:.0f} of Limiter",
        (Target("1/15 of Flask", of_flask >= 15), Target("1/50 of Limiter", of_limiter >= 50)),
    )


def print_rows(table: list[Row]) -> None:
    """Print the measurements of one thread."""
    print("\nOne thread. Microseconds of its CPU time a request, median of the rounds.\n")
    print(f"{'':40} {'us':>7}  {'':36} target")
    for row in table:
        targets = ", ".join(
            f"{target.text}: {'reached' if target.reached else 'MISSED'}" for target in row.targets
        )
        line = f"{row.name:40} {row.microseconds:7.2f}  {row.against:36} {targets}"
        print(line.rstrip())


def print_contention(rounds: int, seconds: float) -> None:
    """Measure threads that make requests all the time, and print what they get done."""
    apps = {
        "bare WSGI app": bare,
        f"semaphore of {PLENTY}": SemaphoreMiddleware(bare, PLENTY),
        f"guard, limit {PLENTY}": guarded(bare, limit=PLENTY),
        f"semaphore of {FEW}": SemaphoreMiddleware(bare, FEW),
        f"guard, limit {FEW}, no line": guarded(bare, limit=FEW, max_queue=0),
    }
    print("\nThreads contending. Requests a second of all together, by the clock on the wall.\n")
    titles = [f"{threads} thread{'s' * (threads > 1)}" for threads in THREADS]
    print((f"{'':24}" + "".join(f"{title:>10}{'':17}" for title in titles)).rstrip())
    runs: dict[tuple[str, int], list[Contention]] = {}
    for _ in range(rounds):
        for threads in THREADS:
            for name, app in apps.items():
                run = contend(app, ENVIRON, threads, seconds)
                runs.setdefault((name, threads), []).append(run)
    for name in apps:
        cells = "".join(contention_cell(runs, name, threads) for threads in THREADS)
        print(f"{name:24}{cells}".rstrip())


def contention_cell(runs: dict[tuple[str, int], list[Contention]], name: str, threads: int) -> str:
    """Return the median rate, against the bare app's, and how many of them were rejected."""
    rate = median(run.rate for run in runs[name, threads])
    against = rate / median(run.rate for run in runs["bare WSGI app", threads])
    rejected = median(run.rejected_share for run in runs[name, threads])
    turned_away = f"{rejected:.0%} no" if rejected else ""
    return f"{rate:10,.0f} {against:5.2f}x {turned_away:8} "


if __name__ == "__main__":
    main()
