"""Log what has gone wrong beside a request, so that the request never suffers from that as well."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

INTERVAL = 1.0
"""How long not to complain again of the same thing, in seconds."""

_next: dict[str, float] = {}


def complain(logger: logging.Logger, text: str, *values: object) -> None:
    """Log the exception that is being handled; once in a while, if each request brings it.

    :param text: what follows from it, with places for the `values`.
    """
    what, now = text % values, time.monotonic()
    if now < _next.get(what, now):
        return  # With each request, it would be the log that takes the app down.
    _next[what] = now + INTERVAL
    # A filter may raise, such as one that wants Flask's request, where there is none yet.
    with suppress(Exception):
        logger.exception(what, stacklevel=2)
