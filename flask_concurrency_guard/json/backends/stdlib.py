"""The standard library: exact, and the same wherever Python runs.

It is what every backend falls back on, so there is nothing here that it does differently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..policy import Policy
    from .protocol import Backend
    from .protocol import Encoder
    from .protocol import Layout


class StandardLibraryBackend:
    """Leaves everything to the standard library."""

    writes_exact_numbers = False
    decoder = None

    def encoder(self, policy: Policy, layout: Layout) -> Encoder | None:
        """Return `None`, since the standard library's encoder is not only for compact layouts."""

    def plain_encoder(self, policy: Policy, layout: Layout) -> Encoder | None:
        """Return `None`, for the same reason."""


backend: Backend = StandardLibraryBackend()
