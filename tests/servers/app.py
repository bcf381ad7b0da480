"""The app that runs behind the guard under every server: Flask views and raw WSGI shapes.

It counts on its own who is inside, and signals tell it what the guard does, so that the tests
need not take the guard's word for it. Views don't sleep: they wait at a gate that the test opens.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from wsgiref.validate import validator

from flask import Flask
from flask import Response
from flask import request
from flask import send_file
from werkzeug.middleware.lint import LintMiddleware

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import TagFilter
from flask_concurrency_guard import request_admitted
from flask_concurrency_guard import request_released

from .shapes import SHAPES
from .shapes import CountingFile
from .shapes import inside
from .shapes import wait_at

LINTERS = {"": lambda app: app, "validate": validator, "lint": LintMiddleware}

handler = logging.StreamHandler()
handler.setFormatter(logging.Formatter("LOG %(name)s %(process_id)s %(thread_id)s: %(message)s"))
handler.addFilter(TagFilter())
logging.basicConfig(level=logging.WARNING, handlers=[handler])
warnings.simplefilter("always")


told = {"admitted": 0, "released": 0, "sendfile": 0}
telling = threading.Lock()


def count(what: str) -> None:
    with telling:
        told[what] += 1


def greenlet_id() -> int | None:
    greenlet = sys.modules.get("greenlet")
    current = greenlet.getcurrent() if greenlet is not None else None
    return None if current is None or current.parent is None else id(current)


def who() -> dict[str, Any]:
    return {
        "process": os.getpid(),
        "thread": threading.get_native_id(),
        "greenlet": greenlet_id(),
        "tagged_process": request.environ.get("flask_concurrency_guard.process_id"),
        "tagged_thread": request.environ.get("flask_concurrency_guard.thread_id"),
        "queue_age": request.environ.get("flask_concurrency_guard.queue_age"),
    }


class RawShapes:
    """Serve ``/raw/<shape>`` below the guard, and everything else with Flask."""

    def __init__(self, wsgi_app: Any) -> None:
        self.wsgi_app = wsgi_app

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        name = environ["PATH_INFO"].rpartition("/raw/")[2]
        return SHAPES.get(name, self.wsgi_app)(environ, start_response)


def make_app() -> tuple[Flask, ConcurrencyGuard]:
    app = Flask(__name__)
    app.config.from_prefixed_env()
    app.config["CONCURRENCY_GUARD_EXEMPT"] = ["/exempt/*"]
    narrow = {"limit": 2, "match": "/narrow/*", "scope": "process"}
    app.config["CONCURRENCY_GUARD_LIMITS"] = {"narrow": narrow}
    linter = LINTERS[os.environ.get("TEST_LINTER", "")]
    app.wsgi_app = linter(RawShapes(app.wsgi_app))  # type: ignore[method-assign]
    guard = ConcurrencyGuard(app)
    scope = app.config["CONCURRENCY_GUARD_SCOPE"]
    app.wsgi_app = linter(app.wsgi_app)  # type: ignore[method-assign]

    @app.route("/ping", methods=["GET", "POST"])
    def ping() -> Any:
        return who()

    @app.get("/hold")
    @app.get("/narrow/hold")
    def hold() -> Any:
        with inside:
            wait_at(request.args["gate"])
        return who()

    @app.get("/churn")
    def churn() -> Any:
        with inside:
            time.sleep(0.002)
        return who()

    @app.post("/read")
    def read() -> Any:
        return {"size": len(request.stream.read(1_000_000))}

    @app.get("/file")
    def file() -> Any:
        return send_file(request.args["path"], mimetype="application/octet-stream")

    @app.get("/generate")
    def generate() -> Any:
        return Response(str(number) for number in range(10))

    @app.get("/exempt/ping")
    def exempt_ping() -> Any:
        return who()

    @app.get("/unavailable")
    @app.get("/exempt/unavailable")
    def unavailable() -> Any:
        return "busy", 503

    @app.get("/exempt/limit")
    def exempt_limit() -> Any:
        guard.set_limit(int(request.args["to"]))
        inside.peak = inside.now
        told.update(dict.fromkeys(told, 0))
        return {}

    @app.get("/exempt/state")
    def exempt_state() -> Any:
        snapshot = asdict(guard.snapshot())
        return {
            **who(),
            **snapshot,
            "narrow": asdict(guard.snapshot(name="narrow")),
            "inside": inside.now,
            "inside_peak": inside.peak,
            "told": told,
            "reads": CountingFile.reads,
            "main_thread": threading.main_thread().native_id,
            "parent": os.getppid(),
            "host": asdict(guard.snapshot(scope="host")) if scope == "host" else None,
            "cluster": asdict(guard.snapshot(scope="cluster")) if scope == "cluster" else None,
        }

    return app, guard


def count_sendfile() -> None:
    """Count the calls of `os.sendfile`, which is how Python's servers send files."""
    sendfile = os.sendfile

    def counted(*args: Any, **options: Any) -> int:
        count("sendfile")
        return sendfile(*args, **options)

    os.sendfile = counted


def on_admitted(sender: object, **extra: object) -> None:
    count("admitted")


def on_released(sender: object, **extra: object) -> None:
    count("released")


count_sendfile()
application, guard = make_app()
if not os.environ.get("TEST_NO_SIGNALS"):
    request_admitted.connect(on_admitted)
    request_released.connect(on_released)
