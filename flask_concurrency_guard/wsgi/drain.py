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

    from _typeshed.wsgi import WSGIEnvironment

MAX_BYTES = 16 * 1024 * 1024
MAX_SECONDS = 2.0
CHUNK = 8 * 1024


def drain(
    environ: WSGIEnvironment, max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS
) -> None:
    """Read and forget the request's body where the server would reset the connection otherwise.

    :param max_bytes: read no more than this.
    :param max_seconds: take no longer than this; on granian, no longer than this and the read
        that is under way then.
    """
    deadline = time.monotonic() + max_seconds
    if (connection := _connection(environ)) is not None:
        with _deaf_after(max_seconds, connection):
            _read(environ, max_bytes, deadline)
    elif environ.get("SERVER_SOFTWARE") == "Granian" and not _waits_to_be_asked(environ):
        # It doesn't show the connection. Nor can another thread do the reading while this one
        # answers in time: both end up waiting for each other inside of granian, with the GIL.
        _read(environ, max_bytes, deadline)


def has_body(environ: WSGIEnvironment) -> bool:
    """Return whether the request announces a body."""
    return environ.get("CONTENT_LENGTH") not in (None, "", "0") or (
        "HTTP_TRANSFER_ENCODING" in environ
    )


def _connection(environ: WSGIEnvironment) -> int | None:
    """Return the descriptor of a connection that needs our help; None where none does."""
    connection: int | None = None
    if "gunicorn.socket" in environ:
        connection = environ["gunicorn.socket"].fileno()
    elif "uwsgi.version" in environ and not _waits_to_be_asked(environ):
        connection = sys.modules["uwsgi"].connection_fd()
    return connection


def _waits_to_be_asked(environ: WSGIEnvironment) -> bool:
    # gunicorn has done so already; the others ask when somebody reads.
    return "HTTP_EXPECT" in environ


def _read(environ: WSGIEnvironment, max_bytes: int, deadline: float) -> None:
    stream = get_input_stream(environ)
    with suppress(OSError, ClientDisconnected):
        while max_bytes > 0 and time.monotonic() < deadline:
            data = stream.read(min(CHUNK, max_bytes))
            if not data:
                return
            max_bytes -= len(data)


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
