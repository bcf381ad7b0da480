"""What a request asks of a limiter, where requests are not all alike."""

from __future__ import annotations

from typing import NamedTuple


class Claim(NamedTuple):
    """How much a request asks for, and in whose name."""

    cost: int = 1
    """How many places it takes; all of them, where the limit is less."""

    rank: int = 0
    """How important it is: 0 is the most important, and who ranks lower waits for them."""

    partition: str = ""
    """Whose share of the limit it uses; empty for nobody's, which has what is left."""


PLAIN = Claim()
"""What all ask for, as long as nobody says anything else. Limiters compare by identity."""
