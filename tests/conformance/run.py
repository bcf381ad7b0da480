"""Run Flask's own test suite plain and with the guard on every app, and compare each test.

    make conformance
    make conformance ARGS="--flask 3.0.3"
    make conformance ARGS="--suite flask-login"

It fails if a test that passes plain doesn't pass guarded, or if a lease is held when a test is
over. The run at a limit of 4 is for information: a test may well hold more responses than that.
What it needs is fetched from PyPI once, into a folder beside the interpreter it runs on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = Path(sys.prefix) / "conformance"

PLAIN = "plain"
GUARDED = "guarded"
LIMITED = "limit 4, no wait"
RUNS: dict[str, list[str]] = {PLAIN: [], GUARDED: [], LIMITED: ["--guard-limit=4"]}
OUTCOMES = ("passed", "failed", "error", "skipped")

# Flask's tests import a name from inside of pytest that pytest 9 no longer has.
PYTEST = "pytest<9"


class Suite(NamedTuple):
    """A project whose sdist ships its tests, and what they need beside it and pytest."""

    requirements: Sequence[str]
    arguments: Sequence[str] = ()


SUITES = {
    "flask": Suite(["asgiref", "greenlet", "python-dotenv"]),
    "flask-cors": Suite([]),
    "flask-limiter": Suite(
        [
            "flask[async]",
            "flask-restful",
            "flask-restx",
            "hiro",
            "pymemcache",
            "pymongo",
            "pytest-check",
            "pytest-mock",
            "redis",
            "rich<15",
        ],
        # Its own ask for a coverage report. Tests of its databases need Docker, and are left in
        # error, plain and guarded.
        ["--override-ini=addopts="],
    ),
    "flask-login": Suite(["asgiref", "semantic-version"]),
}


class Place(NamedTuple):
    """Where the tests are, and the folder of their environment and of what comes out."""

    project: Path
    home: Path


class Failed(Exception):
    """A command that is needed has failed; its output is the message."""


@dataclass
class Run:
    """How the tests ended, by their ids, and what the guard saw."""

    outcomes: dict[str, str]
    messages: dict[str, str]
    seconds: float
    apps: int = 0
    admitted: int = 0
    rejected: int = 0
    held: dict[str, int] = field(default_factory=dict)
    collected: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--flask", default=version("flask"), help="the version, e.g. 3.0.3")
    parser.add_argument("--suite", default="flask", choices=SUITES, help="whose tests to run")
    options = parser.parse_args()
    try:
        place = set_up(options.suite, options.flask)
        runs = {name: run(place, name, options.suite) for name in RUNS}
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 2
    return report(runs)


def set_up(suite: str, flask: str) -> Place:
    """Fetch the project's sdist, and make an environment to run its tests in."""
    project = fetch(suite, flask if suite == "flask" else None)
    home = CACHE / (f"flask-{flask}" if suite == "flask" else f"{project.name}-on-{flask}")
    requirements = [
        f"flask=={flask}",
        # Flask 3.0 is tested with what there was in its time.
        *(["click<8.2", "werkzeug==3.0.*"] if flask.startswith("3.0.") else []),
        *([str(project)] if suite != "flask" else []),
        PYTEST,
        *SUITES[suite].requirements,
        "--editable",
        str(ROOT),
    ]
    install(home / "venv", requirements)
    return Place(project, home)


