"""The standard library's decoder, without the numbers and the keys that are refused.

What it refuses is raised as an :exc:`.InvalidJSONError`, for every backend: a document that a
library in C doesn't take comes here as well, so that all give the same answer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from typing import Any
from typing import NoReturn
from typing import TypeAlias

from ... import standard_json as library
from .. import survey
from ..errors import InvalidJSONError
from . import faults
from . import scan

if TYPE_CHECKING:
    from collections.abc import Callable
    from json import JSONDecoder

    from ..options import Options

Pairs: TypeAlias = "list[tuple[str, Any]]"


class _RefusedNumberError(Exception):
    """The decoder came upon a number that is refused."""


class _DuplicateKeyError(Exception):
    """The decoder came upon an object that has a key twice."""


class StandardLibraryDecoder:
    """Reads documents that are known to be text, and not too deep.

    :param unique_keys: Whether an object that has a key twice is refused.
    """

    def __init__(self, unique_keys: bool) -> None:
        self._unique_keys = unique_keys
        hook = _dict_of_unique_keys if unique_keys else None
        self._plain = library.Decoder(parse_constant=_refuse_constant, object_pairs_hook=hook)
        self._checking = library.Decoder(
            parse_constant=_refuse_constant, parse_float=_finite_float, object_pairs_hook=hook
        )

    def decode(self, text: str, encoded: bytes, options: Options, flags: int) -> object:
        """Read a document.

        :param encoded: The same document in UTF-8.
        :param options: Those of :func:`json.loads` that were given.
        :param flags: What was found in it, see :mod:`..survey`.
        :raises InvalidJSONError: It isn't JSON, or has a number or a key that is refused.
        """
        try:
            if options:
                return self._decoder(text, options).decode(text)
            may_overflow = flags & survey.EXTREME and scan.may_overflow(encoded)
            decoder = self._checking if may_overflow else self._plain
            return _decode(text, decoder)
        except RecursionError:
            raise
        except Exception as error:
            refusal = _refusal(text, error)
            if refusal is None:
                raise
            raise refusal from None

    def _decoder(self, text: str, options: Options) -> JSONDecoder:
        cls = options.pop("cls", library.SharedDecoder)
        if cls is not library.SharedDecoder:
            # A class may take no options or set its own, so its document is checked beforehand.
            refusal = faults.find_refused_number(text)
            if refusal is None and self._unique_keys:
                refusal = faults.find_duplicate_key(text)
            if refusal is not None:
                raise refusal
            decoder: JSONDecoder = cls(**options)
            return decoder

        options.setdefault("parse_constant", _refuse_constant)
        options["parse_float"] = _finite(options.get("parse_float", float))
        if self._unique_keys:
            options["object_pairs_hook"] = _after_check(options)
        return library.Decoder(**options)


def _decode(text: str, decoder: JSONDecoder) -> object:
    # What `decode` does, with less around it. It is left to find the words for what isn't JSON.
    try:
        value, end = decoder.scan_once(text, 0)  # type: ignore[attr-defined]
    except StopIteration:
        return decoder.decode(text)
    if end == len(text) or not text[end:].strip(" \t\n\r"):
        return value
    return decoder.decode(text)


def _refuse_constant(name: str) -> NoReturn:
    raise _RefusedNumberError(name)


def _finite_float(digits: str) -> float:
    number = float(digits)
    # An infinity less itself is NaN, which counts as true. This runs once for each float.
    if number - number:
        raise _RefusedNumberError(digits)
    return number


def _finite(parse: Callable[[str], object]) -> Callable[[str], object]:
    def parse_float(digits: str) -> object:
        number = parse(digits)
        # What a Decimal can hold is fine, and so is an infinity that the caller chose for a 1.5.
        if isinstance(number, float) and not math.isfinite(number):
            _finite_float(digits)
        return number

    return parse_float


def _dict_of_unique_keys(pairs: Pairs) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DuplicateKeyError
    return found


def _after_check(options: Options) -> Callable[[Pairs], object]:
    """Return a hook that checks the keys of an object for the caller's own hook."""
    of_pairs = options.get("object_pairs_hook")
    of_dict = options.get("object_hook")

    def hook(pairs: Pairs) -> object:
        found = _dict_of_unique_keys(pairs)
        if of_pairs is not None:
            return of_pairs(pairs)
        return found if of_dict is None else of_dict(found)

    return hook


def _refusal(text: str, error: Exception) -> InvalidJSONError | None:
    """Return what is wrong with the document, or `None` if a hook of the caller failed."""
    if isinstance(error, _RefusedNumberError):
        return faults.find_refused_number(text)
    if isinstance(error, _DuplicateKeyError):
        return faults.find_duplicate_key(text)
    if isinstance(error, (library.SharedDecodeError, library.DecodeError)):
        return InvalidJSONError(error.msg, error.doc, error.pos)
    if library.shared_error_is_patched():
        found = library.find_error(text)
        if found is not None:
            return InvalidJSONError(found.msg, found.doc, found.pos)
    # All that is left for the decoder to complain about is an integer with too many digits.
    return faults.find_refused_number(text) if isinstance(error, ValueError) else None
