"""Checks of the settings of algorithms."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from .measures import LONGEST
from .measures import SHORTEST


def check_limits(initial: int, min_limit: int, max_limit: int) -> int:
    """Check what all algorithms have in common. Return the least limit there may be.

    That is 1 even where `min_limit` is 0: with a limit of 0 nothing is admitted, so nothing ends,
    and nothing is learned any more.

    The initial limit may lie below `min_limit`, as published.

    :raises ValueError: one of them can't be. The message says what it must be.
    """
    check_integer("min_limit", min_limit, 0)
    least = max(1, min_limit)
    check_integer("max_limit", max_limit, least, "'min_limit'" if min_limit else "")
    check_integer("initial", initial, 1)
    if initial > max_limit:
        raise ValueError(f"'initial' must be at most {max_limit}, 'max_limit', got {initial}.")
    return least


def check_integer(name: str, value: object, least: int, note: str = "") -> None:
    """Check that a setting is an integer, and no less than `least`.

    :param note: whose value `least` is, or what else is allowed.
    :raises ValueError: it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        note = note and f", {note}"
        raise ValueError(f"'{name}' must be an integer of at least {least}{note}, got {value!r}.")


def check_number(
    name: str, value: object, is_allowed: Callable[[float], bool], expected: str
) -> None:
    """Check that a setting is a number, and a possible one.

    :param expected: what it must be, in words.
    :raises ValueError: it is not.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and is_allowed(value):
        return
    raise ValueError(f"'{name}' must be a number {expected}, got {value!r}.")


def check_smoothing(value: object) -> None:
    check_number("smoothing", value, lambda share: 0 < share <= 1, "above 0 and up to 1")


def check_backoff(value: object) -> None:
    check_number("backoff", value, lambda ratio: 0.5 <= ratio < 1, "from 0.5 to below 1")


def check_tolerance(value: object) -> None:
    check_number("tolerance", value, lambda factor: 1 <= factor < inf, "of at least 1")


def check_seconds(name: str, value: object, least: float = SHORTEST, note: str = "") -> None:
    """Check that a setting is a duration that can be told in nanoseconds.

    :param note: whose value `least` is.
    :raises ValueError: it is not.
    """
    note = note and f", {note},"
    expected = f"of seconds from {least:g}{note} to {LONGEST:g}"
    check_number(name, value, lambda seconds: least <= seconds <= LONGEST, expected)


def check_probing(name: str, value: object) -> None:
    """Check after how many samples something is measured anew; ``None`` stands for never.

    :raises ValueError: it is neither.
    """
    if value is not None:
        check_integer(name, value, 1, "or None")


def check_functions(**functions: object) -> None:
    """Check that settings can be called.

    :raises ValueError: one can't.
    """
    for name, function in functions.items():
        if not callable(function):
            raise ValueError(
                f"'{name}' must be a function, such as 'lambda limit: 3', got {function!r}."
            )
