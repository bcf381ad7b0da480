"""What to call a request where people read of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

LONGEST_METHOD = 20
LONGEST_NAMED_PATH = 200


def path_of(environ: WSGIEnvironment, *, show_query: bool = False) -> str:
    """Return a request's path from the server's root on: bytes, read as Latin-1 (PEP 3333).

    :param show_query: whether the query string is a part of it.
    """
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    query = environ.get("QUERY_STRING") if show_query else ""
    return f"{path}?{query}" if query else path


def name_of(environ: WSGIEnvironment, *, show_query: bool = False) -> str:
    """Return a request's method and path, cut, and with nothing that a terminal would obey."""
    path = path_of(environ, show_query=show_query)
    readable = path.encode("latin-1", "replace").decode("utf-8", "replace")
    if len(readable) > LONGEST_NAMED_PATH:
        readable = f"{readable[: LONGEST_NAMED_PATH - 1]}…"
    method = str(environ.get("REQUEST_METHOD", ""))[:LONGEST_METHOD]
    return "".join(char if char.isprintable() else "?" for char in f"{method} {readable}")
