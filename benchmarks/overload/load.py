"""Let the generator loose on a server, and watch what the server does meanwhile."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from figures import Raw
from machine import Machine
from servers import Server

GENERATOR = Path(__file__).resolve().parent / "generator.py"
LEAD_SECONDS = 0.4
"""From when a run is planned to its first request: the generator must have started by then."""
SPARE_SECONDS = 30.0
"""How much longer than planned a run may take before the lab gives it up."""

Phase = tuple[float, float]
"""So many requests a second, for so many seconds."""


class GeneratorFailed(Exception):
    """The generator ended without a result."""


def arrivals(phases: Sequence[Phase], seed: str, even: bool = False) -> list[float]:
    """Return when requests come, in seconds from the first phase on.

    As many as planned in each phase, at random times: a Poisson process, less the chance in how
    many they are. The same seed gives the same times, so that all variants get the same load.

    :param even: at regular intervals instead.
    """
    chance = random.Random(seed)
    due: list[float] = []
    begin = 0.0
    for rate, seconds in phases:
        number = round(rate * seconds)
        places = range(number) if even else sorted(chance.random() * number for _ in range(number))
        due.extend(begin + place * seconds / number for place in places)
        begin += seconds
    return due


def open_loop(
    server: Server,
    machine: Machine,
    path: str,
    due: Sequence[float],
    window: tuple[float, float],
    deadline: float,
) -> Raw:
    """Send requests when they are due, whatever becomes of them.

    :param due: when, in seconds from the beginning of the run.
    :param window: from when to when a request must be due to count.
    :param deadline: after how many seconds a client gives up.
    """
    start = time.monotonic() + LEAD_SECONDS
    plan = {
        "port": server.port,
        "path": path,
        "deadline": deadline,
        "due": [start + offset for offset in due],
        # By then the last request that counts has ended in one way or another. A moment more, for
        # the generator to notice.
        "until": start + window[1] + deadline + 0.1,
    }
    return _run(server, machine, plan, start + window[0], start + window[1])


def closed_loop(
    server: Server, machine: Machine, path: str, clients: int, seconds: float, warm_up: float = 0.3
) -> Raw:
    """Let so many clients each send a request as soon as it has the answer to the one before."""
    begin = time.monotonic() + LEAD_SECONDS + warm_up
    plan = {
        "port": server.port,
        "path": path,
        "deadline": SPARE_SECONDS,
        "clients": clients,
        "until": begin + seconds,
    }
    return _run(server, machine, plan, begin, begin + seconds)


def _run(server: Server, machine: Machine, plan: dict[str, Any], begin: float, end: float) -> Raw:
    process = subprocess.Popen(
        [sys.executable, "-S", str(GENERATOR)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # A Ctrl-C is for the lab, which ends this, too.
    )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(plan).encode())
        process.stdin.close()
        process.stdin = None  # `communicate` would flush it.
        cpu_before, busy_before = _wait_and_look(server, machine, begin)
        cpu_after, busy_after = _wait_and_look(server, machine, end)
        output, _ = process.communicate(timeout=SPARE_SECONDS + plan["deadline"])
    except (BrokenPipeError, subprocess.TimeoutExpired):
        raise GeneratorFailed("The load generator hangs, or ended too early.") from None
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise GeneratorFailed(f"The load generator ended with status {process.returncode}.")
    server.check()
    result = json.loads(output)
    busy = None if busy_after is None or busy_before is None else busy_after - busy_before
    outcomes = [(due, status, took) for due, status, took in result["outcomes"]]
    return Raw(outcomes, result["lags"], begin, end, cpu_after - cpu_before, busy)


def _wait_and_look(server: Server, machine: Machine, until: float) -> tuple[float, float | None]:
    time.sleep(max(until - time.monotonic(), 0))
    return server.cpu_seconds(), machine.busy_seconds()
