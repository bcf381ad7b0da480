"""What the tests of several floors share."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import Any

from flask import Flask
from werkzeug.test import create_environ

from flask_concurrency_guard import ConcurrencyGuard

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment


class Called:
    """What a WSGI server saw of one call of an app."""

    def __init__(self, app: WSGIApplication, environ: WSGIEnvironment) -> None:
        self.environ = environ
        self.started: list[tuple[str, list[tuple[str, str]], Any]] = []
        self.written: list[bytes] = []
        self.body: Any = app(environ, self.start_response)

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        self.started.append((status, headers, exc_info))
        return self.written.append

    @property
    def status(self) -> str:
        return self.started[-1][0]

    @property
    def headers(self) -> dict[str, str]:
        names = [name for name, _ in self.started[-1][1]]
        assert len(set(names)) == len(names), f"a header is there twice: {names}"
        return dict(self.started[-1][1])

    def read(self) -> bytes:
        """Iterate as a server does, and close."""
        try:
            return b"".join([*self.written, *self.body])
        finally:
            self.close()

    def close(self) -> None:
        close = getattr(self.body, "close", None)
        if close is not None:
            close()


def call(app: WSGIApplication, path: str = "/", **options: Any) -> Called:
    environ = create_environ(path, **options)
    # A server's keys only.
    environ.pop("werkzeug.request", None)
    return Called(app, environ)


def hello(environ: WSGIEnvironment, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def make_app(**settings: Any) -> tuple[Flask, ConcurrencyGuard]:
    """Return an app with a view, and its guard. What the settings' names begin with is left out."""
    app = Flask(__name__)
    for key, value in settings.items():
        app.config[f"CONCURRENCY_GUARD_{key.upper()}"] = value
    guard = ConcurrencyGuard(app)

    @app.get("/<path:path>")
    def view(path: str) -> str:
        return path

    return app, guard


def hold(app: Flask, path: str = "/x") -> Any:
    """Return a response that is in flight until it is closed."""
    return app.test_client().get(path, buffered=False)
