"""The request that is being served in this context, for whoever writes a log line."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Not the lease: tasks and timers that a view starts keep a copy of the context, and with it
# whatever is in here, for as long as they like.
current_environ: ContextVar[WSGIEnvironment | None] = ContextVar(
    "flask_concurrency_guard.current_environ", default=None
)
"""Set whenever the app's code runs: in its call, at each step of its body, in its `close`."""
