from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from gunicorn.http.body import Body
from gunicorn.http.body import LengthReader
from gunicorn.http.unreader import SocketUnreader

from flask_concurrency_guard.wsgi.drain import HARMLESS
from flask_concurrency_guard.wsgi.drain import MAX_SECONDS
from flask_concurrency_guard.wsgi.drain import Allowance
from flask_concurrency_guard.wsgi.drain import drain
from flask_concurrency_guard.wsgi.drain import has_body

MEGABYTE = 1 << 20


@pytest.fixture(autouse=True)
def allowance(monkeypatch: pytest.MonkeyPatch) -> Allowance:
    """Let each test begin with all of it, however long others have waited."""
    new = Allowance()
    monkeypatch.setattr("flask_concurrency_guard.wsgi.drain.allowance", new)
    return new


class Input:
    """As gunicorn's: comes back with as much as it was asked for, and reads ahead."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.buffer = b""
        self.read_bytes = 0

    def read(self, size: int) -> bytes:
        while len(self.buffer) < size:
            data = self.connection.recv(8192)
            if not data:
                break
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        self.read_bytes += len(data)
        return data


@pytest.fixture
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    yield client, server
    client.close()
    server.close()


def make_environ(server: socket.socket, length: int | str | None) -> dict[str, Any]:
    environ: dict[str, Any] = {"gunicorn.socket": server, "wsgi.input": Input(server)}
    if length is not None:
        environ["CONTENT_LENGTH"] = str(length)
    return environ


def send(client: socket.socket, size: int) -> threading.Thread:
    def run() -> None:
        with suppress(OSError):
            client.sendall(b"x" * size)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_body_is_read_but_for_a_harmless_rest(connected: Any) -> None:
    client, server = connected
    environ = make_environ(server, 4 * MEGABYTE)
    thread = send(client, 4 * MEGABYTE)
    drain(environ)
    assert 4 * MEGABYTE - HARMLESS <= environ["wsgi.input"].read_bytes <= 4 * MEGABYTE
    server.close()
    thread.join()


def test_no_more_is_read_than_allowed(connected: Any) -> None:
    client, server = connected
    environ = make_environ(server, 8 * MEGABYTE)
    thread = send(client, 8 * MEGABYTE)
    drain(environ, max_bytes=MEGABYTE)
    assert environ["wsgi.input"].read_bytes <= MEGABYTE
    server.close()
    thread.join()


@pytest.mark.parametrize("sent", [0, 1, 5000], ids="{} bytes".format)
def test_a_client_that_stops_is_not_waited_for(connected: Any, sent: int) -> None:
    client, server = connected
    client.sendall(b"x" * sent)
    began = time.monotonic()
    drain(make_environ(server, MEGABYTE), max_seconds=0.05)
    assert 0.05 <= time.monotonic() - began < 5


def test_many_clients_that_stop_are_not_waited_for_in_turn(connected: Any) -> None:
    _, server = connected
    began = time.monotonic()
    for _ in range(20):
        drain(make_environ(server, MEGABYTE))
    assert MAX_SECONDS <= time.monotonic() - began < 2 * MAX_SECONDS


def test_many_clients_that_stop_are_not_waited_for_at_once(connected: Any) -> None:
    _, server = connected
    began = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: drain(make_environ(server, MEGABYTE)), range(20)))
    assert time.monotonic() - began < MAX_SECONDS / 2


def test_what_has_arrived_is_read_however_long_others_were_waited_for(
    connected: Any, allowance: Allowance
) -> None:
    assert allowance.take(60.0, 0.0) == MAX_SECONDS
    client, server = connected
    send(client, 100_000).join()
    environ = make_environ(server, 100_000)
    drain(environ)
    assert environ["wsgi.input"].read_bytes >= 100_000 - HARMLESS


def test_time_to_wait_comes_back(allowance: Allowance) -> None:
    while allowance.take(MAX_SECONDS, 0.0):
        pass
    assert allowance.take(1e-9, 1e9) == 1e-9


def test_a_client_that_leaves_is_noticed_at_once(connected: Any) -> None:
    client, server = connected
    client.sendall(b"x" * 100)
    client.close()
    began = time.monotonic()
    drain(make_environ(server, MEGABYTE), max_seconds=20)
    assert time.monotonic() - began < 10


def test_what_gunicorn_has_read_ahead_is_not_waited_for(connected: Any) -> None:
    client, server = connected
    reader = LengthReader(SocketUnreader(server), 100_000)
    environ = make_environ(server, 100_000) | {"wsgi.input": Body(reader)}
    send(client, 100_000).join()
    began = time.monotonic()
    drain(environ, max_seconds=20)
    assert time.monotonic() - began < 10
    assert reader.length <= HARMLESS


@pytest.mark.parametrize("length", [None, "", "0", "many", "-1", str(HARMLESS)], ids=repr)
def test_a_body_that_does_no_harm_is_not_read(connected: Any, length: str | None) -> None:
    _, server = connected
    environ = make_environ(server, length)
    drain(environ)
    assert environ["wsgi.input"].read_bytes == 0


def test_other_servers_are_left_to_themselves(connected: Any) -> None:
    _, server = connected
    environ = make_environ(server, MEGABYTE)
    del environ["gunicorn.socket"]
    drain(environ)
    assert environ["wsgi.input"].read_bytes == 0


def test_the_connection_is_left_as_it_was(connected: Any) -> None:
    client, server = connected
    before = server.gettimeout()
    drain(make_environ(server, MEGABYTE), max_seconds=0.01)
    assert server.gettimeout() == before
    assert server.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1
    client.sendall(b"y")
    assert server.recv(10) == b"y"


def test_which_requests_have_a_body() -> None:
    assert has_body({"CONTENT_LENGTH": "5"})
    assert not has_body({"CONTENT_LENGTH": ""})
    assert not has_body({"CONTENT_LENGTH": "0"})
    assert not has_body({})


def test_the_server_waits_for_any_data_while_it_reads(connected: Any) -> None:
    client, server = connected
    waits_for: set[int] = set()

    class Noting(Input):
        def read(self, size: int) -> bytes:
            waits_for.add(server.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT))
            return super().read(size)

    thread = send(client, MEGABYTE)
    drain(make_environ(server, MEGABYTE) | {"wsgi.input": Noting(server)})
    assert waits_for == {1}
    server.close()
    thread.join()
