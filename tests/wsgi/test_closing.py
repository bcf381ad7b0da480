from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from wsgi.sockets import tcp

from flask_concurrency_guard.wsgi.closing import close_soon


class Tls(socket.socket):
    """Like a TLS connection in that it has something to decrypt."""

    def pending(self) -> int:
        return 0


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    with tcp() as ends:
        ends[1].setblocking(False)
        yield ends


def is_at_its_end(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False


HTTP_10, HTTP_11 = {"SERVER_PROTOCOL": "HTTP/1.0"}, {"SERVER_PROTOCOL": "HTTP/1.1"}


@pytest.mark.parametrize(
    ("server", "threads", "request_", "expected"),
    [
        ("gunicorn", False, HTTP_11, True),
        ("gunicorn", False, HTTP_11 | {"HTTP_TRANSFER_ENCODING": "chunked"}, False),
        ("gunicorn", True, HTTP_11, False),
        ("gunicorn", True, HTTP_11 | {"HTTP_CONNECTION": "Close"}, True),
        ("gunicorn", True, HTTP_11 | {"HTTP_CONNECTION": "keep-alive"}, False),
        ("gunicorn", True, HTTP_10, True),
        ("gunicorn", True, HTTP_10 | {"HTTP_CONNECTION": "keep-alive"}, False),
        ("werkzeug", True, HTTP_11, True),
        ("another", False, HTTP_11, False),
    ],
)
def test_nothing_more_is_read_where_the_server_closes_the_connection(
    ends: tuple[socket.socket, socket.socket],
    server: str,
    threads: bool,
    request_: dict[str, str],
    expected: bool,
) -> None:
    client, connection = ends
    close_soon({f"{server}.socket": connection, "wsgi.multithread": threads, **request_})
    assert is_at_its_end(connection) is expected
    # The answer gets there all the same.
    connection.sendall(b"answer")
    connection.close()
    client.settimeout(10)
    assert client.makefile("rb").read() == b"answer"


def test_a_connection_with_tls_is_left_alone(ends: tuple[socket.socket, socket.socket]) -> None:
    with Tls(fileno=ends[1].detach()) as connection:
        connection.setblocking(False)
        close_soon({"gunicorn.socket": connection, "wsgi.multithread": False, **HTTP_11})
        assert not is_at_its_end(connection)


def test_one_that_is_closed_by_now_is_no_error() -> None:
    environ: dict[str, Any] = {"gunicorn.socket": socket.socket(), "wsgi.multithread": False}
    environ["gunicorn.socket"].close()
    close_soon(environ)
