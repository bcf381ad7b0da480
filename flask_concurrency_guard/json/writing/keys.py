"""The keys of objects: how they are spelled, and in which order they come."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeAlias
from uuid import UUID

from ..errors import JSONTypeError
from .kinds import simpler
from .numbers import check_not_a_number
from .numbers import spell_digits
from .problems import Problem
from .spelling import encodable

if TYPE_CHECKING:
    from ..policy import Policy

Items: TypeAlias = list[tuple[Any, Any]]

_KNOWN_TO_PYTHON = (str, int, float, type(None))
_CONSTANTS = {None: "null", True: "true", False: "false"}


def spell_key(key: Any, policy: Policy) -> str:
    """Return how a key is spelled: as Python's own encoder does, or as the same value is.

    :raises Problem: It is of a type that has no form in JSON.
    """
    if isinstance(key, str):
        return encodable(str.__str__(key))
    if key is None or isinstance(key, bool):
        return _CONSTANTS[key]
    if isinstance(key, int):
        return spell_digits(key)
    if isinstance(key, float):
        return _spell_float(key, policy)
    if isinstance(key, enum.Enum):
        return spell_key(key.value, policy)
    if isinstance(key, Decimal):
        if not key.is_finite():
            check_not_a_number(key, policy)
        return str(key)
    if isinstance(key, UUID):
        return str(key)
    if isinstance(key, (dt.date, dt.time, dt.timedelta)):
        return str(simpler(key, policy))
    raise Problem(
        f"'{{path}}' has a key of type '{type(key).__name__}', which has no form in JSON: make it"
        " a str.",
        JSONTypeError,
    )


def in_order(value: dict[Any, Any]) -> dict[Any, Any]:
    """Return a copy in the order of the keys, or in the same order where they have none."""
    copy = value.copy()
    try:
        return {key: copy[key] for key in sorted(copy)}
    except Exception:
        # A comparison may raise anything: that of a decimal does for NaN, but not a TypeError.
        return copy


def sorted_items(items: Items, policy: Policy) -> Items:
    """Return items in the order of Python's own encoder, or of the spelling of their keys.

    The latter is for keys which that encoder can't sort or doesn't take.
    """
    if all(isinstance(key, _KNOWN_TO_PYTHON) for key, _ in items):
        try:
            return sorted(items, key=itemgetter(0))
        except TypeError:
            pass
    return sorted(items, key=lambda item: spell_key(item[0], policy))


def without_unknown(items: Items) -> Items:
    """Return the items that Python's own encoder takes with ``skipkeys``."""
    return [item for item in items if isinstance(item[0], _KNOWN_TO_PYTHON)]


def collision(items: Items, policy: Policy) -> Problem:
    """Return the problem with items of which two have keys that are spelled the same."""
    seen: dict[str, object] = {}
    for key, _ in items:
        name = spell_key(key, policy)
        if name in seen:
            break
        seen[name] = key
    return Problem(
        f"'{{path}}' has two keys that are both written as '{name}', {seen[name]!r} and {key!r}:"
        " rename one of them."
    )


def _spell_float(key: float, policy: Policy) -> str:
    if key - key:
        check_not_a_number(key, policy)
        return "NaN" if key != key else "Infinity" if key > 0 else "-Infinity"
    return float.__repr__(key)
