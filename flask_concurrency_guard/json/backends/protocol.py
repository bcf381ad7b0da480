"""What a backend is: one library that writes and reads JSON, and what it must not be given."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple
from typing import Protocol

from .. import features

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..policy import Policy
    from ..reading import NativeDecoder


SPECIAL = features.NAIVE | features.AWARE | features.DATE | features.UUID | features.DECIMAL
"""What values have that Flask leaves to ``default``."""


class Layout(NamedTuple):
    """What a text looks like, apart from what it says."""

    sort_keys: bool
    ensure_ascii: bool
    indent: str | None
    item_separator: str
    key_separator: str

    @property
    def is_compact(self) -> bool:
        """Whether there is no white space in it, which is the only layout of most libraries."""
        return self.indent is None and self[3:] == (",", ":")


class Encoder(NamedTuple):
    """A library's function that writes values, and what it doesn't write as the policy wants."""

    encode: Callable[[Any], Any]
    """It is written in C, and returns the text, in UTF-8 or in pieces."""
    refused: int
    """The features of :mod:`..features` that a value must not have."""


class Backend(Protocol):
    """One library. All of its parts are what it does better than the standard library."""

    @property
    def writes_exact_numbers(self) -> bool:
        """Whether it can write a decimal as a number, with all its digits."""

    @property
    def decoder(self) -> NativeDecoder | None:
        """What reads documents, `None` for the standard library."""

    def encoder(self, policy: Policy, layout: Layout) -> Encoder | None:
        """Return what writes values that other threads may hold, in the compact layout.

        It never runs Python code, whatever has none of the features that it refuses.
        """

    def plain_encoder(self, policy: Policy, layout: Layout) -> Encoder | None:
        """Return what writes plain copies, whose keys are in order, in the compact layout."""
