"""Run a real server with the app in it, and talk to it over real sockets."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
TESTS = Path(__file__).resolve().parent.parent
THREADS = 8
PATIENCE = 60.0
"""How long, in seconds, anything may take that must happen. Only a failing test waits for it."""


@dataclass(frozen=True)
class Kind:
    """A server, how it is started, and what is known of it."""

    name: str
    command: tuple[str, ...]
    serial: bool = False
    """Whether it serves one request at a time."""
    bounded: bool = True
    """Whether it has a fixed number of threads."""
    greenlets: bool = False
    file_wrapper: bool = False
    says: str = ""
    """What the guard calls it in its warning, where it can have one."""
    closes: bool = True
    """Whether it calls `close()`. If not, the lease comes back when the body is collected."""
    dies_of: tuple[str, ...] = ()
    """What the app may not do there, whether or not there is a guard."""


def python(*args: str) -> tuple[str, ...]:
    return (sys.executable, *args)


def launched(name: str, threads: str = "{threads}") -> tuple[str, ...]:
    return python("-m", "servers.launch", name, "{port}", threads)


def gunicorn(worker: str, *args: str) -> tuple[str, ...]:
    options = ("-k", worker, "-b", "{host}:{port}", "--worker-tmp-dir", "/dev/shm", *args)
    return python("-m", "gunicorn", *options, "{app}")


def uvicorn(adapter: str) -> tuple[str, ...]:
    options = ("--host", "{host}", "--port", "{port}", "--log-level", "warning")
    return python("-m", "uvicorn", *options, f"servers.asgi:{adapter}")


def uwsgi(option: str) -> tuple[str, ...]:
    script = "from pyuwsgi import run; run()"
    options = ("--master", "--die-on-term", "--need-app", "--threads", "{threads}")
    address = (option, "{host}:{port}")
    return python("-c", script, *address, *options, "--module={app}")


GRANIAN = python(
    "-m", "granian", "--interface", "wsgi", "--host", "{host}", "--port", "{port}",
    "--blocking-threads", "{threads}", "--no-ws", "{app}",
)  # fmt: skip


KINDS = {
    kind.name: kind
    for kind in (
        Kind("dev", launched("dev"), bounded=False),
        Kind(
            "dev-serial",
            launched("dev_serial"),
            serial=True,
            dies_of=("raise_boom", "raise_system_exit", "raise_boom_mid_stream"),
            says="Flask's development server",
        ),
        Kind(
            "gunicorn-sync",
            gunicorn("sync"),
            serial=True,
            file_wrapper=True,
            says="gunicorn (sync)",
        ),
        Kind(
            "gunicorn-gthread",
            gunicorn("gthread", "--threads", "{threads}"),
            file_wrapper=True,
            says="gunicorn (gthread)",
        ),
        Kind(
            "gunicorn-gevent",
            gunicorn("gevent", "--worker-connections", "1000"),
            bounded=False,
            greenlets=True,
            file_wrapper=True,
        ),
        Kind("waitress", launched("waitress"), file_wrapper=True, says="waitress"),
        Kind("cheroot", launched("cheroot"), dies_of=("raise_system_exit",), says="cheroot"),
        Kind("uwsgi", uwsgi("--http-socket"), file_wrapper=True, says="uWSGI"),
        Kind("uwsgi-http", uwsgi("--http"), file_wrapper=True, says="uWSGI"),
        Kind("granian", GRANIAN, says="granian"),
        Kind(
            "gevent",
            launched("gevent", "0"),
            bounded=False,
            greenlets=True,
            dies_of=("raise_system_exit",),
        ),
        Kind(
            "eventlet",
            launched("eventlet", "0"),
            bounded=False,
            greenlets=True,
            dies_of=("raise_system_exit",),
        ),
        Kind("a2wsgi", uvicorn("a2wsgi"), says="a2wsgi"),
        Kind(
            "asgiref",
            uvicorn("asgiref"),
            serial=True,
            closes=False,
            says="asgiref's WsgiToAsgi",
        ),
    )
}
CONCURRENT = tuple(name for name, kind in KINDS.items() if not kind.serial)
DEV_PROCESSES = Kind("dev-processes", launched("dev_processes"))


def wait_until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Ask `condition` again and again until it is true; return what it says."""
    deadline = time.monotonic() + patience
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {patience} s in vain: {what}"
        time.sleep(0.005)
    return answer


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def process(self) -> int:
        (value,) = self.headers.get_all("X-Process-Id", [])
        return int(value)

    @property
    def thread(self) -> int:
        (value,) = self.headers.get_all("X-Thread-Id", [])
        return int(value)


