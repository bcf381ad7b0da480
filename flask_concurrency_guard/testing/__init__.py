"""For the tests of apps that have the guard.

Nothing here is needed to test such an app; it is for tests that are about being turned away.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..core.decisions import DEFAULT
from ..core.decisions import Mode
from ..core.decisions import Rejection
from ..core.shared import SharedLimiter
from ..errors import SetupError
from ..state import EXTENSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

    from ..core.limiter import Limiter
    from ..state import AppState

__all__ = ["disabled", "full", "in_flight", "only"]


@contextmanager
def disabled(app: Flask) -> Iterator[None]:
    """Let everything pass within the block: all limits of the app are off.

    :raises SetupError: the app has no guard.
    """
    before = [(limit.limiter, limit.limiter.mode) for limit in _state(app).limits.values()]
    try:
        for limiter, _ in before:
            limiter.set_mode_here(Mode.OFF)
        yield
    finally:
        for limiter, mode in before:
            limiter.set_mode_here(mode)


@contextmanager
def only(app: Flask, limit: int, *, name: str = DEFAULT) -> Iterator[None]:
    """Have no more places than `limit` within the block; nobody waits for one.

    :param name: the limit's name; the app's own, where not given.
    :raises ValueError: it is no limit.
    :raises SetupError: the app has no guard, or no such limit.
    """
    limiter = _limiter(app, name)
    tuner, before = limiter.tuner, limiter.limit
    max_wait, mode = limiter.max_wait, limiter.mode
    limiter.set_limit(limit)
    try:
        limiter.max_wait = 0.0
        limiter.set_mode_here(Mode.ENFORCE)
        yield
    finally:
        limiter.set_mode_here(mode)
        limiter.max_wait = max_wait
        if isinstance(limiter, SharedLimiter) and tuner is not None:
            limiter.learn_limit()
        else:
            limiter.set_limit(tuner or before)


@contextmanager
def full(app: Flask, *, name: str = DEFAULT) -> Iterator[None]:
    """Reject whoever comes within the block: the limit is reached.

    :param name: the limit's name; the app's own, where not given.
    :raises SetupError: the app has no guard, or no such limit; or something is in flight still.
    """
    in_flight(app, name=name)  # What nobody has any more gives its place back.
    with only(app, 1, name=name):
        lease = _limiter(app, name).acquire()
        if isinstance(lease, Rejection):
            raise SetupError(
                f"{in_flight(app, name=name)} in flight still, so the limit '{name}' would not be"
                " reached any more when they end. Close their responses first."
            )
        with lease:
            yield


def in_flight(app: Flask, *, name: str = DEFAULT) -> int:
    """Return how many are in flight, without those whose responses nobody has any more.

    :param name: the limit's name; the app's own, where not given.
    :raises SetupError: the app has no guard, or no such limit.
    """
    limiter = _limiter(app, name)
    if limiter.in_flight:
        gc.collect()  # The traceback of a 404 or 500 keeps its response alive until then.
    return limiter.snapshot().in_flight


def _limiter(app: Flask, name: str) -> Limiter:
    limits = _state(app).limits
    if name not in limits:
        raise SetupError(f"There is no limit {name!r}. There are: {', '.join(limits)}.")
    return limits[name].limiter


def _state(app: Flask) -> AppState:
    state: AppState | None = app.extensions.get(EXTENSION)
    if state is None:
        raise SetupError(f"The Flask app '{app.name}' has no 'ConcurrencyGuard'.")
    return state
