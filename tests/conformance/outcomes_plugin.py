"""Write down how each test ended: a pytest plugin, loaded with ``-p``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", type=Path, required=True, help="the file to write, in JSON")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Outcomes(config.getoption("--outcomes")))


class Outcomes:
    """The outcome of each test, and of what could not be collected, with its message."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcomes: dict[str, str] = {}
        self._messages: dict[str, str] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._note(report, "error")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._note(report, "failed" if report.when == "call" else "error")
        elif report.skipped:
            self._note(report, "skipped")
        else:
            # Each phase reports; a teardown that passes doesn't mend what failed before.
            self._outcomes.setdefault(report.nodeid, "passed")

    def pytest_sessionfinish(self) -> None:
        found = {"outcomes": self._outcomes, "messages": self._messages}
        self._path.write_text(json.dumps(found, indent=1), "utf-8")

    def _note(self, report: pytest.CollectReport | pytest.TestReport, outcome: str) -> None:
        self._outcomes[report.nodeid] = outcome
        self._messages[report.nodeid] = _message(report)


def _message(report: pytest.CollectReport | pytest.TestReport) -> str:
    """Return the one line that tells most."""
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = str(crash.message if crash else report.longreprtext).splitlines()
    errors = lines if crash else [line[1:].strip() for line in lines if line.startswith("E ")]
    return (errors or lines or [""])[0]
