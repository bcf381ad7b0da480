"""The status page's blueprint: a page that asks every two seconds how things are."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING
from typing import Any

from flask import Blueprint
from flask import Response
from flask import current_app
from flask import request
from markupsafe import escape
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.exceptions import NotFound

from .. import standard_json
from ..core.store import StoreError
from .figures import Figures

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..observe.workers import Worker
    from .access import Access

NAME = "concurrency_guard_status"
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

HEADERS = {
    "Cache-Control": "no-store",
    # Nothing of what it shows could run as a script, or be sent elsewhere, even if it got in.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}

# All of HTTP's own, so that who may not see the page can't tell from a 405 that there is one.
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "QUERY")

CACHED = 1.0
"""For how many seconds what was read is good for all who look. The workers write once in that."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the page has what it shows from."""

    read: Callable[[], list[Worker]]
    """Reads what the workers tell. It may raise an `OSError` or a `StoreError`."""
    start: Callable[[], object]
    """Sees to it that this worker tells as well."""
    settings: Callable[[], list[dict[str, Any]]]
    """Returns all settings, without secrets."""


def make_page(path: str, access: Access, sources: Sources) -> Blueprint:
    """Return the blueprint of the page.

    :param path: where it is.
    :param access: tells who may see it. Others are asked for the password if there is one, and get
        a 404 if not.
    """
    page = Blueprint(NAME, __name__, url_prefix=path)
    figures = Figures()
    figures_now = _Cache(lambda: _read(sources, figures))

    def add(rule: str, name: str, view: Callable[[], Response]) -> None:
        def guarded() -> Response:
            if not access.allows():
                return _refuse(access)
            if request.method not in ("GET", "HEAD"):
                raise MethodNotAllowed(("GET", "HEAD"))
            return view()

        options: dict[str, Any] = {
            "methods": METHODS,
            "provide_automatic_options": False,
            "merge_slashes": False,  # A redirect would tell as well.
        }
        page.add_url_rule(rule, name, guarded, **options)

    assets = files(__package__) / "assets"  # Also where the package is in a zip.
    for asset in assets.iterdir():
        kind = KINDS.get(PurePath(asset.name).suffix)
        if kind is not None:
            add(f"/{asset.name}", asset.name.replace(".", "_"), _asset(asset.read_bytes(), kind))
    html = (assets / "page.html").read_text("utf-8")
    add("", "page", lambda: _page(html, path))
    add("/figures", "figures", lambda: _json(figures_now()))
    add("/settings", "settings", lambda: _json({"settings": sources.settings()}))
    return page


def _read(sources: Sources, figures: Figures) -> dict[str, Any]:
    sources.start()
    try:
        return figures.of(sources.read(), time.time())
    except (OSError, StoreError) as error:
        return {"error": str(error)}


class _Cache:
    def __init__(self, make: Callable[[], dict[str, Any]]) -> None:
        self._make = make
        self._made: tuple[float, dict[str, Any]] = (float("-inf"), {})

    def __call__(self) -> dict[str, Any]:
        now = time.monotonic()
        since, made = self._made
        if now - since >= CACHED:
            made = self._make()
            self._made = now, made
        return made


def _asset(content: bytes, kind: str) -> Callable[[], Response]:
    return lambda: _answer(content, kind)


def _page(html: str, path: str) -> Response:
    # The one thing that isn't the same everywhere: the app may be mounted below some other path.
    filled = html.replace("{base}", str(escape(f"{request.script_root}{path}")))
    filled = filled.replace("{app}", str(escape(current_app.name)))
    return _answer(filled.encode(), "text/html")


def _json(value: dict[str, Any]) -> Response:
    # Not with the app's own provider: what that writes, nobody knows.
    return _answer(standard_json.dumps(value, separators=(",", ":")).encode(), "application/json")


def _refuse(access: Access) -> Response:
    if not access.asks:
        raise NotFound
    answer = _answer(b"The status page needs its password.\n", "text/plain", 401)
    answer.headers["WWW-Authenticate"] = 'Basic realm="Concurrency Guard", charset="UTF-8"'
    return answer


def _answer(content: bytes, kind: str, status: int = 200) -> Response:
    return Response(content, status, HEADERS, mimetype=kind)
