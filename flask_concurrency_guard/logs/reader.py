"""Read one log: find out what it is, then its lines by their layouts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from .layouts import Batch
from .layouts import Layout
from .layouts import Part
from .own_formats import JsonLines
from .own_formats import Logfmt
from .server_format import ServerFormat

ENOUGH = 200
"""By so many of its lines it is told what a log is."""

MOST_LAYOUTS = 30
"""So many shapes of lines are remembered."""

LONGEST_SHOWN = 120
"""So many characters of a line that can't be read are shown."""


class Format(Protocol):
    """What the lines of a log look like."""

    name: str

    def shape(self, line: bytes) -> list[Part] | None: ...


FORMATS: tuple[Format, ...] = (Logfmt(), JsonLines(), ServerFormat())


def detect(text: bytes) -> Format | None:
    """Return the format of a log; None if it is none that is known.

    :param text: its first lines. Later ones count where those before are of no format.
    """
    lines = text.split(b"\n")
    for begin in range(0, len(lines), ENOUGH):
        # The guard's own tell more, so they are taken where there are both: an app's output, say.
        for each in FORMATS:
            if any(each.shape(line) is not None for line in lines[begin : begin + ENOUGH]):
                return each
    return None


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
        while (found := self._next_layout(chunk, lines)) is not None:
            layout, lines = found
            batch, lines = layout.read(b"\n".join(lines))
            # The one that is used least goes: they are in the order in which they are used.
            self._layouts[MOST_LAYOUTS - 1 :] = [layout]
            yield from self._told(batch)

    def _next_layout(self, chunk: bytes, lines: list[bytes]) -> tuple[Layout, list[bytes]] | None:
        """Return the layout of the next line that has one, and the lines from there on."""
        for number, line in enumerate(lines):
            if not line.strip():
                continue
            parts = self.format.shape(line)
            # Whatever it looks like: tried on this line alone, as there may be many such lines.
            if parts is not None and (layout := Layout(parts)).read(line)[0]:
                return layout, lines[number:]
            self._refuse(chunk, line)
        return None

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
