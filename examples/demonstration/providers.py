"""The JSON part: what Flask's own provider does, and what the guard's does."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from typing import NoReturn

from flask import Flask

from flask_concurrency_guard import ConcurrencyGuard

from .screen import Screen

CRASH = (
    'app.json.dumps({"a": 1}, indent=None, separators=(",", ":"), cls=JSONEncoder, sort_keys=True)'
)


def show_json(screen: Screen, flask_text: str, guard_text: str) -> None:
    """Show both providers at work.

    :param flask_text: what the unguarded server has sent for numbers that JSON doesn't have.
    :param guard_text: what the guarded one has sent for the same.
    """
    screen.say('JSON of {"ratio": float("nan"), "price": Decimal("9.90")}:', "bold")
    _quote_both(screen, *(f"{text:29}  {_verdict(text)}" for text in (flask_text, guard_text)))
    screen.say(
        "With json.dumps replaced by one that wants an integer for indent, like ujson's:", "bold"
    )
    screen.quote(CRASH)
    _quote_both(screen, *crash_calls())


def _quote_both(screen: Screen, flask_result: str, guard_result: str) -> None:
    screen.quote(f"Flask's  {flask_result}\nguard's  {guard_result}")


def _verdict(text: str) -> str:
    try:
        json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        return f"no JSON ({error})"
    return "JSON"


def _refuse(constant: str) -> NoReturn:
    # RFC 8259 section 6: there is no such number. Python's parser takes it all the same.
    raise ValueError(constant)


def crash_calls() -> tuple[str, str]:
    """Make the call, and return what comes of it with Flask's provider and with the guard's."""
    plain, guarded = Flask("plain"), Flask("guarded")
    ConcurrencyGuard(guarded)
    with _strict_dumps():
        return _try(plain), _try(guarded)


def _try(app: Flask) -> str:
    options: dict[str, Any] = {"indent": None, "separators": (",", ":"), "sort_keys": True}
    try:
        return app.json.dumps({"a": 1}, cls=json.JSONEncoder, **options)
    except TypeError as error:
        return f"{type(error).__name__}: {error}"


@contextmanager
def _strict_dumps() -> Iterator[None]:
    """Put another function in the place of ``json.dumps``, as some programs do with ujson's.

    This one takes `indent` as ujson's does, and fails with the same words.
    """
    original = json.dumps

    def dumps(value: object, *, indent: int = 0, **options: Any) -> str:
        return original(value, indent=operator.index(indent), **options)

    json.dumps = dumps  # type: ignore[assignment]
    try:
        yield
    finally:
        json.dumps = original
