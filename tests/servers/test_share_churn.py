"""Two gunicorns share a limit, under load; workers are killed, stopped and recycled."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from contextlib import closing
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest
from servers.running import KINDS
from servers.running import Server
from servers.running import start
from servers.running import wait_until
from share_worker import LEASE_TIME
from share_worker import make_account
from valkey_server import Valkey
from valkey_server import new_name

from flask_concurrency_guard.core.host.store import HostStore
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.shared import SharedLimiter
from flask_concurrency_guard.core.store import Store

SECONDS = float(os.environ.get("SHARE_CHURN_SECONDS", "3"))
LIMITS = [1, 6, 64] if "SHARE_CHURN_SECONDS" in os.environ else [6]
CLIENTS = 12
EXTRA = ("--workers", "4", "--max-requests", "300", "--max-requests-jitter", "200")


class Clients:
    """Threads that ask, one request after the other, and often leave before the end."""

    def __init__(self, servers: list[Server]) -> None:
        self.statuses: dict[int, int] = {}
        self._servers = servers
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        while not self._over.is_set():
            server = random.choice(self._servers)
            path = random.choice(["/work", "/work", "/work", "/raise", "/stream"])
            # A killed worker's clients get no answer.
            with suppress(OSError, HTTPException), closing(server.connect()) as connection:
                connection.request("GET", path)
                if random.random() < 0.2:
                    continue
                answer = connection.getresponse()
                if path != "/stream" or random.random() < 0.5:
                    answer.read()
                with self._lock:
                    self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)


def workers_of(server: Server) -> list[int]:
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def disturb(servers: list[Server]) -> None:
    pids = workers_of(random.choice(servers))
    if not pids:
        return
    with suppress(ProcessLookupError):
        if random.random() < 0.5:
            os.kill(random.choice(pids), signal.SIGKILL)
        else:
            pid = random.choice(pids)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(random.random() * LEASE_TIME / 5)
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("scope", ["host", "cluster"])
def test_the_limit_holds_whatever_becomes_of_workers(
    request: pytest.FixtureRequest, tmp_path: Path, scope: str, limit: int
) -> None:
    """By the app's own account. Set SHARE_CHURN_SECONDS for a longer run, and more limits."""
    make_account(tmp_path)
    settings: dict[str, object] = {"scope": scope, "limit": limit, "name": new_name()}
    store: Callable[[], Store]
    if scope == "host":
        settings["dir"] = str(tmp_path / "host")
        path = tmp_path / "host" / f"{settings['name']}.host"
        store = lambda: HostStore(path, limit)  # noqa: E731
    else:
        valkey: Valkey = request.getfixturevalue("valkey")
        settings |= {"store_url": valkey.url, "store_timeout": 0.1, "lease_time": LEASE_TIME}
        # With so many processes, even a server that is well may be late. The limit holds anyhow.
        settings["on_store_error"] = "closed"
        store = lambda: valkey.store(str(settings["name"]), limit)  # noqa: E731
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                start(
                    KINDS["gunicorn-gthread"], *EXTRA, app="servers.churned:application",
                    env={"CHURN_FOLDER": str(tmp_path)}, **settings,
                )
            )
            for _ in range(2)
        ]  # fmt: skip
        clients = Clients(servers)
        try:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                served = clients.statuses.get(200, 0)
                disturb(servers)
                # Whatever has happened, they go on.
                wait_until(lambda: clients.statuses.get(200, 0) > served + 10, "it goes on")  # noqa: B023
        finally:
            clients.end()
        assert not (tmp_path / "beyond").exists(), (tmp_path / "beyond").read_text()
        assert clients.statuses[500] > 0
        # Nothing is left behind: somebody else can have all there is.
        other = SharedLimiter(store(), max_queue=1, max_wait=LEASE_TIME + 2)
        leases = [other.acquire() for _ in range(limit)]
        assert all(isinstance(lease, Lease) for lease in leases)
        for lease in leases:
            assert isinstance(lease, Lease)
            lease.release()
        complaints = [
            line
            for server in servers
            for line in server.log.splitlines()
            if "can't be used" in line and "Timeout" not in line
        ]
        assert complaints == []
