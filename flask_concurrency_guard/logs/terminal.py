"""What a terminal is written: lines that can be read, and nothing that it would obey."""

from __future__ import annotations

NARROWEST, WIDEST = 40, 100
"""Columns. What is wider is hard to read."""


def harmless(text: str) -> str:
    """Return a text with escapes in place of what isn't printable.

    What clients have sent stands in logs, and may be commands to whoever's terminal shows it.
    """
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
