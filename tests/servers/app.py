"""The app that runs behind the guard under every server: Flask views and raw WSGI shapes.

It counts on its own who is inside, and signals tell it what the guard does, so that the tests
need not take the guard's word for it. Views don't sleep: they wait at a gate that the test opens.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
import warnings
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from flask import Flask
from flask import Response
from flask import request
from flask import send_file
from werkzeug.middleware.lint import LintMiddleware
from wsgiref.validate import validator

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import TagFilter
from flask_concurrency_guard import request_admitted
from flask_concurrency_guard import request_released

LINTERS = {"": lambda app: app, "validate": validator, "lint": LintMiddleware}

handler = logging.StreamHandler()
handler.setFormatter(logging.Formatter("LOG %(name)s %(process_id)s %(thread_id)s: %(message)s"))
handler.addFilter(TagFilter())
logging.basicConfig(level=logging.WARNING, handlers=[handler])
warnings.simplefilter("always")


class Counter:
    """How many are inside now, and how many were at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.peak = 0

    def __enter__(self) -> None:
        with self._lock:
            self.now += 1
            self.peak = max(self.peak, self.now)

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self.now -= 1


class Boom(BaseException):
    """What only a bare `except` catches."""


inside = Counter()
told = {"admitted": 0, "released": 0, "sendfile": 0}
telling = threading.Lock()


def count(what: str) -> None:
    with telling:
        told[what] += 1


def wait_at(gate: str) -> None:
    """Wait until the test opens the gate, which is a port it listens on."""
    host, _, port = gate.partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.recv(1)


def greenlet_id() -> int | None:
    greenlet = sys.modules.get("greenlet")
    current = greenlet.getcurrent() if greenlet is not None else None
    return None if current is None or current.parent is None else id(current)


def who() -> dict[str, Any]:
    return {
        "process": os.getpid(),
        "thread": threading.get_native_id(),
        "greenlet": greenlet_id(),
        "tagged_process": request.environ.get("flask_concurrency_guard.process_id"),
        "tagged_thread": request.environ.get("flask_concurrency_guard.thread_id"),
    }


# Raw WSGI: one function for each shape that a response can have.

PLAIN = [("Content-Type", "text/plain")]
SHAPES: dict[str, Any] = {}


def shape(function: Any) -> Any:
    SHAPES[function.__name__] = function
    return function


@shape
def list_with_length(environ: Any, start: Any) -> Iterable[bytes]:
    start("200 OK", [*PLAIN, ("Content-Length", "4")])
    return [b"body"]


@shape
def list_of_one(environ: Any, start: Any) -> Iterable[bytes]:
    start("200 OK", PLAIN)
    return [b"body"]


@shape
def list_of_two(environ: Any, start: Any) -> Iterable[bytes]:
    start("200 OK", PLAIN)
    return [b"bo", b"dy"]


@shape
def tuple_of_one(environ: Any, start: Any) -> Iterable[bytes]:
    start("200 OK", PLAIN)
    return (b"body",)


@shape
def empty_list(environ: Any, start: Any) -> Iterable[bytes]:
    start("200 OK", [*PLAIN, ("Content-Length", "0")])
    return []


@shape
def generator(environ: Any, start: Any) -> Iterable[bytes]:
    start("200 OK", PLAIN)
    return (chunk for chunk in (b"bo", b"dy"))


@shape
def generator_with_length(environ: Any, start: Any) -> Iterable[bytes]:
    start("200 OK", [*PLAIN, ("Content-Length", "4")])
    return (chunk for chunk in (b"bo", b"dy"))


@shape
def lazy_start(environ: Any, start: Any) -> Iterator[bytes]:
    start("200 OK", [*PLAIN, ("Content-Length", "4")])
    yield b"body"


@shape
def no_content(environ: Any, start: Any) -> Iterable[bytes]:
    start("204 No Content", [])
    return []


@shape
def not_modified(environ: Any, start: Any) -> Iterable[bytes]:
    start("304 Not Modified", [("ETag", '"1"')])
    return []


@shape
def write(environ: Any, start: Any) -> Iterable[bytes]:
    start("200 OK", [*PLAIN, ("Content-Length", "4")])(b"bo")
    return [b"dy"]


@shape
def second_start(environ: Any, start: Any) -> Iterable[bytes]:
    start("200 OK", [*PLAIN, ("Content-Length", "4")])
    try:
        raise ValueError("on purpose")
    except ValueError:
        start("500 Oops", [*PLAIN, ("Content-Length", "5")], sys.exc_info())
    return [b"error"]


@shape
def what_start_returns(environ: Any, start: Any) -> Iterable[bytes]:
    returned = start("200 OK", PLAIN)
    return [type(returned).__name__.encode()]


@shape
def raise_in_call(environ: Any, start: Any) -> Iterable[bytes]:
    raise ValueError("on purpose")


@shape
def raise_boom(environ: Any, start: Any) -> Iterable[bytes]:
    raise Boom("on purpose")


@shape
def raise_system_exit(environ: Any, start: Any) -> Iterable[bytes]:
    raise SystemExit("on purpose")


@shape
def raise_stop_iteration(environ: Any, start: Any) -> Iterable[bytes]:
    raise StopIteration


@shape
def raise_before_first(environ: Any, start: Any) -> Iterator[bytes]:
    start("200 OK", PLAIN)
    raise ValueError("on purpose")
    yield b""


@shape
def raise_mid_stream(environ: Any, start: Any) -> Iterator[bytes]:
    start("200 OK", PLAIN)
    yield b"body"
    raise ValueError("on purpose")


