"""The request that is being served in this context, for whoever writes a log line."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextvars import Token

    from _typeshed.wsgi import WSGIEnvironment

# Not the lease: tasks and timers that a view starts keep a copy of the context, and with it
# whatever is in here, for as long as they like.
current_environ: ContextVar[WSGIEnvironment | None] = ContextVar(
    "flask_concurrency_guard.current_environ", default=None
)
"""Set from the app's call until its body is closed. The server's own work in between is included,
so that its access log has the tags; setting and resetting it around each step of the body would
cost twice as much."""


def leave(token: Token[WSGIEnvironment | None]) -> None:
    """Make current again what was before `token`."""
    try:
        current_environ.reset(token)
    except (ValueError, RuntimeError):
        pass  # Closed in another context than the app was called in, or closed again.
