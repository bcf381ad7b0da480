"""The settings of an app for people to read, without the secrets."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from .core.cluster.address import Address
from .settings import SETTINGS
from .settings import NamedLimit
from .settings import Setting
from .settings import Settings


def shown_settings(settings: Settings) -> list[dict[str, Any]]:
    """Return each setting: its key, its value as a text, and whether that is the default."""
    return [
        {
            "key": setting.key,
            "value": _shown(setting, getattr(settings, setting.name)),
            "default": getattr(settings, setting.name) == setting.read(setting.default),
        }
        for setting in SETTINGS
    ]


def _shown(setting: Setting, value: Any) -> str:
    if setting.secret and value is not None:
        return "set, and not shown"
    if isinstance(value, Mapping):
        return repr({name: _plain(one) for name, one in value.items()})
    if isinstance(value, Address | Path):
        return str(value)  # An address without its password.
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return str(value) if isinstance(value, StrEnum) else repr(value)


def _plain(value: Any) -> Any:
    """Return a limit as it was written, and anything else as it is."""
    if not isinstance(value, NamedLimit):
        return value
    where = {"match": list(value.match), "endpoint": list(value.endpoint)}
    return {**value.settings, **{key: found for key, found in where.items() if found}}
