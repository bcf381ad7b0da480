"""What the commands write as JSON is what the documentation says."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from cli.cli_support import run_json
from cli.test_probe import serve
from click.testing import CliRunner
from flask import Flask
from log_support import logfmt
from log_support import pool_log
from log_support import rejection
from log_support import server_line
from log_support import write
from support import call
from support import hold
from support import make_app

from flask_concurrency_guard.cli.report import report
from flask_concurrency_guard.cli.simulate import simulate
from flask_concurrency_guard.core.tuner import Change

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "command-json.md"
TABLE = re.compile(r"^% fields: (\S+)\n\n\| field .*\n\|---.*\n((?:\|.*\n)+)", re.MULTILINE)
ROW = re.compile(r"^\| `(\S+)` \| ([^|]+) \|", re.MULTILINE)
LINK = re.compile(r"\[(\S+)\]\(#\S+\)")
OTHERS = "…"
"""Documented in a table, it stands for fields of any name."""

PLAIN = {"text": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,)}


def tables() -> dict[str, dict[str, str]]:
    """Return the type of each field in each table of the page."""
    page = PAGE.read_text("utf-8")
    return {name: dict(ROW.findall(LINK.sub(r"\1", rows))) for name, rows in TABLE.findall(page)}


class Checker:
    """Compares values with the tables, and notes which fields it has seen."""

    def __init__(self) -> None:
        self.tables = tables()
        self.seen: set[str] = set()

    def check(self, value: Any, kind: str, where: str) -> None:
        kinds = [each for each in kind.split(" or ") if each != "left out"]
        assert any(self._is(value, each, where) for each in kinds), f"{where}: no {kind}: {value}"

    def _is(self, value: Any, kind: str, where: str) -> bool:
        container, _, inner = kind.partition(" of ")
        if container in ("list", "map") and inner:
            if type(value) is not {"list": list, "map": dict}[container]:
                return False
            for each in value.values() if container == "map" else value:
                self.check(each, inner, f"{where}[]")
            return True
        if kind == "null":
            return value is None
        if kind in PLAIN:
            return type(value) in PLAIN[kind]
        if kind != "anything" and isinstance(value, dict):
            self._check_fields(value, kind, where)
        return kind == "anything" or isinstance(value, dict)

    def _check_fields(self, value: dict[str, Any], name: str, where: str) -> None:
        fields = self.tables[name]
        needed = {field for field, kind in fields.items() if not kind.endswith(" or left out")}
        unknown = set() if OTHERS in fields else value.keys() - fields.keys()
        assert not unknown, f"{where}: '{PAGE.name}' doesn't tell of {unknown} in '{name}'."
        missing = needed - value.keys() - {OTHERS}
        assert not missing, f"{where}: there is no {missing}, of which '{PAGE.name}' tells."
        for field, each in value.items():
            self.seen.add(f"{name}.{field}")
            self.check(each, fields.get(field, "anything"), f"{where}.{field}")


def written(command: Any, *arguments: str) -> Any:
    return json.loads(CliRunner().invoke(command, [*arguments, "--json"]).stdout)


def status_of_a_busy_app(folder: Path) -> Any:
    app, _ = make_app(
        status=True, dir=str(folder), name="shop", limit="adaptive",
        limits={"x": {"limit": 1, "match": "/x/*", "max_wait": 0}},
        partitions={"all": {"share": 1.0, "match": "/*"}},
    )  # fmt: skip
    state = app.extensions["concurrency_guard"]
    with hold(app, "/x/1"):
        call(app, "/x/2").read()  # Rejected.
        state.limiter.tuner.changes.append(Change(time.monotonic(), 32, 33, "there is room"))
        state.status.publisher.publish(time.time())
        return run_json(app, "status")


def probed(path: str) -> Any:
    with serve() as port:
        return run_json(None, "probe", f"http://127.0.0.1:{port}{path}", "-n", "2")


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Return what the commands write, by the table of it."""
    folder = tmp_path_factory.mktemp("logs")
    lines = [*pool_log(seconds=12), *(logfmt(rejection(n / 10)) for n in range(20))]
    log = write(folder / "full", lines)
    poor = write(folder / "poor", [server_line(1.0), "nothing"])  # It tells next to nothing.
    limits = {
        "a": {"limit": 2, "match": "/a/*", "key": "remote_addr", "per_key": 1},
        "b": {"limit": "adaptive", "endpoint": "view"},
    }
    return {
        "status": [status_of_a_busy_app(tmp_path_factory.mktemp("status"))],
        "probe": [probed("/there"), probed("/busy-later")],
        "finding": [*run_json(make_app()[0], "check"), *run_json(Flask("plain"), "check")],
        "config": [run_json(make_app(limits=limits)[0], "config")],
        "report": [written(report, log), written(report, poor)],
        "simulate": [written(simulate, log, "--limit=3", "--limit=none")],
    }


@pytest.mark.parametrize("name", ["status", "probe", "finding", "config", "report", "simulate"])
def test_what_a_command_writes_is_documented(name: str, documents: dict[str, list[Any]]) -> None:
    for document in documents[name]:
        Checker().check(document, name, name)


def test_all_that_is_documented_is_written(documents: dict[str, list[Any]]) -> None:
    checker = Checker()
    for name, found in documents.items():
        checker.check(found, f"list of {name}", name)
    documented = {f"{name}.{field}" for name, fields in tables().items() for field in fields}
    assert {each for each in documented - checker.seen if not each.endswith(OTHERS)} == set()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1.5, "integer"),
        (True, "integer"),
        (None, "number"),
        ("1", "list of text"),
        ([1, "1"], "list of integer"),
        ({"a": None}, "map of text"),
        ([], "rates"),
        ({"good": 1.0}, "rates"),
        ({"limit": 1, "of_each_process": True, "sentences": [], "more": 1}, "advice"),
    ],
)
def test_something_else_than_documented_is_noticed(value: Any, kind: str) -> None:
    with pytest.raises(AssertionError):
        Checker().check(value, kind, "value")