def fetch(name: str, wanted: str | None) -> Path:
    """Return the unpacked sdist of a project, the newest where no version is wanted."""
    folder = CACHE / "sdists" / f"{name}-{wanted or 'newest'}"
    if not folder.is_dir():
        requirement = f"{name}=={wanted}" if wanted else name
        print(f"-- fetching the sdist of {requirement}", flush=True)
        download = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(download, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        check([*pip, "--no-binary", name, "--dest", str(download), requirement])
        with tarfile.open(next(download.glob("*.tar.gz"))) as archive:
            # Before Python 3.11.4 there are no filters.
            archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            archive.extractall(download)
        download.rename(folder)
    return next(path for path in folder.iterdir() if path.is_dir())


def install(venv: Path, requirements: Sequence[str]) -> None:
    """Make a virtual environment with these, unless it is there."""
    wanted = "\n".join([*requirements, (ROOT / "setup.cfg").read_text("utf-8")])
    stamp = venv / "installed"
    if stamp.is_file() and stamp.read_text("utf-8") == wanted:
        return
    print(f"-- setting up {venv}", flush=True)
    check([sys.executable, "-m", "venv", "--clear", str(venv)])
    check([str(venv / "bin/python"), "-m", "pip", "install", "--quiet", *requirements])
    stamp.write_text(wanted, "utf-8")


def check(command: Sequence[str]) -> None:
    finished = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if finished.returncode:
        raise Failed(f"'{' '.join(command)}' has failed:\n{finished.stdout}")


def run(place: Place, name: str, suite: str) -> Run:
    """Run the suite in a process of its own, whose output goes to a file."""
    print(f"-- running {name}", flush=True)
    log, outcomes, guarded = (
        place.home / f"{name.replace(', ', '-').replace(' ', '-')}{suffix}"
        for suffix in (".log", ".outcomes.json", ".guarded.json")
    )
    outcomes.unlink(missing_ok=True)
    guarded.unlink(missing_ok=True)
    command = [str(place.home / "venv/bin/python"), "-m", "pytest", "-p", "no:cacheprovider"]
    command += ["-p", "outcomes_plugin", f"--outcomes={outcomes}"]
    if name != PLAIN:
        command += ["-p", "guard_plugin", f"--guarded={guarded}", *RUNS[name]]
    command += SUITES[suite].arguments
    ours = ("PYTEST_", "FLASK_", "CONCURRENCY_GUARD_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    environment["PYTHONPATH"] = str(HERE)
    started = time.monotonic()
    with log.open("w") as output:
        subprocess.run(
            command,
            cwd=place.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    seconds = time.monotonic() - started
    try:
        found = json.loads(outcomes.read_text("utf-8"))
        if name != PLAIN:
            found |= json.loads(guarded.read_text("utf-8"))
    except FileNotFoundError:
        printed = log.read_text("utf-8", errors="replace")
        raise Failed(f"pytest came to no end, see '{log}':\n{printed}") from None
    return Run(**found, seconds=seconds)


def report(runs: dict[str, Run]) -> int:
    """Print what was found. Return the exit status."""
    print_table(runs)
    print_failures(runs[PLAIN])
    for name in (GUARDED, LIMITED):
        print_differences(name, runs[name], runs[PLAIN])
    problems = find_problems(runs[PLAIN], runs[GUARDED])
    print()
    print("\n".join(problems) or "Nothing breaks, and no lease was left held.")
    return 1 if problems else 0


def print_table(runs: dict[str, Run]) -> None:
    """Print the numbers; `by gc` are the tests whose leases only the collector gave back."""
    columns = (*OUTCOMES, "seconds", "apps", "admitted", "rejected", "by gc", "held")
    print("\n" + " " * 18 + "".join(f"{column:>10}" for column in columns))
    for name, each in runs.items():
        counts = Counter(each.outcomes.values())
        cells = [str(counts[outcome]) for outcome in OUTCOMES] + [f"{each.seconds:.1f}"]
        if name != PLAIN:
            held = sum(each.held.values())
            counted = (each.apps, each.admitted, each.rejected, len(each.collected), held)
            cells += map(str, counted)
        print(f"{name:<18}" + "".join(f"{cell:>10}" for cell in cells))


def print_failures(plain: Run) -> None:
    failed = [test for test, outcome in plain.outcomes.items() if outcome in ("failed", "error")]
    if failed:
        print("\nThese fail even plain:")
    for test in failed:
        print(f"  {test}: {plain.messages[test]}")


def differences(run: Run, plain: Run) -> dict[str, tuple[str, str]]:
    """Return how those tests ended plain and now that ended differently."""
    tests = {**plain.outcomes, **run.outcomes}
    pairs = {
        test: (plain.outcomes.get(test, "missing"), run.outcomes.get(test, "missing"))
        for test in tests
    }
    return {test: pair for test, pair in pairs.items() if pair[0] != pair[1]}


def print_differences(name: str, run: Run, plain: Run) -> None:
    found = differences(run, plain)
    print(f"\n{name}: {len(found)} of {len(plain.outcomes)} tests end differently.")
    for test, (before, after) in found.items():
        print(f"  {test}: {before} -> {after}: {run.messages.get(test, '')}")
    for test, held in run.held.items():
        print(f"  {test}: {held} still held")


def find_problems(plain: Run, guarded: Run) -> list[str]:
    """Return what must not be, a line for each."""
    broken = [pair for pair in differences(guarded, plain).values() if pair[0] == "passed"]
    problems = []
    if "passed" not in plain.outcomes.values():
        problems.append("No test passed even plain, so nothing was compared.")
    if not guarded.admitted:
        problems.append("No request met the guard, so nothing was compared.")
    if broken:
        problems.append(f"{len(broken)} tests that pass plain don't pass guarded.")
    if guarded.held:
        problems.append(f"{len(guarded.held)} tests have left a lease held.")
    return problems


if __name__ == "__main__":
    sys.exit(main())
