"""Lines of one shape, read by one regular expression: many at once, each field a column.

A log has few shapes of lines: admitted requests, rejected ones, those without an age. What reads
any shape needs ten times as long, so each shape that it meets becomes a layout of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

Batch = Mapping[str, Sequence[bytes]]
"""Lines of the same shape: for each field that they have, what stands there in each."""

QUOTED = rb'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"'
"""A string in double quotes, with backslashes in it."""

SECONDS = rb"(\d{1,6}+(?:\.\d{1,20}+)?+(?:e-\d\d)?+)"
"""As long as anything takes."""

COUNT = rb"(\d{1,10}+)"
"""As many processes and requests as there can be."""

THREAD = rb"(\d{1,20}+)"
"""That of a greenlet is its place in memory."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a regular expression, and the field that it reads, if it reads one.

    It has as many groups as it has fields.
    """

    pattern: bytes
    fields: tuple[str, ...] = ()


class Layout:
    """One shape of lines.

    :param parts: what a whole line looks like.
    """

    def __init__(self, parts: Iterable[Part]) -> None:
        parts = tuple(parts)
        self.fields = tuple(field for part in parts for field in part.fields)
        self.hits = 0
        """How many lines had this shape."""
        pattern = b"".join(part.pattern for part in parts)
        self._find_all = re.compile(rb"^(?:" + pattern + rb"\r?$|([^\n]*+))", re.MULTILINE).findall

    def read(self, text: bytes) -> tuple[Batch, list[bytes]]:
        """Return the lines of this shape, and the others.

        :param text: some lines, without the last one's end.
        """
        rows = self._find_all(text)
        columns = list(zip(*rows, strict=True))
        left = [line for line in columns[-1] if line]
        if left or b"" in columns[0]:
            # The first group of a line that fits has something in it; an empty line has nothing.
            columns = list(zip(*[row for row in rows if row[0]], strict=True))
        if not columns:
            return {}, left
        self.hits += len(columns[0])
        return dict(zip(self.fields, columns, strict=False)), left
