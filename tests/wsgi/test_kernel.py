from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from core_support import wait_until
from wsgi.sockets import RESOLUTION
from wsgi.sockets import let_pass
from wsgi.sockets import reset
from wsgi.sockets import tcp

from flask_concurrency_guard.wsgi import kernel
from flask_concurrency_guard.wsgi.kernel import HALF_CLOSED
from flask_concurrency_guard.wsgi.kernel import is_hung_up
from flask_concurrency_guard.wsgi.kernel import look

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")

LONG = 2 * HALF_CLOSED / 1000


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    with tcp() as ends:
        yield ends


Ends = tuple[socket.socket, socket.socket]


def age(connection: socket.socket, asks_to_continue: bool = False) -> float:
    known = look(connection, asks_to_continue)
    assert known is not None
    return known[0]


def is_gone(connection: socket.socket) -> bool:
    known = look(connection)
    assert known is not None
    return known[1]


@linux
def test_age_counts_from_the_last_bytes(ends: Ends) -> None:
    client, server = ends
    let_pass(LONG)  # A connection may be open for long before a request comes.
    client.sendall(b"GET / ")
    sent = time.monotonic()
    assert age(server) <= time.monotonic() - sent + RESOLUTION
    waited = let_pass(LONG) - sent
    assert waited - RESOLUTION <= age(server) <= time.monotonic() - sent + RESOLUTION
    sent = time.monotonic()
    client.sendall(b"HTTP/1.1\r\n\r\n")
    assert age(server) <= time.monotonic() - sent + RESOLUTION


@linux
def test_age_counts_in_the_backlog() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        sent = time.monotonic()
        waited = let_pass(LONG) - sent
        server, _ = listener.accept()
        with server:
            assert waited - RESOLUTION <= age(server) <= time.monotonic() - sent + RESOLUTION


@linux
def test_reading_does_not_change_the_age(ends: Ends) -> None:
    client, server = ends
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    sent = time.monotonic()
    waited = let_pass(LONG) - sent
    server.recv(1000)
    assert age(server) >= waited - RESOLUTION


@linux
def test_next_request_of_a_connection_has_an_age_of_its_own(ends: Ends) -> None:
    client, server = ends
    client.sendall(b"first")
    let_pass(LONG)
    server.sendall(b"answer")
    let_pass(LONG)
    client.sendall(b"second")
    sent = time.monotonic()
    assert age(server) <= time.monotonic() - sent + RESOLUTION
    waited = let_pass(LONG) - sent
    assert waited - RESOLUTION <= age(server) <= time.monotonic() - sent + RESOLUTION


@linux
def test_pipelined_request_is_as_old_as_the_answer_before(ends: Ends) -> None:
    client, server = ends
    client.sendall(b"first, second")
    let_pass(LONG)
    server.sendall(b"answer to the first")
    answered = time.monotonic()
    assert age(server) <= time.monotonic() - answered + RESOLUTION
    waited = let_pass(LONG) - answered
    assert waited - RESOLUTION <= age(server) <= time.monotonic() - answered + RESOLUTION


@linux
def test_being_asked_for_the_body_makes_no_request_young(ends: Ends) -> None:
    client, server = ends
    client.sendall(b"POST, Expect: 100-continue")
    sent = time.monotonic()
    waited = let_pass(LONG) - sent
    server.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert age(server, asks_to_continue=True) >= waited - RESOLUTION


@linux
def test_client_that_has_given_up_is_gone(ends: Ends) -> None:
    client, server = ends
    client.sendall(b"GET")
    let_pass(LONG)
    assert not is_gone(server)
    client.close()
    wait_until(lambda: is_gone(server))


@linux
def test_client_that_has_given_up_is_gone_behind_bytes_that_nobody_read(ends: Ends) -> None:
    client, server = ends
    client.sendall(b"x" * 50_000)
    let_pass(LONG)
    client.close()
    wait_until(lambda: is_gone(server))


