"""Show on the host's scoreboard which requests are in flight."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..observe.requests import path_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from ..core.decisions import Rejection
    from ..core.host.scoreboard import Scoreboard
    from ..core.lease import Lease
    from ..core.store import Store


class Display:
    """Show requests from their admission to their release.

    :param store: has the scoreboard, or none.
    :param show_query: whether query strings may be seen.
    """

    sees_exempt = False

    def __init__(self, store: Store, *, show_query: bool = False) -> None:
        self._store = store
        self._show_query = show_query
        # Not in the environment: a request may pass the guards of two apps.
        self._rows: dict[int, tuple[Scoreboard, int]] = {}

    def begin(self, environ: WSGIEnvironment, lease: Lease) -> None:
        """Show a request that was admitted, by its method and path."""
        scoreboard = self._store.scoreboard
        if scoreboard is None:
            return
        method = environ.get("REQUEST_METHOD", "")  # uWSGI passes on what is no HTTP, without one.
        what = f"{method} {path_of(environ, show_query=self._show_query)}"
        row = scoreboard.begin(
            what.encode("latin-1", "replace"), lease.started, threading.get_native_id()
        )
        if row is not None:
            self._rows[id(lease)] = scoreboard, row

    def end(self, environ: WSGIEnvironment, lease: Lease) -> None:
        """Show a request no longer."""
        shown = self._rows.pop(id(lease), None)
        if shown is not None:
            scoreboard, row = shown
            scoreboard.end(row)

    def rejected(self, environ: WSGIEnvironment, rejection: Rejection) -> None:
        """Do nothing: it is not in flight."""
