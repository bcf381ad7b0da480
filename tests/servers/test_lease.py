"""With a limit of 1 a lease that is lost, or held for too long, turns the next request away.

One that is given back twice shows as a number in flight below 0.
"""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

import pytest
from contextlib import suppress

from servers.app import SHAPES
from servers.running import Gate
from servers.running import Server
from servers.running import ask
from servers.running import reset
from servers.running import wait_until

CALLS = [
    *(f"GET /raw/{name}" for name in SHAPES if name not in ("stream", "flood")),
    *(f"HEAD /raw/{name}" for name in ("list_with_length", "empty_list", "generator")),
    "POST /raw/list_with_length",
    "GET /ping",
    "HEAD /ping",
    "GET /missing",
    "GET /generate",
    "HEAD /generate",
    "GET /file",
    "HEAD /file",
]


def expect_lease_back(server: Server, patience: float = 5.0) -> None:
    state = server.wait_until_idle(patience)
    assert state["peak"] <= 1 or server.is_up
    assert server.ask("/ping").status == 200


@pytest.mark.parametrize("call", CALLS)
def test_lease_comes_back_once(server: Server, call: str, big_file: Path) -> None:
    method, path = call.split()
    if path.rpartition("/")[2] in server.kind.dies_of:
        pytest.skip("the server itself dies of it")
    server.set_limit(1)

    with suppress(OSError, http.client.HTTPException):
        server.ask(f"{path}?path={big_file}", method)

    state = server.wait_until_idle()
    assert server.ask("/ping").status == 200
    if state["told"]["admitted"]:  # Some errors end the worker, and its numbers with it.
        assert state["told"]["admitted"] == 1
        assert state["told"]["released"] == 1 or not server.kind.closes
