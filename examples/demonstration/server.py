"""The server under load: a process of its own that runs `app.py`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

APP = Path(__file__).resolve().parent.parent / "app.py"
START_SECONDS = 30.0
STOP_SECONDS = 5.0

_LISTENING = re.compile(r"http://127\.0\.0\.1:(\d+)")
_THREADS = re.compile(r"^Threads:\s*(\d+)", re.MULTILINE)


class ServerFailed(Exception):
    """The server ended before it was told to, or never began to listen."""


class Server:
    """A running server."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log
        self.port = self._wait_for_port()

    def _wait_for_port(self) -> int:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if listening := _LISTENING.search(self.log()):
                return int(listening[1])
            time.sleep(0.02)
        raise ServerFailed(f"The server did not start. It said:\n{self.log()}")

    def log(self) -> str:
        """Return all that the server has logged."""
        return self._log.read_text("utf-8", errors="replace")

    def threads(self) -> int:
        """Return how many threads the server has now; 0 where the system doesn't tell."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text("ascii", "replace")
        except OSError:
            return 0
        found = _THREADS.search(status)
        return int(found[1]) if found else 0

    def get(self, path: str) -> bytes:
        """Return the body of the answer to one request."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=START_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def counts(self) -> dict[str, int]:
        """Return what the app itself has counted."""
        counts: dict[str, int] = json.loads(self.get("/counts"))
        return counts


@contextmanager
def running_server(settings: dict[str, str], command: list[str] | None = None) -> Iterator[Server]:
    """Run the server for as long as the context lasts.

    :param settings: what to add to its environment.
    :param command: what to start; Flask's own server where not given.
    """
    # Flask's own variables could turn on the reloader, which forks.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
    environ.pop("UNGUARDED", None)
    with tempfile.TemporaryDirectory(prefix="demo-", ignore_cleanup_errors=True) as folder:
        log = Path(folder, "server.log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                # 0: the system picks a port that is free.
                command or [sys.executable, str(APP), "0"],
                env=environ | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"} | settings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Server(process, log)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
