"""What a place costs: in one process, and shared by all of a host, by different means."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import shlex
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.synchronize import BoundedSemaphore
from pathlib import Path
from statistics import median
from typing import Any

import portalocker
from timing import Times
from timing import measure

from flask_concurrency_guard.core.host.store import HostStore
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.shared import SharedLimiter

PROCESSES = 4
FEW = 2  # A limit that processes contend for.
PLENTY = 64
WANTING = 32
HELD = 0.005
SPAWN = multiprocessing.get_context("spawn")

Try = Callable[[], bool]
"""Take a place and give it back; return false where there was none."""


def of_limiter(limiter: Limiter) -> Try:
    """Return how a limiter is used."""

    def attempt() -> bool:
        lease = limiter.acquire()
        return isinstance(lease, Lease) and lease.release()

    return attempt


def process(folder: Path, limit: int, shared: Any) -> Try:
    """Return an attempt at the limiter of one process."""
    return of_limiter(Limiter(limit, max_wait=0))


def host(folder: Path, limit: int, shared: Any) -> Try:
    """Return an attempt at the limiter of all processes."""
    return of_limiter(SharedLimiter(HostStore(folder / "host" / "app", limit), max_wait=0))


def semaphore(folder: Path, limit: int, shared: BoundedSemaphore) -> Try:
    """Return an attempt at Python's own semaphore for processes, which leaks when one dies."""

    def attempt() -> bool:
        if not shared.acquire(block=False):
            return False
        shared.release()
        return True

    return attempt


def locked_files(folder: Path, limit: int, shared: Any) -> Try:
    """Return an attempt at portalocker's semaphore, which locks one of several files."""

    def attempt() -> bool:
        places = portalocker.NamedBoundedSemaphore(
            limit, name="places", directory=str(folder), timeout=0
        )
        if places.acquire(fail_when_locked=True) is None:
            return False
        places.release()
        return True

    def quiet() -> bool:
        try:
            return attempt()
        except portalocker.AlreadyLocked:
            return False

    return quiet


CONTENDERS = {
    "scope process": process,
    "scope host": host,
    "multiprocessing.BoundedSemaphore": semaphore,
    "portalocker.BoundedSemaphore": locked_files,
}


def measure_alone(rounds: int) -> Times:
    """Measure all in one process, where there is plenty."""
    with tempfile.TemporaryDirectory() as folder:
        shared = SPAWN.BoundedSemaphore(PLENTY)
        calls: dict[str, Callable[[], object]] = {
            name: make(Path(folder), PLENTY, shared) for name, make in CONTENDERS.items()
        }
        return measure(calls, rounds)  # type: ignore[arg-type]


def contend(
    name: str, folder: Path, limit: int, shared: Any, seconds: float, barrier: Any, results: Any
) -> None:
    """Attempt as fast as one can, beside others. Runs in a process of its own."""
    attempt = CONTENDERS[name](folder, limit, shared)
    attempt()
    barrier.wait()
    end = time.monotonic() + seconds
    began, tries, served = time.thread_time(), 0, 0
    while time.monotonic() < end:
        for _ in range(20):
            served += attempt()
        tries += 20
    results.put(((time.thread_time() - began) / tries * 1e6, served / tries))


def measure_together(name: str, limit: int, seconds: float) -> tuple[float, float]:
    """Return the CPU time of an attempt, in microseconds, and which share of them succeeded."""
    with tempfile.TemporaryDirectory() as folder:
        shared, barrier = SPAWN.BoundedSemaphore(limit), SPAWN.Barrier(PROCESSES)
        results = SPAWN.SimpleQueue()
        args = (name, Path(folder), limit, shared, seconds, barrier, results)
        processes = [SPAWN.Process(target=contend, args=args) for _ in range(PROCESSES)]
        for one in processes:
            one.start()
        got = [results.get() for _ in processes]
        for one in processes:
            one.join()
    return median(time for time, _ in got), median(share for _, share in got)


def serve(
    folder: Path, limit: int, threads: int, seconds: float, barrier: Any, counts: Any
) -> None:
    """Serve as much as one may, with others who want to; put how much into `counts`."""
    limiter = SharedLimiter(
        HostStore(folder / "host" / "app", limit), max_queue=threads, max_wait=seconds
    )
    served: list[int] = []

    def work() -> None:
        number, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            lease = limiter.acquire()
            if isinstance(lease, Lease):
                time.sleep(HELD)
                lease.release()
                number += 1
        served.append(number)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    barrier.wait()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    counts.put(sum(served))


def measure_shares(limit: int, processes: int, seconds: float) -> list[int]:
    """Return how many places a second each of some processes has had, of which all want more."""
    with tempfile.TemporaryDirectory() as folder:
        barrier, counts = SPAWN.Barrier(processes), SPAWN.SimpleQueue()
        args = (Path(folder), limit, WANTING // processes, seconds, barrier, counts)
        started = [SPAWN.Process(target=serve, args=args) for _ in range(processes)]
        for one in started:
            one.start()
        got = [counts.get() for _ in started]
        for one in started:
            one.join()
    return sorted(round(count / seconds) for count in got)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="of each measurement (50)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of processes contending (1)")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.machine()}")
    alone = measure_alone(options.rounds)
    print(f"\nA place taken and given back, in us. Alone: limit {PLENTY}, and nobody else has any.")
    print(f"By {PROCESSES} processes: each as fast as it can, none of them waits.\n")
    print(f"{'':34}{'alone':>8}{'ratio':>8}{f'{PROCESSES}, limit {PLENTY}':>16}"
          f"{f'{PROCESSES}, limit {FEW}':>14}{'had one':>9}")  # fmt: skip
    for name in CONTENDERS:
        plenty, _ = measure_together(name, PLENTY, options.seconds)
        few, share = measure_together(name, FEW, options.seconds)
        ratio = alone.ratio(name, "scope process")
        print(f"{name:34}{alone.of(name):8.2f}{ratio:8.2f}{plenty:16.2f}{few:14.2f}{share:9.0%}")
    print(
        f"\nScope host: {WANTING} threads want a place for {HELD * 1000:g} ms, again and again.\n"
    )
    print(f"{'':34}{'a second':>10}{'ratio':>8}{'each':>14}")
    for limit in (1, FEW, 8):
        whole = None
        for processes in (1, 4, 8):
            rates = measure_shares(limit, processes, 4 * options.seconds)
            whole = whole or sum(rates)
            name = f"limit {limit}, {processes} process{'es' * (processes > 1)}"
            each = f"{rates[0]} to {rates[-1]}"
            print(f"{name:34}{sum(rates):10}{sum(rates) / whole:8.2f}{each:>14}")
    print("\nMeasured with:", shlex.join(["python", *sys.argv]))


if __name__ == "__main__":
    main()
