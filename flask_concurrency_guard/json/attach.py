"""Put the safe provider in the place of an app's own, with all that was set on that."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flask.json.provider import DefaultJSONProvider

from .backends import load_backend
from .provider import SafeJSONProvider

if TYPE_CHECKING:
    from flask import Flask
    from flask.json.provider import JSONProvider

_logger = logging.getLogger("flask_concurrency_guard.json")


def install(app: Flask, backend: str) -> None:
    """Make ``app.json`` a :class:`.SafeJSONProvider`.

    It keeps what was set on the provider it replaces, and what a subclass of Flask's
    :class:`~flask.json.provider.DefaultJSONProvider` overrides besides ``dumps`` and ``loads``. A
    provider that has its own of these stays, and a warning is logged.

    :param app: The app. No reference to it is kept.
    :param backend: The library to use, ``"stdlib"``.
    :raises ConfigurationError: There is no such backend.
    """
    chosen = load_backend(backend)
    before = app.json
    if not isinstance(before, DefaultJSONProvider) or _has_own_json(before):
        _logger.warning(
            "'%s' has its own dumps or loads and stays 'app.json', so JSON is not made safe;"
            " remove it, or set 'CONCURRENCY_GUARD_JSON_BACKEND' to None to say so.",
            type(before).__qualname__,
        )
        return

    cls = _safe_class(type(before))
    after = cls.__new__(cls)
    vars(after).update(vars(before), _backend=chosen)
    app.json = after
    _update_templates(app, before, after)


def _has_own_json(provider: DefaultJSONProvider) -> bool:
    if isinstance(provider, SafeJSONProvider):
        return False
    return any(
        name in vars(provider)
        or getattr(type(provider), name) is not getattr(DefaultJSONProvider, name)
        for name in ("dumps", "loads")
    )


def _safe_class(cls: type[DefaultJSONProvider]) -> type[SafeJSONProvider]:
    if issubclass(cls, SafeJSONProvider):
        return cls
    if cls is DefaultJSONProvider:
        return SafeJSONProvider
    # `dumps` and `loads` of the first, all else of the second, which may override Flask's.
    return type(f"Safe{cls.__name__}", (SafeJSONProvider, cls), {"__module__": cls.__module__})


def _update_templates(app: Flask, before: JSONProvider, after: JSONProvider) -> None:
    # Flask creates `jinja_env` at first use and hands it `dumps` then. To look with `app.jinja_env`
    # would create it too early for the options that the app has yet to set.
    if "jinja_env" in vars(app):
        policies = app.jinja_env.policies
        if policies.get("json.dumps_function") == before.dumps:
            policies["json.dumps_function"] = after.dumps
