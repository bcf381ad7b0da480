"""What is measured against what: WSGI apps with and without something in front of them."""

from __future__ import annotations

import io
import logging
import os
import socket
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from threading import BoundedSemaphore
from threading import Thread
from typing import TYPE_CHECKING
from typing import Any

from flask import Flask
from flask_limiter import Limiter as FlaskLimiter
from flask_limiter.util import get_remote_address
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from werkzeug.wsgi import ClosingIterator
from werkzeug.wsgi import FileWrapper

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard.core.controller import Controller
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.shedder import Shedder
from flask_concurrency_guard.settings import read_settings
from flask_concurrency_guard.wsgi.middleware import GuardMiddleware
from flask_concurrency_guard.wsgi.rejections import ProblemAnswer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment

PLENTY = 1000
"""A limit that is never reached here."""

ENVIRON: dict[str, Any] = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/",
    "QUERY_STRING": "",
    "RAW_URI": "/",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SERVER_SOFTWARE": "gunicorn/27.0.1",
    "REMOTE_ADDR": "127.0.0.1",
    "REMOTE_PORT": "54321",
    "HTTP_HOST": "127.0.0.1:8000",
    "HTTP_ACCEPT": "*/*",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate",
    "HTTP_ACCEPT_LANGUAGE": "en",
    "HTTP_CONNECTION": "keep-alive",
    "HTTP_USER_AGENT": "benchmark/1.0",
    "HTTP_X_FORWARDED_FOR": "192.0.2.1",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.input": io.BytesIO(),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}
"""What gunicorn hands over, less its own objects."""

ENVIRON_WITH_FILE_WRAPPER = ENVIRON | {"wsgi.file_wrapper": FileWrapper}


def environ_with_connection() -> dict[str, Any]:
    """Return an environ that shows the client's connection, as that of gunicorn does.

    The client keeps sending, so that its request stays young: an old one would be rejected.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    connection, _ = listener.accept()
    _open.extend((listener, client))
    Thread(target=_keep_sending, args=(client,), daemon=True).start()
    return ENVIRON | {"gunicorn.socket": connection}


def _keep_sending(client: socket.socket) -> None:
    with suppress(OSError):  # When the program ends.
        while True:
            time.sleep(0.01)
            client.sendall(b".")


_open: list[socket.socket] = []
_taken: list[object] = []  # A lease that nobody keeps is given back.


def bare(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Say hello."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


class SemaphoreMiddleware:
    """What one writes in twenty lines: no tags, no line, no reason, no log, a limit that stays."""

    def __init__(self, app: WSGIApplication, limit: int) -> None:
        self.app = app
        self.semaphore = BoundedSemaphore(limit)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self.semaphore.acquire(blocking=False):
            headers = [("Content-Type", "text/plain"), ("Content-Length", "4")]
            start_response("503 Service Unavailable", headers)
            return [b"busy"]
        try:
            body = self.app(environ, start_response)
        except BaseException:
            self.semaphore.release()
            raise
        return ClosingIterator(body, self.semaphore.release)


def guarded(app: WSGIApplication, **options: Any) -> GuardMiddleware:
    """Put the guard in front of a WSGI app, as the extension does with its default settings.

    :param options: what the limiter has otherwise.
    """
    settings = read_settings({})
    limiter = Limiter(
        **{
            "limit": settings.limit,
            "max_queue": settings.max_queue,
            "max_wait": settings.max_wait,
            "mode": settings.mode,
            "retry_after": settings.retry_after,
            **options,
        }
    )
    answer = ProblemAnswer(settings.reject_status)
    shedder = Shedder(
        max_age=settings.max_age,
        codel=Controller(service_time=lambda: limiter.mean_held, is_rush=lambda: limiter.is_rush),
        max_wait=settings.max_wait,
    )
    return GuardMiddleware(app, limiter, shedder=shedder, headers=settings.headers, answer=answer)


def full(middleware: GuardMiddleware) -> GuardMiddleware:
    """Use the limit up, so that all further requests are rejected."""
    limiter = middleware.limiter
    _taken.extend(limiter.acquire() for _ in range(limiter.limit))
    return middleware


def hello(name: str, **config: object) -> Flask:
    """Return Flask's hello world."""
    app = Flask(name)
    app.config.update(config)

    @app.get("/")
    def say_hello() -> str:
        return "hello"

    return app


def semaphore_hello() -> Flask:
    """Return Flask's hello world with a semaphore."""
    app = hello("semaphore")
    app.wsgi_app = SemaphoreMiddleware(app.wsgi_app, PLENTY)  # type: ignore[method-assign]
    return app


def guarded_hello(**config: object) -> Flask:
    """Return Flask's hello world with the guard."""
    app = hello("guarded", **config)
    ConcurrencyGuard(app)
    return app


def measured_hello() -> Flask:
    """Return Flask's hello world with the guard, which tells OpenTelemetry's SDK of it."""
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
    return guarded_hello(CONCURRENCY_GUARD_METRICS="otel")


def limited_by_path(path: str) -> Flask:
    """Return Flask's hello world with the guard, and one more limit for a path."""
    return guarded_hello(CONCURRENCY_GUARD_LIMITS={"named": {"limit": PLENTY, "match": path}})


def limited_by_view() -> Flask:
    """Return Flask's hello world with the guard, and one more limit for its view."""
    named = {"limit": PLENTY, "endpoint": "say_hello"}
    return guarded_hello(CONCURRENCY_GUARD_LIMITS={"named": named})


def ranked_hello() -> Flask:
    """Return Flask's hello world with the guard, and a header that says how important it is."""
    return guarded_hello(CONCURRENCY_GUARD_PRIORITY="header:X-Priority")


def shared_hello() -> Flask:
    """Return Flask's hello world with the guard, and shares of the limit, by a header."""
    return guarded_hello(
        CONCURRENCY_GUARD_PARTITIONS={"live": 0.7, "batch": 0.3},
        CONCURRENCY_GUARD_PARTITION="header:X-Kind",
    )


def costly_hello() -> Flask:
    """Return Flask's hello world with the guard, and a view that costs two places."""
    app = hello("costly")
    guard = ConcurrencyGuard(app)
    app.view_functions["say_hello"] = guard.cost(2)(app.view_functions["say_hello"])
    return app


def hello_for_each() -> Flask:
    """Return Flask's hello world with the guard, and how many each client may have in flight."""
    return guarded_hello(CONCURRENCY_GUARD_KEY="remote_addr", CONCURRENCY_GUARD_PER_KEY=8)


def full_hello() -> Flask:
    """Return Flask's hello world with a guard that rejects everything."""
    app = guarded_hello(CONCURRENCY_GUARD_MAX_QUEUE=0)
    full(app.extensions["concurrency_guard"].middleware)
    return app


def limited_hello(limit: str) -> Flask:
    """Return Flask's hello world with Flask-Limiter."""
    app = hello(f"limited to {limit}")
    FlaskLimiter(
        get_remote_address,
        app=app,
        default_limits=[limit],
        storage_uri="memory://",
        strategy="fixed-window",
    )
    return app


def log_to_nowhere() -> None:
    """Let the log be made and written as ever, to a file that keeps nothing."""
    handler = logging.FileHandler(os.devnull)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(handlers=[handler])
