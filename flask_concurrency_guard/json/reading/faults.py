"""What is wrong with a document, in words and with its place.

These are exact, and slow in comparison: they run over a document that is known or feared to break
a rule, never over every one.
"""

from __future__ import annotations

import math
import re
import sys
from typing import TYPE_CHECKING

from ... import standard_json as library
from ..errors import InvalidJSONError

if TYPE_CHECKING:
    from collections.abc import Iterator

# A string that isn't terminated runs to the end, so that no search starts again inside of it.
# The possessive `*+` keeps the engine from remembering a way back for each escape.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_LITERAL = r"-?Infinity|NaN"
_NUMBER = r"-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_HARMLESS_NUMBER = r"-?[0-9]{1,300}+(?:\.[0-9]++)?(?![0-9.eE])"

# A backslash that is left over is none of JSON's escapes.
_ESCAPED_STRING = r'"[^"\\]*+(?:\\["\\/bfnrtu][^"\\]*+)*+"?'
_BRACKET = re.compile(rf"{_ESCAPED_STRING}|([\[{{])|[\]}}]|(\\)", re.DOTALL)
_KEY_OR_BRACKET = re.compile(rf"({_STRING})[ \t\n\r]*+(:)?+|[\[\]{{}}]", re.DOTALL)
_UP_TO_NUMBER = re.compile(
    rf'(?:[^"NI0-9-]++|{_STRING}|{_HARMLESS_NUMBER})*+({_LITERAL}|{_NUMBER})', re.DOTALL
)

_key_decoder = library.Decoder(strict=False)


def not_utf8(encoded: bytes, start: int) -> InvalidJSONError:
    """Return the error for bytes that can't be decoded, from the index ``start`` on."""
    return InvalidJSONError(
        f"'{encoded[start]:#04x}' is not UTF-8, send the document in UTF-8",
        encoded.decode(errors="replace"),
        len(encoded[:start].decode()),
    )


def lone_surrogate(text: str, position: int) -> InvalidJSONError:
    """Return the error for half of a character, which stands there itself or as an escape."""
    found = text[position]
    shown = text[position : position + 6] if found == "\\" else f"\\u{ord(found):04x}"
    return InvalidJSONError(
        f"'{shown}' is half of a surrogate pair, send the whole pair", text, position
    )


def find_depth(text: str, limit: int) -> InvalidJSONError | None:
    """Return the error for the first bracket that is nested deeper than ``limit``."""
    depth = 0
    for match in _BRACKET.finditer(text):
        if match[1]:
            depth += 1
            if depth > limit:
                return InvalidJSONError(
                    f"'{match[1]}' is nested more than {limit} deep, send a flatter document",
                    text,
                    match.start(),
                )
        elif match[2]:
            return None  # It isn't JSON.
        elif not match[0].startswith('"'):
            depth -= 1
    return None


def find_duplicate_key(text: str) -> InvalidJSONError | None:
    """Return the error for the first key that an object has already."""
    objects: list[set[str]] = []
    for match in _KEY_OR_BRACKET.finditer(text):
        if match[2] and objects:
            try:
                key = _key_decoder.decode(match[1])
            except ValueError:
                return None  # It isn't JSON.
            if key in objects[-1]:
                return InvalidJSONError(
                    f"'{_shortened(match[1][1:-1])}' is a key twice in the same object,"
                    " send each key once",
                    text,
                    match.start(),
                )
            objects[-1].add(key)
        elif match[0] in ("{", "["):
            objects.append(set())
        elif match[0] in ("}", "]") and objects:
            objects.pop()
    return None


def find_refused_number(text: str) -> InvalidJSONError | None:
    """Return the error for the first number that isn't one in JSON, or that Python can't hold.

    These are ``NaN``, ``Infinity`` and ``-Infinity``, which :rfc:`8259#section-6` excludes, one
    such as ``1e999`` that a float could only hold as an infinity, and an integer of more digits
    than :func:`sys.get_int_max_str_digits`.
    """
    for token, position in unusual_numbers(text):
        problem = _problem(token)
        if problem:
            return InvalidJSONError(f"'{_shortened(token)}' {problem}", text, position)
    return None


def unusual_numbers(text: str) -> Iterator[tuple[str, int]]:
    """Yield what a float or an integer may not hold, and where it starts.

    These are ``NaN``, infinities, and numbers that have an exponent or very many digits, outside
    of strings. It ends at what isn't JSON.
    """
    match = _UP_TO_NUMBER.match(text)
    while match:
        yield match[1], match.start(1)
        match = _UP_TO_NUMBER.match(text, match.end())


def _problem(token: str) -> str | None:
    if token.endswith(("NaN", "Infinity")):
        return "is not JSON, send null or a finite number"
    if not token.removeprefix("-").isdigit():
        is_finite = math.isfinite(float(token))
        return None if is_finite else "is too large for a float, send it as a string"

    limit = sys.get_int_max_str_digits()
    is_readable = limit == 0 or len(token.removeprefix("-")) <= limit
    return None if is_readable else f"has more than {limit} digits, send it as a string"


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
