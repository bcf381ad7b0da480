"""Log what has gone wrong beside a request, so that the request never suffers from that as well."""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from contextlib import suppress
from typing import NamedTuple

from .exits import at_exit

LONGEST_TEXT = 200
"""How much of an error's text is told."""

INTERVAL = 1.0
"""How long not to complain again of the same thing, in seconds."""

_next: dict[str, float] = {}


class Note(NamedTuple):
    """A line for the log."""

    logger: logging.Logger
    level: int
    text: str
    error: BaseException | None = None

    def write(self) -> None:
        # A filter may raise, such as one that wants Flask's request, where there is none yet.
        with suppress(Exception):
            self.logger.log(self.level, self.text, exc_info=self.error, stacklevel=3)


notes: deque[Note] = deque()
"""What is to be written as soon as no lock is held. A filter may ask for the numbers of the guard,
and so would wait for ever."""


def note(
    logger: logging.Logger, level: int, text: str, *values: object, seldom: bool = False
) -> None:
    """Log this later, since a lock may be held.

    :param text: with places for the `values`.
    :param seldom: once in a while, if each request brings it.
    """
    what = text % values
    if not seldom or _is_due(what):
        notes.append(Note(logger, level, what))


def complain(logger: logging.Logger, text: str, *values: object, later: bool = False) -> None:
    """Log the exception that is being handled; once in a while, if each request brings it.

    :param text: what follows from it, with places for the `values`.
    :param later: see `note`.
    """
    what = text % values
    if not _is_due(what):
        return
    complaint = Note(logger, logging.ERROR, what, sys.exception())
    if later:
        notes.append(complaint)
    else:
        complaint.write()


def _is_due(what: str) -> bool:
    # With each request, it would be the log that takes the app down.
    now = time.monotonic()
    if now < _next.get(what, now):
        return False
    _next[what] = now + INTERVAL
    return True


def one_line(error: BaseException) -> str:
    """Return what an error says, to be told in a sentence; or its name, where it says nothing."""
    return " ".join(str(error).split())[:LONGEST_TEXT].rstrip(".") or type(error).__name__


def write_notes() -> None:
    """Log what was noted. To be called with no lock held."""
    while notes:
        try:
            waiting = notes.popleft()
        except IndexError:
            return  # Another thread was faster.
        waiting.write()


at_exit(write_notes)
