"""Put the guard on every Flask app at its creation: a pytest plugin, loaded with ``-p``.

It also looks after each test for leases that nobody will give back any more.
"""

from __future__ import annotations

import functools
import gc
import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard.core.limiter import Limiter


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--guarded", type=Path, required=True, help="the file to write, in JSON")
    parser.addoption("--guard-limit", type=int, help="the limit, which then lets nobody wait")


def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    # Earlier than `pytest_configure`: a conftest.py may create an app when it is imported.
    options = early_config.known_args_namespace
    guarded = GuardedApps(options.guarded, options.guard_limit)
    guarded.guard_new_apps()
    early_config.pluginmanager.register(guarded)


class GuardedApps:
    """The limiters of all apps that were created.

    They are kept, so that a lease that is lost can't go away unseen with its limiter. The apps are
    not: some tests look whether theirs is freed.
    """

    def __init__(self, path: Path, limit: int | None) -> None:
        self._path = path
        self._limit = limit
        self._limiters: list[Limiter] = []
        self._lost: set[Limiter] = set()
        self._held: dict[str, int] = {}
        self._collected: list[str] = []

    def guard_new_apps(self) -> None:
        create: Any = Flask.__init__

        @functools.wraps(create)
        def create_guarded(app: Flask, *args: Any, **options: Any) -> None:
            create(app, *args, **options)
            self._guard(app)

        Flask.__init__ = create_guarded  # type: ignore[assignment, method-assign]

    def _guard(self, app: Flask) -> None:
        if self._limit is not None:
            app.config["CONCURRENCY_GUARD_LIMIT"] = self._limit
            app.config["CONCURRENCY_GUARD_MAX_WAIT"] = 0
        ConcurrencyGuard(app)
        self._limiters.append(app.extensions["concurrency_guard"].limiter)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None]:
        yield
        # The fixtures are gone. What pytest keeps for a debugger are the frames of a failed test.
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            vars(sys).pop(name, None)
        if self._in_flight():
            gc.collect()
            self._collected.append(item.nodeid)
        for limiter, held in self._in_flight().items():
            self._held[item.nodeid] = self._held.get(item.nodeid, 0) + held
            self._lost.add(limiter)

    def _in_flight(self) -> dict[Limiter, int]:
        return {
            limiter: limiter.snapshot().in_flight
            for limiter in self._limiters
            if limiter.in_flight and limiter not in self._lost
        }

    def pytest_sessionfinish(self) -> None:
        numbers = [limiter.snapshot() for limiter in self._limiters]
        found = {
            "apps": len(numbers),
            "admitted": sum(each.admitted for each in numbers),
            "rejected": sum(sum(each.rejected.values()) for each in numbers),
            "held": self._held,
            "collected": self._collected,
        }
        self._path.write_text(json.dumps(found, indent=1), "utf-8")
