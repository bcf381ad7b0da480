"""A limit that is learned, on real servers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from servers.running import KINDS
from servers.running import start
from servers.running import wait_until

pytestmark = pytest.mark.servers

SERVERS = ("dev", "gunicorn-gthread", "gunicorn-gevent", "waitress", "cheroot", "uwsgi", "granian")


@pytest.mark.parametrize("name", SERVERS)
def test_it_begins_with_what_the_server_has_threads_for(name: str) -> None:
    kind = KINDS[name]
    with start(kind, threads=4, limit="adaptive") as server:
        assert server.ask("/ping").status == 200
        assert server.state()["limit"] == (4 if kind.bounded else 16)
        assert "can never be reached" not in server.log


@pytest.mark.parametrize("name", SERVERS)
def test_it_learns_from_each_answer(name: str) -> None:
    options = {"initial": 1, "min_limit": 1, "max_limit": 3}
    with start(
        KINDS[name], limit="adaptive", algorithm="aimd", algorithm_options=options
    ) as server:
        for _ in range(10):
            assert server.ask("/ping").status == 200
        state = server.wait_until_idle()
        assert state["limit"] == 3
        assert [(change["before"], change["after"]) for change in state["changes"]] == [
            (1, 2),
            (2, 3),
        ]


def test_the_workers_of_a_host_learn_one_limit_whoever_dies(tmp_path: Path) -> None:
    options = {"initial": 1, "min_limit": 1, "max_limit": 3}
    with start(
        KINDS["gunicorn-gthread"],
        *("--workers", "2"),
        scope="host",
        dir=str(tmp_path / "host"),
        limit="adaptive",
        algorithm="aimd",
        algorithm_options=options,
    ) as server:

        def limit() -> int:
            return int(server.state()["host"]["limit"])

        def workers() -> set[int]:
            return {process["pid"] for process in server.state()["host"]["processes"]}

        def serve_in_both() -> bool:
            assert server.ask("/ping").status == 200
            return len(workers()) == 2

        wait_until(serve_in_both, "both have served")
        server.pings_until(lambda answer: limit() == 3, "it is learned")
        for victim in workers():  # The one that learns, and the other one.
            os.kill(victim, signal.SIGKILL)
            server.pings_until(lambda answer: True, "a worker is there")
            wait_until(lambda: victim not in workers(), "it is gone")  # noqa: B023
            server.pings_until(lambda answer: limit() == 3, "it is learned still")
            wait_until(
                lambda: server.ask("/unavailable").status == 503 and limit() < 3,
                "what is lost is learned from",
            )
            server.pings_until(lambda answer: limit() == 3, "it is learned again")
