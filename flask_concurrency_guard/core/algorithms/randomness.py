"""The chance that keeps processes from measuring anew all at the same time."""

from __future__ import annotations

from typing import Protocol


class Randomness(Protocol):
    """What `random.Random` and the module `random` have in common.

    The module is the better one for several processes: a child that was forked goes on with
    numbers of its own there.
    """

    def random(self) -> float:
        """Return a number from 0 to below 1."""
