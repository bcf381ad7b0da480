"""Where each server keeps the connection that a request came over.

No two servers show it in the same place, and some not at all. What is found here is the server's
own: look at it, but don't read, write, close or configure it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol
from typing import TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIEnvironment


class Connection(Protocol):
    """What can be done with any of them."""

    def fileno(self) -> int:
        """Return the descriptor."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        """Return what the kernel says."""


Way: TypeAlias = "Callable[[WSGIEnvironment], Connection]"


class Connections:
    """Find the connection of each request, in the way that was right for the last one.

    Where a server shows nothing, nothing is looked for until another one comes: the first request
    may be that of a test client that warms the app up.
    """

    def __init__(self) -> None:
        self._find: Way | None = None
        self.blind_server: str | None = None
        """The ``SERVER_SOFTWARE`` that shows nothing. Asking `find` is a waste of time then."""

    def find(self, environ: WSGIEnvironment) -> Connection | None:
        """Return the connection; None where the server doesn't show it."""
        find = self._find
        if find is not None:
            try:
                return find(environ)
            except Exception:
                pass  # Another server, or a middleware that has replaced something.
        find = _guess(environ)
        if find is None:
            self.blind_server = environ.get("SERVER_SOFTWARE")
        self._find, connection = _try(find, environ)
        return connection


def _try(find: Way | None, environ: WSGIEnvironment) -> tuple[Way | None, Connection | None]:
    """Return the way, if it works for this request, and where it leads."""
    if find is not None:
        try:
            connection = find(environ)
            if hasattr(connection, "getsockopt"):
                return find, connection
        except Exception:
            pass  # What somebody else keeps under these names is anybody's guess.
    return None, None


def _guess(environ: WSGIEnvironment) -> Way | None:
    # Where a server says no name of its own, this may run in each request: no exceptions then.
    for key, find in _BY_KEY:
        if key in environ:
            return find
    body = environ.get("wsgi.input")
    for name, find in _BY_NAME_IN_BODY:
        if hasattr(body, name):
            return find
    return _uwsgi_way() if "uwsgi.version" in environ else None


def gunicorn(environ: WSGIEnvironment) -> Any:
    """Return the socket. With TLS it is an `ssl.SSLSocket`, under gevent one of gevent's."""
    return environ["gunicorn.socket"]


def werkzeug(environ: WSGIEnvironment) -> Any:
    """Return the socket of the development server."""
    return environ["werkzeug.socket"]


def waitress(environ: WSGIEnvironment) -> Any:
    """Return the socket of the channel. The server's other thread may have closed it by now."""
    return environ["waitress.client_disconnected"].__self__.socket


def eventlet(environ: WSGIEnvironment) -> Any:
    """Return the green socket."""
    return environ["eventlet.input"].get_socket()


def from_input(environ: WSGIEnvironment) -> Any:
    """Return the socket that the body is read from: cheroot's, and that of gevent.pywsgi."""
    return environ["wsgi.input"].rfile.raw._sock


def from_receive(environ: WSGIEnvironment) -> Any:
    """Return the socket of uvicorn, when a2wsgi stands between; not through another middleware."""
    return environ["wsgi.input"].receive.__self__.transport.get_extra_info("socket")


def uwsgi_descriptor() -> int:
    """Return the descriptor of the connection that this thread serves."""
    return int(sys.modules["uwsgi"].connection_fd())


_BY_KEY: tuple[tuple[str, Way], ...] = (
    ("gunicorn.socket", gunicorn),
    ("werkzeug.socket", werkzeug),
    ("waitress.client_disconnected", waitress),
    ("eventlet.input", eventlet),
)
_BY_NAME_IN_BODY: tuple[tuple[str, Way], ...] = (("rfile", from_input), ("receive", from_receive))


def _uwsgi_way() -> Way | None:
    try:
        # In the first request of uWSGI only; nothing else needs it.
        import ctypes

        # Without giving the GIL away, since this never waits. PyPy can't.
        getsockopt = getattr(ctypes, "PyDLL", ctypes.CDLL)(None).getsockopt
    except (ImportError, OSError):
        return None  # A Python that was built without, or linked statically.
    c_uint, byref, create_buffer = ctypes.c_uint, ctypes.byref, ctypes.create_string_buffer

    class Descriptor:
        """A connection of which only the descriptor is known.

        Not a `socket.socket` around it: that one would close it in the end, and if the app has
        set a default timeout, even make it non-blocking.
        """

        __slots__ = ("_number",)

        def __init__(self, number: int) -> None:
            self._number = number

        def fileno(self) -> int:
            return self._number

        def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
            value, length = create_buffer(size), c_uint(size)
            if getsockopt(self._number, level, option, value, byref(length)) != 0:
                raise OSError("The kernel says nothing of this descriptor.")
            return value.raw[: length.value]

    def uwsgi(environ: WSGIEnvironment) -> Connection:
        environ["uwsgi.version"]  # Or else it is some inner request, and not that of the server.
        return Descriptor(uwsgi_descriptor())

    return uwsgi
