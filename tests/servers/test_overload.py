"""More than can be served: what is old is turned away, and what is served is young."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from servers.running import KINDS
from servers.running import PATIENCE
from servers.running import Answer
from servers.running import Server
from servers.running import start
from servers.running import wait_until

CLIENTS = 48
ON_TWO_THREADS = ("gunicorn-gthread", "waitress", "cheroot", "uwsgi", "uwsgi-http")


class Crowd:
    """Clients that ask again as soon as they have their answers."""

    def __init__(self, server: Server) -> None:
        self.answers: list[Answer] = []
        self._server = server
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS)

    def __enter__(self) -> Crowd:
        self._clients = [self._pool.submit(self._ask) for _ in range(CLIENTS)]
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopped.set()
        self._pool.shutdown()

    def _ask(self) -> None:
        while not self._stopped.is_set():
            self.answers.append(self._server.ask("/churn"))

    def check(self) -> None:
        """Raise what a client has raised, if one has."""
        for client in self._clients:
            client.result()


@pytest.mark.parametrize("name", ON_TWO_THREADS)
def test_a_queue_that_stands_in_front_of_the_app_is_shed(name: str) -> None:
    """With a limit that can't be reached: there are two threads, and it is 32."""
    settings = {"codel_target": 0.005, "codel_interval": 0.01, "limit": 32}
    with start(KINDS[name], threads=2, **settings) as server:
        for _ in range(20):  # One after another, none of them waits.
            assert server.ask("/churn").status == 200
        with Crowd(server) as crowd:
            state = wait_until(
                lambda: (state := server.state())["rejected"]["overload"] > 100 and state,
                "a hundred rejections",
            )
            # And the way is open for a health check.
            assert server.ask("/exempt/ping").status == 200
        crowd.check()
        end = server.wait_until_idle()

    by_status = dict.fromkeys((200, 503), 0)
    for answer in crowd.answers:
        by_status[answer.status] += 1
    assert by_status[200] > 0
    rejected = [answer.json["reason"] for answer in crowd.answers if answer.status == 503]
    assert set(rejected) == {"overload"}
    assert end["rejected"]["overload"] == len(rejected) >= state["rejected"]["overload"]


@pytest.mark.parametrize("name", ["gunicorn-sync", "gunicorn-gthread", "dev", "dev-serial"])
def test_a_rejected_client_that_keeps_its_end_open_keeps_nobody_waiting(name: str) -> None:
    """gunicorn would wait for two seconds, in the thread that serves or accepts everybody else."""
    with start(KINDS[name], trust_request_start=True, max_age=1) as server:
        assert server.ask("/ping").status == 200
        old = time.time() - 5
        head = f"GET /ping HTTP/1.1\r\nConnection: close\r\nX-Request-Start: t={old:.3f}"
        with closing(server.send(head)) as rejected:
            began = time.monotonic()
            answer = read_to_the_end(rejected)
            assert answer.partition(b" ")[2].startswith(b"503 ")
            assert b'"reason":"too_old"' in answer
            assert server.ask("/ping").status == 200
            assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("name", ["gunicorn-sync", "gunicorn-gthread", "dev"])
def test_nothing_that_a_rejected_client_has_sent_beyond_its_request_resets_the_answer(
    name: str,
) -> None:
    with start(KINDS[name], trust_request_start=True, max_age=1) as server:
        old = time.time() - 5
        head = f"GET /ping HTTP/1.1\r\nConnection: close\r\nX-Request-Start: t={old:.3f}"
        for rest in (b"\r\n", b"GET /ping HTTP/1.1\r\n\r\n", b"x" * 10_000):
            with closing(server.send(head, rest)) as rejected:
                assert b'"reason":"too_old"' in read_to_the_end(rejected)


def read_to_the_end(connection: socket.socket) -> bytes:
    connection.settimeout(PATIENCE)
    answer = b""
    while data := connection.recv(65536):
        answer += data
    return answer
