"""What is accepted as JSON and what is written, whatever the backend.

A rule that a backend's library doesn't keep by itself is kept here. Input is UTF-8, at most
:data:`MAX_DEPTH` deep, and has no number that isn't one; output has ``null`` for what isn't one.
"""

from __future__ import annotations

import codecs
import math
import sys

from . import scan
from .errors import InvalidJSONError

MAX_DEPTH = 200
"""How many arrays and objects may stand within each other in a document that is read.

Parsers recurse. Python 3.11 stops them at its recursion limit (1,000 by default, less the frames
in use), later versions at some thousands, which is too late for a thread with a small stack: that
ends the process. 200 is safe in a stack of 128 KiB, and several times what documents written by
programs for programs need.
"""


def read_document(document: str | bytes | bytearray) -> str:
    """Return the text of a document that is not yet known to be JSON.

    A byte order mark at the start of bytes is skipped (:rfc:`8259#section-8.1` allows that). Text
    that starts with one was decoded wrongly, and is refused as in the standard library.

    :raises InvalidJSONError: It isn't UTF-8, or nested more than :data:`MAX_DEPTH` deep.
    """
    if isinstance(document, str):
        if document.startswith("\ufeff"):
            raise InvalidJSONError("Unexpected UTF-8 BOM (decode using utf-8-sig)", document, 0)
        is_long = len(document) > MAX_DEPTH
        is_deep = is_long and scan.is_deeper(document.encode("utf-8", "surrogatepass"), MAX_DEPTH)
        text = document
    elif isinstance(document, (bytes, bytearray)):
        encoded = bytes(document).removeprefix(codecs.BOM_UTF8)
        is_deep = scan.is_deeper(encoded, MAX_DEPTH)
        text = _decode(encoded)
    else:
        raise TypeError(
            f"'{type(document).__name__}' is not a JSON document, pass str, bytes or bytearray."
        )

    if is_deep:
        _refuse_depth(text)
    return text


def _decode(encoded: bytes) -> str:
    try:
        return encoded.decode()
    except UnicodeDecodeError as error:
        raise InvalidJSONError(
            f"'{encoded[error.start]:#04x}' is not UTF-8, send the document in UTF-8",
            encoded.decode(errors="replace"),
            len(encoded[: error.start].decode()),
        ) from None


def _refuse_depth(text: str) -> None:
    position = scan.find_depth(text, MAX_DEPTH)
    if position is not None:
        raise InvalidJSONError(
            f"'{text[position]}' is nested more than {MAX_DEPTH} deep, send a flatter document",
            text,
            position,
        )


def find_refused_number(text: str) -> InvalidJSONError | None:
    """Return the error for the first number that isn't one in JSON, or that Python can't hold.

    These are ``NaN``, ``Infinity`` and ``-Infinity``, which :rfc:`8259#section-6` excludes, one
    such as ``1e999`` that a float could only hold as an infinity, and an integer of more digits
    than :func:`sys.get_int_max_str_digits`.
    """
    for token, position in scan.unusual_numbers(text):
        problem = _problem(token)
        if problem:
            shown = token if len(token) <= 40 else f"{token[:37]}..."
            return InvalidJSONError(f"'{shown}' {problem}", text, position)
    return None


def _problem(token: str) -> str | None:
    if token.endswith(("NaN", "Infinity")):
        return "is not JSON, send null or a finite number"
    if not token.removeprefix("-").isdigit():
        is_finite = math.isfinite(float(token))
        return None if is_finite else "is too large for a float, send it as a string"

    limit = sys.get_int_max_str_digits()
    is_readable = limit == 0 or len(token.removeprefix("-")) <= limit
    return None if is_readable else f"has more than {limit} digits, send it as a string"


def null_for_literals(text: str) -> str:
    """Return JSON as Python writes it, with ``null`` in place of NaN and the infinities."""
    return scan.replace_literals(text)
