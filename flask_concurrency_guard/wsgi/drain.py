"""Read what a rejected client is still sending, within bounds.

Some servers close a connection with unread data in it, which resets it: a client that is still
sending sees a broken pipe and not the answer. The others read the rest themselves, or have read
it before the app was called; there is nothing to do on those.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from contextlib import contextmanager
from contextlib import suppress
from typing import TYPE_CHECKING

from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_input_stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from _typeshed.wsgi import WSGIEnvironment

MAX_BYTES = 16 * 1024 * 1024
MAX_SECONDS = 2.0
CHUNK = 64 * 1024


def drain(
    environ: WSGIEnvironment, max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS
) -> None:
    """Read and forget the request's body where the server would reset the connection otherwise.

    :param max_bytes: read no more than this.
    :param max_seconds: take no longer than this.
    """
    if _is_granian(environ):
        _read_aside(get_input_stream(environ), max_bytes, max_seconds)
    elif (connection := _connection(environ)) is not None:
        with _deaf_after(max_seconds, connection):
            _read(get_input_stream(environ), max_bytes, time.monotonic() + max_seconds)


def has_body(environ: WSGIEnvironment) -> bool:
    """Return whether the request announces a body."""
    return environ.get("CONTENT_LENGTH") not in (None, "", "0") or (
        "HTTP_TRANSFER_ENCODING" in environ
    )


def _is_granian(environ: WSGIEnvironment) -> bool:
    # To read there would ask the client for what it has not sent yet.
    return environ.get("SERVER_SOFTWARE") == "Granian" and "HTTP_EXPECT" not in environ


def _connection(environ: WSGIEnvironment) -> int | None:
    """Return the descriptor of the connection; None where the server needs no help."""
    connection: int | None = None
    if "gunicorn.socket" in environ:
        connection = environ["gunicorn.socket"].fileno()
    elif "uwsgi.version" in environ and "HTTP_EXPECT" not in environ:
        connection = sys.modules["uwsgi"].connection_fd()
    return connection


def _read(stream: IO[bytes], max_bytes: int, deadline: float) -> None:
    with suppress(OSError, ClientDisconnected):
        while max_bytes > 0 and time.monotonic() < deadline:
            data = stream.read(min(CHUNK, max_bytes))
            if not data:
                return
            max_bytes -= len(data)


def _read_aside(stream: IO[bytes], max_bytes: int, max_seconds: float) -> None:
    """Read, but wait for it no longer than `max_seconds`: granian doesn't show the connection.

    The thread ends when the client sends something more, or is gone.
    """
    args = (stream, max_bytes, time.monotonic() + max_seconds)
    reader = threading.Thread(target=_read, args=args, daemon=True)
    reader.start()
    reader.join(max_seconds)


@contextmanager
def _deaf_after(seconds: float, connection: int) -> Iterator[None]:
    """Let reads from `connection` find its end after `seconds`; writing goes on working.

    A timeout for each read would not do: a client that sends a byte from time to time meets them
    all, and the servers come back from a read only with as much as they were asked for.
    """
    # Not the server's own object, which may be one for TLS, and would forget its keys. The timer
    # has ended before the number can be that of another connection.
    with socket.socket(fileno=os.dup(connection)) as duplicate:
        timer = threading.Timer(seconds, _close_ear, (duplicate,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def _close_ear(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
