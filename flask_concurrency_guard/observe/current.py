"""The request that is being served in this context, for whoever writes a log line."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class CurrentRequest(Protocol):
    """A `Lease`, or what stands for it in a request that has none."""

    holder: Any
    """The WSGI environment, with the tags in it."""


class Unleased:
    """A request that is exempt, or was rejected."""

    __slots__ = ("holder",)

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.holder = environ


current_request: ContextVar[CurrentRequest | None] = ContextVar(
    "flask_concurrency_guard.current_request", default=None
)
"""Set whenever the app's code runs: in its call, at each step of its body, in its `close`."""
