"""What values of other types than JSON's become, one level at a time."""

from __future__ import annotations

import base64
import datetime as dt
import enum
import sys
from collections import UserString
from collections.abc import Mapping
from collections.abc import Sequence
from collections.abc import Set
from dataclasses import fields
from dataclasses import is_dataclass
from decimal import Decimal
from ipaddress import IPv4Address
from ipaddress import IPv4Interface
from ipaddress import IPv4Network
from ipaddress import IPv6Address
from ipaddress import IPv6Interface
from ipaddress import IPv6Network
from pathlib import PurePath
from typing import TYPE_CHECKING
from typing import Any
from uuid import UUID

from ..errors import JSONTypeError
from . import spelling
from .numbers import check_not_a_number
from .problems import Problem

if TYPE_CHECKING:
    from ..policy import Policy

NOTHING = object()
"""Returned for a value of a type that has no form in JSON."""

_SPELLED_BY_STR = (
    UserString,
    PurePath,
    IPv4Address,
    IPv4Network,
    IPv4Interface,
    IPv6Address,
    IPv6Network,
    IPv6Interface,
)
_BYTES = (bytes, bytearray, memoryview)


def simpler(value: Any, policy: Policy) -> object:
    """Return what stands for a value: JSON's types, or a container of values still to be looked at.

    The order is that of Flask's ``default`` where a value is of several kinds.
    """
    if isinstance(value, dt.date):
        return spell_instant(value, policy)
    if isinstance(value, Decimal):
        return _decimal(value, policy)
    if isinstance(value, UUID):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if hasattr(value, "__html__") and not isinstance(value, type):
        return str(value.__html__())
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dt.time):
        return spelling.spell_time(value)
    if isinstance(value, dt.timedelta):
        return spelling.spell_timedelta(value)
    if isinstance(value, _SPELLED_BY_STR):
        return str(value)
    if isinstance(value, _BYTES):
        return _bytes(value, policy)
    return _from_library(value)


def is_flasks(value: Any) -> bool:
    """Return whether Flask's ``default`` knows what stands for a value."""
    if isinstance(value, type):
        return False
    is_simple = isinstance(value, (dt.date, Decimal, UUID))
    return is_simple or is_dataclass(value) or hasattr(value, "__html__")


def spell_instant(value: dt.date, policy: Policy) -> str:
    """Return how a date is spelled, which may be a datetime."""
    if isinstance(value, dt.datetime):
        return spelling.spell_datetime(value, policy)
    return spelling.spell_date(value, policy)


def items_of(value: object) -> list[tuple[Any, Any]] | None:
    """Return the keys and values of what isn't a dict but can be read as one."""
    return list(value.items()) if isinstance(value, Mapping) else None


def members_of(value: object) -> list[object] | None:
    """Return the members of a set, sorted where that's possible, or of a sequence."""
    if isinstance(value, Set):
        members = list(value)
        try:
            return sorted(members)
        except Exception:
            # A comparison may raise anything: that of a decimal does for NaN, but not a TypeError.
            return members
    if isinstance(value, Sequence) and not isinstance(value, _BYTES):
        return list(value)
    return None


def _decimal(value: Decimal, policy: Policy) -> object:
    if value.is_finite():
        # Without what a class that derives from it may do to it.
        return str(value) if policy.decimal == "string" else Decimal(value)
    check_not_a_number(value, policy)
    # Flask writes a string for it, which is valid, if not wise.
    is_flasks = policy.style == "flask" and policy.decimal == "string"
    return str(value) if is_flasks else None


def _bytes(value: bytes | bytearray | memoryview, policy: Policy) -> str:
    if policy.bytes == "base64":
        return base64.b64encode(bytes(value)).decode()
    raise Problem(
        f"'{{path}}' is {type(value).__name__}, which JSON can't hold: decode it, or set"
        " 'CONCURRENCY_GUARD_JSON_BYTES' to 'base64'.",
        JSONTypeError,
    )


def _from_library(value: Any) -> object:
    """Return what stands for a value of a library's type, if that library is in use."""
    attributes = getattr(type(value), "__attrs_attrs__", None)
    if attributes is not None:
        return {field.name: getattr(value, field.name) for field in attributes}

    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(value, pydantic.BaseModel):
        return value.model_dump() if hasattr(value, "model_dump") else value.dict()

    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.generic, numpy.ndarray)):
        return _from_numpy(value)

    # Babel's has no `__html__`, other than those of Flask-Babel and Django.
    babel = sys.modules.get("babel.support")
    if babel is not None and isinstance(value, babel.LazyProxy):
        return str(value)
    return NOTHING


def _from_numpy(value: Any) -> object:
    # Dates become integers of nanoseconds in `tolist`, and long doubles stay what they are.
    kind, size = value.dtype.kind, value.dtype.itemsize
    is_exact = kind in "biuUO" or (kind == "f" and size <= 8)
    return value.tolist() if is_exact else NOTHING
