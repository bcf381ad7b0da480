"""How long a request has waited in front of the app, on each server, and what becomes of it.

One request holds the server's only thread at a gate. Whatever comes meanwhile waits in the kernel
or in the server, for as long as the test likes: that time is what is measured here.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import closing
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.gates import Gate
from servers.running import CONCURRENT
from servers.running import HOST
from servers.running import KINDS
from servers.running import PATIENCE
from servers.running import Answer
from servers.running import Kind
from servers.running import Server
from servers.running import ask
from servers.running import gunicorn
from servers.running import launched
from servers.running import start
from servers.running import wait_until

RESOLUTION = 0.02
"""The kernel counts in ticks of its clock, of 1 to 10 ms."""

LONG = 0.3

SHOWS_NO_CONNECTION = ("granian", "asgiref")
KNOWN = tuple(name for name in KINDS if name not in SHOWS_NO_CONNECTION)
# The development server has a thread for each; without threads it is the same otherwise.
NARROW = tuple(name for name in KNOWN if name != "dev")


def narrow(name: str) -> Kind:
    """Return the server so that it calls the app for one request at a time."""
    commands = {
        "gunicorn-gevent": gunicorn("gevent", "--worker-connections", "1"),
        "gevent": launched("gevent", "1"),
        "eventlet": launched("eventlet", "1"),
    }
    kind = KINDS[name]
    return replace(kind, command=commands.get(name, kind.command))


@dataclass
class Jam:
    """A server whose only thread is held at a gate."""

    server: Server
    gate: Gate

    def pass_time(self, seconds: float = LONG) -> None:
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began >= seconds, "time passes")


@contextmanager
def jam(kind: Kind, gate: Gate, **settings: object) -> Iterator[Jam]:
    with (
        start(kind, threads=1, **settings) as server,
        server.asking(f"/hold?gate={gate.address}", 1) as (holder,),
    ):
        gate.wait_for(1)
        yield Jam(server, gate)
        gate.open()
        assert holder.result().status == 200


def answers_after(jam: Jam, path: str, *headers: str) -> Answer:
    """Ask, let time pass, and only then open the gate."""
    with closing(ask_and_close(jam.server, path, *headers)) as connection:
        jam.pass_time()
        jam.gate.open()
        return read_response(connection)


def ask_and_close(server: Server, path: str, *headers: str) -> socket.socket:
    """Return a socket that has just asked, for the server to close."""
    return server.send("\r\n".join((f"GET {path} HTTP/1.1", "Connection: close", *headers)))


def read_response(connection: socket.socket) -> Answer:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return Answer(response.status, response.msg, response.read())


def age_of(answer: Answer) -> Any:
    assert answer.status == 200, answer
    return answer.json["queue_age"]


@pytest.mark.parametrize("name", NARROW)
def test_age_is_the_time_in_front_of_the_app(name: str, gate: Gate) -> None:
    with jam(narrow(name), gate) as jammed:
        began = time.monotonic()
        with closing(ask_and_close(jammed.server, "/ping")) as connection:
            sent = time.monotonic()
            jammed.pass_time()
            waited = time.monotonic() - sent
            gate.open()
            age = age_of(read_response(connection))
        took = time.monotonic() - began

    assert waited - RESOLUTION <= age <= took + RESOLUTION


@pytest.mark.parametrize("name", SHOWS_NO_CONNECTION)
def test_server_that_shows_no_connection_leaves_the_age_unknown(name: str) -> None:
    with start(KINDS[name], threads=1) as server:
        assert age_of(server.ask("/ping")) is None
        assert server.state()["queue_age"] is None


@pytest.mark.parametrize("name", SHOWS_NO_CONNECTION)
def test_header_of_a_proxy_tells_where_the_server_does_not(name: str) -> None:
    with start(KINDS[name], threads=1, trust_request_start=True) as server:
        age = age_of(server.ask("/ping", X_Request_Start=f"t={time.time() - 5:.3f}"))
        assert 5 <= age < 10
        assert server.state()["queue_age"] >= 5


@pytest.mark.on(*(name for name in KNOWN if not name.startswith("uwsgi")))
def test_each_request_of_a_connection_has_its_own_age(server: Server) -> None:
    with closing(server.connect()) as connection:
        for _ in range(3):
            sent = time.monotonic()
            age = age_of(ask(connection, "/ping"))
            assert age <= time.monotonic() - sent + RESOLUTION
            wait_until(lambda sent=sent: time.monotonic() - sent >= LONG, "time passes")


# The others close the connection after the first answer.
PIPELINING = ("gunicorn-gthread", "gunicorn-gevent", "waitress", "cheroot", "gevent", "eventlet",
              "a2wsgi")  # fmt: skip


@pytest.mark.on(*PIPELINING)
def test_wait_for_an_own_earlier_request_is_no_age(server: Server, gate: Gate) -> None:
    both = (f"/hold?gate={gate.address}", "/ping")
    heads = "".join(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n" for path in both)
    with closing(server.open_socket()) as connection:
        connection.sendall(heads.encode())
        gate.wait_for(1)
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began >= LONG, "time passes")
        opened = time.monotonic()
        gate.open()
        stream = connection.makefile("rb")
        bodies = [json_body(stream) for _ in both]
        stream.close()
        took = time.monotonic() - opened

    assert bodies[1]["queue_age"] <= took + RESOLUTION


def json_body(stream: Any) -> Any:
    """Read one response off a stream with several."""
    length = 0
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        length = int(value) if name.lower() == "content-length" else length
    return json.loads(stream.read(length))


@pytest.mark.on(*KNOWN)
def test_time_that_the_client_takes_for_the_body_is_no_age(server: Server) -> None:
    with closing(server.send("POST /ping HTTP/1.1\r\nContent-Length: 5")) as connection:
        began = time.monotonic()
        has_answered, _, _ = select.select([connection], [], [], LONG)
        if not has_answered:
            began = time.monotonic()
            connection.sendall(b"bytes")
        age = age_of(read_response(connection))
        assert age <= time.monotonic() - began + RESOLUTION


@pytest.mark.on("gunicorn-gthread", "dev", "waitress", "eventlet", "gevent")
def test_client_that_waits_to_be_asked_has_an_age(server: Server) -> None:
    head = "POST /ping HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue"
    began = time.monotonic()
    with closing(server.send(head, b"bytes")) as connection:
        age = age_of(read_response(connection))
        assert 0 <= age <= time.monotonic() - began + RESOLUTION


@pytest.mark.parametrize("name", ["gunicorn-gthread", "gunicorn-gevent", "gunicorn-sync"])
def test_unix_socket_has_no_age(name: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with start(KINDS[name], "-b", f"unix:{path}", trust_request_start=True) as server:
        assert age_of(ask_unix(path)) is None
        assert age_of(ask_unix(path, f"X-Request-Start: t={time.time() - 5:.3f}")) >= 5
        assert age_of(server.ask("/ping")) is not None


def ask_unix(path: Path, header: str = "X-Some: thing") -> Answer:
    with closing(send_unix(path, header)) as connection:
        return read_response(connection)


def send_unix(path: Path, header: str = "X-Some: thing") -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    connection.connect(str(path))
    head = f"GET /ping HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{header}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


@pytest.mark.parametrize("name", ["gunicorn-gthread", "uwsgi"])
def test_test_client_that_comes_first_hides_no_age(name: str) -> None:
    with start(KINDS[name], app="servers.warmed:application") as server:
        assert age_of(server.ask("/ping")) is not None


@pytest.mark.parametrize("name", NARROW)
def test_request_that_is_too_old_is_rejected(name: str, gate: Gate) -> None:
    with jam(narrow(name), gate, max_age=LONG / 2) as jammed:
        server = jammed.server
        with closing(ask_and_close(server, "/exempt/ping")) as exempt:
            rejected = answers_after(jammed, "/ping")
            passed = read_response(exempt)
        young = server.ask("/ping")
        state = server.wait_until_idle()

    assert rejected.status == 503
    assert rejected.json["reason"] == "too_old"
    assert int(rejected.headers["Retry-After"]) >= 1
    assert rejected.process
    assert age_of(passed) >= LONG / 2
    assert young.status == 200
    assert state["rejected"]["too_old"] == 1
    assert state["told"]["admitted"] == 2  # With the one at the gate.


def test_shadow_mode_serves_what_is_too_old(gate: Gate) -> None:
    settings = {"max_age": LONG / 2, "mode": "shadow"}
    with jam(narrow("waitress"), gate, **settings) as jammed:
        assert answers_after(jammed, "/ping").status == 200
        state = jammed.server.wait_until_idle()

    assert state["rejected"]["too_old"] == 1
    assert state["told"]["admitted"] == 2


@pytest.mark.parametrize("name", ["gunicorn-gthread", "waitress", "uwsgi"])
def test_request_past_its_deadline_is_rejected(name: str, gate: Gate) -> None:
    with jam(narrow(name), gate, deadline_header="X-Request-Timeout") as jammed:
        rejected = answers_after(jammed, "/ping", "X-Request-Timeout: 150m")
        assert rejected.json["reason"] == "deadline"
        assert jammed.server.ask("/ping", X_Request_Timeout="60").status == 200


# uvicorn has closed the connection by the time the app is called.
SHOWS_WHO_HAS_LEFT = tuple(name for name in NARROW if name != "a2wsgi")


def is_half_closed(client_port: int) -> bool:
    """Return whether a server has a connection whose client has closed its end (CLOSE_WAIT)."""
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(line[2].endswith(f":{client_port:04X}") and line[3] == "08" for line in lines)


@pytest.mark.parametrize("name", SHOWS_WHO_HAS_LEFT)
def test_client_that_has_left_is_not_served(name: str, gate: Gate) -> None:
    with jam(narrow(name), gate) as jammed:
        server = jammed.server
        client = server.send("GET /ping HTTP/1.1")
        port = client.getsockname()[1]
        jammed.pass_time()
        client.close()
        if name == "uwsgi-http":
            wait_until(lambda: not is_half_closed(port), "its router knows")
        gate.open()
        wait_until(
            lambda: server.wait_until_idle()["rejected"]["client_gone"] == 1, "it was noticed"
        )
        state = server.state()

    assert state["told"]["admitted"] == 1  # The one at the gate.


@pytest.mark.parametrize("name", SHOWS_WHO_HAS_LEFT)
def test_client_that_closes_its_end_at_once_is_served(name: str, gate: Gate) -> None:
    with jam(narrow(name), gate) as jammed:
        with closing(jammed.server.send("GET /ping HTTP/1.0")) as client:
            client.shutdown(socket.SHUT_WR)
            jammed.pass_time()
            gate.open()
            with suppress(ConnectionError, http.client.HTTPException):
                # Some servers themselves don't answer such a client.
                assert read_response(client).status == 200
        wait_until(lambda: jammed.server.wait_until_idle()["told"]["admitted"] == 2, "it is served")
        assert jammed.server.state()["rejected"]["client_gone"] == 0


IN_LINE = tuple(name for name in SHOWS_WHO_HAS_LEFT if name in CONCURRENT)


@pytest.mark.parametrize("name", IN_LINE)
def test_client_that_leaves_the_line_is_not_served(name: str, gate: Gate) -> None:
    settings = {"limit": 1, "max_queue": 3, "max_wait": 30}
    with ExitStack() as stack:
        server = stack.enter_context(start(KINDS[name], **settings))
        (holder,) = stack.enter_context(server.asking(f"/hold?gate={gate.address}", 1))
        gate.wait_for(1)
        client = server.send("GET /ping HTTP/1.1")
        wait_until(lambda: server.state()["queued"] == 1, "it stands in line")
        Jam(server, gate).pass_time()
        client.close()
        (stays,) = stack.enter_context(server.asking("/ping", 1))
        wait_until(lambda: server.state()["queued"] == 2, "another one does")
        gate.open()
        state = server.wait_until_idle()

    assert (holder.result().status, stays.result().status) == (200, 200)
    assert state["rejected"]["client_gone"] == 1
    assert state["told"]["admitted"] == 2


@pytest.mark.parametrize("name", ["gunicorn-gthread", "gunicorn-gevent"])
def test_proxy_that_leaves_the_line_over_a_unix_socket_is_not_served(
    name: str, gate: Gate, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    with ExitStack() as stack:
        server = stack.enter_context(
            start(KINDS[name], "-b", f"unix:{path}", limit=1, max_queue=3, max_wait=30)
        )
        stack.enter_context(server.asking(f"/hold?gate={gate.address}", 1))
        gate.wait_for(1)
        client = send_unix(path)
        wait_until(lambda: server.state()["queued"] == 1, "it stands in line")
        Jam(server, gate).pass_time()
        client.close()
        gate.open()
        state = server.wait_until_idle()

    assert state["rejected"]["client_gone"] == 1
    assert state["told"]["admitted"] == 1
