"""What becomes of a real server when more arrives than it can serve, without and with a guard."""

from __future__ import annotations

import os
import platform
import shlex
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path

from lab import Lab
from lab import expected_seconds
from lab import set_up
from lab import tell
from load import GeneratorFailed
from machine import complain
from options import Options
from options import read_options
from picture import draw
from results import NoResults
from results import Results
from results import load_results
from servers import ServerFailed
from summary import write_summary
from table import LEGEND
from table import table

PACKAGES = ("Flask", "gunicorn", "waitress", "pyuwsgi", "granian")


def main() -> int:
    """Measure, print, draw; return the program's status."""
    options = read_options()
    # As at a Ctrl-C: no server may be left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.draw:
            show(load_results(options.out), options)
            return 0
        if complaint := complain():
            raise ServerFailed(complaint)
        return measure(options)
    except (GeneratorFailed, NoResults, ServerFailed) as error:
        print(f"overload: {error}", file=sys.stderr)
        return 1


def measure(options: Options) -> int:
    """Measure all that is asked for. What there is so far is kept, whatever happens."""
    results = Results(setting(options))
    print_setting(results)
    minutes, seconds = divmod(round(expected_seconds(options)), 60)
    tell(f"about {minutes}:{seconds:02} minutes, if no run must be repeated")
    lab = set_up(options)
    lab.rehearse()
    status = 0
    try:
        for server in options.servers:
            for view in options.views:
                status |= measure_group(lab, results, server, view)
    except KeyboardInterrupt:
        tell("interrupted")
        status = 130
    finally:
        finish(results, options.out)
    return status


def measure_group(lab: Lab, results: Results, server: str, view: str) -> int:
    """Measure one view on one server, and print its table; return 1 if the server failed."""
    group = None
    try:
        group = lab.begin(server, view)
        results.groups.append(group)
        for _ in lab.measure(group):
            results.save(lab.options.out)
    except (GeneratorFailed, ServerFailed) as error:
        # The other servers are none the worse for it.
        print(f"\noverload: {error}", file=sys.stderr)
        return 1
    finally:
        if group is not None and group.runs:
            print(f"\n{table(group)}", flush=True)
    return 0


def finish(results: Results, out: Path) -> None:
    """Save and draw what there is."""
    results.save(out)
    if any(group.runs for group in results.groups):
        sum_up(results, out)


def sum_up(results: Results, out: Path) -> None:
    """Draw the pictures and write the summary."""
    files = [*draw(results, out), write_summary(results, out)]
    print(f"\n{LEGEND}\n\n" + "\n".join(map(str, files)))


def show(results: Results, options: Options) -> None:
    """Print and draw what was measured before, as far as it is asked for."""
    results.groups = [
        group
        for group in results.groups
        if group.runs and group.server in options.servers and group.view in options.views
    ]
    print_setting(results)
    for group in results.groups:
        print(f"\n{table(group)}")
    sum_up(results, options.out)


def setting(options: Options) -> dict[str, object]:
    """Say what is measured where, when and how."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return {
        "command": shlex.join(["python", *sys.argv]),
        "when": time.strftime("%Y-%m-%d %H:%M"),
        "python": platform.python_version(),
        "packages": packages,
        "system": f"Linux {platform.release()}, {os.cpu_count()} CPUs",
        "seconds": options.seconds,
        "deadline": options.deadline,
        "arrivals": "even" if options.even else "random",
        "pinned": options.pin,
    }


def print_setting(results: Results) -> None:
    """Print it."""
    said = results.setting
    print(f"$ {said['command']}", flush=True)
    print(f"{said['when']}, Python {said['python']}, {said['packages']}")
    print(f"{said['system']}; clients wait {said['deadline']:g} s; {said['arrivals']} arrivals")


if __name__ == "__main__":
    sys.exit(main())
