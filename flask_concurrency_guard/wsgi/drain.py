"""Read what a rejected client is still sending, within bounds.

Some servers close a connection with unread data in it, which resets it: a client that is still
sending sees a broken pipe and not the answer. The others read the rest themselves, or have read
it before the app was called; there is nothing to do on those.
"""

from __future__ import annotations

import os
import select
import socket
import time
from contextlib import contextmanager
from contextlib import suppress
from typing import TYPE_CHECKING

from . import connections

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIEnvironment

MAX_BYTES = 16 * 1024 * 1024
MAX_SECONDS = 2.0

SHARE_OF_THREADS = 0.5
SHARE_OF_ONE = 0.1
"""For how many seconds a second all of them together may wait for more, on a server with threads
and on one without. Whoever waits keeps a thread from serving others, and that costs a client no
more than a header with a length, and no body."""

SLICE = 0.05
"""For how many seconds to wait at a time, so that all who do share what there is."""

HARMLESS = 64 * 1024
"""A body of this size may stay unread: none of these servers resets a connection for it.

It is also more than any of them has in buffers of its own, but for gunicorn from 27 on.
"""

_CHUNK = 8 * 1024


def drain(
    environ: WSGIEnvironment, max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS
) -> None:
    """Read and forget the request's body where the server would reset the connection otherwise.

    A body that doesn't tell its length is left alone, since there is no telling how much of what
    has arrived is body.

    :param max_bytes: read no more than this.
    :param max_seconds: take no longer than this; on granian, no longer than this and the read
        that is under way then. Less where others have waited lately, see `SHARE_OF_THREADS`.
    """
    length = min(_length(environ), max_bytes)
    if length <= HARMLESS:
        return
    # gunicorn reads ahead, so what is left may have left the connection long ago.
    rest = HARMLESS if "gunicorn.socket" in environ else 0
    share = SHARE_OF_THREADS if environ.get("wsgi.multithread") else SHARE_OF_ONE
    deadline = time.monotonic() + max_seconds
    # Whatever goes wrong here, the client still gets its answer.
    with suppress(Exception), _arrivals(environ) as has_arrived:
        while has_arrived and length > rest and (left := deadline - time.monotonic()) > 0:
            size = min(_CHUNK, length)
            # Twice a chunk, since gunicorn reads a little further than it is asked to.
            wanted = min(2 * _CHUNK, length)
            if _read_ahead(environ) < size and not _wait(has_arrived, wanted, left, share):
                return
            data = environ["wsgi.input"].read(size)
            if not data:
                return
            length -= len(data)


class Allowance:
    """For how many seconds more this process may wait.

    Without a lock: two who take the same moment twice wait a slice longer than they should.
    """

    def __init__(self) -> None:
        self._left = MAX_SECONDS
        self._since = time.monotonic()

    def take(self, seconds: float, share: float) -> float:
        """Return how many of so many seconds there are.

        :param share: how many come back in a second.
        """
        now = time.monotonic()
        left = min(MAX_SECONDS, self._left + (now - self._since) * share)
        taken = min(seconds, max(left, 0.0))
        self._left, self._since = left - taken, now
        return taken

    def give_back(self, seconds: float) -> None:
        """Give back what was not needed."""
        self._left += seconds


allowance = Allowance()


def _wait(
    has_arrived: Callable[[int, float], bool], size: int, longest: float, share: float
) -> bool:
    """Return whether so many bytes arrive in time."""
    end = time.monotonic() + longest
    while (left := end - (began := time.monotonic())) > 0:
        wanted = min(left, SLICE)
        allowed = allowance.take(wanted, share)
        has_come = has_arrived(size, allowed)
        allowance.give_back(max(0.0, allowed - (time.monotonic() - began)))
        if has_come or allowed < wanted:
            return has_come
    return False


def _read_ahead(environ: WSGIEnvironment) -> int:
    """Return how many bytes gunicorn has in its own buffer; from 27 on, up to a megabyte."""
    try:
        return len(environ["wsgi.input"].reader.unreader.buf.getbuffer())
    except AttributeError:
        return 0


def has_body(environ: WSGIEnvironment) -> bool:
    """Return whether the request announces a body."""
    return environ.get("CONTENT_LENGTH") not in (None, "", "0")


def _length(environ: WSGIEnvironment) -> int:
    try:
        return int(environ["CONTENT_LENGTH"])
    except (KeyError, ValueError):
        return 0


@contextmanager
def _arrivals(environ: WSGIEnvironment) -> Iterator[Callable[[int, float], bool] | None]:
    """Yield what waits for some bytes, for some seconds, and returns whether they can be read.

    None where the server does all this by itself.

    A timeout for each read would not do. A client that sends a byte from time to time meets them
    all, and servers come back from a read only with as much as they were asked for.
    """
    connection = _connection(environ)
    if connection is None:
        granian = environ.get("SERVER_SOFTWARE") == "Granian" and not _waits_to_be_asked(environ)
        yield (lambda size, seconds: True) if granian else None  # It doesn't show the connection.
        return
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    # Not the server's own object, which may be none of Python's.
    with socket.socket(fileno=os.dup(connection)) as duplicate:

        def has_arrived(size: int, seconds: float) -> bool:
            # The kernel tells of data only when there is so much of it, or the end.
            duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
            try:
                return bool(poll.poll(seconds * 1000))
            finally:
                # Now and then it tells of less, and the server is to wait for no more than that.
                duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

        yield has_arrived


def _connection(environ: WSGIEnvironment) -> int | None:
    """Return the descriptor of a connection that needs our help; None where none does."""
    if "gunicorn.socket" in environ:
        gunicorn = connections.gunicorn(environ)
        # With TLS, there is no telling what can be read from what has arrived.
        return None if hasattr(gunicorn, "pending") else int(gunicorn.fileno())
    if "uwsgi.version" in environ and not _waits_to_be_asked(environ):
        return connections.uwsgi_descriptor()
    return None


def _waits_to_be_asked(environ: WSGIEnvironment) -> bool:
    # gunicorn has done so already; the others ask when somebody reads.
    return "HTTP_EXPECT" in environ
