"""Figures for people."""

from __future__ import annotations

from math import floor
from math import log10


def count(value: float) -> str:
    """Return how many."""
    return f"{value:,.0f}"


def number(value: float) -> str:
    """Return a number of which three digits tell enough."""
    if value == 0:
        return "0"
    digits = max(0, 2 - floor(log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(value: float) -> str:
    """Return a part of one in percent."""
    percent = 100 * value
    return f"{percent:.1f} %" if 0 < percent < 99.95 else f"{percent:.0f} %"


def time(seconds: float) -> str:
    """Return how long something took."""
    if seconds >= 100:
        return length(seconds)
    if seconds >= 0.9995:
        return f"{number(seconds)} s"
    if seconds >= 0.0009995:
        return f"{number(seconds * 1e3)} ms"
    return f"{number(seconds * 1e6)} µs" if seconds else "0"


def length(seconds: float) -> str:
    """Return how long something lasted that lasts for minutes or days."""
    if seconds < 100:
        return f"{number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
