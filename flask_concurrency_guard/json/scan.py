"""Searches in JSON text that are much faster than parsing it.

Each rests on a few passes that run in C over the whole text (:meth:`bytes.translate`,
:meth:`bytes.replace`, searches for a substring). Only where these leave a doubt is the text looked
at token by token.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# A string that isn't terminated runs to the end, so that no search starts again inside of it.
# The possessive `*+` keeps the engine from remembering a way back for each escape.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_LITERAL = r"-?Infinity|NaN"
_NUMBER = r"-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_HARMLESS_NUMBER = r"-?[0-9]{1,300}+(?:\.[0-9]++)?(?![0-9.eE])"

_BRACKET = re.compile(rf"{_STRING}|([\[{{])|[\]}}]", re.DOTALL)
_UP_TO_LITERAL = re.compile(rf'((?:[^"NI-]++|{_STRING}|-(?!I))*+)(?:{_LITERAL})', re.DOTALL)
_UP_TO_NUMBER = re.compile(
    rf'(?:[^"NI0-9-]++|{_STRING}|{_HARMLESS_NUMBER})*+({_LITERAL}|{_NUMBER})', re.DOTALL
)

_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_ONE_KIND_OF_BRACKET = bytes.maketrans(b"{}", b"[]")
_UP_AND_DOWN = bytes.maketrans(b"[]", b"\x01\xff")  # 1 and -1 as signed bytes

# Digits become 0, both e become e, what may follow a number becomes a space, all else an x.
_NUMBER_SHAPES = bytearray(b"x" * 256)
for _shape, _bytes in {"0": b"0123456789", "e": b"eE", " ": b",]} \t\n\r"}.items():
    for _byte in _bytes:
        _NUMBER_SHAPES[_byte] = ord(_shape)


def is_deeper(encoded: bytes, limit: int) -> bool:
    """Whether a document is nested more than ``limit`` deep.

    Exact for JSON. Of what isn't JSON it may say yes for a part that no parser comes to.
    """
    if len(encoded) <= limit:
        return False

    brackets = _brackets(encoded)
    # Taking innermost pairs away makes a document flatter by one level, and an ordinary one so
    # much smaller that a few rounds answer the question.
    for rounds in range(limit):
        if len(brackets) <= limit - rounds:
            return False
        fewer = brackets.replace(b"[]", b"")
        if len(fewer) > len(brackets) * 0.9:
            steps = memoryview(brackets.translate(_UP_AND_DOWN)).cast("b")
            return max(accumulate(steps)) > limit - rounds
        brackets = fewer
    return len(brackets) > 0


def _brackets(encoded: bytes) -> bytes:
    """Return the brackets outside of strings, both kinds of them as square ones."""
    # Searches go from the end, since CPython does that twice as fast.
    if b"\\" in encoded and encoded.rfind(b'\\"') >= 0:
        for escape in (b"\\\\", b'\\"'):
            encoded = b"".join(encoded.rsplit(escape))

    structure = encoded.translate(_ONE_KIND_OF_BRACKET, _NOT_STRUCTURE)
    brackets = structure.translate(None, b'"')
    if 2 * structure.count(b'""') == len(structure) - len(brackets):
        # All quotes stand in pairs, so there are no brackets inside of strings.
        return brackets
    return b"".join(structure.split(b'"')[::2])


def find_depth(text: str, limit: int) -> int | None:
    """Return where a document first gets nested deeper than ``limit``, if anywhere."""
    depth = 0
    for match in _BRACKET.finditer(text):
        if match[1]:
            depth += 1
            if depth > limit:
                return match.start()
        elif not match[0].startswith('"'):
            depth -= 1
    return None


def may_overflow(text: str) -> bool:
    """Whether a number in a document may be too large for a float; `False` is certain.

    That takes an exponent of three digits, or one of two and over two hundred digits before it.
    """
    middle = len(text) // 2
    if len(text) < 512 or text.count(".", middle, middle + 512) < 8:
        # It has so few floats that to check these one by one costs less than to search it.
        return True

    encoded = text.encode("utf-8", "surrogatepass")
    shapes = encoded.translate(_NUMBER_SHAPES, b"+")
    if b"0" * 200 in shapes:
        return True
    # The digits after `e` end where a number would, which those in a UUID or a hash don't.
    after = (piece.lstrip(b"0") for piece in shapes.rsplit(b"e000")[1:])
    return any(piece.startswith(b" ") for piece in after) or shapes.endswith(b"0")


def unusual_numbers(text: str) -> Iterator[tuple[str, int]]:
    """Yield what a float or an integer may not hold, and where it starts.

    These are ``NaN``, infinities, and numbers that have an exponent or very many digits, outside
    of strings. It ends at what isn't JSON.
    """
    match = _UP_TO_NUMBER.match(text)
    while match:
        yield match[1], match.start(1)
        match = _UP_TO_NUMBER.match(text, match.end())


def replace_literals(text: str) -> str:
    """Return JSON as Python writes it with ``null`` for each ``NaN`` and infinity.

    Only outside of strings: as the key of an object they are valid.
    """
    if text.rfind("NaN") < 0 and text.rfind("Infinity") < 0:
        return text

    pieces: list[str] = []
    position = 0
    while match := _UP_TO_LITERAL.match(text, position):
        pieces += match[1], "null"
        position = match.end()
    pieces.append(text[position:])
    return "".join(pieces)
