"""Does `flask guard simulate` tell what another limit would do? One log tells, the others show."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

APP = """
import os
import random
import threading
import time
from flask import Flask
from flask_concurrency_guard import ConcurrencyGuard

app = Flask(__name__)
app.config["CONCURRENCY_GUARD_LIMIT"] = os.environ["LIMIT"]
ConcurrencyGuard(app)
pool = threading.Semaphore(4)


@app.get("/database/<int:number>")
def database(number):
    with pool:
        time.sleep(0.02 * random.lognormvariate(-0.1, 0.45))
    return "found"


@app.get("/quick")
def quick():
    return "quick"
"""
TAG = "%({{flask_concurrency_guard.{}}}e)s"
WORDS = " ".join(f"{tag}={TAG.format(tag)}" for tag in ("queue_age", "queue_time", "in_flight"))
FORMAT = (
    '%(h)s %(t)s "%(r)s" %(s)s %(b)s process=%(p)s duration=%(L)s'
    f' decision="{TAG.format("decision")}" {WORDS}'
)
SIMULATE = "from flask_concurrency_guard.cli.simulate import simulate; simulate()"
PHASES = ((50, 8), (200, 8), (450, 10), (60, 6))
"""How many requests come in a second, and for how many seconds."""
CLIENTS = 150
PATIENCE = 20.0


def main() -> None:
    """Serve the same load at each limit, and print what came of it beside what was told."""
    options = read_options()
    with TemporaryDirectory() as folder:
        (Path(folder) / "served.py").write_text(APP, "utf-8")
        logs = {limit: serve(Path(folder), limit) for limit in options.limit}
        happened = {limit: figures(log, [limit])["as_it_was"] for limit, log in logs.items()}
        print("  limit            in time/s  rejected   p50 ms   p99 ms")
        for limit in options.limit:
            print(row(limit, "happened", happened[limit]))
            for source in options.limit:
                for flag in ((), ("--contention",)):
                    told = figures(logs[source], [limit], *flag)["candidates"][0]
                    name = f"by {source}{' +' if flag else ''}"
                    print(row("", name, told))
    print("\nby N: told from the log of that limit; +: with --contention")


def row(limit: str, name: str, found: dict[str, Any]) -> str:
    """Return a line of the table."""
    rejected = found["rejected"] / found["offered"]
    return (
        f"  {limit:<5} {name:<10} {found['goodput']:9.0f} {100 * rejected:7.1f} %"
        f" {1000 * found['p50']:8.0f} {1000 * found['p99']:8.0f}"
    )


def figures(log: Path, limits: list[str], *flags: str) -> dict[str, Any]:
    """Return what the command prints as JSON."""
    options = [f"--limit={limit}" for limit in limits]
    command = [sys.executable, "-c", SIMULATE, str(log), *options, *flags, "--json"]
    found: dict[str, Any] = json.loads(subprocess.check_output(command))
    return found


def serve(folder: Path, limit: str) -> Path:
    """Return the log of a server with that limit under the load."""
    log = folder / f"{limit}.log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "served:app", "--bind", f"127.0.0.1:{port}"]
    command += ["--workers", "2", "--threads", "32", "--log-level", "warning"]
    command += ["--access-logfile", str(log), "--access-logformat", FORMAT]
    env = os.environ | {"LIMIT": limit}
    server = subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        log.write_text("")  # Without the requests that have waited for the server.
        load(port)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(PATIENCE)
    return log


def wait_for(port: int) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with suppress(OSError):
            ask(port, "/quick")
            return
        time.sleep(0.05)
    raise SystemExit("The server doesn't answer.")


def load(port: int) -> None:
    """Send requests when they are due, whatever has become of those before."""
    chance = random.Random(5)
    paths: queue.Queue[str | None] = queue.Queue()
    clients = [threading.Thread(target=send, args=(port, paths)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    due = time.monotonic()
    for rate, seconds in PHASES:
        end = due + seconds
        while due < end:
            due += chance.expovariate(rate)
            time.sleep(max(0.0, due - time.monotonic()))
            is_quick = chance.random() < 0.15
            paths.put("/quick" if is_quick else f"/database/{chance.randrange(1000)}")
    for _ in clients:
        paths.put(None)
    for client in clients:
        client.join()


def send(port: int, paths: queue.Queue[str | None]) -> None:
    """Send one after the other."""
    while (path := paths.get()) is not None:
        with suppress(OSError, http.client.HTTPException):
            ask(port, path)


def ask(port: int, path: str) -> None:
    """Send one request, and read the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        connection.getresponse().read()
    finally:
        connection.close()


def read_options() -> argparse.Namespace:
    """Return what to compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", nargs="+", default=["4", "12", "24"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
