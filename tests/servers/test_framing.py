"""The guard changes nothing in how a server frames a response, or sends a file."""

from __future__ import annotations

import http.client
from pathlib import Path
from urllib.parse import quote

import pytest
from servers.running import Answer
from servers.running import Server

SHAPES = [
    "list_with_length",
    "list_of_one",
    "list_of_two",
    "tuple_of_one",
    "empty_list",
    "generator",
    "generator_with_length",
    "lazy_start",
    "no_content",
    "not_modified",
    "second_start",
    "what_start_returns",
    "file_with_length",
    "file_without_length",
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("shape", SHAPES)
def test_response_is_framed_as_without_a_lease(
    server: Server, shape: str, method: str, big_file: Path
) -> None:
    path = f"/raw/{shape}?path={quote(str(big_file))}"

    if (server.kind.name, shape) == ("granian", "tuple_of_one"):
        pytest.skip("there it gets a Content-Length only behind the guard, which makes it a list")

    assert outcome(server, path, method) == outcome(server, f"/exempt{path}", method)


def outcome(server: Server, path: str, method: str) -> object:
    try:
        answer = server.ask(path, method)
    except http.client.IncompleteRead as error:  # After a second start_response, on some.
        return error.partial
    return answer.status, answer.body, headers(answer)


def headers(answer: Answer) -> list[tuple[str, str]]:
    named = [(name.lower(), value) for name, value in answer.headers.items()]
    return sorted(header for header in named if header[0] not in ("date", "x-thread-id"))


@pytest.mark.on("granian", "asgiref")
def test_what_start_response_returns_is_passed_on(server: Server) -> None:
    """Not a write callable, on these."""
    assert server.ask("/raw/what_start_returns").body == b"NoneType"


@pytest.mark.on("gunicorn-sync", "gunicorn-gthread", "uwsgi", "uwsgi-http")
@pytest.mark.parametrize("shape", ["file_with_length", "file_without_length"])
def test_file_is_still_sent_by_the_kernel(server: Server, shape: str, big_file: Path) -> None:
    answer = server.ask(f"/raw/{shape}?path={big_file}")
    state = server.wait_until_idle()

    assert answer.body == big_file.read_bytes()
    assert state["reads"] == []  # Nobody read the file in Python.
    if "gunicorn" in server.kind.name:
        assert state["told"]["sendfile"] >= 1


@pytest.mark.parametrize("wanted", ["5000000-5999999", "-10"])
def test_part_of_a_file_is_sent(server: Server, wanted: str, big_file: Path) -> None:
    answer = server.ask(f"/file?path={big_file}", Range=f"bytes={wanted}")
    server.wait_until_idle()

    first, _, last = wanted.partition("-")
    expected = slice(int(first), int(last) + 1) if first else slice(-int(last), None)
    assert answer.status == 206
    assert answer.body == big_file.read_bytes()[expected]


@pytest.mark.on("gunicorn-sync", "gunicorn-gthread")
def test_send_file_still_uses_sendfile(server: Server, big_file: Path) -> None:
    assert server.ask(f"/file?path={big_file}").body == big_file.read_bytes()
    assert server.wait_until_idle()["told"]["sendfile"] >= 1


@pytest.mark.on("waitress")
def test_file_is_still_handed_over_as_a_buffer(server: Server, big_file: Path) -> None:
    """The server takes from it as much as a socket takes, in any of its threads."""
    answer = server.ask(f"/raw/file_with_length?path={big_file}")
    state = server.wait_until_idle()

    assert answer.body == big_file.read_bytes()
    assert 1 <= len(state["reads"]) < 64  # It would be 128, in blocks of 64 KB.
