"""What may stand in front of the app: nothing, a semaphore, the age prototype, or the guard."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.wsgi import ClosingIterator

from flask_concurrency_guard import ConcurrencyGuard

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment

GUARDS = {
    "none": "no guard",
    "semaphore": "20-line semaphore",
    "guard": "this guard",
    "age": "age prototype",
}
"""What they are called on the command line, and in tables."""

PREFIX = "OVERLOAD_"
LAST_DATA_RECEIVED = 52
"""Where `tcpi_last_data_recv` stands in Linux's `struct tcp_info`: four bytes, milliseconds."""


def put_in_front(app: Flask) -> None:
    """Put in front of the app what the environment asks for."""
    name = os.environ.get(f"{PREFIX}GUARD", "none")
    if name == "semaphore":
        limit = int(os.environ.get(f"{PREFIX}LIMIT", "8"))
        app.wsgi_app = Semaphore(app.wsgi_app, limit)  # type: ignore[method-assign]
    elif name == "age":
        limit = int(os.environ.get(f"{PREFIX}LIMIT", "12"))
        max_age = float(os.environ.get(f"{PREFIX}MAX_AGE", "0.1"))
        app.wsgi_app = Age(app.wsgi_app, limit, max_age)  # type: ignore[method-assign]
    elif name == "guard":
        app.config.from_prefixed_env()
        ConcurrencyGuard(app)


class Semaphore:
    """What one writes in twenty lines: so many at a time, and nobody waits."""

    def __init__(self, app: WSGIApplication, limit: int) -> None:
        self.app = app
        self.places = BoundedSemaphore(limit)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self.places.acquire(blocking=False):
            return busy(start_response)
        try:
            body = self.app(environ, start_response)
        except BaseException:
            self.places.release()
            raise
        return ClosingIterator(body, self.places.release)


class Age(Semaphore):
    """The semaphore, behind a look at how long the request has stood in the queue."""

    def __init__(self, app: WSGIApplication, limit: int, max_age: float) -> None:
        super().__init__(app, limit)
        self.max_age = max_age

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if age(environ) > self.max_age:
            return busy(start_response)
        return super().__call__(environ, start_response)


def busy(start_response: StartResponse) -> Iterable[bytes]:
    """Reject a request."""
    headers = [("Content-Type", "text/plain"), ("Content-Length", "4")]
    start_response("503 Service Unavailable", headers)
    return [b"busy"]


def age(environ: WSGIEnvironment) -> float:
    """Return how many seconds ago the last bytes came from the client; 0.0 if nobody knows."""
    connection = find_socket(environ)
    if connection is None:
        return 0.0
    size = LAST_DATA_RECEIVED + 4
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
    milliseconds: int = struct.unpack_from("I", info, LAST_DATA_RECEIVED)[0]
    return milliseconds / 1000


def find_socket(environ: WSGIEnvironment) -> socket.socket | None:
    """Return the client's socket, where the server shows it."""
    for key in ("gunicorn.socket", "werkzeug.socket"):
        if key in environ:
            found: socket.socket = environ[key]
            return found
    if check := environ.get("waitress.client_disconnected"):
        channel: socket.socket = check.__self__.socket
        return channel
    return None