@shape
def raise_boom_mid_stream(environ: Any, start: Any) -> Iterator[bytes]:
    start("200 OK", PLAIN)
    yield b"body"
    raise Boom("on purpose")


class RaisesAtClose:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __iter__(self) -> Iterator[bytes]:
        yield b"body"

    def close(self) -> None:
        raise self.error


@shape
def raise_in_close(environ: Any, start: Any) -> Iterable[bytes]:
    start("200 OK", [*PLAIN, ("Content-Length", "4")])
    return RaisesAtClose(ValueError("on purpose"))


class CountingFile:
    """A real file that tells who reads it; with ``sendfile`` nobody does."""

    reads: list[int] = []

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb")  # noqa: SIM115
        self.fileno = self._file.fileno
        self.tell, self.seek = self._file.tell, self._file.seek
        type(self).reads = []

    def read(self, *size: int) -> bytes:
        self.reads.append(threading.get_native_id())
        return self._file.read(*size)

    def __iter__(self) -> Iterator[bytes]:
        self.reads.append(threading.get_native_id())
        return iter(self._file)

    def close(self) -> None:
        self._file.close()


@shape
def file_with_length(environ: Any, start: Any) -> Iterable[bytes]:
    path = query(environ, "path")
    start("200 OK", [*PLAIN, ("Content-Length", str(os.path.getsize(path)))])
    return wrapped(environ, CountingFile(path))


@shape
def file_without_length(environ: Any, start: Any) -> Iterable[bytes]:
    start("200 OK", PLAIN)
    return wrapped(environ, CountingFile(query(environ, "path")))


def wrapped(environ: Any, file: CountingFile) -> Iterable[bytes]:
    if "wsgi.file_wrapper" in environ:
        return environ["wsgi.file_wrapper"](file, 64 * 1024)
    return iter(lambda: file.read(64 * 1024), b"")


@shape
def stream(environ: Any, start: Any) -> Iterator[bytes]:
    """Send a chunk, wait at the gate, then send slowly until somebody stops it."""
    start("200 OK", PLAIN)
    with inside:
        yield b"first" * 1000
        wait_at(query(environ, "gate"))
        for _ in range(int(query(environ, "chunks"))):
            time.sleep(0.005)
            yield b"chunk" * 1000


@shape
def flood(environ: Any, start: Any) -> Iterator[bytes]:
    """Send more than all the buffers on the way can hold."""
    start("200 OK", [*PLAIN, ("Content-Length", str(64 << 20))])
    for _ in range(64):
        yield b"x" * (1 << 20)


def query(environ: Any, name: str) -> str:
    pairs = (pair.partition("=") for pair in environ["QUERY_STRING"].split("&"))
    return {key: value for key, _, value in pairs}[name]


class RawShapes:
    """Serve ``/raw/<shape>`` below the guard, and everything else with Flask."""

    def __init__(self, wsgi_app: Any) -> None:
        self.wsgi_app = wsgi_app

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        name = environ["PATH_INFO"].rpartition("/raw/")[2]
        return SHAPES.get(name, self.wsgi_app)(environ, start_response)


def make_app() -> tuple[Flask, ConcurrencyGuard]:
    app = Flask(__name__)
    app.config.from_prefixed_env()
    app.config["CONCURRENCY_GUARD_EXEMPT"] = ["/exempt/*"]
    linter = LINTERS[os.environ.get("TEST_LINTER", "")]
    app.wsgi_app = linter(RawShapes(app.wsgi_app))  # type: ignore[method-assign]
    guard = ConcurrencyGuard(app)
    app.wsgi_app = linter(app.wsgi_app)  # type: ignore[method-assign]

    @app.route("/ping", methods=["GET", "POST"])
    def ping() -> Any:
        return who()

    @app.get("/hold")
    def hold() -> Any:
        with inside:
            wait_at(request.args["gate"])
        return who()

    @app.get("/churn")
    def churn() -> Any:
        with inside:
            time.sleep(0.002)
        return who()

    @app.post("/read")
    def read() -> Any:
        return {"size": len(request.get_data())}

    @app.get("/file")
    def file() -> Any:
        return send_file(request.args["path"], mimetype="application/octet-stream")

    @app.get("/generate")
    def generate() -> Any:
        return Response(str(number) for number in range(10))

    @app.get("/exempt/ping")
    def exempt_ping() -> Any:
        return who()

    @app.get("/exempt/unavailable")
    def exempt_unavailable() -> Any:
        return "busy", 503

    @app.get("/exempt/limit")
    def exempt_limit() -> Any:
        guard.set_limit(int(request.args["to"]))
        inside.peak = inside.now
        told.update(dict.fromkeys(told, 0))
        return {}

    @app.get("/exempt/state")
    def exempt_state() -> Any:
        snapshot = asdict(guard.snapshot())
        return {
            **who(),
            **snapshot,
            "inside": inside.now,
            "inside_peak": inside.peak,
            "told": told,
            "reads": CountingFile.reads,
            "main_thread": threading.main_thread().native_id,
            "parent": os.getppid(),
        }

    return app, guard


def count_sendfile() -> None:
    """Count the calls of `os.sendfile`, which is how Python's servers send files."""
    sendfile = os.sendfile

    def counted(*args: Any, **options: Any) -> int:
        count("sendfile")
        return sendfile(*args, **options)

    os.sendfile = counted


def on_admitted(sender: object, **extra: object) -> None:
    count("admitted")


def on_released(sender: object, **extra: object) -> None:
    count("released")


count_sendfile()
application, guard = make_app()
if not os.environ.get("TEST_NO_SIGNALS"):
    request_admitted.connect(on_admitted)
    request_released.connect(on_released)
