"""Finds out whether something stands in for the standard library's ``json``."""

from __future__ import annotations

import logging
import sys
from operator import attrgetter

_logger = logging.getLogger("flask_concurrency_guard.json")

_PARTS = {
    "json": ("dump", "dumps", "load", "loads", "JSONDecodeError", "JSONDecoder", "JSONEncoder"),
    "json.decoder": ("JSONDecodeError", "JSONDecoder", "JSONDecoder.decode"),
    "json.encoder": (
        "JSONEncoder",
        "JSONEncoder.default",
        "JSONEncoder.encode",
        "JSONEncoder.iterencode",
    ),
}

_reported: set[str] = set()


def find_patches() -> list[str]:
    """Return a phrase for each part of ``json`` that is not the standard library's own.

    Such as ``"'json.dumps' is 'ujson.dumps'"``.
    """
    found = []
    for module_name, names in _PARTS.items():
        module = sys.modules.get(module_name)
        if module is None:
            continue
        if getattr(module, "__name__", None) != module_name:
            found.append(f"'{module_name}' is '{getattr(module, '__name__', module)}'")
            continue
        for name in names:
            part = _part(module, name)
            if getattr(part, "__module__", None) not in _PARTS:
                found.append(f"'{module_name}.{name}' is '{_origin(part)}'")
    return found


def report_patches() -> None:
    """Log what :func:`find_patches` finds, each once in the life of the process."""
    new = [patch for patch in find_patches() if patch not in _reported]
    if new:
        _reported.update(new)
        _logger.warning(
            "Something replaced parts of the standard library's json: %s. 'app.json' does not"
            " use these and goes on unchanged; other code in this process may break.",
            ", ".join(new),
        )


def _part(module: object, name: str) -> object:
    try:
        return attrgetter(name)(module)
    except AttributeError:
        return None


def _origin(part: object) -> str:
    module = getattr(part, "__module__", None) or type(part).__module__
    return f"{module}.{getattr(part, '__qualname__', type(part).__qualname__)}"
