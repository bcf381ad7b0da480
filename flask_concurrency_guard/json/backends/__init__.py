"""The libraries that can stand behind the provider, each in a module of its own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ...errors import ConfigurationError

if TYPE_CHECKING:
    from .protocol import Backend

NAMES = ("stdlib", "msgspec", "orjson", "simplejson", "ujson")


def load_backend(name: str) -> Backend:
    """Return the backend with this name.

    :raises ConfigurationError: There is none with this name, or its library is not installed.
    """
    if name not in NAMES:
        names = ", ".join(f"'{known}'" for known in NAMES)
        raise ConfigurationError(
            f"'CONCURRENCY_GUARD_JSON_BACKEND' must be one of {names}, or None, got '{name}'."
        )
    try:
        module = import_module(f"{__name__}.{name}")
    except ImportError as error:
        raise ConfigurationError(
            f"'CONCURRENCY_GUARD_JSON_BACKEND' is '{name}', which can't be imported ({error}): run"
            f" 'pip install flask-concurrency-guard[{name}]', or choose 'stdlib'."
        ) from None
    backend: Backend = module.backend
    return backend
