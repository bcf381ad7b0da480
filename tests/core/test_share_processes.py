"""Real processes share a limit; they are killed, stopped and forked, and it holds."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path

import pytest
from core_support import wait_until
from share_worker import LEASE_TIME
from share_worker import make_account
from valkey_server import new_name

from flask_concurrency_guard.core.decisions import Reason
from flask_concurrency_guard.core.host.borrower import FRESH

pytestmark = pytest.mark.servers

WORKER = Path(__file__).resolve().parent.parent / "share_worker.py"
SECONDS = float(os.environ.get("SHARE_CHURN_SECONDS", "3"))
TO_START = 60.0
"""How many seconds a process may take to start: those that run leave it little of the processor."""


class Worker:
    """A process, see `share_worker`."""

    def __init__(self, folder: Path, where: str, number: int, limit: int, *what: str) -> None:
        self.number = number
        self.process = subprocess.Popen(
            [sys.executable, "-P", WORKER, folder, str(number), where, str(limit), *what],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        print(command, file=self.process.stdin, flush=True)

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, command: str) -> str:
        self.tell(command)
        return self.answer()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.process.send_signal(signal.SIGSTOP)
        yield
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> str:
        """Kill it, and what it has forked; return what it has logged."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        _, errors = self.process.communicate(timeout=10)
        return errors


Start = Callable[..., Worker]


def waited(answer: str) -> float:
    """Return how long somebody has waited for a place, in seconds; there must have been one."""
    assert answer not in set(Reason), f"there was no place: {answer}"
    return float(answer)


@pytest.fixture(params=["host", "cluster"])
def scope(request: pytest.FixtureRequest) -> str:
    scope: str = request.param
    return scope


@pytest.fixture
def start(request: pytest.FixtureRequest, scope: str, tmp_path: Path) -> Iterator[Start]:
    workers: list[Worker] = []
    make_account(tmp_path)
    where = str(tmp_path / "private/app.host")
    if scope == "cluster":
        where = f"{request.getfixturevalue('valkey').url}?{new_name()}"

    def start_one(limit: int, *what: str) -> Worker:
        workers.append(Worker(tmp_path, where, len(workers), limit, *(what or ("obey",))))
        return workers[-1]

    yield start_one
    for worker in workers:
        if worker.process.returncode is None:
            worker.end()


def test_a_killed_process_gives_its_places_back(start: Start, scope: str) -> None:
    first, second = start(2), start(2)
    assert waited(first.ask("acquire")) == 0
    assert waited(first.ask("acquire")) == 0
    second.tell("acquire")
    first.end()
    waited(second.answer())
    assert waited(second.ask("acquire")) == 0
    assert ("died with 2 in flight" in second.end()) is (scope == "host")


def test_a_forked_child_keeps_nothing_of_its_dead_parent(start: Start) -> None:
    parent, other = start(1), start(1)
    assert waited(parent.ask("acquire")) == 0
    assert parent.ask("fork") == "forked"
    other.tell("acquire")
    os.kill(parent.process.pid, signal.SIGKILL)
    waited(other.answer())


def test_who_starves_is_served_while_others_know_of_it(start: Start) -> None:
    """The median, of places that come free in another process while it holds some itself."""
    rich, poor = start(2), start(2)
    waits = []
    for _ in range(21):
        waited(rich.ask("acquire"))
        waited(rich.ask("acquire"))
        poor.tell("acquire")
        rich_released = time.monotonic()
        assert rich.ask("release") == "released"
        waited(poor.answer())
        waits.append(time.monotonic() - rich_released)
        assert poor.ask("release") == rich.ask("release") == "released"
    assert sorted(waits)[10] < FRESH / 1000


def test_the_limit_is_changed_for_processes_that_wait(start: Start) -> None:
    first, second = start(1), start(1)
    assert waited(first.ask("acquire")) == 0
    second.tell("acquire")
    assert first.ask("limit 2") == "2"
    waited(second.answer())


@pytest.mark.parametrize(("limit", "threads"), [(1, 2), (6, 4), (64, 24)])
def test_the_limit_holds_whatever_is_killed_when(
    start: Start, scope: str, tmp_path: Path, limit: int, threads: int
) -> None:
    """By an account that doesn't ask the limiter. Set SHARE_CHURN_SECONDS for a longer run."""
    served = make_account(tmp_path)
    workers = [start(limit, "churn", str(threads)) for _ in range(4)]
    for worker in workers:
        wait_until(lambda: served[worker.number] > 0, TO_START)  # noqa: B023
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        at = random.randrange(len(workers))
        if random.random() < 0.5:
            # Wherever it is: with a place, with the mutex, with the lock of the account.
            with workers[at].stopped():
                time.sleep(random.random() * 0.1)
        else:
            workers[at].end()
            workers[at] = new = start(limit, "churn", str(threads))
            wait_until(lambda: served[new.number] > 0, TO_START)  # noqa: B023
        before = list(served)
        # Whatever has happened, all go on.
        wait_until(lambda: all(served[w.number] > before[w.number] for w in workers))  # noqa: B023
    for worker in workers:
        worker.end()
    assert not (tmp_path / "beyond").exists(), (tmp_path / "beyond").read_text()
    # And the whole limit is there again.
    last = start(limit)
    for _ in range(limit):
        assert waited(last.ask("acquire")) <= (0 if scope == "host" else LEASE_TIME + 1)
