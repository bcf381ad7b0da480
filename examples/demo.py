"""Show what the guard does: a real server and real clients, first without it and then with it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import sys
import time
from importlib.metadata import version
from types import FrameType

from demonstration.clients import Crowd
from demonstration.providers import show_json
from demonstration.report import Run
from demonstration.report import show_answer
from demonstration.report import show_table
from demonstration.screen import Screen
from demonstration.server import Server
from demonstration.server import ServerFailed
from demonstration.server import running_server
from demonstration.workers import show_workers

_TAGGED = re.compile(r"^\w+ process=\d+ thread=\d+ .*$", re.MULTILINE)
_BAR = 20


def main() -> int:
    """Run the demonstration. Return its exit status."""
    options = read_options()
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _leave)
    screen = Screen(sys.stdout)
    try:
        demonstrate(screen, options)
    except KeyboardInterrupt:
        screen.leave_line()
        screen.say("Interrupted. The server is stopped.")
        return 130
    except ServerFailed as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # Whoever was reading has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _leave(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)


def read_options() -> argparse.Namespace:
    """Return the options of the command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100, help="how many at once (100)")
    parser.add_argument("--limit", type=int, default=10, help="how many in flight (10)")
    parser.add_argument("--sleep", type=float, default=1.0, help="seconds that each takes (1)")
    parser.add_argument(
        "--scope",
        choices=("process", "host"),
        default="process",
        help="'host': show how four gunicorn workers share a limit",
    )
    options = parser.parse_args()
    if options.requests < 1 or options.limit < 1 or not 0 < options.sleep <= 60:
        parser.error("'--requests' and '--limit' must be at least 1, '--sleep' 60 at most.")
    return options


def demonstrate(screen: Screen, options: argparse.Namespace) -> None:
    """Tell the whole story."""
    if options.scope == "host":
        show_workers(screen, options.requests, options.limit, options.sleep)
        return
    screen.say(
        f"{options.requests} clients at once ask for a view that takes {options.sleep:g} s. The"
        " server is Flask's own, which starts a thread for each."
    )
    screen.say(
        f"(Flask {version('flask')}, Python {platform.python_version()}, limit {options.limit})",
        "dim",
    )
    screen.write()
    unguarded = run(screen, options, "unguarded", {"UNGUARDED": "1"})
    guarded = run(screen, options, "guarded", guard_settings(options))
    screen.write()
    show_table(screen, unguarded, guarded)
    show_summary(screen, guarded)
    show_responses(screen, guarded)
    show_json(screen, unguarded.numbers, guarded.numbers)
    screen.say("That was examples/app.py, and the guard is two lines in it.")


def guard_settings(options: argparse.Namespace) -> dict[str, str]:
    """Return the environment of the guarded server.

    The line is as long as the limit. Whoever stands in it gets a turn when the first are done.
    """
    return {
        "FLASK_CONCURRENCY_GUARD_LIMIT": str(options.limit),
        "FLASK_CONCURRENCY_GUARD_MAX_QUEUE": str(options.limit),
        "FLASK_CONCURRENCY_GUARD_MAX_WAIT": str(2 * options.sleep + 1),
    }


def run(screen: Screen, options: argparse.Namespace, name: str, settings: dict[str, str]) -> Run:
    """Put one server under load, and return what was measured."""
    with running_server(settings) as server:
        crowd = Crowd(server.port, f"/slow?seconds={options.sleep:g}", options.requests)
        crowd.start()
        threads = watch(screen, name, server, crowd)
        numbers = server.get("/numbers").decode().strip()
        counts = server.counts()
        log = _TAGGED.findall(server.log())
    served = [json.loads(answer.body) for answer in crowd.answers if answer.status == 200]
    return Run(
        requests=options.requests,
        answers=crowd.answers,
        failures=crowd.failures,
        seconds=crowd.seconds,
        peak=counts["peak"],
        threads=max(threads, counts["threads"]),
        processes=len({one["process"] for one in served}),
        numbers=numbers,
        log=log,
    )


def watch(screen: Screen, name: str, server: Server, crowd: Crowd) -> int:
    """Show how far the clients are. Return the most threads that the server was seen with."""
    most = 0
    while True:
        done = crowd.done
        threads = server.threads()
        most = max(most, threads)
        last = done == crowd.requests
        bar = "#" * (_BAR * done // crowd.requests)
        screen.progress(
            f"{name:9}  [{bar:{_BAR}}]  {done:4} answered  {threads:4} threads"
            f"  {crowd.elapsed:4.1f} s",
            last=last,
        )
        if last:
            return most
        time.sleep(0.01)


def show_summary(screen: Screen, guarded: Run) -> None:
    """Say in words what the table means."""
    served, rejected = len(guarded.with_status(200)), len(guarded.with_status(503))
    screen.write()
    screen.say(
        f"With the guard {served} were served, never more than {guarded.peak} at a time, and"
        f" {rejected} were told at once to come back later. A view that only sleeps has room for"
        " everybody; one that needs a CPU or a database has not."
    )
    screen.write()


def show_responses(screen: Screen, guarded: Run) -> None:
    """Show what the guard lets people see."""
    if rejected := guarded.with_status(503):
        show_answer(screen, "A rejected request", rejected[len(rejected) // 2])
    if admitted := guarded.with_status(200):
        show_answer(screen, "An admitted request", admitted[0])
    screen.say("From the server's log:", "bold")
    screen.quote("\n".join(example_lines(guarded.log)))


def example_lines(log: list[str]) -> list[str]:
    """Return the last lines of the view, of the server's access log, and of the guard."""
    of_view = [line for line in log if line.endswith("begins")]
    of_server = [line for line in log if "/slow" in line and '" 200' in line]
    of_guard = [line for line in log if line.startswith("WARNING")]
    return of_view[-1:] + of_server[-1:] + of_guard[-1:]


if __name__ == "__main__":
    sys.exit(main())
