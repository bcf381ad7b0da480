"""Four gunicorn workers: a limit for each, then one for all of them, and what a dead one leaves."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from .clients import Crowd
from .report import show_columns
from .screen import Screen
from .server import APP
from .server import Server
from .server import ServerFailed
from .server import running_server

WORKERS = 4
THREADS = 16
HELD = 5.0
PATIENCE = 20.0
_BOOTED = re.compile(r"Booting worker with pid")
_BEGINS = re.compile(r"^INFO process=(\d+) .* begins$", re.MULTILINE)
_DIED = re.compile(r"^WARNING .*Worker \d+ died .*$", re.MULTILINE)


def show_workers(screen: Screen, requests: int, limit: int, seconds: float) -> None:
    """Tell the story.

    :param requests: how many clients ask at once.
    :param limit: how many may be in flight.
    :param seconds: how long each request takes.
    """
    if find_spec("gunicorn") is None:
        raise ServerFailed("This needs gunicorn: 'pip install gunicorn'.")
    screen.say(
        f"{requests} clients within {seconds / 2:g} s, and gunicorn with {WORKERS} workers of"
        f" {THREADS} threads. The limit is {limit}, nobody may wait, and each request takes"
        f" {seconds:g} s."
    )
    screen.write()
    served: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        with _gunicorn("process", limit, folder) as server:
            served["SCOPE=process"] = _served(server, requests, seconds)
        with _gunicorn("host", limit, folder) as server:
            served["SCOPE=host"] = _served(server, requests, seconds)
            show_columns(
                screen,
                list(served),
                {
                    "in flight at once": [str(number) for number in served.values()],
                    "answered 503": [str(requests - number) for number in served.values()],
                },
            )
            screen.write()
            _show_death(screen, server, limit, seconds)
    screen.say(
        "That was examples/app.py, with CONCURRENCY_GUARD_SCOPE = 'host'. No service, no thread:"
        " a file that all workers map, and locks that the kernel drops when their holder dies."
    )


@contextmanager
def _gunicorn(scope: str, limit: int, folder: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--chdir"]
    command += [str(APP.parent), "--workers", str(WORKERS), "--threads", str(THREADS)]
    # A worker that is first to have imported the app would be alone for a while.
    command += ["--preload", "app:app"]
    settings = {
        "FLASK_CONCURRENCY_GUARD_SCOPE": scope,
        "FLASK_CONCURRENCY_GUARD_DIR": str(Path(folder, "places")),
        "FLASK_CONCURRENCY_GUARD_LIMIT": str(limit),
        "FLASK_CONCURRENCY_GUARD_MAX_QUEUE": "0",
    }
    with running_server(settings, command) as server:
        _wait_until(lambda: len(_BOOTED.findall(server.log())) == WORKERS)
        yield server


def _served(server: Server, requests: int, seconds: float) -> int:
    # Not all at once: whichever worker is awake first would accept them all.
    crowd = Crowd(server.port, f"/slow?seconds={seconds:g}", requests, within=seconds / 2)
    crowd.start()
    _wait_until(lambda: crowd.done == requests)
    return sum(answer.status == 200 for answer in crowd.answers)


def _show_death(screen: Screen, server: Server, limit: int, seconds: float) -> None:
    before = len(_BEGINS.findall(server.log()))
    crowd = Crowd(server.port, f"/slow?seconds={HELD:g}", limit)
    crowd.start()
    _wait_until(lambda: len(_BEGINS.findall(server.log())) == before + limit)
    holding = Counter(_BEGINS.findall(server.log())[before:])
    victim, places = holding.most_common(1)[0]
    screen.say(f"Now {limit} are in flight again, for {HELD:g} s, in these workers:")
    screen.quote("\n".join(f"process {pid}: {number}" for pid, number in holding.items()))
    os.kill(int(victim), signal.SIGKILL)
    killed = time.perf_counter()
    # Who comes now may find that worker's socket, and nobody behind it.
    _wait_until(lambda: b'"process"' in server.get("/slow?seconds=0"))
    waited = time.perf_counter() - killed
    screen.say(
        f"Process {victim} was killed, and {waited * 1000:.0f} ms later its places are others'."
        f" In the log:"
    )
    _wait_until(lambda: _DIED.search(server.log()) is not None)
    died = _DIED.search(server.log())
    assert died is not None
    screen.quote(died[0])
    again = _served(server, 4 * limit, seconds)
    screen.say(
        f"{4 * limit} clients ask once more, and {again} are served at once: {places} places were"
        " free. None is lost, and there is none too many."
    )


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if condition():
                return
        except (OSError, EOFError):
            pass
        time.sleep(0.002)
    raise ServerFailed("The server does not go on as expected.")
