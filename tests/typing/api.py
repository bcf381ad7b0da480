"""Uses the public names as an app does; checked by mypy, never run."""

from __future__ import annotations

from typing import assert_type

from flask import Blueprint
from flask import Flask

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import Mode
from flask_concurrency_guard import RequestRejected
from flask_concurrency_guard import Snapshot
from flask_concurrency_guard import TagFilter

app = Flask(__name__)
guard = ConcurrencyGuard(app)
later = ConcurrencyGuard()
later.init_app(app)

assert_type(guard.snapshot(), Snapshot)
assert_type(guard.snapshot(app=app).rejected["limit"], int)
assert_type(guard.snapshot(scope="host").processes[0].pid, int)
guard.set_limit(3)
guard.set_mode("shadow", app=app)
guard.set_limit("3")  # type: ignore[arg-type]

blueprint = guard.exempt(Blueprint("ops", __name__))
assert_type(blueprint, Blueprint)


@app.get("/healthz")
@guard.exempt
def healthz() -> str:
    return "fine"


assert_type(healthz(), str)


@app.errorhandler(RequestRejected)
def busy(error: RequestRejected) -> tuple[str, int]:
    return error.rejection.reason, error.rejection.retry_after


TagFilter()


@app.get("/report")
@guard.limit("reports", 2, match="/report", max_wait=0.5, partitions={"live": 0.5}, scope="host")
@guard.priority("critical")
@guard.cost(2)
def report() -> str:
    return "all of it"


assert_type(report(), str)
assert_type(guard.limit("admin", "adaptive", mode=Mode.SHADOW)(blueprint), Blueprint)
guard.limit("reports", max_wiat=0.5)  # type: ignore[call-arg]
guard.limit("reports", scope="world")  # type: ignore[arg-type]
guard.exempt("reports")  # type: ignore[type-var]
guard.set_mode("on")  # type: ignore[arg-type]
guard.drain(app)  # type: ignore[arg-type]
