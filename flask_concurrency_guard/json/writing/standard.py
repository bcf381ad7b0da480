"""The standard library's encoder, for values that the policy has nothing against."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING
from typing import Any
from typing import NoReturn

from ... import standard_json as library

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable

    from ..backends.protocol import Layout


def chunk_encoder(
    layout: Layout, default: Callable[[Any], object]
) -> Callable[[object], Iterable[str]] | None:
    """Return the encoder in C, which gives the pieces of a text, if there is one for a layout.

    It keeps no track of circles: the value must be known to have none.
    """
    if library.make_encoder is None or layout.indent is not None:
        return None
    encoder = library.make_encoder(
        None,
        default,
        library.string_encoder(layout.ensure_ascii),
        None,
        layout.key_separator,
        layout.item_separator,
        layout.sort_keys,
        False,  # skipkeys
        False,  # allow_nan
    )
    # By keyword, so that the whole is a function in C and nothing comes between.
    return partial(encoder, _current_indent_level=0)


def write_plain(value: object, layout: Layout) -> str:
    """Write a plain value, in which there may be decimals that are to be numbers.

    Its keys are in order already.
    """
    encode = chunk_encoder(layout._replace(sort_keys=False), _refuse)
    if encode is not None:
        try:
            return "".join(encode(value))
        except _NotPlainError:
            pass
    iterencode = library.make_iterencode(
        None,
        _as_number,
        library.string_encoder(layout.ensure_ascii),
        layout.indent,
        _spell_float,
        layout.key_separator,
        layout.item_separator,
        False,  # sort_keys
        False,  # skipkeys
        False,  # one_shot
    )
    return "".join(iterencode(value, 0))


class _NotPlainError(Exception):
    """There is a decimal, which only the encoder in Python can write as a number."""


class _Number(float):
    """A number that is spelled as a decimal is. The encoder knows it as a float."""

    __slots__ = ("decimal",)

    decimal: Decimal


def _refuse(value: object) -> NoReturn:
    raise _NotPlainError


def _as_number(value: object) -> _Number:
    assert isinstance(value, Decimal), "a plain value has nothing else that the encoder can't write"
    number = _Number()
    number.decimal = value
    return number


def _spell_float(value: float) -> str:
    return str(value.decimal) if isinstance(value, _Number) else float.__repr__(value)
