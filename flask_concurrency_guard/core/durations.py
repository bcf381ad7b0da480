"""Durations in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return it in words, as exact as anyone needs it."""
    milliseconds = seconds * 1000
    if milliseconds >= 1000:
        return f"{seconds:.0f} s" if seconds >= 999.5 else f"{seconds:.3g} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2g} ms"
