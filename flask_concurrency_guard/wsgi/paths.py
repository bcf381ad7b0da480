"""Where a request's path and headers stand in the WSGI environment, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def routed_path(environ: WSGIEnvironment) -> str:
    """Return the path by which Flask looks for the view.

    However many slashes there are in front, for Flask it is one. Whoever sends more must not get
    around a limit.
    """
    path: str = environ.get("PATH_INFO", "")
    return "/" + path.lstrip("/")


def environ_key(header: str) -> str:
    """Return the key of a request header."""
    return "HTTP_" + header.upper().replace("-", "_")


def raw_path(path: str) -> str:
    """Return a path as it stands there: its bytes, each shown as a character (PEP 3333)."""
    return path.encode().decode("latin-1")
