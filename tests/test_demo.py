"""The demonstration runs, ends cleanly, and its numbers add up; its app works by itself."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
DEMO = [sys.executable, str(EXAMPLES / "demo.py")]
REQUESTS = 30
LIMIT = 3
SLEEP = 0.5

ROW = re.compile(r"^(\S.*?) {2,}(\d+|-|[\d.]+ m?s) +(\d+|-|[\d.]+ m?s)$", re.MULTILINE)


@pytest.fixture(scope="module")
def output() -> str:
    """Return what a whole run has printed."""
    options = ["--requests", str(REQUESTS), "--limit", str(LIMIT), "--sleep", str(SLEEP)]
    ended = subprocess.run(
        [*DEMO, *options],
        env=os.environ | {"COLUMNS": "80"},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@pytest.fixture(scope="module")
def table(output: str) -> dict[str, tuple[str, str]]:
    return {label: (before, after) for label, before, after in ROW.findall(output)}


@pytest.fixture(scope="module")
def headers(output: str) -> dict[str, dict[str, str]]:
    """Return the headers of the responses that are shown, by status."""
    blocks = re.findall(r"HTTP/1\.1 (\d+) .*\n((?:    \S+: .*\n)+)", output)
    return {status: dict(re.findall(r"(\S+): (.*)", lines)) for status, lines in blocks}


def seconds(text: str) -> float:
    number, unit = text.split()
    return float(number) / (1000 if unit == "ms" else 1)


@pytest.mark.servers
def test_all_requests_are_in_flight_at_once_without_the_guard(
    table: dict[str, tuple[str, str]],
) -> None:
    assert table["answered 200"][0] == table["most in flight"][0] == str(REQUESTS)
    assert table["answered 503"][0] == "0"
    assert int(table["most threads"][0]) > REQUESTS


@pytest.mark.servers
def test_limit_holds_with_the_guard(table: dict[str, tuple[str, str]]) -> None:
    served, rejected = int(table["answered 200"][1]), int(table["answered 503"][1])

    assert table["most in flight"][1] == str(LIMIT)
    assert served + rejected == REQUESTS
    assert served >= 2 * LIMIT  # Those at once, and those that stood in the line.
    assert rejected > 0


@pytest.mark.servers
def test_no_client_fails(table: dict[str, tuple[str, str]]) -> None:
    assert "failed" not in table
    assert table["requests at once"] == (str(REQUESTS), str(REQUESTS))
    assert table["processes"] == ("1", "1")


@pytest.mark.servers
def test_times_are_possible(table: dict[str, tuple[str, str]]) -> None:
    rounding = 0.01
    for run in (0, 1):
        p50, p99, wall = (seconds(table[row][run]) for row in ("200, p50", "200, p99", "wall time"))
        assert SLEEP <= p50 <= p99 <= wall + rounding
    assert table["503, p50"][0] == table["503, p99"][0] == "-"
    assert seconds(table["503, p50"][1]) < SLEEP


@pytest.mark.servers
def test_rejection_is_shown(output: str, headers: dict[str, dict[str, str]]) -> None:
    assert headers["503"]["Content-Type"] == "application/problem+json"
    assert int(headers["503"]["Retry-After"]) >= 1
    assert headers["503"]["Cache-Control"] == "no-store"
    assert '"reason":"queue_full"' in output


@pytest.mark.servers
def test_tags_tell_who_served(output: str, headers: dict[str, dict[str, str]]) -> None:
    body = re.search(r'^    (\{"process":.*\})$', output, re.MULTILINE)
    logged = re.search(r"^    INFO process=(\d+) thread=\d+ in_flight=\d/3 ", output, re.MULTILINE)

    assert body is not None
    assert logged is not None
    served_by = json.loads(body[1])
    assert headers["200"]["X-Process-Id"] == str(served_by["process"]) == logged[1]
    assert headers["200"]["X-Thread-Id"] == str(served_by["thread"])
    assert headers["503"]["X-Process-Id"] == str(served_by["process"])
    assert headers["503"]["X-Thread-Id"] != str(served_by["thread"])


@pytest.mark.servers
def test_json_of_both_providers_is_shown(output: str) -> None:
    lines = [line.split(maxsplit=1) for line in output.splitlines() if "'s  " in line]

    assert [tuple(" ".join(text.split()) for text in line) for line in lines] == [
        ("Flask's", '{"price":"9.90","ratio":NaN} no JSON (NaN)'),
        ("guard's", '{"price":"9.90","ratio":null} JSON'),
        ("Flask's", "TypeError: 'NoneType' object cannot be interpreted as an integer"),
        ("guard's", '{"a":1}'),
    ]


@pytest.mark.servers
def test_output_in_a_file_is_plain_and_narrow(output: str) -> None:
    assert not set(output) & {"\x1b", "\r"}
    assert output.isascii()
    assert max(map(len, output.splitlines())) <= 80


@pytest.mark.servers
@pytest.mark.skipif(sys.platform != "linux", reason="host scope needs Linux")
def test_workers_share_the_limit_and_a_killed_one_gives_its_places_back() -> None:
    options = ["--scope", "host", "--requests", "48", "--limit", "3", "--sleep", "1"]
    shown = subprocess.run([*DEMO, *options], capture_output=True, check=True, text=True).stdout
    in_flight = re.search(r"^in flight at once +(\d+) +(\d+)$", shown, re.MULTILINE)
    assert in_flight is not None
    assert int(in_flight[1]) > 3 == int(in_flight[2])
    words = " ".join(shown.split())
    died = re.search(r"Worker \d+ died with (\d) in flight: GET /slow", words)
    again = re.search(r"and (\d) are served at once: (\d) places were free", words)
    assert died is not None
    assert again is not None
    assert died[1] == again[1] == again[2]


@pytest.mark.servers
@pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups to look at")
@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "term"]
)
def test_server_is_stopped_when_the_demo_is(signum: int, status: int) -> None:
    demo = subprocess.Popen(
        [*DEMO, "--sleep", "50"], stdout=subprocess.PIPE, start_new_session=True
    )
    with demo:
        assert demo.stdout is not None
        # The line on its progress shows that the server runs.
        assert any(line.startswith(b"unguarded") for line in demo.stdout)
        demo.send_signal(signum)
        demo.stdout.read()

    assert demo.returncode == status
    with pytest.raises(ProcessLookupError):
        os.killpg(demo.pid, 0)


@pytest.mark.parametrize("option", ["--requests=0", "--limit=0", "--sleep=0", "--sleep=nan"])
def test_impossible_options_are_refused(option: str) -> None:
    ended = subprocess.run([*DEMO, option], capture_output=True, check=False, text=True, timeout=60)

    assert ended.returncode == 2
    assert "must be" in ended.stderr


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Return what shows what the demonstration writes to a terminal with such a `NO_COLOR`."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    screen = importlib.import_module("demonstration.screen")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")

    def write(no_color: str) -> str:
        monkeypatch.setenv("NO_COLOR", no_color)
        terminal = Terminal()
        shown = screen.Screen(terminal)
        shown.say("title", "bold")
        shown.progress("a long line " * 4)
        shown.progress("done", last=True)
        return terminal.getvalue()

    return write


@pytest.mark.skipif(sys.platform == "win32", reason="there are no colours")
def test_terminal_has_colour(on_terminal: Callable[[str], str]) -> None:
    assert on_terminal("").startswith("\x1b[1mtitle\x1b[0m\n")


def test_terminal_has_no_colour_where_it_is_not_wanted(on_terminal: Callable[[str], str]) -> None:
    assert on_terminal("1").startswith("title\n")


def test_progress_stays_in_one_line_of_the_terminal(on_terminal: Callable[[str], str]) -> None:
    _, first, last = on_terminal("1").split("\r")

    assert first == "a long line a long line a long line a l"
    assert last == "done".ljust(39) + "\n"


def load_app() -> Flask:
    spec = importlib.util.spec_from_file_location("example_app", EXAMPLES / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app: Flask = module.app
    return app


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.delenv("UNGUARDED", raising=False)
    monkeypatch.setenv("FLASK_CONCURRENCY_GUARD_LIMIT", "1")
    monkeypatch.setenv("FLASK_CONCURRENCY_GUARD_MAX_QUEUE", "0")
    return load_app()


def test_app_tells_who_served_in_body_and_headers(app: Flask) -> None:
    with app.test_client().get("/slow?seconds=0") as response:
        assert response.json == {
            "process": int(response.headers["X-Process-Id"]),
            "thread": int(response.headers["X-Thread-Id"]),
        }


def test_app_counts_what_is_in_flight(app: Flask) -> None:
    client = app.test_client()
    for _ in range(2):
        client.get("/slow?seconds=0").close()

    counts = client.get("/counts").json
    assert counts is not None
    assert counts["peak"] == 1
    assert counts["threads"] >= 1


def test_app_shows_its_counts_when_it_is_full(app: Flask) -> None:
    client = app.test_client()
    with app.extensions["concurrency_guard"].limiter.acquire():
        with client.get("/slow?seconds=0") as response:
            assert response.status_code == 503
        with client.get("/counts") as response:
            assert response.status_code == 200


def test_app_writes_json(app: Flask) -> None:
    with app.test_client().get("/numbers") as response:
        assert response.text == '{"price":"9.90","ratio":null}\n'


def test_app_can_be_had_without_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNGUARDED", "1")
    app = load_app()

    with app.test_client().get("/numbers") as response:
        assert response.text == '{"price":"9.90","ratio":NaN}\n'
        assert "X-Process-Id" not in response.headers
    assert "concurrency_guard" not in app.extensions
