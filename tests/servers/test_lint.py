"""Neither the app nor the server sees the guard break a rule of WSGI."""

from __future__ import annotations

from pathlib import Path

import pytest
from servers.running import KINDS
from servers.running import Gate
from servers.running import start

COMPLAINTS = ("AssertionError", "WSGIWarning", "HTTPWarning", "garbage collected", "Traceback")


@pytest.mark.parametrize("linter", ["validate", "lint"])
@pytest.mark.parametrize("name", ["dev", "gunicorn-gthread", "waitress"])
def test_linters_have_nothing_to_say(name: str, linter: str, gate: Gate, big_file: Path) -> None:
    env = {"TEST_LINTER": linter}
    with start(KINDS[name], env=env, limit=1, max_queue=0) as server:
        for path in ("/ping", "/generate", f"/file?path={big_file}", "/missing", "/exempt/ping"):
            expected = 404 if path == "/missing" else 200
            assert server.ask(path).status == expected
            assert server.ask(path, "HEAD").status == expected
            server.wait_until_idle()
        assert server.ask("/read", "POST", b"x" * 100_000).json == {"size": 100_000}
        server.wait_until_idle()
        with server.asking(f"/hold?gate={gate.address}", 1) as (future,):
            gate.wait_for(1)
            assert server.ask("/ping").status == 503
            assert server.ask("/ping", "HEAD").status == 503
            assert server.ask("/ping", "POST", b"x" * 100_000).status == 503
            gate.open()
        assert future.result().status == 200
        server.wait_until_idle()
        log = server.log

    for complaint in COMPLAINTS:
        assert complaint not in log
