"""Who is turned away gets an answer, also in the middle of an upload."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import closing
from contextlib import suppress

import pytest
import requests
from servers.gates import Gate
from servers.running import CONCURRENT
from servers.running import HOST
from servers.running import KINDS
from servers.running import PATIENCE
from servers.running import Answer
from servers.running import Server
from servers.running import ask
from servers.running import start
from servers.running import wait_until

from flask_concurrency_guard.wsgi.drain import MAX_SECONDS

# uWSGI closes each connection, and doesn't say so.
KEEP_ALIVE = tuple(name for name in CONCURRENT if not name.startswith("uwsgi"))

MEGABYTE = 1 << 20
CHUNK = MEGABYTE // 4


class Upload:
    """A body that is sent in chunks, with a pause behind each; of known length."""

    def __init__(self, size: int, pause: float) -> None:
        self.size = size
        self.pause = pause

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(0, self.size, CHUNK):
            yield b"x" * CHUNK
            time.sleep(self.pause)


def post_with_http_client(server: Server, upload: Upload | bytes) -> Answer:
    with closing(server.connect()) as connection:
        length = {"Content-Length": str(len(upload))}
        connection.request("POST", "/ping", upload, length)
        response = connection.getresponse()
        return Answer(response.status, response.msg, response.read())


def post_with_requests(server: Server, upload: Upload | bytes) -> Answer:
    with requests.Session() as session:
        session.trust_env = False
        url = f"http://{HOST}:{server.port}/ping"
        with session.post(url, data=upload, timeout=PATIENCE) as response:
            headers = http.client.HTTPMessage()
            for name, value in response.headers.items():
                headers[name] = value
            return Answer(response.status_code, headers, response.content)


@pytest.mark.on(*CONCURRENT)
@pytest.mark.parametrize("post", [post_with_http_client, post_with_requests])
@pytest.mark.parametrize("pause", [0, 0.004], ids=["at once", "paced"])
@pytest.mark.parametrize("size", [4, 16], ids="{} MB".format)
def test_big_upload_is_answered(
    full: Server, size: int, pause: float, post: Callable[[Server, Upload | bytes], Answer]
) -> None:
    upload = Upload(size * MEGABYTE, pause)

    answer = post(full, upload if pause else b"".join(upload))

    assert_rejected(answer)


@pytest.mark.on(*CONCURRENT)
@pytest.mark.parametrize("size", [100_000, MEGABYTE], ids="{} bytes".format)
def test_upload_that_is_wholly_sent_is_answered_at_once(full: Server, size: int) -> None:
    began = time.monotonic()

    answer = post_with_http_client(full, b"x" * size)

    assert time.monotonic() - began < MAX_SECONDS / 2  # Nothing more was waited for.
    assert_rejected(answer)


# What happens to an upload of 32 MB, twice as much as the guard reads. There is nothing to be done
# about a server that resets the connection, short of reading all that anybody sends.
READ_TO_THE_END = ("dev", "waitress", "cheroot", "gevent", "eventlet", "a2wsgi")
MAY_BE_CUT = tuple(name for name in CONCURRENT if name not in READ_TO_THE_END)


@pytest.mark.on(*READ_TO_THE_END)
def test_upload_beyond_what_the_guard_reads_is_answered(full: Server) -> None:
    assert_rejected(post_with_http_client(full, b"x" * 32 * MEGABYTE))


@pytest.mark.on(*MAY_BE_CUT)
def test_upload_beyond_what_the_guard_reads_may_be_cut(full: Server) -> None:
    try:
        answer = post_with_http_client(full, b"x" * 32 * MEGABYTE)
    except ConnectionError:
        pass
    else:
        assert_rejected(answer)
    assert_rejected(full.ask("/ping"))


# Not granian: it doesn't show the connection, so the guard waits there as a view would.
READ_BY_US_IN_TIME = ("gunicorn-gthread", "gunicorn-gevent", "uwsgi", "uwsgi-http")


@pytest.mark.on(*READ_BY_US_IN_TIME)
def test_reading_ends_in_time(full: Server) -> None:
    """Who sends nothing more, or a byte now and then, doesn't keep a thread."""
    head = "POST /ping HTTP/1.1\r\nContent-Length: 1000000"
    with closing(full.send(head, b"x")) as silent, closing(full.send(head, b"x")) as dribbling:
        began = time.monotonic()
        dribbling.settimeout(0.1)
        wait_until(lambda: ends_while_dribbling(full, dribbling), "the guard has enough")
        assert silent.recv(12) == b"HTTP/1.1 503"
        took = time.monotonic() - began

    assert took < 10


