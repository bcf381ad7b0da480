"""What somebody sees of the examples who has forgotten something."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run(script: str, *words: str, **variables: str) -> tuple[int, str]:
    """Return what a script exits with, and what it says then."""
    done = subprocess.run(
        # -S: nothing that is installed can be imported.
        [sys.executable, "-S", str(EXAMPLES / script), *words],
        env={**os.environ, "PYTHONPATH": "", "PYTHONUTF8": "1", **variables},
        capture_output=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_rush_without_a_shop() -> None:
    with socket.socket() as taken:  # Nobody listens at it, and nobody else can.
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        assert run("shop/rush.py", "3", "GET /", "1", "POST /x", PORT=port) == (
            1,
            f"Nothing answers at port {port}. Start the shop in this folder first, with 'gunicorn"
            " --threads 40 app:app'; or say by 'PORT' where it is.\n",
        )


REQUEST = "It must be like 'GET /' or 'GET /x Header=value'."


@pytest.mark.parametrize(
    ("words", "port", "message"),
    [
        (["1", "GET /"], "http", "'PORT' must be the number of a port, got 'http'."),
        (["1", "GET /"], "70000", "'PORT' must be the number of a port, got '70000'."),
        (["1", "GET"], "8000", f"'GET' is no request. {REQUEST}"),
        (["1", "GET / key"], "8000", f"'GET / key' is no request. {REQUEST}"),
        (["1", "GET /straße"], "8000", f"'GET /straße' is no request. {REQUEST}"),
        (["0", "GET /"], "8000", "At least one request, and at most 500 at once."),
        (["501", "GET /"], "8000", "At least one request, and at most 500 at once."),
    ],
    ids=["no-port", "high-port", "no-path", "no-value", "no-ascii", "none", "too-many"],
)
def test_a_rush_that_makes_no_sense(words: list[str], port: str, message: str) -> None:
    assert run("shop/rush.py", *words, PORT=port) == (1, message + "\n")


@pytest.mark.parametrize("words", [[], ["GET /"], ["x", "GET /"]], ids=["none", "odd", "no-number"])
def test_a_rush_is_explained(words: list[str]) -> None:
    status, said = run("shop/rush.py", *words)
    assert status == 1
    assert said.startswith("Send several kinds of requests at the same moment")


def test_a_demonstration_without_the_package() -> None:
    assert run("demo.py") == (
        1,
        "'flask_concurrency_guard' is not installed for this Python. In the folder above"
        " 'examples', say 'make demo', or 'pip install .' and try again.\n",
    )
