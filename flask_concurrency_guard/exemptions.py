"""Which requests always pass: by path, or because their view or blueprint was marked."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import TypeVar

from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable

    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask

T = TypeVar("T")

_MARK = "_concurrency_guard_exempt"


def mark_exempt(view_or_blueprint: T) -> T:
    """Mark a view function, view class or blueprint. Which app it lands on shows later."""
    setattr(view_or_blueprint, _MARK, True)
    return view_or_blueprint


def find_exemptions(
    app: Flask, get_app: Callable[[], Flask], paths: Iterable[str]
) -> Callable[[WSGIEnvironment], bool] | None:
    """Return what tells whether a request is exempt; None if none can be.

    :param app: the app, with all of its views.
    :param get_app: returns it later on, so that this keeps no reference to it.
    :param paths: exact paths, and prefixes with a ``*`` behind.
    """
    exempt_path = _ExemptPaths(paths)
    endpoints = frozenset(filter(lambda endpoint: _is_marked(app, endpoint), app.view_functions))
    if not endpoints:
        return exempt_path if exempt_path else None
    exempt_view = _ExemptViews(app, get_app, endpoints)
    return lambda environ: exempt_path(environ) or exempt_view(environ)


class _ExemptPaths:
    def __init__(self, paths: Iterable[str]) -> None:
        # As in PATH_INFO: the bytes of the path, each shown as a character.
        raw = [path.encode().decode("latin-1") for path in paths]
        self._exact = frozenset(path for path in raw if not path.endswith("*"))
        self._prefixes = tuple(path[:-1] for path in raw if path.endswith("*"))

    def __bool__(self) -> bool:
        return bool(self._exact or self._prefixes)

    def __call__(self, environ: WSGIEnvironment) -> bool:
        path = environ.get("PATH_INFO", "")
        return path in self._exact or path.startswith(self._prefixes)


class _ExemptViews:
    """Route a request, but only one whose path begins like that of a marked view."""

    def __init__(self, app: Flask, get_app: Callable[[], Flask], endpoints: frozenset[str]) -> None:
        self._get_app = get_app
        self._endpoints = endpoints
        self._prefixes = tuple(
            {
                rule.rule.partition("<")[0].encode().decode("latin-1")
                for rule in app.url_map.iter_rules()
                if rule.endpoint in endpoints
            }
        )

    def __call__(self, environ: WSGIEnvironment) -> bool:
        if not environ.get("PATH_INFO", "").startswith(self._prefixes):
            return False
        app = self._get_app()
        try:
            adapter = app.create_url_adapter(app.request_class(environ, populate_request=False))
            return adapter is not None and adapter.match()[0] in self._endpoints
        except HTTPException:
            return False  # The app itself answers 404, 405 or a redirect.


def _is_marked(app: Flask, endpoint: str) -> bool:
    view: Any = app.view_functions[endpoint]
    if getattr(view, _MARK, False) or getattr(getattr(view, "view_class", None), _MARK, False):
        return True
    names = endpoint.split(".")[:-1]
    return any(
        getattr(app.blueprints.get(".".join(names[:depth])), _MARK, False)
        for depth in range(1, len(names) + 1)
    )