def ends_while_dribbling(server: Server, connection: socket.socket) -> bool:
    try:
        answer = connection.recv(12)
    except TimeoutError:
        with suppress(ConnectionError):
            connection.sendall(b"x")
        return False
    # uWSGI closes the connection to its router, and the router forgets the answer if it has just
    # passed a byte on.
    assert answer == b"HTTP/1.1 503" or (server.kind.name == "uwsgi-http" and not answer)
    return True


# Most servers ask for the body before, or as soon as, they call the app. The others leave it to
# whoever reads the body, and the guard doesn't: the client need not send anything.
ASK_FOR_THE_BODY = ("dev", "gunicorn-gthread", "gunicorn-gevent", "waitress", "cheroot")


@pytest.mark.on(*CONCURRENT)
def test_client_that_waits_to_be_asked_for_the_body(full: Server) -> None:
    head = f"POST /ping HTTP/1.1\r\nContent-Length: {MEGABYTE}\r\nExpect: 100-continue"
    with closing(full.send(head)) as connection, connection.makefile("rb") as stream:
        status = stream.readline()
        if asked := b" 100 " in status:
            connection.sendall(b"x" * MEGABYTE)
        while b" 100 " in status:  # The development server asks twice.
            assert stream.readline() == b"\r\n"
            status = stream.readline()

    assert b" 503 " in status
    assert asked == (full.kind.name in ASK_FOR_THE_BODY)


@pytest.mark.on(*KEEP_ALIVE)
def test_connection_can_be_used_again(full: Server) -> None:
    with closing(full.connect()) as connection:
        for _ in range(3):
            assert_rejected(ask(connection, "/ping"))
            assert ask(connection, "/exempt/ping").status == 200


@pytest.mark.on(*CONCURRENT)
def test_unread_body_is_not_taken_for_the_next_request(full: Server) -> None:
    smuggled = f"GET /exempt/unavailable HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode() * 4000
    with closing(full.connect()) as connection:
        assert_rejected(ask(connection, "/ping", "POST", smuggled))
        try:
            answer = ask(connection, "/exempt/ping")
        except (OSError, http.client.HTTPException):  # It was closed without a word.
            connection.close()
            answer = ask(connection, "/exempt/ping")

    assert answer.status == 200


@pytest.mark.on(*CONCURRENT)
def test_connection_is_treated_as_after_a_503_of_the_app(full: Server) -> None:
    rejection = full.ask("/ping")
    of_the_app = full.ask("/exempt/unavailable")

    assert_rejected(rejection)
    assert of_the_app.status == 503
    assert rejection.headers.get("Connection") == of_the_app.headers.get("Connection")


@pytest.mark.on(*KEEP_ALIVE)
def test_head_is_answered_without_a_body(full: Server) -> None:
    with closing(full.connect()) as connection:
        answer = ask(connection, "/ping", "HEAD")
        assert answer.status == 503
        assert answer.body == b""
        assert ask(connection, "/exempt/ping").status == 200  # Nothing was left on the wire.


@pytest.mark.parametrize("name", CONCURRENT)
def test_line_is_bounded_and_moves_up(name: str, gate: Gate) -> None:
    with start(KINDS[name], limit=1, max_queue=2, max_wait=30) as server:
        with server.asking(f"/hold?gate={gate.address}", 3) as admitted:
            gate.wait_for(1)
            wait_until(lambda: server.state()["queued"] == 2, "two wait")
            answer = server.ask("/ping")
            inside = gate.waiting
            gate.open()
        state = server.wait_until_idle()

    assert_rejected(answer, "queue_full")
    assert inside == state["peak"] == 1
    assert [each.result().status for each in admitted] == [200, 200, 200]


@pytest.mark.parametrize("name", CONCURRENT)
def test_wait_ends_in_time(name: str, gate: Gate) -> None:
    with (
        start(KINDS[name], limit=1, max_queue=2, max_wait=0.2) as server,
        server.asking(f"/hold?gate={gate.address}", 3) as futures,
    ):
        wait_until(lambda: sum(each.done() for each in futures) == 2, "two are turned away")
        assert gate.waiting == 1
        gate.open()
    answers = sorted((each.result() for each in futures), key=lambda answer: answer.status)

    assert answers[0].status == 200
    for answer in answers[1:]:
        assert_rejected(answer, "queue_timeout")


def assert_rejected(answer: Answer, reason: str = "limit") -> None:
    assert answer.status == 503
    assert answer.json["reason"] == reason
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.process
    assert answer.thread
