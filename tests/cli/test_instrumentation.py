"""What `check` says of apps that are instrumented by the real packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent


def test_instrumented_apps() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "cli.instrumented"],
        capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)

    ok = [["ok", "Requests pass the guard."]]
    assert found["never"] == {"place": ok, "instrumentation": []}
    assert found["before"] == {
        "place": ok,
        "instrumentation": [
            [
                "warning",
                "OpenTelemetry stands behind the guard, and its 'uninstrument_app' would remove"
                " the guard with itself.",
            ]
        ],
    }
    assert found["after"] == {
        "place": ok,
        "instrumentation": [
            [
                "note",
                "OpenTelemetry stands in front of the guard, as is right. Its durations of"
                " requests lack those that are rejected.",
            ]
        ],
    }
    assert found["removed"]["place"][0][0] == "error"
    assert found["sentry"]["instrumentation"] == [
        [
            "note",
            "Sentry stands in front of the guard: each rejection is a transaction 'generic WSGI"
            " request' there.",
        ]
    ]
    assert found["sentry via flask"]["instrumentation"] == [
        [
            "note",
            "Sentry stands in front of the guard: each rejection is a transaction with the name of"
            " its view there.",
        ]
    ]
