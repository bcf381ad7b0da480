"""A lease comes back once, whatever the app, its body, the client and the server do.

With a limit of 1, one that is lost or held for too long turns the next request away. One that is
given back twice shows as a number in flight below 0.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from servers.gates import Gate
from servers.running import Server
from servers.running import reset
from servers.running import wait_until
from servers.shapes import SHAPES

CALLS = [
    *(f"GET /raw/{name}" for name in SHAPES if name not in ("stream", "flood")),
    *(f"HEAD /raw/{name}" for name in ("list_with_length", "empty_list", "generator")),
    "HEAD /raw/raise_in_close",
    "POST /raw/list_with_length",
    "GET /ping",
    "HEAD /ping",
    "GET /missing",
    "GET /generate",
    "HEAD /generate",
    "GET /file",
    "HEAD /file",
]


@pytest.fixture
def server(server: Server) -> Server:
    server.set_limit(1)
    return server


@pytest.mark.parametrize("call", CALLS)
def test_lease_comes_back_once(server: Server, call: str, big_file: Path) -> None:
    if call.rpartition("/")[2] in server.kind.dies_of:
        pytest.skip("the server itself dies of it")
    before = server.state()

    with keeping_open(server, f"{call}?path={big_file} HTTP/1.1"):
        expect_lease_back(server, before)


@pytest.mark.parametrize("chunks", [0, 5])
def test_lease_comes_back_at_the_end_of_a_stream(server: Server, gate: Gate, chunks: int) -> None:
    before = server.state()

    with keeping_open(server, f"GET {stream(gate, chunks)} HTTP/1.1"):
        gate.wait_for(1)
        if not server.kind.serial:
            assert server.ask("/ping").status == 503
        gate.open()
        expect_lease_back(server, before)


def test_lease_comes_back_when_the_client_leaves_before_the_answer(
    server: Server, gate: Gate
) -> None:
    before = server.state()
    client = server.send(f"GET /hold?gate={gate.address} HTTP/1.1")
    gate.wait_for(1)

    reset(client)
    gate.open()

    expect_lease_back(server, before)


def test_lease_comes_back_when_the_client_leaves_in_the_middle(server: Server, gate: Gate) -> None:
    # uvicorn drops what is sent to a client that has gone, so the stream runs to its end there.
    tells = "uvicorn" not in server.kind.command
    chunks = 100_000 if tells else 50
    before = server.state()
    client = server.send(f"GET {stream(gate, chunks)} HTTP/1.1")
    gate.wait_for(1)
    assert client.recv(100)

    reset(client)
    gate.open()

    expect_lease_back(server, before)


def test_lease_comes_back_when_a_client_that_reads_nothing_leaves(server: Server) -> None:
    before = server.state()
    client = server.send("GET /raw/flood HTTP/1.1")
    if not server.kind.serial:
        wait_until(lambda: server.state()["told"]["admitted"] == 1, "it is in flight")

    reset(client)

    expect_lease_back(server, before)


@contextmanager
def keeping_open(server: Server, head: str) -> Iterator[None]:
    """Send a request, and read all that comes, without ever leaving before the server does."""
    connection = server.send(head)

    def read() -> None:
        with suppress(OSError):
            while connection.recv(1 << 20):
                pass
        connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        with suppress(OSError):
            connection.shutdown(2)
        reader.join()


def expect_lease_back(server: Server, before: dict[str, Any]) -> None:
    """Wait until the request is over, and its lease is back; see that the next one passes.

    Some exceptions end the worker, and its numbers with it.
    """

    def is_over() -> bool:
        state = server.wait_until_idle()
        if state["process"] != before["process"]:
            return True
        told = state["told"]
        # A serial server may come to it only after the client has left, and then there is none.
        gone = state["rejected"]["client_gone"] - before["rejected"]["client_gone"]
        if told["admitted"] + gone != 1:
            return False
        # A lease that was collected is told of when the next one comes.
        return told["released"] == told["admitted"] or not server.kind.closes

    wait_until(is_over, "the request is over and its lease back")
    assert server.ask("/ping").status == 200
    assert server.wait_until_idle()["in_flight"] == 0
    assert not server.kind.closes or "dropped without being released" not in server.log


def stream(gate: Gate, chunks: int) -> str:
    return f"/raw/stream?gate={gate.address}&chunks={chunks}"
