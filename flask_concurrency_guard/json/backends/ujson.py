"""ujson: here for those who have it. It only ever writes what can't go wrong in it.

It accepts things that aren't JSON, so documents are read by the standard library.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import ujson

from .. import features
from .protocol import SPECIAL
from .protocol import Encoder

if TYPE_CHECKING:
    from ..policy import Policy
    from .protocol import Backend
    from .protocol import Layout


class UjsonBackend:
    """Writes with ujson."""

    writes_exact_numbers = False
    decoder = None

    def encoder(self, policy: Policy, layout: Layout) -> Encoder | None:
        """Return ujson's encoder. Of a decimal it would make a double."""
        refused = features.EXPONENT | features.HUGE | features.NAN | SPECIAL
        if layout.ensure_ascii:
            # It escapes U+007F in its own way, which is not at all.
            refused |= features.ESCAPED
        encode = partial(
            ujson.dumps,
            allow_nan=False,
            encode_html_chars=False,
            ensure_ascii=layout.ensure_ascii,
            escape_forward_slashes=False,
            reject_bytes=True,
            separators=(",", ":"),
            sort_keys=layout.sort_keys,
        )
        return Encoder(encode, refused)

    plain_encoder = encoder


backend: Backend = UjsonBackend()
