"""What each process is serving, for the others to read.

Only the process itself writes into its rows, and nobody waits for anybody: who reads may see half
of a row that is being written, which does no harm.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

ROWS = 32
"""How many requests of one process are shown."""

_ROW = struct.Struct("dII112s")  # Since when, the thread, how long the text is, the text.
_LENGTH = struct.Struct("I")
_LENGTH_AT = 12
ROW = _ROW.size
LONGEST = 112


@dataclass(frozen=True, slots=True)
class Served:
    """A request that is in flight in some process of the host."""

    what: str
    """Its method and path, cut where they are long."""

    seconds: float
    """For how long it has been in flight."""

    thread_id: int
    """The thread that serves it."""


class Scoreboard:
    """The rows of one process.

    :param rows: where they are.
    """

    def __init__(self, rows: memoryview) -> None:
        self._rows = rows
        self._free = list(range(0, ROWS * ROW, ROW))

    def begin(self, what: bytes, started: float, thread_id: int) -> int | None:
        """Show a request. Return its row, or None where there is none left."""
        try:
            row = self._free.pop()
        except IndexError:
            return None
        what = what[:LONGEST]
        _ROW.pack_into(self._rows, row, started, thread_id, len(what), what)
        return row

    def end(self, row: int) -> None:
        """Show it no longer."""
        _LENGTH.pack_into(self._rows, row + _LENGTH_AT, 0)
        self._free.append(row)


def read_rows(rows: memoryview, now: float) -> list[Served]:
    """Return what stands in the rows of a process, the longest in flight first."""
    found = []
    for started, thread_id, length, text in _ROW.iter_unpack(rows):
        if 0 < length <= LONGEST:
            what = text[:length].decode("utf-8", "replace")
            shown = "".join(char if char.isprintable() else "?" for char in what)
            found.append(Served(shown, max(0.0, now - started), thread_id))
    return sorted(found, key=lambda served: -served.seconds)
