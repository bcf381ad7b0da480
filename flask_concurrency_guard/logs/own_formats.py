"""The guard's own access log, in both forms that it has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .. import standard_json
from .layouts import COUNT
from .layouts import QUOTED
from .layouts import SECONDS
from .layouts import THREAD
from .layouts import Part

FIELDS = {
    b"method": "method",
    b"path": "path",
    b"status": "status",
    b"outcome": "outcome",
    b"reason": "reason",
    b"limiter": "limiter",
    b"process_id": "process",
    b"thread_id": "thread",
    b"queue_age": "age",
    b"queue_time": "wait",
    b"duration": "duration",
    b"in_flight": "in_flight",
    b"limit": "limit",
}
"""The fields of a line besides its time, by the names that they have there."""

TIME = rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})Z"
TIME_FIELDS = ("second", "fraction")

_TEXTS = {"method", "path", "outcome", "reason", "limiter"}
_NUMBERS = {"age": SECONDS, "wait": SECONDS, "duration": SECONDS, "thread": THREAD}
_BARE = rb'([^ "\n\r]++)'


class Logfmt:
    """``time=… method=… path=…``, with or without something in front of it."""

    name = "the guard's access log, logfmt"

    _begin = re.compile(rb"(.*?[^\w.-])??time=" + TIME)
    _pair = re.compile(rb" ([a-z_]+)=(" + QUOTED + rb'|[^ "\n\r]*+)')

    def shape(self, line: bytes) -> list[Part] | None:
        """Return what the line looks like; None if it is none of these."""
        begin = self._begin.match(line)
        if begin is None:
            return None
        prefix = b"" if begin[1] is None else rb"[^\n]*?[^\w.\n-]"
        parts = [Part(prefix + b"time=" + TIME, TIME_FIELDS)]
        position = begin.end()
        while pair := self._pair.match(line, position):
            parts.append(self._part(*pair.groups()))
            position = pair.end()
        rest = line[position:].rstrip(b"\r")
        return parts if not rest and _is_whole(parts) else None

    def _part(self, key: bytes, value: bytes) -> Part:
        field = FIELDS.get(key)
        is_quoted = value.startswith(b'"')
        begin = b" " + key + b"="
        if field is None:
            return Part(begin + (QUOTED if is_quoted else rb'[^ "\n\r]*+'))
        if field in _TEXTS:
            return Part(begin + (b"(" + QUOTED + b")" if is_quoted else _BARE), (field,))
        return Part(begin + _NUMBERS.get(field, COUNT), (field,))


class JsonLines:
    """``{"time": "…", "method": "…"}``, with or without something in front of it."""

    name = "the guard's access log, JSON"

    _begin = re.compile(rb'(.*?)\{"time":( ?)"' + TIME + b'"')
    _pair = re.compile(rb'(, ?)"([a-z_]+)":( ?)(' + QUOTED + rb"|[^ ,}\"]++)")

    def shape(self, line: bytes) -> list[Part] | None:
        """Return what the line looks like; None if it is none of these."""
        begin = self._begin.match(line)
        if begin is None or not _is_json(line[len(begin[1]) :]):
            return None
        prefix = rb"[^\n]*?" if begin[1] else b""
        parts = [Part(prefix + rb'\{"time":' + begin[2] + b'"' + TIME + b'"', TIME_FIELDS)]
        position = begin.end()
        while pair := self._pair.match(line, position):
            parts.append(self._part(*pair.groups()))
            position = pair.end()
        parts.append(Part(rb"\}"))
        rest = line[position:].rstrip()
        return parts if rest == b"}" and _is_whole(parts) else None

    def _part(self, comma: bytes, key: bytes, space: bytes, value: bytes) -> Part:
        field = FIELDS.get(key)
        is_quoted = value.startswith(b'"')
        begin = comma + b'"' + key + b'":' + space
        if field is None or value == b"null":
            return Part(begin + (QUOTED if is_quoted else rb"[^ ,}\"\n]++"))
        if field in _TEXTS:
            return Part(begin + b"(" + QUOTED + b")", (field,))
        return Part(begin + _NUMBERS.get(field, COUNT), (field,))


def unquoted(text: bytes) -> bytes:
    """Return what stands in double quotes, or the text itself if it stands in none."""
    if not text.startswith(b'"'):
        return text
    try:
        value = standard_json.loads(text)
    except ValueError:  # Of a server, whose escapes are others.
        return text[1:-1]
    return str(value).encode("utf-8", "backslashreplace")


def _is_whole(parts: list[Part]) -> bool:
    return "outcome" in _fields(parts)


def _fields(parts: list[Part]) -> Iterator[str]:
    return (field for part in parts for field in part.fields)


def _is_json(text: bytes) -> bool:
    try:
        return isinstance(standard_json.loads(text), dict)
    except ValueError:
        return False
