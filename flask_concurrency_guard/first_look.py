"""What is done when the first request comes: all views are there by then, and so is the server."""

from __future__ import annotations

import logging
from threading import Lock
from typing import TYPE_CHECKING

from .json.patches import report_patches
from .wsgi.servers import find_server
from .wsgi.servers import warn_of_unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask

    from .matching import Matcher
    from .state import AppState
    from .wsgi.middleware import OnFirst

logger = logging.getLogger("flask_concurrency_guard")


def first_look(state: AppState, get_app: Callable[[], Flask]) -> OnFirst:
    """Return what looks around when the first request comes.

    It looks at the server again with the first request that names one, where nobody could tell at
    first: an app may be warmed up by a test client before it serves.
    """
    looking = Lock()

    def on_first(environ: WSGIEnvironment) -> OnFirst | None:
        matcher = state.matcher(get_app(), get_app)
        state.middleware.match = matcher or None  # Nobody pays for what isn't there.
        # Several may come first. None of them waits: this lock may be older than a monkeypatch.
        if not looking.acquire(blocking=False):
            return None
        state.tell_apart(state.limits.values(), matcher)
        _look_around(state, matcher)
        is_known = _look_at_server(state, environ)
        return None if is_known or "SERVER_SOFTWARE" in environ else on_server

    def on_server(environ: WSGIEnvironment) -> OnFirst | None:
        if "SERVER_SOFTWARE" not in environ:
            return on_server
        _look_at_server(state, environ)
        return None

    return on_first


def _look_around(state: AppState, matcher: Matcher) -> None:
    """Warn of what can't be meant like that."""
    for name, endpoint in sorted(matcher.without_view):
        logger.warning(
            "The limit '%s' is for the endpoint '%s', which the app doesn't have.",
            name,
            endpoint,
        )
    for name in matcher.limits_of_views() - state.limits.keys():
        logger.warning("There is no limit '%s', which a view has.", name)
    for name in {each for cost in matcher.costs.values() for each in cost} - state.limits.keys():
        logger.warning("There is no limit '%s', of which a view costs several places.", name)
    for name in set(matcher.priorities.values()) - state.priorities.ranks.keys():
        logger.warning(
            "There is no priority '%s', which a view has. It counts as '%s'; there are: %s.",
            name,
            state.priorities.default,
            ", ".join(state.priorities.ranks),
        )
    if state.settings.json_backend is not None:
        report_patches()


def _look_at_server(state: AppState, environ: WSGIEnvironment) -> bool:
    """Adjust to the server that calls the app, and warn of limits that mean nothing there.

    Return whether it is one that is known.
    """
    server = find_server(environ)
    for limit in state.limits.values():
        limit.learn_of(server)
    if server is not None:
        sheds_by_age = state.middleware.sheds_by_age(environ)
        unreachable = [
            limit.limiter
            for limit in state.limits.values()
            if not limit.matters_to(server, sheds_by_age=sheds_by_age)
        ]
        warn_of_unreachable(unreachable, server)
    if state.status is not None:
        state.status.begin(server)
    return server is not None
