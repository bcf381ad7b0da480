"""What becomes of numbers that JSON, or some readers of it, can't hold."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .problems import Problem

if TYPE_CHECKING:
    from decimal import Decimal

    from ..policy import Policy


def check_not_a_number(value: float | Decimal, policy: Policy) -> None:
    """Let NaN or an infinity pass, which becomes null.

    :raises Problem: The policy wants an error.
    """
    if policy.nan == "error":
        raise Problem(
            f"'{{path}}' is {value}, which JSON can't hold: send None, or set"
            " 'CONCURRENCY_GUARD_JSON_NAN' to 'null'."
        )


def spell_big(value: int, policy: Policy) -> int | str:
    """Return what stands for an integer beyond those that a double holds exactly.

    :raises Problem: The policy wants an error.
    """
    digits = spell_digits(value)
    if policy.bigint == "number":
        return value
    if policy.bigint == "string":
        return digits
    shown = digits if len(digits) <= 40 else f"{digits[:37]}..."
    raise Problem(
        f"'{{path}}' is {shown}, which a double can't hold exactly: send it as a string, or set"
        " 'CONCURRENCY_GUARD_JSON_BIGINT' to 'string'."
    )


def spell_digits(value: int) -> str:
    """Return the digits of an integer, as Python's own encoder does.

    :raises Problem: There are more of them than :func:`sys.get_int_max_str_digits`.
    """
    try:
        return int.__repr__(value)
    except ValueError:
        raise Problem(
            f"'{{path}}' is an integer of more than {sys.get_int_max_str_digits()} digits, which"
            " takes Python too long to spell: send it in hexadecimal, as a string."
        ) from None
