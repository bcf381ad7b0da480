"""A slow app with two lines of guard; `README.md` says how to run it."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from flask import Flask
from flask import request

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import TagFilter

handler = logging.StreamHandler()
handler.addFilter(TagFilter())  # Tells every line which request it belongs to.
logging.basicConfig(
    level=logging.INFO,
    handlers=[handler],
    format="%(levelname)s process=%(process_id)s thread=%(thread_id)s"
    " in_flight=%(in_flight)s/%(limit)s %(message)s",
)

app = Flask(__name__)
app.config["CONCURRENCY_GUARD_LIMIT"] = 10
app.config["CONCURRENCY_GUARD_EXEMPT"] = ["/counts"]
app.config.from_prefixed_env()  # FLASK_CONCURRENCY_GUARD_LIMIT=20 sets another limit.
if "UNGUARDED" not in os.environ:
    ConcurrencyGuard(app)


class Counts:
    """What the app itself sees, whatever the guard says."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0
        self.peak = 0
        self.threads = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count a request as in flight."""
        with self._lock:
            self._in_flight += 1
            self.peak = max(self.peak, self._in_flight)
            self.threads = max(self.threads, threading.active_count())
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1


counts = Counts()


@app.get("/slow")
def slow() -> dict[str, int]:
    """Sleep, like a view that waits for a database, and say who did."""
    with counts.one_more():
        app.logger.info("%s begins", request.full_path)
        time.sleep(request.args.get("seconds", 1.0, type=float))
    return {"process": os.getpid(), "thread": threading.get_native_id()}


@app.get("/numbers")
def numbers() -> dict[str, Any]:
    """Answer with what JSON has no number for."""
    return {"ratio": float("nan"), "price": Decimal("9.90")}


@app.get("/counts")
def show_counts() -> dict[str, int]:
    """Show the most requests in flight, and the most threads, that there ever were."""
    return {"peak": counts.peak, "threads": counts.threads}


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
