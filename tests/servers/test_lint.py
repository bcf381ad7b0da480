"""Neither the app nor the server sees the guard break a rule of WSGI."""

from __future__ import annotations

from pathlib import Path

import pytest
from servers.gates import Gate
from servers.running import KINDS
from servers.running import Server
from servers.running import start

MARKS = ("AssertionError", "Warning:", "garbage collected", "Traceback")


# The development server itself breaks a rule that `wsgiref` knows: its REMOTE_PORT is a number.
@pytest.mark.parametrize(
    ("name", "linter"),
    [
        ("dev", "lint"),
        ("gunicorn-gthread", "lint"),
        ("gunicorn-gthread", "validate"),
        ("waitress", "lint"),
        ("waitress", "validate"),
        ("cheroot", "validate"),
    ],
)
def test_linters_say_no_more_than_without_the_guard(
    name: str, linter: str, gate: Gate, big_file: Path
) -> None:
    settings = {"limit": 1, "max_queue": 0}
    with start(KINDS[name], env={"TEST_LINTER": linter}, mode="off", **settings) as server:
        ask_for_everything(server, big_file)
        unguarded = complaints(server)
    with start(KINDS[name], env={"TEST_LINTER": linter}, **settings) as server:
        ask_for_everything(server, big_file)
        with server.asking(f"/hold?gate={gate.address}", 1) as (future,):
            gate.wait_for(1)
            assert server.ask("/ping").status == 503
            assert server.ask("/ping", "POST", b"x" * 100_000).status == 503
            gate.open()
        assert future.result().status == 200
        server.wait_until_idle()
        guarded = complaints(server)

    assert guarded <= unguarded
    if linter == "validate":
        assert unguarded == set()


def ask_for_everything(server: Server, file: Path) -> None:
    for path in ("/ping", "/generate", f"/file?path={file}", "/missing", "/exempt/ping"):
        expected = 404 if path == "/missing" else 200
        for method in ("GET", "HEAD"):
            assert server.ask(path, method).status == expected
            server.wait_until_idle()
    assert server.ask("/read", "POST", b"x" * 100_000).json == {"size": 100_000}
    server.wait_until_idle()


def complaints(server: Server) -> set[str]:
    """Return what was said, without the places, which differ."""
    return {
        line[line.index(mark) :]
        for line in server.log.splitlines()
        for mark in MARKS
        if mark in line
    }
