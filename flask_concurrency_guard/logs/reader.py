"""Read one log: find out what it is, then its lines by their layouts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from .errors import LogError
from .layouts import Batch
from .layouts import Layout
from .layouts import Part
from .own_formats import JsonLines
from .own_formats import Logfmt
from .server_format import ServerFormat

ENOUGH = 200
"""By so many of its first lines it is told what a log is."""

MOST_LAYOUTS = 30
"""So many shapes of lines are remembered."""

LONGEST_SHOWN = 120
"""So many characters of a line that can't be read are shown."""


class Format(Protocol):
    """What the lines of a log look like."""

    name: str

    def shape(self, line: bytes) -> list[Part] | None: ...


FORMATS: tuple[Format, ...] = (Logfmt(), JsonLines(), ServerFormat())


def detect(text: bytes, name: str) -> Format:
    """Return the format of a log.

    :param text: its first lines.
    :param name: what to call it.
    :raises LogError: it is none that is known.
    """
    lines = text.split(b"\n", ENOUGH)[:ENOUGH]
    read = {each: sum(each.shape(line) is not None for line in lines) for each in FORMATS}
    # The guard's own tell more, so they are taken where there are both: an app's output, say.
    best = next((each for each, count in read.items() if count), None)
    if best is None:
        raise LogError(
            f"'{name}' is no access log that can be read: name one that this guard has written"
            ' (CONCURRENCY_GUARD_ACCESS_LOG), or one of a server with "GET /path HTTP/1.1" 200'
            " in its lines."
        )
    return best


class Reader:
    """Reads the lines of one log, chunk by chunk.

    :param log_format: what they look like.
    """

    def __init__(self, log_format: Format) -> None:
        self.format = log_format
        self.lines = 0
        """How many lines there were, empty ones not counted."""
        self.unread = 0
        """How many of them were none of this format."""
        self.first_unread: tuple[int, str] | None = None
        """The number of the first of these, and what it is, in part."""
        self._number = 1  # Of the first line of the next chunk.
        self._layouts: list[Layout] = []

    def read(self, chunk: bytes) -> Iterator[Batch]:
        """Return the lines of a chunk by their shapes."""
        left = [chunk]
        for layout in self._layouts:
            batch, left = layout.read(b"\n".join(left))
            yield from self._told(batch)
            if not left:
                break
        else:
            yield from self._read_unknown(chunk, b"\n".join(left).split(b"\n"))
        self._layouts.sort(key=lambda layout: -layout.hits)
        self._number += chunk.count(b"\n") + 1

    def _read_unknown(self, chunk: bytes, lines: list[bytes]) -> Iterator[Batch]:
        while lines:
            parts = None
            for number, line in enumerate(lines):
                if not line.strip():
                    continue
                parts = self.format.shape(line)
                if parts is not None:
                    lines = lines[number:]
                    break
                self._refuse(chunk, line)
            if parts is None:
                return
            layout = Layout(parts)
            batch, left = layout.read(b"\n".join(lines))
            if not batch:  # Nothing that it may be read as, whatever it looked like.
                self._refuse(chunk, lines[0])
                lines = lines[1:]
                continue
            # The one that is used least goes: they are in the order in which they are used.
            self._layouts[MOST_LAYOUTS - 1 :] = [layout]
            yield from self._told(batch)
            lines = left

    def _told(self, batch: Batch) -> Iterator[Batch]:
        if batch:
            self.lines += len(next(iter(batch.values())))
            yield batch

    def refuse(self, chunk: bytes, text: bytes) -> None:
        """Count a line as one that can't be read after all: that of `chunk` with `text` in it."""
        self.lines -= 1
        self._refuse(chunk, next(line for line in chunk.split(b"\n") if text in line))

    def _refuse(self, chunk: bytes, line: bytes) -> None:
        self.lines += 1
        self.unread += 1
        if self.first_unread is None:
            number = self._number + chunk.split(b"\n").index(line)
            shown = line[:LONGEST_SHOWN].decode("utf-8", "backslashreplace")
            self.first_unread = (number, ascii(shown)[1:-1])
