"""msgspec: fast both ways, and it writes dates, UUIDs and decimals without running Python code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from .. import features
from ..reading import NativeDecoder
from .protocol import Encoder

if TYPE_CHECKING:
    from ..policy import Policy
    from .protocol import Backend
    from .protocol import Layout


class MsgspecBackend:
    """Writes and reads with msgspec."""

    writes_exact_numbers = True
    decoder = NativeDecoder(msgspec.json.Decoder().decode, (msgspec.MsgspecError, UnicodeError))

    def encoder(self, policy: Policy, layout: Layout) -> Encoder | None:
        """Return msgspec's encoder, which knows only ISO 8601, and escapes only what must be."""
        refused = features.EXPONENT
        if layout.ensure_ascii:
            refused |= features.ESCAPED
        if policy.datetime == "http":
            refused |= features.NAIVE | features.AWARE | features.DATE
        elif policy.naive != "keep":
            refused |= features.NAIVE
        encoder = msgspec.json.Encoder(
            order="sorted" if layout.sort_keys else None,
            decimal_format="number" if policy.decimal == "number" else "string",
        )
        return Encoder(encoder.encode, refused)

    plain_encoder = encoder


backend: Backend = MsgspecBackend()
