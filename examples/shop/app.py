"""A shop that is asked for more than it can do. `README.md` walks through it."""

from __future__ import annotations

import time
from typing import Any

from flask import Flask
from flask import request

from flask_concurrency_guard import ConcurrencyGuard

PLANS = {"key-of-anna": "critical", "key-of-bert": "default"}
"""Customers by their key, and how important they are: Anna pays for it."""


def priority(environ: dict[str, Any]) -> str | None:
    """Return how important a request is, if its key says so."""
    return PLANS.get(environ.get("HTTP_X_API_KEY", ""))


app = Flask(__name__)
app.config.from_mapping(
    CONCURRENCY_GUARD_LIMIT=8,
    CONCURRENCY_GUARD_MAX_QUEUE=8,
    CONCURRENCY_GUARD_PRIORITY=priority,
    # The API has a quarter for itself, whatever the pages are asked for; and more, if they aren't.
    CONCURRENCY_GUARD_PARTITIONS={
        "api": {"share": 0.25, "match": "/api/*"},
        "pages": {"share": 0.5, "match": "/*"},
    },
    CONCURRENCY_GUARD_LIMITS={
        "api": {"limit": 6, "match": "/api/*", "key": "header:X-Api-Key", "per_key": 2},
    },
    CONCURRENCY_GUARD_HEADERS={"decision": "X-Concurrency-Guard", "priority": "X-Priority"},
)
app.config.from_prefixed_env()  # FLASK_CONCURRENCY_GUARD_MODE=shadow, say.
guard = ConcurrencyGuard(app)


@app.get("/healthz")
@guard.exempt
def healthz() -> str:
    """Answer always: the process is alive, however busy."""
    return "alive"


@app.get("/readyz")
@guard.exempt
def readyz() -> tuple[str, int]:
    """Tell a balancer whether to send more."""
    return ("ready", 200) if guard.ready(saturated_for=5) else ("not now", 503)


@app.get("/")
def index() -> str:
    """Show the shop."""
    time.sleep(0.2)  # What a database would take.
    return "Welcome"


@app.get("/suggestions")
@guard.priority("sheddable")
def suggestions() -> list[str]:
    """Suggest something: nice to have."""
    time.sleep(0.2)
    return ["socks"]


@app.post("/checkout")
@guard.priority("critical")
def checkout() -> str:
    """Take the money: whatever happens, this one."""
    time.sleep(0.2)
    return "Thank you"


@app.get("/reports/<month>")
@guard.limit("reports", 2, max_wait=0.5)
def report(month: str) -> dict[str, str]:
    """Make a report, which takes a second and half of the database."""
    time.sleep(1.0)
    return {"month": month}


@app.get("/export")
@guard.cost(4)
def export() -> str:
    """Export all orders, with four connections at once."""
    time.sleep(0.5)
    return "orders"


@app.get("/api/items")
def items() -> dict[str, str | None]:
    """List items for a customer."""
    time.sleep(0.2)
    return {"customer": request.headers.get("X-Api-Key")}


@app.cli.command("nightly")
def nightly() -> None:
    """Make the report of the month, in a place of the limit that the web has as well."""
    with guard.lease("reports", wait=60):
        time.sleep(1.0)
    print("done")
