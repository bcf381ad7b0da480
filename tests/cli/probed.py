"""The app that the tests of `probe` ask; run by a real server."""

from __future__ import annotations

import time

from flask import Flask

from flask_concurrency_guard import ConcurrencyGuard

TAKES = 0.3
"""How long a request takes, in seconds: what is found out from timing needs a view that takes a
while, whatever else the machine is at."""

application = Flask(__name__)
application.config.from_prefixed_env()
application.config["CONCURRENCY_GUARD_EXEMPT"] = ["/exempt/*"]
guard = ConcurrencyGuard(application)


@application.get("/slow")
def slow() -> str:
    time.sleep(TAKES)
    return "slow"


@application.get("/exempt/ping")
def ping() -> str:
    return "ping"
