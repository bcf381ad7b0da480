"""A limit that is learned, on real servers."""

from __future__ import annotations

import pytest
from servers.running import KINDS
from servers.running import start

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
