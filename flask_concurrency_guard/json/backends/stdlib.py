"""The standard library as the backend: exact, and the same wherever Python runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from typing import Any
from typing import NoReturn

from .. import policy
from .. import scan
from .. import standard_library as library
from ..errors import InvalidJSONError

if TYPE_CHECKING:
    from collections.abc import Callable
    from json import JSONDecoder

    from ..options import Options


class StandardLibraryBackend:
    """Writes and reads with a private copy of the standard library's ``json``."""

    def dumps(self, value: object, options: Options, *, once: bool) -> str:
        """Write a value as JSON, as Flask's own provider does."""
        if options.get("cls", library.SharedEncoder) is not library.SharedEncoder:
            return _dumps_with_class(value, options)

        options.pop("cls", None)
        if not options.pop("allow_nan", True):
            return library.Encoder(**options, allow_nan=False).encode(value)
        if not once:
            # Saves the search for literals. What is wrong with the value besides a NaN is
            # raised again below.
            try:
                return library.Encoder(**options, allow_nan=False).encode(value)
            except ValueError:
                pass
        return policy.null_for_literals(library.Encoder(**options).encode(value))

    def loads(self, text: str, options: Options) -> object:
        """Read a document, with the standard library's messages for what isn't JSON."""
        try:
            return _decoder(text, options).decode(text)
        except RecursionError:
            raise InvalidJSONError(
                "The document is nested too deep for the stack that is left", text, 0
            ) from None
        except Exception as error:
            refusal = _refusal(text, error)
            if refusal is None:
                raise
            raise refusal from None


class _RefusedNumberError(Exception):
    """The decoder came upon a number that the policy refuses."""


def _dumps_with_class(value: object, options: Options) -> str:
    """Write a value with the caller's own encoder class.

    Flask passes its ``default`` to every class. It comes first here as well, but what it doesn't
    know goes on to the ``default`` method of the class.
    """
    cls = options.pop("cls")
    first = options.pop("default", None)
    defaults = {"skipkeys": False, "check_circular": True, "allow_nan": True}
    encoder = cls(**{**defaults, "indent": None, "separators": None, "default": None, **options})

    if first is not None:
        encoder.default = _in_turn(first, encoder.default)

    text: str = encoder.encode(value)
    return policy.null_for_literals(text)


def _in_turn(
    first: Callable[[Any], object], second: Callable[[Any], object]
) -> Callable[[Any], object]:
    def default(value: Any) -> object:
        try:
            return first(value)
        except TypeError:
            return second(value)

    return default


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


_plain_decoder = library.Decoder(parse_constant=_refuse_constant)
_checking_decoder = library.Decoder(parse_constant=_refuse_constant, parse_float=_finite_float)


def _decoder(text: str, options: Options) -> JSONDecoder:
    if not options:
        return _checking_decoder if scan.may_overflow(text) else _plain_decoder

    cls = options.pop("cls", library.SharedDecoder)
    if cls is not library.SharedDecoder:
        # A class may take no options or set its own, so its document is checked beforehand.
        refusal = policy.find_refused_number(text)
        if refusal is not None:
            raise refusal
        decoder: JSONDecoder = cls(**options)
        return decoder

    options.setdefault("parse_constant", _refuse_constant)
    options["parse_float"] = _finite(options.get("parse_float", float))
    return library.Decoder(**options)


def _refusal(text: str, error: Exception) -> InvalidJSONError | None:
    """Return what is wrong with the document, or `None` if a hook of the caller failed."""
    if isinstance(error, _RefusedNumberError):
        return policy.find_refused_number(text)
    if isinstance(error, (library.SharedDecodeError, library.DecodeError)):
        return InvalidJSONError(error.msg, error.doc, error.pos)
    if library.shared_error_is_patched():
        found = library.find_error(text)
        if found is not None:
            return InvalidJSONError(found.msg, found.doc, found.pos)
    # All that is left for the decoder to complain about is an integer with too many digits.
    return policy.find_refused_number(text) if isinstance(error, ValueError) else None
