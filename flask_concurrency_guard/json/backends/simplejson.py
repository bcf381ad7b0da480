"""simplejson: for decimals as exact numbers, without anything but Python needed to install it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import simplejson

from .protocol import Encoder

if TYPE_CHECKING:
    from ..policy import Policy
    from .protocol import Backend
    from .protocol import Layout


class SimplejsonBackend:
    """Writes plain copies with simplejson."""

    writes_exact_numbers = True
    decoder = None

    def encoder(self, policy: Policy, layout: Layout) -> Encoder | None:
        """Return `None`: it is slower than the standard library at what needs no copy."""

    def plain_encoder(self, policy: Policy, layout: Layout) -> Encoder | None:
        """Return simplejson's encoder."""
        encoder = simplejson.JSONEncoder(
            ensure_ascii=layout.ensure_ascii,
            separators=(layout.item_separator, layout.key_separator),
            encoding=None,  # type: ignore[arg-type]  # which takes no bytes for text
            namedtuple_as_object=False,
            use_decimal=True,
        )
        return Encoder(encoder.encode, 0)


backend: Backend = SimplejsonBackend()