class Server:
    """A server that runs. Made by `start`."""

    def __init__(self, kind: Kind, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.kind = kind
        self.port = port
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    @property
    def is_up(self) -> bool:
        return self.process.poll() is None

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> Answer:
        connection = self.connect()
        try:
            return ask(connection, path, method, body, **headers)
        finally:
            connection.close()

    def state(self) -> dict[str, Any]:
        """Return what the guard and the app say of themselves, from a request that is exempt."""
        answer = self.ask("/exempt/state")
        assert answer.status == 200, answer
        state: dict[str, Any] = answer.json
        return state

    def set_limit(self, limit: int) -> None:
        assert self.ask(f"/exempt/limit?to={limit}").status == 200

    def wait_until_idle(self, patience: float = PATIENCE) -> dict[str, Any]:
        """Wait until the guard has every lease back; return the state then."""
        last: dict[str, Any] = {}

        def idle() -> bool:
            # A worker that is being replaced doesn't answer.
            with suppress(OSError, http.client.HTTPException):
                last.update(self.state())
                told = last["told"]
                # One that was collected is told of when the next lease comes.
                all_told = told["admitted"] == told["released"] or not self.kind.closes
                return last["in_flight"] == 0 and last["inside"] == 0 and all_told
            return False

        wait_until(idle, f"idle, {last}", patience)
        return last

    @contextmanager
    def asking(self, path: str, times: int) -> Iterator[list[Future[Answer]]]:
        """Ask `times` at the same time, each over a connection of its own."""
        with ThreadPoolExecutor(times) as pool:
            yield [pool.submit(self.ask, path) for _ in range(times)]

    def open_socket(self) -> socket.socket:
        return socket.create_connection((HOST, self.port), timeout=PATIENCE)

    def send(self, head: str, body: bytes = b"") -> socket.socket:
        """Return a socket that has just sent the request, host and all."""
        connection = self.open_socket()
        connection.sendall(f"{head}\r\nHost: {HOST}:{self.port}\r\n\r\n".encode() + body)
        return connection

    def pings_until(self, condition: Callable[[Answer], bool], what: str) -> Answer:
        """Ask again and again, a worker may be away; return the first answer that fits."""
        answers: list[Answer] = []

        def fits() -> bool:
            with suppress(OSError, http.client.HTTPException):
                answers.append(self.ask("/ping"))
                return condition(answers[-1])
            return False

        wait_until(fits, what)
        return answers[-1]

    def stop(self) -> None:
        """End the server and all that it started, at once: some take seconds to end themselves."""
        group = self.process.pid
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self.process.wait(PATIENCE)
        wait_until(lambda: not is_group_alive(group), "no process of the server is left")


def ask(
    connection: http.client.HTTPConnection,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    **headers: str,
) -> Answer:
    connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    response = connection.getresponse()
    return Answer(response.status, response.msg, response.read())


def is_group_alive(group: int) -> bool:
    """Return whether a process of `group` runs; one that is dead and not yet reaped doesn't."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            _, _, fields = stat.read_text().rpartition(")")
            state, _, of_group = fields.split()[:3]
            if int(of_group) == group and state not in "ZX":
                return True
    return False


def reset(connection: socket.socket) -> None:
    """Leave without a good-bye: the server's next write fails."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def start(
    kind: Kind, *extra: str, app: str = "servers.app:application", threads: int = THREADS,
    env: dict[str, str] | None = None, **settings: object,
) -> Iterator[Server]:  # fmt: skip
    """Run a server.

    :param extra: more arguments, before the app.
    :param app: the app, for servers that are commands.
    :param settings: of the guard, without their prefix: ``limit=2``.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        server = _start(kind, extra, app, threads, _environment(env, settings, threads), log)
        try:
            yield server
        finally:
            server.stop()


def _environment(
    env: dict[str, str] | None, settings: dict[str, object], threads: int
) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH", ""))))
    prefixed = {
        f"FLASK_CONCURRENCY_GUARD_{key.upper()}": value
        if isinstance(value, str)
        else json.dumps(value)
        for key, value in settings.items()
    }
    # Requests that a test holds up are no overload; nor do the tests go on when they are old.
    for key in ("CODEL_TARGET", "MAX_AGE"):
        prefixed.setdefault(f"FLASK_CONCURRENCY_GUARD_{key}", "null")
    own = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "TEST_THREADS": str(threads)}
    return {**os.environ, **own, **prefixed, **(env or {})}


def _start(
    kind: Kind, extra: tuple[str, ...], app: str, threads: int, env: dict[str, str], log: Path
) -> Server:
    for _ in range(3):
        values = {"host": HOST, "port": free_port(), "threads": threads, "app": app}
        *command, last = [part.format(**values) for part in kind.command]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, *extra, last],
                env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True, cwd=log.parent,
            )  # fmt: skip
        server = Server(kind, values["port"], process, log)
        try:
            wait_until(partial(_answers_or_ended, server), "the server answers")
        except BaseException:
            server.stop()
            raise
        if server.is_up:
            return server
        server.stop()  # Somebody was faster to take the port.
    raise AssertionError(f"{kind.name} did not start:\n{log.read_text()}")


def _answers_or_ended(server: Server) -> bool:
    if not server.is_up:
        return True
    with suppress(OSError, http.client.HTTPException):
        return server.ask("/exempt/ping").status == 200
    return False
