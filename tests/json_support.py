"""What the tests of JSON share: apps on every backend, and what comes of a value on them."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask

from flask_concurrency_guard.json import SafeJSONProvider
from flask_concurrency_guard.json import features
from flask_concurrency_guard.json.attach import install
from flask_concurrency_guard.json.backends import NAMES

BACKENDS = NAMES
EXACT_BACKENDS = ("msgspec", "orjson", "simplejson")
"""Those that write a decimal as a number."""
STYLES = ("flask", "modern")


@contextmanager
def without_census() -> Iterator[None]:
    """As where the package's module in C could not be built."""
    before = features.encode, features.snapshot
    features.encode = features.snapshot = None
    try:
        yield
    finally:
        features.encode, features.snapshot = before


@functools.cache
def app_on(backend: str, style: str = "flask", **rules: Any) -> Flask:
    """Return an app whose JSON is written on a backend. It is shared: change nothing on it."""
    app = Flask("json", static_folder=None)
    install(app, backend, style=style, rules=rules)
    return app


def provider_on(backend: str, style: str = "flask", **rules: Any) -> SafeJSONProvider:
    """Return the provider of that app."""
    provider = app_on(backend, style, **rules).json
    assert isinstance(provider, SafeJSONProvider)
    return provider


def nested(depth: int, around: Callable[[Any], object] = lambda inner: [inner]) -> Any:
    """Return an empty list within so many others, itself counted."""
    value: object = []
    for _ in range(depth - 1):
        value = around(value)
    return value


def outcome(call: Callable[[], Any]) -> Any:
    """Return what a call returns, or the class and message of what it raises."""
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


def written(value: object, style: str = "flask", **rules: Any) -> Any:
    """Return the body that a view gets for a value, or the error: the same on every backend."""
    outcomes = {
        backend: outcome(
            lambda: provider_on(backend, style, **rules).response(value).get_data()  # noqa: B023
        )
        for backend in (EXACT_BACKENDS if rules.get("decimal") == "number" else BACKENDS)
    }
    return the_one(outcomes)


def dumped(value: object, style: str = "flask", /, **options: Any) -> Any:
    """Return the text that ``dumps`` gives for a value, or the error: the same on every backend."""
    outcomes = {
        backend: outcome(lambda: provider_on(backend, style).dumps(value, **options))  # noqa: B023
        for backend in BACKENDS
    }
    return the_one(outcomes)


def the_one(outcomes: dict[str, Any]) -> Any:
    """Return what is the same on every backend."""
    first, *_ = outcomes.values()
    assert outcomes == dict.fromkeys(outcomes, first), f"the backends differ: {outcomes}"
    return first


def refuse(constant: str) -> None:
    raise ValueError(f"'{constant}' is not JSON")


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def read_strictly(text: str | bytes) -> Any:
    """Return what a text says, if it's JSON as :rfc:`8259` has it, and I-JSON as to its keys.

    :raises ValueError: It is not.
    """
    if isinstance(text, bytes):
        text = text.decode()
    value = json.loads(text, parse_constant=refuse, object_pairs_hook=without_repeats)
    # Escapes may stand for lone surrogates, which no UTF-8 can hold.
    json.dumps(value, ensure_ascii=False).encode()
    return value
