"""The reader: a fast library first, where there is one, and what that can't be trusted with."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

from .. import survey
from ..errors import InvalidJSONError
from . import faults
from . import scan
from .decoders import StandardLibraryDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..options import Options

_NATIVE_DEPTH = 200
"""How deep a document may be for a library in C.

Each has a limit of its own, or the stack's. Deeper documents are left to one and the same.
"""


class ReadingRules(Protocol):
    """What a policy says about documents that are read."""

    @property
    def duplicate_keys(self) -> str:
        """Of two equal keys in an object, the ``"last"`` counts, or they are an ``"error"``."""

    @property
    def max_depth(self) -> int:
        """How many arrays and objects may stand within each other."""


@dataclass(frozen=True, slots=True)
class NativeDecoder:
    """A library that reads JSON much faster than the standard library does.

    It may refuse what it likes to, for that is read again. But what it takes must be UTF-8 and
    JSON, with no lone surrogates and no infinities, and with the last of two equal keys.
    """

    decode: Callable[[bytes], Any]
    """The function that reads a document. It runs no Python code."""
    errors: tuple[type[Exception], ...]
    """What it raises for a document that it doesn't take."""
    exact_integers: bool = True
    """Whether it reads integers beyond 64 bits as such, or refuses them.

    If not, it isn't trusted with floats of hundreds of digits either: orjson rounds some of these
    in the wrong direction.
    """


class Reader:
    """Reads documents by one policy, with the same answers whatever the library.

    :param rules: The policy.
    :param native: What is asked first, `None` for the standard library alone.
    """

    def __init__(self, rules: ReadingRules, native: NativeDecoder | None) -> None:
        unique_keys = rules.duplicate_keys == "error"
        self._max_depth = rules.max_depth
        self._native_depth = min(rules.max_depth, _NATIVE_DEPTH)
        # No fast library tells of keys that come twice.
        self._native = None if unique_keys else native
        errors = native.errors if native else ()
        self._refusals: tuple[type[Exception], ...] = (RecursionError, *errors)
        self._standard = StandardLibraryDecoder(unique_keys)

    def loads(self, document: str | bytes | bytearray, options: Options) -> Any:
        """Read a document that is not yet known to be JSON.

        A byte order mark at the start of bytes is skipped (:rfc:`8259#section-8.1` allows that).
        Text that starts with one was decoded wrongly, and is refused as in the standard library.

        :param options: Those of :func:`json.loads` that were given. They are used up.
        :raises InvalidJSONError: It isn't JSON in UTF-8, or it breaks one of the rules.
        :raises TypeError: It is neither text nor bytes.
        """
        try:
            encoded = document if type(document) is bytes else _encode(document)
            if encoded.startswith(codecs.BOM_UTF8):
                encoded = _without_mark(document, encoded)

            flags = (survey.survey or scan.survey)(encoded, self._native_depth)
            is_deep = flags & survey.DEEP

            native = None if is_deep or options else self._native
            if native is not None and _can_read(native, encoded, flags):
                try:
                    return native.decode(encoded)
                except self._refusals:
                    pass  # The library that every backend has decides, and finds the words.

            text = document if isinstance(document, str) else _decode(encoded)
            if is_deep:
                self._check_depth(text)
            value = self._standard.decode(text, encoded, options, flags)
            # Not before: of a document that isn't JSON, that is what there is to say.
            if flags & survey.SURROGATE:
                _check_characters(text, encoded)
            return value
        except RecursionError:
            raise InvalidJSONError(
                "The document is nested too deep for the stack that is left", _shown(document), 0
            ) from None

    def _check_depth(self, text: str) -> None:
        refusal = faults.find_depth(text, self._max_depth)
        if refusal is not None:
            raise refusal


def _can_read(native: NativeDecoder, encoded: bytes, flags: int) -> bool:
    if native.exact_integers or not flags & survey.WIDE:
        return True
    return not scan.may_be_inexact(encoded)


def _check_characters(text: str, encoded: bytes) -> None:
    lone = scan.find_lone_surrogate(encoded)
    if lone is not None:
        raise faults.lone_surrogate(text, len(encoded[:lone].decode()))


def _encode(document: object) -> bytes:
    if isinstance(document, str):
        try:
            return document.encode()
        except UnicodeEncodeError as error:
            raise faults.lone_surrogate(document, error.start) from None
    if isinstance(document, (bytes, bytearray)):
        return bytes(document)
    raise TypeError(
        f"'{type(document).__name__}' is not a JSON document, pass str, bytes or bytearray."
    )


def _without_mark(document: str | bytes | bytearray, encoded: bytes) -> bytes:
    if isinstance(document, str):
        raise InvalidJSONError("Unexpected UTF-8 BOM (decode using utf-8-sig)", document, 0)
    return encoded.removeprefix(codecs.BOM_UTF8)


def _decode(encoded: bytes) -> str:
    try:
        return encoded.decode()
    except UnicodeDecodeError as error:
        raise faults.not_utf8(encoded, error.start) from None


def _shown(document: str | bytes | bytearray) -> str:
    return document if isinstance(document, str) else document.decode(errors="replace")
