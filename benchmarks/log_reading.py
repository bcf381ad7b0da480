"""How long `flask guard report` takes for a big log."""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

COMMAND = [
    sys.executable,
    "-c",
    "from flask_concurrency_guard.cli.report import report; report()",
]
BEGIN = 1_800_000_000
RATE = 300
PATHS = ("/", "/login", "/search", "/static/app.css", "/users/{}", "/orders/{}/items")
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
LINES = {
    "logfmt": (
        "time={iso}.{micro:06d}Z method=GET path={path} status={status} outcome={outcome}"
        "{reason} process_id={process} thread_id={thread} queue_age={age:.3f}"
        " queue_time={wait:.6f} duration={took:.6f} in_flight={in_flight} limit=20\n"
    ),
    "json": (
        '{{"time": "{iso}.{micro:06d}Z", "method": "GET", "path": "{path}", "status": {status},'
        ' "outcome": "{outcome}"{json_reason}, "process_id": {process}, "thread_id": {thread},'
        ' "queue_age": {age:.3f}, "queue_time": {wait:.6f}, "duration": {took:.6f},'
        ' "in_flight": {in_flight}, "limit": 20}}\n'
    ),
    "combined": (
        '192.0.2.{client} - - [{common} +0000] "GET {path}?page=2 HTTP/1.1" {status} 5120'
        ' "https://example.com/" "{agent}" process={process} thread={thread} duration={took:.6f}\n'
    ),
}


def main() -> None:
    """Write logs, let them be read, and print how long that takes."""
    options = read_options()
    print(
        f"{'format':>9} {'MB':>6} {'lines':>11} {'s':>6} {'CPU s':>6} {'µs/line':>8} {'peak MB':>8}"
    )
    for kind in options.format:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "access.log"
            lines = write(path, kind, options.megabytes)
            best = min(read(path) for _ in range(options.rounds))
            seconds, cpu = best
            size = path.stat().st_size / 1e6
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
        print(
            f"{kind:>9} {size:6.0f} {lines:11,} {seconds:6.1f} {cpu:6.1f}"
            f" {seconds / lines * 1e6:8.2f} {peak:8.0f}"
        )


def read(path: Path) -> tuple[float, float]:
    """Return how many seconds it takes, by the clock and of the CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run([*COMMAND, str(path), "--json"], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def write(path: Path, kind: str, megabytes: float) -> int:
    """Write a log of that size. Return how many lines it has."""
    written = lines = 0
    with path.open("w", encoding="ascii") as file:
        for line in make_lines(kind):
            written += file.write(line)
            lines += 1
            if written >= megabytes * 1e6:
                return lines
    return lines


def make_lines(kind: str) -> Iterator[str]:
    """Make up lines: 300 a second, a tenth of them rejected."""
    chance = random.Random(1)
    template = LINES[kind]
    now = float(BEGIN)
    while True:
        now += chance.expovariate(RATE)
        second = int(now)
        moment = datetime.fromtimestamp(second, UTC)
        process = chance.randrange(4)
        is_rejected = chance.random() < 0.1
        yield template.format(
            iso=f"{moment:%Y-%m-%dT%H:%M:%S}",
            common=f"{moment:%d/%b/%Y:%H:%M:%S}",
            micro=int((now - second) * 1e6),
            path=chance.choice(PATHS).format(chance.randrange(5000)),
            status=503 if is_rejected else 200,
            outcome="rejected" if is_rejected else "admitted",
            reason=" reason=queue_full limiter=default" if is_rejected else "",
            json_reason=', "reason": "queue_full", "limiter": "default"' if is_rejected else "",
            process=4200 + process,
            thread=4300 + 16 * process + chance.randrange(16),
            age=chance.choice((0.0, 0.0, 0.001, 0.004)),
            wait=0.0 if is_rejected or chance.random() < 0.8 else chance.random() / 10,
            took=0.0001 if is_rejected else 0.1 + chance.lognormvariate(-3, 0.7),
            in_flight=chance.randrange(1, 21),
            client=chance.randrange(256),
            agent=AGENT,
        )


def read_options() -> argparse.Namespace:
    """Return what to measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--format", nargs="+", choices=LINES, default=list(LINES))
    parser.add_argument("--rounds", type=int, default=1, help="the best one counts (1)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
