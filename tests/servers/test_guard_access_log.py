"""The guard's own access log on real servers: its lines say what the app and the client saw."""

from __future__ import annotations

import json
import re
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from servers.gates import Gate
from servers.running import KINDS
from servers.running import Server
from servers.running import reset
from servers.running import start
from servers.running import wait_until

SERVERS = ("gunicorn-gthread", "gunicorn-gevent", "waitress", "dev")
LARGE = 64 << 20
SLACK = 0.005
"""By how many seconds clocks that are read one after the other may differ, the wrong way round."""


def lines(server: Server, path: str, number: int = 1) -> list[dict[str, Any]]:
    """Return the lines of a path, when there are so many."""

    def found() -> list[dict[str, Any]]:
        found = re.findall(r"^LOG flask_concurrency_guard.access .*?(\{.*\})$", server.log, re.M)
        parsed = [json.loads(line) for line in found]
        return [line for line in parsed if line["path"] == path]

    wait_until(lambda: len(found()) >= number, f"a line of {path}")
    assert len(found()) == number
    return found()


@pytest.mark.parametrize("name", SERVERS)
def test_a_line_says_what_the_app_and_the_client_saw(name: str) -> None:
    before = time.time()
    with start(KINDS[name], access_log="json", limit=5) as server:
        answer = server.ask("/ping?secret=1", "POST", b"x")
        (line,) = lines(server, "/ping")
        assert (line["method"], line["status"], line["outcome"]) == ("POST", 200, "admitted")
        assert line["process_id"] == answer.json["process"] == answer.process
        assert line["thread_id"] == answer.json["tagged_thread"] == answer.thread
        assert line.get("queue_age") == answer.json["queue_age"]
        assert (line["in_flight"], line["limit"]) == (1, 5)
        assert 0 < line["duration"] < time.time() - before
        state = server.state()
        (line,) = lines(server, "/exempt/state")
        assert (line["outcome"], line["thread_id"]) == ("exempt", state["tagged_thread"])
        head = server.ask("/generate", "HEAD")
        (line,) = lines(server, "/generate")
        assert (head.status, line["status"], line["method"]) == (200, 200, "HEAD")
        assert "secret" not in str(lines(server, "/ping"))


def test_where_responses_are_never_closed_the_line_comes_with_the_next_request() -> None:
    with start(KINDS["asgiref"], access_log="json") as server:
        answer = server.ask("/ping")
        server.ask("/generate")
        (line,) = lines(server, "/ping")
        assert (line["status"], line["thread_id"]) == (200, answer.thread)


@pytest.mark.parametrize("name", ["gunicorn-gthread", "waitress", "dev"])
def test_what_is_in_flight_together_is_counted_and_timed(name: str, gate: Gate) -> None:
    with start(KINDS[name], access_log="json", limit=3, max_queue=0) as server:
        began = time.monotonic()
        with server.asking(f"/hold?gate={gate.address}", 3) as held:
            gate.wait_for(3)
            together = time.monotonic()
            assert server.ask("/ping").status == 503
            (rejected,) = lines(server, "/ping")
            opened = time.monotonic()
            gate.open()
            answers = [future.result() for future in held]
            ended = time.monotonic()
        assert (rejected["status"], rejected["outcome"]) == (503, "rejected")
        assert (rejected["reason"], rejected["limiter"]) == ("limit", "default")
        assert (rejected["in_flight"], rejected["limit"]) == (3, 3)
        held_lines = lines(server, "/hold", 3)
    assert sorted(line["in_flight"] for line in held_lines) == [1, 2, 3]
    threads = {line["thread_id"] for line in held_lines}
    assert threads == {answer.json["thread"] for answer in answers}
    for line in held_lines:
        assert opened - together - SLACK < line["duration"] < ended - began + SLACK


@pytest.mark.parametrize("name", ["gunicorn-gthread", "waitress", "dev"])
def test_a_stream_whose_client_leaves_has_its_line_then(name: str, gate: Gate) -> None:
    with start(KINDS[name], access_log="json") as server:
        path = f"/raw/stream?gate={gate.address}&chunks=1000"
        connection = server.send(f"GET {path} HTTP/1.1")
        connection.recv(100)
        gate.wait_for(1)
        assert '"path":"/raw/stream"' not in server.log
        reset(connection)
        gate.open()
        (line,) = lines(server, "/raw/stream")
        assert (line["status"], line["outcome"]) == (200, "admitted")
        assert line["duration"] < 4  # All the chunks would take five seconds.


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Return a file that is more than the buffers on the way can hold."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(LARGE)
    return path


def test_a_file_that_the_server_sends_has_its_line_at_its_end(large: Path) -> None:
    kind = KINDS["gunicorn-gthread"]
    with (
        start(kind, access_log="json", limit=1, max_queue=0) as server,
        server.send(f"GET /file?path={large} HTTP/1.1") as connection,
    ):
        received = len(connection.recv(1000))
        began = time.monotonic()
        assert server.ask("/ping").status == 503
        assert lines(server, "/ping")[0]["outcome"] == "rejected"
        lasted = time.monotonic() - began
        assert '"path":"/file"' not in server.log
        while received < LARGE:
            received += len(connection.recv(1 << 20))
        (line,) = lines(server, "/file")
        assert line["status"] == 200
        assert line["duration"] > lasted - SLACK


def test_a_file_that_no_thread_sends_keeps_no_place(large: Path) -> None:
    with (
        start(KINDS["waitress"], access_log="json", limit=1, max_queue=0) as server,
        server.send(f"GET /file?path={large} HTTP/1.1") as connection,
    ):
        assert connection.recv(1000)
        assert lines(server, "/file")[0]["status"] == 200
        assert server.ask("/ping").status == 200


@pytest.mark.parametrize("name", ["gunicorn-gthread", "waitress", "dev"])
@pytest.mark.parametrize(
    ("shape", "status"),
    [("not_modified", 304), ("raise_in_call", None), ("second_start", 500)],
)
def test_a_status_is_the_one_that_the_app_gave(
    name: str, shape: str, status: int | None, served: dict[str, Server]
) -> None:
    served[name].ask(f"/raw/{shape}")
    (line,) = lines(served[name], f"/raw/{shape}")
    assert line.get("status") == status


@pytest.mark.parametrize("name", ["gunicorn-gthread", "waitress", "dev"])
def test_no_request_can_write_a_line_of_its_own(name: str, served: dict[str, Server]) -> None:
    forged = "/x%0A%7B%22path%22:%22/forged%22%7D%1B%5B31m%E2%80%A8"
    served[name].ask(forged)
    (line,) = lines(served[name], forged.replace(":", "%3A"))
    assert line["status"] == 404
    # Only the guard's own lines: the log of the development server isn't as careful.
    ours = re.findall(r"^LOG flask_concurrency_guard.access .*forged.*$", served[name].log, re.M)
    assert len(ours) == 1


@pytest.fixture(scope="module")
def served() -> Any:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(start(KINDS[name], access_log="json"))
            for name in ("gunicorn-gthread", "waitress", "dev")
        }
