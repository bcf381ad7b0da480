"""Which requests always pass, and which have to keep to a limit besides the app's own.

By path, which costs next to nothing; or because their view or blueprint was marked or named, for
which the request has to be routed.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import nullcontext
from contextlib import suppress
from functools import reduce
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple
from typing import TypeVar

from .wsgi.claims import VIEW_COSTS
from .wsgi.claims import VIEW_PRIORITY
from .wsgi.paths import raw_path
from .wsgi.paths import routed_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Iterator
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask

    from .core.clients import ClientLimiter
    from .core.limiter import Limiter

    Named = Limiter | ClientLimiter

T = TypeVar("T")

_EXEMPT = "_concurrency_guard_exempt"
_LIMITS = "_concurrency_guard_limits"
_COSTS = "_concurrency_guard_costs"
_PRIORITY = "_concurrency_guard_priority"


class View(NamedTuple):
    """What a request is routed to."""

    endpoint: str
    method: str | None = None
    """None for all."""


def mark_exempt(marked: T) -> T:
    """Mark a view function, view class or blueprint. Which app it lands on shows later."""
    return _mark(marked, _EXEMPT, True)


def mark_limited(name: str, cost: int, marked: T) -> T:
    """Mark a view function, a view class, one of its methods, or a blueprint."""
    _mark(marked, _LIMITS, (*getattr(marked, _LIMITS, ()), name))
    return marked if cost == 1 else mark_cost(name, cost, marked)


def mark_cost(limit: str, cost: int, marked: T) -> T:
    """Mark a view function, a view class, one of its methods, or a blueprint."""
    return _mark(marked, _COSTS, {**getattr(marked, _COSTS, {}), limit: cost})


def mark_priority(name: str, marked: T) -> T:
    """Mark a view function, a view class, one of its methods, or a blueprint."""
    return _mark(marked, _PRIORITY, name)


def _mark(marked: T, name: str, value: object) -> T:
    # A method of an object takes no attributes; its function does.
    setattr(getattr(marked, "__func__", marked), name, value)
    return marked


class Matcher:
    """Find out what a request has to hold besides the lease of the app's own limiter.

    :param app: the app, with all of its views.
    :param get_app: returns it later on, so that this keeps no reference to it.
    :param exempt: exact paths that always pass, and prefixes with a ``*`` behind.
    :param limits: limiters, in the order in which to ask them, each with the paths and the
        endpoints that it is for, in the same way.
    """

    def __init__(
        self,
        app: Flask,
        get_app: Callable[[], Flask],
        exempt: Iterable[str],
        limits: Iterable[tuple[Named, Iterable[str], Iterable[str]]],
    ) -> None:
        views = dict(_views(app))
        # Whether some route is served with a slash at the end as well as without.
        self._is_lenient = any(not rule.strict_slashes for rule in app.url_map.iter_rules())
        self._get_app = get_app
        # Those of Flask and Werkzeug need nothing of the app.
        self._has_converters = any(
            not converter.__module__.startswith("werkzeug.")
            for converter in app.url_map.converters.values()
        )
        self._exempt = self._rule(
            exempt,
            {
                view
                for view, marks in views.items()
                if any(getattr(mark, _EXEMPT, False) for mark in marks)
            },
        )
        self._limited = defaultdict[str, set[View]](set)  # The views that are marked with a limit.
        for view, marks in views.items():
            for mark in marks:
                for name in getattr(mark, _LIMITS, ()):
                    self._limited[name].add(view)
        self.without_view: set[tuple[str, str]] = set()
        """Limiters and endpoints that they are for, and that the app doesn't have."""
        self._limits = [
            (limiter, self._rule(paths, self._views_of(limiter.name, endpoints, views)))
            for limiter, paths, endpoints in limits
        ]
        self.costs = _marks(views, _COSTS, lambda near, far: {**far, **near})
        """How many places of which limit each view costs, where it is more than one."""
        self.priorities = _marks(views, _PRIORITY, lambda near, far: near)
        """How important the views are that say so."""
        self._route_below = self._find_prefixes(app)

    def limits_of_views(self) -> set[str]:
        """Return the names of all limits that views are marked with."""
        return set(self._limited)

    def __bool__(self) -> bool:
        """Whether there is anything to find out."""
        named = any(rule for _, rule in self._limits)
        return bool(self._exempt or named or self.costs or self.priorities)

    def __call__(self, environ: WSGIEnvironment) -> tuple[Named, ...] | None:
        """Return the limiters, in the order in which to ask them; None if the request passes."""
        path = routed_path(environ)
        if self._exempt.has_path(path):
            return None
        view = self._route(environ) if path.startswith(self._route_below) else None
        if view is not None:
            if self._exempt.has_view(view):
                return None
            self._note(view, environ)
        return tuple(
            [
                limiter
                for limiter, rule in self._limits
                if rule.has_path(path) or (view is not None and rule.has_view(view))
            ]
        )

    def _note(self, view: View, environ: WSGIEnvironment) -> None:
        """Note in the environment what is known of a view."""
        for marks, key in ((self.costs, VIEW_COSTS), (self.priorities, VIEW_PRIORITY)):
            if marks and (mark := marks.get(view) or marks.get(View(view.endpoint))):
                environ[key] = mark

    def _route(self, environ: WSGIEnvironment) -> View | None:
        app, view = self._get_app(), None
        # The app itself answers 404, 405 or a redirect; and meets what a converter has raised, or
        # what it does itself at the end of a context.
        with suppress(Exception), app.app_context() if self._has_converters else nullcontext():
            adapter = app.create_url_adapter(app.request_class(environ, populate_request=False))
            if adapter is not None:
                view = View(adapter.match()[0], environ["REQUEST_METHOD"].upper())
        return view

    def _rule(self, paths: Iterable[str], views: set[View]) -> _Rule:
        paths = list(paths)
        if self._is_lenient:
            paths += [
                path.rstrip("/") or "/" if path.endswith("/") else f"{path}/"
                for path in paths
                if not path.endswith("*")
            ]
        return _Rule(paths, views)

    def _views_of(self, name: str, endpoints: Iterable[str], views: Iterable[View]) -> set[View]:
        """Return those of the views that a limit is for."""
        limited = set(self._limited.get(name, ()))
        for pattern in endpoints:
            found = {View(endpoint) for endpoint, _ in views if _fits(endpoint, pattern)}
            limited |= found
            if not found:
                self.without_view.add((name, pattern))
        return limited

    def _find_prefixes(self, app: Flask) -> tuple[str, ...]:
        """Return how the paths begin of all requests that have to be routed."""
        rules = [self._exempt, *(rule for _, rule in self._limits)]
        views = [*self.costs, *self.priorities, *(view for rule in rules for view in rule.views)]
        endpoints = {view.endpoint for view in views}
        return tuple(
            {
                # The slash at the end may be left out, if the rule says so.
                raw_path(rule.rule.partition("<")[0].rstrip("/"))
                for rule in app.url_map.iter_rules()
                if rule.endpoint in endpoints
            }
        )


