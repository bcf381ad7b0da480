"""Print what `check` finds in apps that Sentry and OpenTelemetry instrument.

A program of its own, since they patch what all apps of a process share.
"""

from __future__ import annotations

import json
import sys
import warnings

from cli.cli_support import run_json
from flask import Flask

warnings.simplefilter("ignore")

from opentelemetry.instrumentation.flask import FlaskInstrumentor  # noqa: E402

from flask_concurrency_guard import ConcurrencyGuard  # noqa: E402


def instrumented(order: str, reject_via: str = "wsgi") -> Flask:
    app = Flask(__name__)
    app.config["CONCURRENCY_GUARD_REJECT_VIA"] = reject_via
    if order == "before":
        FlaskInstrumentor().instrument_app(app)
    ConcurrencyGuard(app)
    if order == "after":
        FlaskInstrumentor().instrument_app(app)
    return app


def found(app: Flask) -> dict[str, list[tuple[str, str]]]:
    findings: dict[str, list[tuple[str, str]]] = {}
    for each in run_json(app, "check"):
        findings.setdefault(each["check"], []).append((each["severity"], each["what"]))
    return {name: findings.get(name, []) for name in ("place", "instrumentation")}


if __name__ == "__main__":
    results = {order: found(instrumented(order)) for order in ("before", "after", "never")}
    removed = instrumented("before")
    FlaskInstrumentor().uninstrument_app(removed)
    results["removed"] = found(removed)

    import sentry_sdk

    sentry_sdk.init(dsn=None)
    results["sentry"] = found(instrumented("never"))
    results["sentry via flask"] = found(instrumented("never", "flask"))
    json.dump(results, sys.stdout)
