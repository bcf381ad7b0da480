from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest

from flask_concurrency_guard.wsgi.connections import Connections


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    with socket.socket() as connection:
        yield connection


class Channel:
    def __init__(self, connection: object) -> None:
        self.socket = connection

    def check_client_disconnected(self) -> bool:
        return False


def environs(connection: Any) -> dict[str, dict[str, Any]]:
    """Return what the servers put into their environments; tests of real ones hold it true."""
    body_of_cheroot = SimpleNamespace(rfile=SimpleNamespace(raw=SimpleNamespace(_sock=connection)))
    transport = SimpleNamespace(get_extra_info={"socket": connection}.get)
    receive = SimpleNamespace(__self__=SimpleNamespace(transport=transport))
    return {
        "gunicorn": {"gunicorn.socket": connection},
        "werkzeug": {"werkzeug.socket": connection},
        "waitress": {"waitress.client_disconnected": Channel(connection).check_client_disconnected},
        "eventlet": {"eventlet.input": SimpleNamespace(get_socket=lambda: connection)},
        "cheroot, gevent": {"wsgi.input": body_of_cheroot},
        "uvicorn, a2wsgi": {"wsgi.input": SimpleNamespace(receive=receive)},
    }


NAMES = list(environs(None))


@pytest.mark.parametrize("name", NAMES)
def test_connection_is_found(name: str, connection: socket.socket) -> None:
    connections = Connections()
    environ = environs(connection)[name]
    assert connections.find(environ) is connection
    assert connections.find(environ) is connection


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_connection_is_not_taken_for_one(name: str) -> None:
    assert Connections().find(environs(None)[name]) is None
    assert Connections().find(environs("a text")[name]) is None


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"wsgi.input": None},
        {"wsgi.input": BytesIO()},
        {"wsgi.input": SimpleNamespace(rfile=BytesIO())},
        {"wsgi.input": SimpleNamespace(receive=print)},
        {"waitress.client_disconnected": print},
        {"eventlet.input": None},
    ],
)
def test_where_there_is_none_there_is_none(environ: dict[str, Any]) -> None:
    assert Connections().find(environ) is None


def test_uwsgi_does_without_ctypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert Connections().find({"uwsgi.version": b"2.0"}) is None


def test_a_test_client_that_comes_first_hides_nothing(connection: socket.socket) -> None:
    connections = Connections()
    assert connections.find({"wsgi.input": BytesIO()}) is None
    for environ in environs(connection).values():
        assert connections.find(environ) is connection
        assert connections.find({"wsgi.input": BytesIO()}) is None
