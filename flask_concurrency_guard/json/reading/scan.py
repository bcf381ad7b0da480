"""Searches in encoded JSON that are much faster than parsing it.

Each is a few passes that run in C over the whole document (:meth:`bytes.translate`, searches for a
substring). None says no by mistake. Where one says yes, the text is looked at token by token, in
:mod:`.faults`, or read in a way that is slower and sure.

Searches for a substring go from the end: CPython then looks for its first byte, and the backslash
is rarer in JSON than what follows it.
"""

from __future__ import annotations

import re
from itertools import accumulate

from .. import survey as flags

_STRUCTURE = b'[]{}"'
# A backslash and what may follow it. All of it is kept, since a backslash that has lost its letter
# would seem to escape the next quote.
_ESCAPES = b"\\/bfnrtu"

_NOT_STRUCTURE = bytes(set(range(256)).difference(_STRUCTURE))
_NOT_OUTLINE = bytes(set(range(256)).difference(_STRUCTURE, _ESCAPES))
_ONE_KIND_OF_BRACKET = bytes.maketrans(b"{}", b"[]")
_UP_AND_DOWN = bytes.maketrans(b"[]", b"\x01\xff")  # 1 and -1 as signed bytes

_DIGITS = b"0123456789"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_WHOLE_CHARACTERS = re.compile(
    rb"(?:\\(?:[^u]|u(?:[^dD]|[dD](?:[0-7]|[89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F])))[^\\]*+)*+",
    re.DOTALL,
)


def _shapes(shapes: dict[bytes, bytes]) -> bytes:
    table = bytearray(b"x" * 256)
    for shape, members in shapes.items():
        for byte in members:
            table[byte] = ord(shape)
    return bytes(table)


_BEFORE_NUMBER = b"[,: \t\n\r"
_AFTER_NUMBER = b",]} \t\n\r"
_NUMBER_SHAPES = _shapes({b"0": _DIGITS, b"-": b"-", b" ": _BEFORE_NUMBER})
_FLOAT_SHAPES = _shapes({b"0": _DIGITS, b"e": b"eE", b"+": b"+", b" ": _AFTER_NUMBER})


def survey(encoded: bytes, max_depth: int) -> int:
    """Return what may be in a document, as flags of :mod:`..survey`, where C can't tell."""
    found = flags.DEEP if is_deeper(outline(encoded, max_depth), max_depth) else 0
    # These are only looked for when somebody needs to know.
    return found | flags.WIDE | flags.EXTREME | flags.SURROGATE


def outline(encoded: bytes, limit: int) -> bytes:
    """Return the brackets and quotes of a document, both kinds of brackets as square ones.

    If there are escapes in it, these and some stray letters are left as well. Nothing is left of
    a document that has no more than ``limit`` brackets of those that open.
    """
    if len(encoded) <= limit or _has_few_brackets(encoded, limit):
        return b""
    rest = _NOT_OUTLINE if b"\\" in encoded else _NOT_STRUCTURE
    return encoded.translate(_ONE_KIND_OF_BRACKET, rest)


def _has_few_brackets(encoded: bytes, limit: int) -> bool:
    # A long text, such as a file in Base64, is passed over much faster here than by a translation.
    # If there is one, it is probably in the middle.
    middle = len(encoded) // 2
    if b"[" in encoded[middle : middle + 1024] or b"{" in encoded[middle : middle + 1024]:
        return False
    for bracket in (b"[", b"{"):
        position = encoded.find(bracket)
        while position >= 0:
            limit -= 1
            if limit < 0:
                return False
            position = encoded.find(bracket, position + 1)
    return True


def is_deeper(outline: bytes, limit: int) -> bool:
    """Whether a document is nested more than ``limit`` deep, by its :func:`outline`.

    Exact for JSON. Of what isn't JSON it may say yes for a part that no parser comes to.
    """
    if len(outline) <= limit:
        return False

    brackets = _brackets(outline)
    # Taking innermost pairs away makes a document flatter by one level, and an ordinary one so
    # much smaller that a few rounds answer the question.
    for rounds in range(limit):
        if len(brackets) <= limit - rounds:
            return False
        fewer = brackets.replace(b"[]", b"")
        if len(fewer) > len(brackets) * 0.9:
            steps = memoryview(brackets.translate(_UP_AND_DOWN)).cast("b")
            return any(map((limit - rounds).__lt__, accumulate(steps)))
        brackets = fewer
    return len(brackets) > 0


def _brackets(outline: bytes) -> bytes:
    """Return those brackets of an outline that are outside of strings."""
    if b"\\" in outline:
        if outline.rfind(b'\\"') >= 0:
            for escape in (b"\\\\", b'\\"'):
                outline = b"".join(outline.rsplit(escape))
        outline = outline.translate(None, _ESCAPES)

    brackets = outline.translate(None, b'"')
    if 2 * outline.count(b'""') == len(outline) - len(brackets):
        # All quotes stand in pairs, so there are no brackets inside of strings.
        return brackets
    # To take pairs away leaves each bracket on its side of the other quotes.
    return b"".join(outline.replace(b'""', b"").split(b'"')[::2])


def find_lone_surrogate(encoded: bytes) -> int | None:
    """Return where a document has an escape for half of a character, as an index in its bytes.

    Exact for JSON, and for what isn't JSON up to the first backslash outside of strings.
    """
    if b"\\" not in encoded or encoded.rfind(b"\\u") < 0 or not _SURROGATE.search(encoded):
        return None
    whole = _WHOLE_CHARACTERS.match(encoded, encoded.find(b"\\"))
    end = whole.end() if whole else 0
    return end if _SURROGATE.match(encoded, end) else None


def may_be_inexact(encoded: bytes) -> bool:
    """Whether a number in a document may have more digits than 64 bits hold.

    That takes 20 of them, or 19 after a minus sign. After a point, it takes hundreds.
    """
    # Among 19 digits are three, or more, of every sixth byte.
    if encoded[::6].translate(_NUMBER_SHAPES).rfind(b"000") < 0:
        return False
    shapes = encoded.translate(_NUMBER_SHAPES)
    if shapes.rfind(b"0" * 19) < 0:
        return False
    # The digits in most texts and names don't come after what a number comes after.
    return shapes.startswith(b"0" * 20) or any(
        shapes.rfind(digits) >= 0 for digits in (b" " + b"0" * 20, b"-" + b"0" * 19, b"0" * 200)
    )


def may_overflow(encoded: bytes) -> bool:
    """Whether a number in a document may be too large for a float.

    That takes an exponent of three digits, or one of two and over two hundred digits before it.
    """
    middle = len(encoded) // 2
    if len(encoded) < 512 or encoded.count(b".", middle, middle + 512) < 8:
        # It has so few floats that to check these one by one costs less than to search it.
        return True

    shapes = encoded.translate(_FLOAT_SHAPES)
    if shapes.rfind(b"0" * 200) >= 0 or shapes.endswith(b"0"):
        return True
    # The digits after `e` end where a number would, which those in a UUID or a hash don't.
    return any(
        piece.lstrip(b"0").startswith(b" ")
        for exponent in (b"e000", b"e+000")
        for piece in shapes.rsplit(exponent)[1:]
    )
