"""One raw WSGI function for each shape that a response can have."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import ClassVar


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


def wait_at(gate: str) -> None:
    """Wait until the test opens the gate, which is a port it listens on."""
    host, _, port = gate.partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.recv(1)


inside = Counter()
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

    reads: ClassVar[list[int]] = []

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("rb")  # noqa: SIM115
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
    start("200 OK", [*PLAIN, ("Content-Length", str(Path(path).stat().st_size))])
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
