"""The settings of an app as they can be shown, and where each came from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING
from typing import Any

from .core.cluster.address import Address
from .settings import PREFIX
from .settings import SETTINGS
from .settings import NamedLimit
from .wsgi.clients import ByHeader
from .wsgi.clients import by_address

if TYPE_CHECKING:
    from .settings import Setting
    from .settings import Settings

ENVIRONMENT_PREFIX = "FLASK_"
"""What `app.config.from_prefixed_env()` reads, by default."""

HIDDEN = "set, and not shown"


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting of an app. The values are such as JSON has."""

    key: str
    value: Any
    default: Any
    source: str
    """``"default"``, ``"app.config"`` or ``"environment"``."""
    variables: tuple[str, ...] = ()
    """The names of the environment variables that say so."""
    unread: str | None = None
    """The name of an environment variable that says something else."""

    @property
    def name(self) -> str:
        """The key without what all of them begin with."""
        return self.key.removeprefix(PREFIX)

    @property
    def is_changed(self) -> bool:
        """Whether it is something else than the default."""
        return bool(self.value != self.default or self.source != "default")


def shown_settings(settings: Settings) -> list[Shown]:
    """Return all settings of an app, in the order of the settings page."""
    return [_shown(setting, getattr(settings, setting.name)) for setting in SETTINGS]


def plain(value: Any) -> Any:
    """Return a value as JSON has it: what is none of that by its name, and without passwords."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, str | PurePath | Address):
        return str(value)  # An address shows no login.
    if isinstance(value, NamedLimit):
        return {"match": plain(value.match), "endpoint": plain(value.endpoint)} | {
            name: plain(each) for name, each in value.settings.items()
        }
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if value is by_address:
        return "remote_addr"
    if isinstance(value, ByHeader):
        return f"header:{value.name}"
    if callable(value):
        name = getattr(value, "__qualname__", type(value).__qualname__)
        return f"{getattr(value, '__module__', '?')}.{name}()"
    return repr(value)


def in_words(value: Any) -> str:
    """Return what `plain` has made as a person reads it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(map(in_words, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {in_words(each)}" for name, each in value.items()) or "none"
    return str(value)


def variables_of(key: str) -> list[str]:
    """Return the names of the environment variables that set a key, or a part of it."""
    name = ENVIRONMENT_PREFIX + key
    return sorted(each for each in os.environ if each == name or each.startswith(f"{name}__"))


def _shown(setting: Setting, value: Any) -> Shown:
    variables = variables_of(setting.key)
    # Of a part of a dictionary it can't be told.
    used = [each for each in variables if "__" in each or _says(setting, each, value)]
    unread = next((each for each in variables if each not in used), None)
    default: Any = setting.default
    if value == setting.parse(default):
        source, value = "default", default  # As it is written: some are read as something else.
    else:
        source = "app.config"
    if setting.secret:
        value, default = None if value is None else HIDDEN, None
    if used:
        source = "environment"
    return Shown(setting.key, plain(value), plain(default), source, tuple(used), unread)


def _says(setting: Setting, variable: str, value: Any) -> bool:
    try:
        return bool(setting.parse(os.environ[variable]) == value)
    except (ValueError, TypeError):
        return False