class _Rule:
    """For which requests something holds."""

    def __init__(self, paths: Iterable[str], views: set[View]) -> None:
        raw = [raw_path(path) for path in paths]
        self._exact = frozenset(path for path in raw if not path.endswith("*"))
        self._prefixes = tuple(path[:-1] for path in raw if path.endswith("*"))
        self.views = views

    def __bool__(self) -> bool:
        return bool(self._exact or self._prefixes or self.views)

    def has_path(self, path: str) -> bool:
        return path in self._exact or path.startswith(self._prefixes)

    def has_view(self, view: View) -> bool:
        return view in self.views or View(view.endpoint) in self.views


def _views(app: Flask) -> Iterator[tuple[View, list[Any]]]:
    """Yield each view, and all that may be marked for it, the nearest first."""
    for endpoint, view in app.view_functions.items():
        view_class = getattr(view, "view_class", None)
        names = endpoint.split(".")[:-1]
        blueprints = [
            app.blueprints.get(".".join(names[:depth])) for depth in range(len(names), 0, -1)
        ]
        yield View(endpoint), [view, view_class, *blueprints]
        # Flask takes them in any case, and lets HEAD go the way of GET, named or not.
        methods = {method.upper() for method in getattr(view_class, "methods", None) or ()}
        for method in methods | ({"HEAD"} if "GET" in methods else set()):
            handler = getattr(view_class, method.lower(), None)
            if handler is None and method == "HEAD":
                handler = getattr(view_class, "get", None)
            yield View(endpoint, method), [handler]


def _marks(
    views: Mapping[View, list[Any]], name: str, join: Callable[[Any, Any], Any]
) -> dict[View, Any]:
    """Return what views are marked with. What stands nearest to a view comes first."""
    found: dict[View, Any] = {}
    for view, marked in views.items():
        marks = [getattr(one, name) for one in marked if hasattr(one, name)]
        if view.method is not None and View(view.endpoint) in found:
            marks.append(found[View(view.endpoint)])
        if marks:
            found[view] = reduce(join, marks)
    return found


def _fits(endpoint: str, pattern: str) -> bool:
    if pattern.endswith("*"):
        return endpoint.startswith(pattern[:-1])
    return endpoint == pattern
