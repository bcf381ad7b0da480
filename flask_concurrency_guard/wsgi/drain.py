"""Read what a rejected client is still sending, within bounds.

Some servers close a connection with unread data in it, which resets it: a client that is still
sending sees a broken pipe and not the answer. The others read the rest themselves, or have read
it before the app was called; there is nothing to do on those.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextlib import suppress
from typing import TYPE_CHECKING
from typing import Any

from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_input_stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIEnvironment

MAX_BYTES = 16 * 1024 * 1024
MAX_SECONDS = 2.0
CHUNK = 64 * 1024


def drain(
    environ: WSGIEnvironment, max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS
) -> None:
    """Read and forget the request's body where the server would reset the connection otherwise.

    :param max_bytes: read no more than this.
    :param max_seconds: take no longer than this. Where the server shows no socket, the time is
        only looked at between two reads.
    """
    if not _resets_unread(environ):
        return
    deadline = time.monotonic() + max_seconds
    with suppress(OSError, ClientDisconnected), _socket_timeout(environ, max_seconds):
        stream = get_input_stream(environ)
        while max_bytes > 0 and time.monotonic() < deadline:
            data = stream.read(min(CHUNK, max_bytes))
            if not data:
                return
            max_bytes -= len(data)


def has_body(environ: WSGIEnvironment) -> bool:
    """Return whether the request announces a body."""
    return environ.get("CONTENT_LENGTH") not in (None, "", "0") or (
        "HTTP_TRANSFER_ENCODING" in environ
    )


def _resets_unread(environ: WSGIEnvironment) -> bool:
    if "gunicorn.socket" in environ:
        return True
    if "HTTP_EXPECT" in environ:
        return False  # Reading would ask the client for what it has not sent yet.
    return "uwsgi.version" in environ or environ.get("SERVER_SOFTWARE") == "Granian"


@contextmanager
def _socket_timeout(environ: WSGIEnvironment, seconds: float) -> Iterator[None]:
    """Let no single read wait for longer than `seconds`, where the socket can be had."""
    socket: Any = environ.get("gunicorn.socket")
    if socket is None:
        yield
        return
    before = socket.gettimeout()
    socket.settimeout(seconds)
    try:
        yield
    finally:
        socket.settimeout(before)
