"""What an app is wrapped in: all that requests pass on their way to it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from functools import partial
from types import FunctionType
from types import MethodType
from typing import TYPE_CHECKING

from flask import Flask

from ...state import WeakApplication

if TYPE_CHECKING:
    from ...wsgi.middleware import GuardMiddleware

MOST = 2000
"""How many objects to look at."""


def in_front(app: Flask, guard: GuardMiddleware) -> list[object] | None:
    """Return what requests pass before the guard, outermost first; None if they never reach it."""
    return _way(app.wsgi_app, lambda found: found is guard)


def behind(app: Flask, guard: GuardMiddleware) -> list[object] | None:
    """Return what requests pass after the guard, outermost first; None where that can't be seen."""

    def is_end(found: object) -> bool:
        if isinstance(found, WeakApplication):
            return True
        return isinstance(found, MethodType) and found.__self__ is app

    return _way(guard.app, is_end)


def name_of(wrapper: object) -> str:
    """Return what to call a wrapper: its class, or the function that it is."""
    if isinstance(wrapper, MethodType):
        return name_of(wrapper.__self__)
    named = wrapper if isinstance(wrapper, FunctionType) else type(wrapper)
    # Of a function within another one, the outer one's name says more.
    return f"{named.__module__}.{named.__qualname__.partition('.<locals>')[0]}"


def _way(start: object, is_end: Callable[[object], bool]) -> list[object] | None:
    """Return what lies between `start` and the end, the former included."""
    ways: list[tuple[object, tuple[object, ...]]] = [(start, ())]
    # With the objects, so that none of them ends, and another one gets its number.
    seen: dict[int, object] = {}
    while ways and len(seen) < MOST:
        found, way = ways.pop(0)
        if is_end(found):
            return [each for each in way if not isinstance(each, MethodType)]
        if id(found) not in seen:
            seen[id(found)] = found
            ways += [(inner, (*way, found)) for inner in _called_by(found)]
    return None


def _called_by(wrapper: object) -> Iterator[object]:
    """Yield what a wrapper may call: all that can be called in its attributes and closures."""
    if isinstance(wrapper, MethodType):
        yield wrapper.__self__
        return
    for found in _parts(wrapper):
        if callable(found) and not isinstance(found, type | Flask):
            yield found


def _parts(wrapper: object) -> Iterator[object]:
    if isinstance(wrapper, partial):
        yield from (wrapper.func, *wrapper.args, *wrapper.keywords.values())
    if isinstance(wrapper, FunctionType):
        for cell in wrapper.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:
                pass  # It is still empty.
    yield from tuple(getattr(wrapper, "__dict__", {}).values())
    for cls in type(wrapper).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            yield getattr(wrapper, name, None)
