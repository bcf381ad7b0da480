"""The tags in the servers' own access logs."""

from __future__ import annotations

import pytest
from servers.running import KINDS
from servers.running import Server
from servers.running import start
from servers.running import wait_until


def last_line(server: Server, mark: str) -> list[str]:
    def lines() -> list[str]:
        return [line for line in server.log.splitlines() if line.startswith(f"{mark} /ping")]

    return wait_until(lines, "the log has the line")[-1].split()


@pytest.mark.parametrize("name", ["gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent"])
def test_gunicorn_logs_header_and_environment(name: str) -> None:
    log = "ACCESS %(U)s %({x-thread-id}o)s %({flask_concurrency_guard.thread_id}e)s %(p)s"
    options = ("--access-logfile", "-", "--access-logformat", log)
    with start(KINDS[name], *options) as server:
        answer = server.ask("/ping")
        _, _, from_header, from_environment, _ = last_line(server, "ACCESS")

    assert int(from_header) == int(from_environment) == answer.thread


def test_uwsgi_logs_header() -> None:
    options = (
        *("--collect-header", "X-Thread-Id THREAD_ID"),
        *("--log-format", "ACCESS %(uri) %(var.THREAD_ID) %(pid)"),
    )
    with start(KINDS["uwsgi"], *options) as server:
        answer = server.ask("/ping")
        _, _, thread, process = last_line(server, "ACCESS")

    assert int(thread) == answer.thread
    assert int(process) == answer.process
