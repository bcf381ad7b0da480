"""An app that is killed, and an account of who is inside that doesn't ask the guard."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Flask
from share_worker import Account

from flask_concurrency_guard import ConcurrencyGuard

application = Flask(__name__)
application.config.from_prefixed_env()
guard = ConcurrencyGuard(application)

FOLDER = Path(os.environ["CHURN_FOLDER"])
LIMIT = int(application.config["CONCURRENCY_GUARD_LIMIT"])


def take_number() -> int:
    """Return a number that no other worker has, or ever had."""
    for number in itertools.count():
        try:
            (FOLDER / f"number-{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        return number
    raise AssertionError


account = Account(FOLDER, take_number())


def stay() -> None:
    account.come(LIMIT)
    time.sleep(random.random() * 0.01)
    account.go()


@application.get("/work")
def work() -> str:
    stay()
    return "done"


@application.get("/raise")
def fail() -> str:
    stay()
    raise RuntimeError("as asked")


@application.get("/stream")
def stream() -> Any:
    def body() -> Iterator[bytes]:
        account.come(LIMIT)
        try:
            for _ in range(20):
                yield b"x" * 65536
        finally:
            account.go()

    return body()


@application.get("/exempt/ping")
def ping() -> str:
    return "pong"
