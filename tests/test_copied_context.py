from __future__ import annotations

import contextvars
import gc

from flask import Flask

from flask_concurrency_guard import ConcurrencyGuard


def test_a_copied_context_does_not_keep_a_dropped_response_in_flight() -> None:
    app = Flask(__name__)
    guard = ConcurrencyGuard(app)
    copied = []

    @app.get("/")
    def index() -> str:
        copied.append(contextvars.copy_context())
        return "hello"

    app.test_client().get("/")
    gc.collect()
    assert guard.snapshot().in_flight == 0