@linux
def test_client_that_was_reset_is_gone(ends: Ends) -> None:
    client, server = ends
    client.sendall(b"GET")
    reset(client)
    wait_until(lambda: is_gone(server))


@linux
@pytest.mark.parametrize("close", ["half", "all"])
def test_client_that_closes_at_once_may_still_be_reading(ends: Ends, close: str) -> None:
    client, server = ends
    client.sendall(b"GET")
    if close == "half":
        client.shutdown(socket.SHUT_WR)
    else:
        client.close()
    wait_until(lambda: is_hung_up(server))
    let_pass(LONG)
    assert not is_gone(server)


@linux
def test_half_closed_client_of_pipelined_requests_is_not_gone(ends: Ends) -> None:
    """It acknowledges the first answer, long after its last request."""
    client, server = ends
    client.sendall(b"first, second")
    client.shutdown(socket.SHUT_WR)
    let_pass(LONG)
    server.sendall(b"answer to the first")
    assert client.recv(100)
    let_pass(2 * RESOLUTION)
    assert not is_gone(server)


@linux
def test_half_closed_client_that_was_asked_for_the_body_is_not_gone(ends: Ends) -> None:
    """It acknowledges that it was asked, long after its request."""
    client, server = ends
    client.sendall(b"POST, Expect: 100-continue, and the body")
    client.shutdown(socket.SHUT_WR)
    let_pass(LONG)
    server.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.recv(100)
    let_pass(2 * RESOLUTION)
    known = look(server, asks_to_continue=True)
    assert known is not None
    assert not known[1]


def test_unix_socket_is_unknown() -> None:
    client, server = socket.socketpair()
    with client, server:
        client.sendall(b"GET")
        assert look(server) is None


def test_closed_socket_is_unknown(ends: Ends) -> None:
    _, server = ends
    server.close()
    assert look(server) is None
    assert not is_hung_up(server)


def test_socket_that_is_none_is_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        known = look(listener)
        assert known is None or not known[1]


def test_system_without_the_clock_is_unknown(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "_TCP_INFO", None)
    monkeypatch.setattr(kernel, "_POLLRDHUP", None)
    client, server = ends
    client.sendall(b"GET")
    assert look(server) is None
    client.close()
    assert not is_hung_up(server)


@linux
def test_looking_changes_nothing(ends: Ends) -> None:
    client, server = ends
    server.settimeout(5)
    client.sendall(b"GET")
    wait_until(lambda: look(server) is not None)
    is_hung_up(server)
    assert server.gettimeout() == 5
    assert server.recv(10) == b"GET"


@linux
@pytest.mark.parametrize("family", ["unix", "tcp"])
def test_hanging_up_shows_on_any_connection(family: str, ends: Ends) -> None:
    client, server = socket.socketpair() if family == "unix" else ends
    with client, server:
        client.sendall(b"GET")
        assert not is_hung_up(server)
        client.close()
        wait_until(lambda: is_hung_up(server))
        assert server.recv(10) == b"GET"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "both.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout - -out -"
    )
    try:
        made = subprocess.run(command.split(), check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("there is no openssl to make a certificate with")
    path.write_bytes(made.stdout)
    return path


@linux
def test_connection_with_tls_is_no_different(ends: Ends, certificate: Path) -> None:
    of_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    of_server.load_cert_chain(certificate)
    of_client = ssl.create_default_context(cafile=str(certificate))
    with ThreadPoolExecutor(1) as pool:
        wrapping = pool.submit(of_server.wrap_socket, ends[1], server_side=True)
        client = of_client.wrap_socket(ends[0], server_hostname="localhost")
        server = wrapping.result(10)
    with client, server:
        client.sendall(b"GET")
        sent = time.monotonic()
        waited = let_pass(LONG) - sent
        assert waited - RESOLUTION <= age(server) <= time.monotonic() - sent + RESOLUTION
        assert server.recv(10) == b"GET"
        assert age(server) >= waited - RESOLUTION
        assert not is_gone(server)
        client.close()
        wait_until(lambda: is_gone(server))
