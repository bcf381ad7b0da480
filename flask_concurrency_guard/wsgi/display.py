"""Show on the host's scoreboard which requests are in flight."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from ..core.lease import Lease
    from ..core.store import Store

_ROW = "flask_concurrency_guard.row"


class Display:
    """Show requests from their admission to their release.

    :param store: has the scoreboard, or none.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, environ: WSGIEnvironment, lease: Lease) -> None:
        """Show a request that was admitted, by its method and path; never its query string."""
        scoreboard = self._store.scoreboard
        if scoreboard is None:
            return
        what = f"{environ['REQUEST_METHOD']} {environ.get('SCRIPT_NAME', '')}{environ['PATH_INFO']}"
        row = scoreboard.begin(
            what.encode("latin-1", "replace"), lease.started, threading.get_native_id()
        )
        if row is not None:
            environ[_ROW] = scoreboard, row

    def end(self, environ: WSGIEnvironment) -> None:
        """Show a request no longer."""
        shown = environ.pop(_ROW, None)
        if shown is not None:
            scoreboard, row = shown
            scoreboard.end(row)
