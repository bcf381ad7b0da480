"""Put the safe provider in the place of an app's own, with all that was set on that."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from typing import Any

from flask.json.provider import DefaultJSONProvider

from ..errors import ConfigurationError
from . import features
from . import patches
from .backends import load_backend
from .body_limit import limit_bodies
from .policy import STYLES
from .provider import SafeJSONProvider
from .reading import Reader
from .writing import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask
    from flask.json.provider import JSONProvider

    from .backends.protocol import Backend
    from .policy import Policy

_logger = logging.getLogger("flask_concurrency_guard.json")


def install(
    app: Flask, backend: str, *, style: str = "flask", rules: Mapping[str, Any] | None = None
) -> None:
    """Make ``app.json`` a :class:`.SafeJSONProvider`.

    It keeps what was set on the provider it replaces, and what a subclass of Flask's
    :class:`~flask.json.provider.DefaultJSONProvider` overrides besides ``dumps`` and ``loads``. A
    provider that has its own of these stays, and a warning is logged.

    :param app: The app. No reference to it is kept.
    :param backend: The library to use, one of ``backends.NAMES``.
    :param style: Where the rules come from that aren't given, ``"flask"`` or ``"modern"``.
    :param rules: Fields of :class:`.Policy` by name. They go before what was set on the provider.
    :raises ConfigurationError: There is no such backend, or it can't keep the rules.
    """
    rules = rules or {}
    policy = STYLES[style].with_changes(dict(rules))
    chosen = _load(backend, policy)
    patches.report_patches()

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
    vars(after).update(
        vars(before),
        _policy=policy,
        _writer=Writer(policy, chosen),
        _reader=Reader(policy, chosen.decoder),
    )
    for name in ("sort_keys", "ensure_ascii"):
        if name in rules or not _is_set(before, name):
            setattr(after, name, getattr(policy, name))
    app.json = after
    _update_templates(app, before, after)
    if policy.max_bytes is not None:
        limit_bodies(app, policy.max_bytes)


def _load(name: str, policy: Policy) -> Backend:
    backend = load_backend(name)
    if policy.decimal == "number" and not backend.writes_exact_numbers:
        raise ConfigurationError(
            f"'CONCURRENCY_GUARD_JSON_DECIMAL' is 'number', which backend '{name}' can't write"
            " with all digits: choose 'msgspec', 'orjson' or 'simplejson', or 'string'."
        )
    if features.encode is None and name in ("msgspec", "orjson", "ujson"):
        why = (
            "this Python is built to do without the GIL, and nothing else keeps other threads from"
            " a value that is being written."
            if features.HAS_NO_GIL
            else "this package was installed without its module in C: install it again where there"
            " is a C compiler."
        )
        _logger.warning(
            "'%s' can't be used to write JSON, since %s The standard library writes.", name, why
        )
    return backend


def _is_set(provider: DefaultJSONProvider, name: str) -> bool:
    is_own = name in vars(provider)
    return is_own or getattr(type(provider), name) is not getattr(DefaultJSONProvider, name)


def _has_own_json(provider: DefaultJSONProvider) -> bool:
    if isinstance(provider, SafeJSONProvider):
        return False
    return any(_is_set(provider, name) for name in ("dumps", "loads"))


def _safe_class(cls: type[DefaultJSONProvider]) -> type[SafeJSONProvider]:
    if issubclass(cls, SafeJSONProvider):
        return cls
    if cls is DefaultJSONProvider:
        return SafeJSONProvider
    # `dumps` and `loads` of the first, all else of the second, which may override Flask's.
    namespace: dict[str, object] = {"__module__": cls.__module__}
    if cls.response is not DefaultJSONProvider.response:
        namespace["response"] = cls.response
    return type(f"Safe{cls.__name__}", (SafeJSONProvider, cls), namespace)


def _update_templates(app: Flask, before: JSONProvider, after: JSONProvider) -> None:
    # Flask creates `jinja_env` at first use and hands it `dumps` then. To look with `app.jinja_env`
    # would create it too early for the options that the app has yet to set.
    if "jinja_env" in vars(app):
        policies = app.jinja_env.policies
        if policies.get("json.dumps_function") == before.dumps:
            policies["json.dumps_function"] = after.dumps
