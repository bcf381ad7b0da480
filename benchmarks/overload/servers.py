"""The servers under load, and how each is started, stopped and watched."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from http.client import HTTPException
from pathlib import Path

from machine import Machine

HOST = "127.0.0.1"
HERE = Path(__file__).resolve().parent
START_SECONDS = 30.0
LAST_WORDS = 3000
"""How many characters of a failed server's log to show."""

GUNICORN = (
    "-m", "gunicorn", "-b", f"{HOST}:{{port}}", "--worker-tmp-dir", "/dev/shm", "app:application",
)  # fmt: skip
UWSGI = (
    "-c", "from pyuwsgi import run; run()", "--http-socket", f"{HOST}:{{port}}", "--master",
    "--die-on-term", "--need-app", "--disable-logging", "--module", "app:application",
)  # fmt: skip
GRANIAN = (
    "-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", "{port}", "--no-ws",
    "app:application",
)  # fmt: skip

SERVERS = {
    "dev": ("launch.py", "dev", "{port}", "0"),
    "gunicorn-gthread-8": (*GUNICORN, "-k", "gthread", "--threads", "8"),
    "gunicorn-gthread-64": (*GUNICORN, "-k", "gthread", "--threads", "64"),
    "gunicorn-gthread-200": (*GUNICORN, "-k", "gthread", "--threads", "200"),
    "gunicorn-gthread-4x16": (
        *GUNICORN,
        "-k",
        "gthread",
        "--threads",
        "16",
        "--workers",
        "4",
        "--preload",
    ),
    "gunicorn-sync-2": (*GUNICORN, "-k", "sync", "--workers", "2"),
    "waitress-4": ("launch.py", "waitress", "{port}", "4"),
    "waitress-16": ("launch.py", "waitress", "{port}", "16"),
    "uwsgi-8": (*UWSGI, "--threads", "8"),
    "granian": GRANIAN,
}
"""What comes after `python` to start each. What isn't said here is as the server likes it."""


class ServerFailed(Exception):
    """The server did not start, or ended before it was told to."""


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise `ServerFailed` if it no longer runs."""
        if self.process.poll() is not None:
            words = self.log.read_text("utf-8", "replace")[-LAST_WORDS:].strip()
            raise ServerFailed(f"'{self.name}' ended by itself. The end of its log:\n{words}")

    def cpu_seconds(self) -> float:
        """Return the CPU time that all its processes have used, dead children included."""
        ticks = sum(map(_ticks, _family(self.process.pid)))
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(name: str, environment: Mapping[str, str], machine: Machine) -> Iterator[Server]:
    """Run a server that answers, for as long as the context lasts.

    :param environment: what to add to its environment.
    """
    with tempfile.TemporaryDirectory(prefix="overload-", ignore_cleanup_errors=True) as folder:
        server = _start(name, environment, machine, Path(folder, "log"))
        try:
            _wait_for_answer(server)
            yield server
        finally:
            _stop(server)


def _start(name: str, environment: Mapping[str, str], machine: Machine, log: Path) -> Server:
    # Flask's own variables could turn on the reloader, or configure the guard.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("FLASK_")}
    # What one has set goes on: it may say which checkout of the package is measured.
    path = os.pathsep.join(filter(None, (str(HERE), inherited.get("PYTHONPATH"))))
    port = _free_port()
    command = [sys.executable, *(part.format(port=port) for part in SERVERS[name])]
    with log.open("wb") as output, machine.on_server_cpu():
        process = subprocess.Popen(
            command,
            cwd=HERE,
            env={**inherited, "PYTHONPATH": path, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Server(name, port, process, log)


def _wait_for_answer(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        server.check()
        with suppress(OSError, HTTPException):
            connection = HTTPConnection(HOST, server.port, timeout=START_SECONDS)
            try:
                connection.request("GET", "/empty")
                if connection.getresponse().status == 200:
                    return
            finally:
                connection.close()
        time.sleep(0.02)
    raise ServerFailed(f"'{server.name}' gave no answer within {START_SECONDS:.0f} seconds.")


def _stop(server: Server) -> None:
    # At once: what an overloaded server would still do before it ends is of no interest.
    with suppress(ProcessLookupError):
        os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _family(process: int) -> Iterator[int]:
    """Yield a process and all its descendants; the servers fork from their main threads."""
    yield process
    with suppress(OSError):
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            yield from _family(int(child))


def _ticks(process: int) -> int:
    with suppress(OSError):
        # The name of the program, in parentheses, may have spaces in it.
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return 0
