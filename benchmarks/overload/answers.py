"""What an answer costs a server, with and without the guard, and what a rejection does."""

from __future__ import annotations

import argparse
import shlex
import sys
from statistics import median

from guards import PREFIX
from load import closed_loop
from machine import Machine
from servers import SERVERS
from servers import running
from variants import Variant
from variants import read_variant

PLAIN = read_variant("none")
GUARDED = read_variant("guard")
FULL = read_variant("guard+LIMIT=1+MAX_QUEUE=0")
EMPTY, SLOW = "/empty", "/database"
"""The second one waits for 20 ms; and meanwhile all others are rejected."""

CLIENTS = 16


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--server", nargs="+", choices=SERVERS, default=["gunicorn-gthread-8", "waitress-4", "dev"]
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement (5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each (2)")
    options = parser.parse_args()
    print(f"$ {shlex.join(['python', *sys.argv])}\n")
    print("CPU time of the server in microseconds, for each answer.\n")
    print(f"{'':20}{'empty':>10}{'guarded':>10}{'added':>10}{'rejected':>10}")
    machine = Machine()
    machine.settle()
    for name in options.server:
        plain, guarded, rejected = [], [], []
        for _ in range(options.rounds):
            plain.append(cost(name, PLAIN, EMPTY, machine, options.seconds))
            guarded.append(cost(name, GUARDED, EMPTY, machine, options.seconds))
            rejected.append(cost(name, FULL, SLOW, machine, options.seconds))
        added = median(after / before for before, after in zip(plain, guarded, strict=True)) - 1
        print(
            f"{name:20}{median(plain):10.0f}{median(guarded):10.0f}{added:+10.1%}"
            f"{median(rejected):10.0f}",
            flush=True,
        )


def cost(name: str, variant: Variant, path: str, machine: Machine, seconds: float) -> float:
    """Return how many microseconds of CPU time the server takes for an answer."""
    environment = {f"{PREFIX}CPU_ITERATIONS": "1", **variant.environment()}
    with running(name, environment, machine) as server:
        raw = closed_loop(server, machine, path, CLIENTS, seconds)
        return raw.server_cpu / len(raw.counted()) * 1e6


if __name__ == "__main__":
    main()
