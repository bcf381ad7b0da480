"""The tags in the servers' own access logs, with the options that the documentation gives."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from servers.running import KINDS
from servers.running import Answer
from servers.running import Server
from servers.running import start
from servers.running import wait_until

PAGE = Path(__file__).parents[2] / "docs" / "headers-and-logs.md"


def documented(command: str) -> list[str]:
    """Return the options about logs that the page gives for a server's command."""
    (block,) = re.findall(rf"^```sh\n({command} .*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    words = shlex.split(block.replace("\\\n", " "))
    options = {"--access-logfile", "--access-logformat", "--collect-header", "--log-format"}
    places = [place for place, word in enumerate(words) if word in options]
    return [word for place in places for word in words[place : place + 2]]


def assert_logged(server: Server, answer: Answer) -> None:
    def logged() -> list[str]:
        # Not '/exempt/ping', with which the tests wait for the server.
        line = r"(?:^|GET )/ping\b.* process=<?(\d+)>? thread=(\d+)$"
        return re.findall(line, server.log, re.M)

    process, thread = wait_until(logged, "the log has the line")[-1]
    assert (int(process), int(thread)) == (answer.process, answer.thread)


@pytest.mark.parametrize("name", ["gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent"])
def test_gunicorn_logs_the_environment(name: str) -> None:
    with start(KINDS[name], *documented("gunicorn")) as server:
        assert_logged(server, server.ask("/ping"))


@pytest.mark.parametrize("name", ["gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent"])
def test_gunicorn_logs_the_header(name: str) -> None:
    log = "%(U)s process=%({x-process-id}o)s thread=%({x-thread-id}o)s"
    options = ("--access-logfile", "-", "--access-logformat", log)
    with start(KINDS[name], *options) as server:
        assert_logged(server, server.ask("/ping"))


def test_uwsgi_logs_the_header() -> None:
    with start(KINDS["uwsgi"], *documented("uwsgi")) as server:
        assert_logged(server, server.ask("/ping"))


def test_uwsgi_takes_the_header_out_of_the_response() -> None:
    pulled = [word.replace("--collect", "--pull") for word in documented("uwsgi")]
    with start(KINDS["uwsgi"], *pulled) as server:
        answer = server.ask("/ping")
        assert "X-Thread-Id" not in answer.headers
        line = re.compile(r"^/ping 200 .* thread=\d+", re.M)
        wait_until(lambda: line.search(server.log), "the log has it")


def test_the_development_server_logs_the_tags_with_the_filter() -> None:
    with start(KINDS["dev"]) as server:  # Its app has the filter on the handler of its root logger.
        answer = server.ask("/ping")

        def logged() -> list[str]:
            return re.findall(r"^LOG werkzeug (\d+) (\d+): .*GET /ping\b", server.log, re.M)

        ((process, thread),) = wait_until(logged, "the log has the line")
        assert (int(process), int(thread)) == (answer.process, answer.thread)
