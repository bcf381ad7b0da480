"""orjson: the fastest at plain values. It has no decimals, and no integers beyond 64 bits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import orjson

from .. import features
from ..reading import NativeDecoder
from .protocol import Encoder

if TYPE_CHECKING:
    from decimal import Decimal

    from ..policy import Policy
    from .protocol import Backend
    from .protocol import Layout


class OrjsonBackend:
    """Writes and reads with orjson."""

    writes_exact_numbers = True
    decoder = NativeDecoder(orjson.loads, (orjson.JSONDecodeError,), exact_integers=False)

    def encoder(self, policy: Policy, layout: Layout) -> Encoder | None:
        """Return orjson's encoder, with `str` for decimals, which runs no Python code."""
        refused = features.EXPONENT | features.HUGE
        option = orjson.OPT_UTC_Z
        if layout.sort_keys:
            option |= orjson.OPT_SORT_KEYS
        if layout.ensure_ascii:
            refused |= features.ESCAPED
        if policy.naive == "utc":
            option |= orjson.OPT_NAIVE_UTC
        if policy.naive == "error":
            refused |= features.NAIVE
        if policy.datetime == "http":
            refused |= features.NAIVE | features.AWARE | features.DATE
        if policy.decimal == "number":
            refused |= features.DECIMAL
        return Encoder(partial(orjson.dumps, default=str, option=option), refused)

    def plain_encoder(self, policy: Policy, layout: Layout) -> Encoder | None:
        """Return orjson's encoder, for values that no other thread can change."""
        refused = features.EXPONENT | features.HUGE
        if layout.ensure_ascii:
            refused |= features.ESCAPED
        return Encoder(partial(orjson.dumps, default=_exact), refused)


def _exact(value: Decimal) -> orjson.Fragment:
    return orjson.Fragment(str(value))


backend: Backend = OrjsonBackend()
