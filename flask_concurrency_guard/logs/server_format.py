"""The access logs of gunicorn, nginx, Apache and Flask's development server: the common format,
and what follows it.
"""

from __future__ import annotations

import re

from .layouts import COUNT
from .layouts import QUOTED
from .layouts import SECONDS
from .layouts import THREAD
from .layouts import Part

FIELDS = {
    b"process": "process",
    b"process_id": "process",
    b"pid": "process",
    b"thread": "thread",
    b"thread_id": "thread",
    b"tid": "thread",
    b"decision": "decision",
    b"in_flight": "in_flight",
    b"limit": "limit",
    b"queue_age": "age",
    b"queue_time": "wait",
    b"duration": "duration",
    b"duration_ms": "duration_ms",
    b"duration_us": "duration_us",
    b"request_time": "duration",
    b"time": "epoch",
}
"""What the words after the request may be called, and which field each is."""

_COLOURS = rb"(?:\x1b\[[\d;]*+m)*+"  # By which Flask's development server tells statuses.
# A quote behind a backslash is one that a client has sent: in a user name, which stands in front
# of the request, or in the request itself. What it says is no request, and doesn't end one.
_ESCAPED = rb'(?<=\\)"'
_IN_FRONT = rb'(?:[^"\n]*+' + _ESCAPED + b")*+"
_REQUEST = (
    rb'(?<!\\)"'
    + _COLOURS
    + rb'([A-Z]++) ([^ "?\n]++(?:'
    + _ESCAPED
    + rb'[^ "?\n]*+)*+)[^"\n]*+(?:'
    + _ESCAPED
    + rb'[^"\n]*+)*+"'
)
# Flask's development server has a space between day and hour, and no zone.
_CLOCK = rb"\d\d/[A-Z][a-z]{2}/\d{4}[: ]\d\d:\d\d:\d\d(?: [+-]\d{4})?+"
_TIME = rb"\[(" + _CLOCK + rb")\]"
_NO_TIME = rb'(?![^"\n]*\[' + _CLOCK + rb'\])[^"\n]*+'
_STATUS = rb" (\d{3})(?![^ \r\n])"
_END = rb'(?![^ "\r\n])'
# gunicorn doesn't escape a backslash, so a client can hide the quote that closes its name.
_UNCLOSED = rb'[^"\n]*+' + QUOTED.removesuffix(b'"') + rb"\\?+"

_VALUES = {
    "process": b"<?" + COUNT + b">?",  # gunicorn's '%(p)s' is in angle brackets.
    "thread": THREAD,
    "in_flight": COUNT,
    "limit": COUNT,
    "age": SECONDS,
    "wait": SECONDS,
    # Whole ones are microseconds there.
    "duration": rb"(\d{1,6}+\.\d{1,20}+(?:e-\d\d)?+)",
    "duration_ms": rb"(\d{1,9}+(?:\.\d{1,6}+)?+)",
    "duration_us": rb"(\d{1,12}+)",
    "epoch": rb"(\d{9,10}+\.\d{1,9}+)",
    "decision": b"(" + QUOTED + rb'|[^ "\r\n]++)',
}


class ServerFormat:
    """``… [29/Nov/2026:13:20:00 +0000] "GET /slow HTTP/1.1" 200 … process=42 duration=0.5``."""

    name = "a server's access log"

    _begin = re.compile(b"(" + _IN_FRONT + rb')([^"\n]*+)' + _REQUEST + _STATUS)
    _time = re.compile(_TIME)
    _word = re.compile(
        rb"(?<![\w.-])([a-z_]+)=(" + QUOTED + rb'|[^ "]*+)|(' + QUOTED + b')|"', re.ASCII
    )

    def shape(self, line: bytes) -> list[Part] | None:
        """Return what the line looks like; None if it is none of these."""
        line = line.rstrip(b"\r")
        begin = self._begin.match(line)
        if begin is None:
            return None
        parts = [Part(_IN_FRONT)] if begin[1] else []
        parts.append(self._front(begin[2]))
        parts.append(Part(_REQUEST, ("method", "path")))
        parts.append(Part(_STATUS, ("status",)))
        seen: set[str] = set()
        for word in self._word.finditer(line, begin.end()):
            if word[0] == b'"':
                parts.append(Part(_UNCLOSED))
                break
            part = _quoted() if word[3] else _part(word[1], word[2], seen)
            if part is not None:
                parts.append(part)
                seen.update(part.fields)
        parts.append(Part(rb'[^"\n]*+'))
        return parts

    def _front(self, text: bytes) -> Part:
        """Return what reads the time. It is the last one: who is named before it may lie."""
        if self._time.search(text) is None:
            return Part(_NO_TIME)
        # The quicker one where it does: syslog has brackets of its own in front.
        if text.count(b"[") == 1:
            return Part(rb'[^"\[\n]*+' + _TIME + rb'[^"\[\n]*+', ("second",))
        return Part(rb'(?>[^"\n]*' + _TIME + rb')[^"\n]*+', ("second",))


def _quoted() -> Part:
    return Part(rb'[^"\n]*+' + QUOTED)


def _part(key: bytes, value: bytes, seen: set[str]) -> Part | None:
    """Return what reads a word; None for one that tells nothing."""
    field = FIELDS.get(key, "")
    if field == "duration" and key == b"duration" and value.isdigit():
        field = "duration_us"  # As gunicorn and Apache print '%D'.
    kind = "duration" if field.startswith("duration") else field
    pattern = _VALUES.get(field)
    if pattern is not None and kind not in {_kind(each) for each in seen}:
        if field == "duration" and key == b"request_time":
            pattern = SECONDS
        if re.fullmatch(pattern, value):
            return _first(key, pattern + _END, (field,))
        if value == b"-":  # What servers print where there is nothing.
            return _first(key, b"-" + _END)
    return _first(key, QUOTED) if value.startswith(b'"') else None


def _first(key: bytes, value: bytes, fields: tuple[str, ...] = ()) -> Part:
    """Return what reads the first word with such a value, and no later one.

    A client may have written hundreds of them. Without the atomic group a line that doesn't fit in
    the end would be tried with each of them, together with each of those of all other words.
    """
    return Part(rb'(?>[^"\n]*?(?<![\w.-])' + key + b"=" + value + b")", fields)


def _kind(field: str) -> str:
    return "duration" if field.startswith("duration") else field
