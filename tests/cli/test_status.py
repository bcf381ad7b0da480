from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from core_support import wait_until
from flask import Flask
from flask.cli import ScriptInfo
from support import call
from support import hold
from support import make_app

from flask_concurrency_guard.cli.status import status
from flask_concurrency_guard.cli.status_text import duration
from flask_concurrency_guard.cli.status_text import render
from flask_concurrency_guard.core.decisions import Partition
from flask_concurrency_guard.errors import ConfigurationError
from flask_concurrency_guard.observe.history import Sample
from flask_concurrency_guard.observe.history import bucket
from flask_concurrency_guard.observe.history import step_at
from flask_concurrency_guard.observe.history import write_durations
from flask_concurrency_guard.observe.postings import Posting
from flask_concurrency_guard.observe.workers import Change
from flask_concurrency_guard.observe.workers import Serving
from flask_concurrency_guard.observe.workers import Worker
from flask_concurrency_guard.observe.workers import WorkerLimit

NOW = 1_800_000_000.75


def limit(name: str = "default", **changed: Any) -> WorkerLimit:
    values: dict[str, Any] = {
        "name": name,
        "scope": "process",
        "mode": "enforce",
        "is_learned": False,
        "limit": 8,
        "in_flight": 8,
        "all_in_flight": None,
        "queued": 2,
        "max_queue": 8,
        "partitions": {},
        "admitted": 1000,
        "rejected": {"queue_full": 1200, "queue_timeout": 34},
        "peak": 8,
        "changes": (),
    }
    return WorkerLimit(**{**values, **changed})


def worker(pid: int = 4242, **changed: Any) -> Worker:
    durations = write_durations({bucket(0.038): 98, bucket(0.412): 2})
    sample = Sample(step_at(NOW) - 2, 99, 1, 20, 8, 8, 2, durations)
    values: dict[str, Any] = {
        "pid": pid,
        "is_alive": True,
        "has_ended": False,
        "started": NOW - 100,
        "written": NOW - 0.5,
        "server": "gunicorn (gthread)",
        "threads": 16,
        "is_draining": False,
        "queue_age": None,
        "limits": (limit(),),
        "requests": 8,
        "serving": (Serving("GET /reports/march", 6.25, 4250, ("reports",)),),
        "history": (sample,),
    }
    return Worker(**{**values, **changed})


def text(*workers: Worker, **options: Any) -> str:
    return click.unstyle(render(workers, NOW, **options))


def test_it_shows_all_workers() -> None:
    shown = text(worker(4242), worker(4243, serving=()))
    clock = time.strftime("%H:%M:%S", time.localtime(NOW))
    assert shown == (
        f"2 workers{clock:>71}\n"
        "\n"
        "LIMIT                IN FLIGHT                             QUEUED     REJECTED\n"
        "default              ████████████████████ 16/16              4/16        2,468\n"
        "  rejected: queue_full 2,400, queue_timeout 68\n"
        "\n"
        "last 10 s: 19.8/s good, 0.2/s failed, 4.0/s rejected, p50 37.6 ms, p99 422 ms\n"
        "\n"
        "  WORKER  SERVER                    IN FLIGHT QUEUED  GOOD/S  REJ/S       P99\n"
        "    4242  gunicorn (gthread), 16            8      2     9.9    2.0    422 ms\n"
        "    4243  gunicorn (gthread), 16            8      2     9.9    2.0    422 ms\n"
        "\n"
        "IN FLIGHT FOR    WORKER   THREAD  REQUEST\n"
        "        6.2 s      4242     4250  GET /reports/march (reports)"
    )


@pytest.mark.parametrize("columns", [60, 79, 80, 100, 120])
def test_it_is_never_wider_than_the_terminal(columns: int) -> None:
    change = Change(NOW, 1000, 1001, "there is room, and nobody waits: " + "x" * 99)
    wide = worker(
        4_194_304,
        server="a server with a very long name",
        threads=1000,
        is_draining=True,
        queue_age=9.9,
        written=NOW - 9,
        limits=(
            limit(
                "n" * 50,
                mode="shadow",
                scope="cluster",
                is_learned=True,
                changes=(change,),
                store_error="Error 111 connecting " * 9,
                admits="everything",
            ),
            limit("y", limit=1000, in_flight=1000, rejected={"queue_full": 10**9, "limit": 10**9}),
        ),
        serving=(Serving("GET /" + "x" * 300, 98765.4, 4_194_304, ("n" * 50,)),) * 50,
    )
    died = worker(7, is_alive=False, serving=wide.serving)
    for line in text(wide, died, columns=columns).splitlines():
        assert len(line) <= columns, line


def test_on_a_narrow_terminal_only_what_is_asked_for_is_cut() -> None:
    serving = (Serving("GET /reports/march-and-april", 6.25, 4250, ("reports",)),)
    limits = (limit(), limit("customers-of-all-of-europe"))
    clock = time.strftime("%H:%M:%S", time.localtime(NOW))
    assert text(worker(limits=limits, serving=serving), columns=60) == (
        f"1 worker{clock:>52}\n"
        "\n"
        "LIMIT                      IN FLIGHT       QUEUED REJECTED\n"
        "default                    ███████████ 8/8    2/8    1,234\n"
        "  rejected: queue_full 1,200, queue_timeout 34\n"
        "customers-of-all-of-europe ███████████ 8/8    2/8    1,234\n"
        "  rejected: queue_full 1,200, queue_timeout 34\n"
        "\n"
        "last 10 s: 9.9/s good, 0.1/s failed, 2.0/s rejected,\n"
        "  p50 37.6 ms, p99 422 ms\n"
        "\n"
        " WORKER  SERVER          IN FLIGHT QUEUED  GOOD/S       P99\n"
        "   4242  gunicorn, 16            8      2     9.9    422 ms\n"
        "\n"
        "       FOR   WORKER  THREAD  REQUEST\n"
        "     6.2 s     4242    4250  GET /reports/march... (reports)"
    )


def test_on_a_wide_terminal_there_is_more_of_a_path() -> None:
    serving = (Serving("GET /" + "x" * 70, 1.0, 1, ("reports",)),)
    assert f"GET /{'x' * 70} (reports)" in text(worker(serving=serving), columns=120)
    assert f"GET /{'x' * 28}... (reports)" in text(worker(serving=serving), columns=80)


def test_what_most_requests_are_is_told_where_not_all_are_shown() -> None:
    serving = [Serving("GET /search", 9.0, number, ()) for number in range(12)]
    serving += [Serving(f"GET /items/{number}", 1.0, number, ()) for number in range(8)]
    assert "  and 10 more; 12 of all 20 are GET /search" in text(worker(serving=tuple(serving)))
    shown = text(worker(serving=tuple(serving[4:])))
    assert shown.splitlines()[-1].endswith("  and 6 more")
    shown = text(worker(serving=tuple(serving), requests=99))
    assert shown.endswith("  and 89 more; 12 of the 20 longest are GET /search")


def test_a_worker_that_hangs_drains_or_has_died_is_named() -> None:
    shown = text(
        worker(1, written=NOW - 12),
        worker(2, is_draining=True, serving=()),
        worker(3, is_alive=False),
        worker(4, is_alive=False, has_ended=True, serving=()),
        worker(5, is_alive=False, has_ended=True),
    )
    assert "has said nothing for 12.0 s: it hangs, or was stopped" in shown
    assert "draining: admits nobody any more" in shown
    assert "Worker 3 died 500 ms ago, with 8 in flight.\n        6.2 s  GET /reports/march" in shown
    assert "Worker 4" not in shown
    assert "Worker 5 died 500 ms ago" in shown


def test_a_worker_with_a_queue_in_front_of_it_says_so() -> None:
    waited = "the newest request had waited 450 ms in front of the app"
    assert waited in text(worker(queue_age=0.45))
    assert "in front of" not in text(worker(queue_age=0.09))
    # It was minutes ago that it came.
    assert "in front of" not in text(worker(queue_age=0.45, history=()))


def test_a_limit_of_the_host_is_not_added_up() -> None:
    shared = limit(scope="host", all_in_flight=5, in_flight=2, limit=6)
    assert " 5/6 " in text(worker(1, limits=(shared,)), worker(2, limits=(shared,)))


def test_who_uses_how_much_of_its_share_is_told() -> None:
    shared = limit(partitions={"live": Partition(6, 7), "batch": Partition(2, 0)})
    assert "\n  in flight of guaranteed: live 7/6, batch 0/2\n" in text(worker(limits=(shared,)))


def test_a_store_that_is_down_is_told() -> None:
    lost = limit(scope="cluster", store_error="Error 111", admits="2 at once")
    shown = text(worker(1, limits=(lost,)), worker(2, limits=(limit(scope="cluster"),)))
    told = "\n  store down in 1 of 2 workers, each admits 2 at once: Error 111\n"
    assert told in shown
    assert "store down" not in text(worker(1))


def test_full_is_only_what_is_full() -> None:
    shown = text(worker(limits=(limit(limit=100, in_flight=99),)), can_draw=False)
    assert "###################. 99/100" in shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (0.0, "0 ms"),
        (0.00012, "0.12 ms"),
        (0.0376, "37.6 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (99.94, "99.9 s"),
        (99.96, "1 min 40 s"),
        (3599.0, "59 min 59 s"),
        (7265.0, "2 h 01 min"),
        (90061.0, "1 d 01 h"),
        (1.8e9, "over 999 d"),
        (float("inf"), "over 999 d"),
        (-1.8e9, "0 ms"),
    ],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    app = make_app(status=True, dir=str(tmp_path), name="shop")[0]
    app.cli.add_command(status)
    return app


def run(app: Flask, *args: str) -> Any:
    return app.test_cli_runner().invoke(args=["status", *args])


def test_workers_for_whose_words_there_is_no_room_are_told_of(app: Flask, tmp_path: Path) -> None:
    postings = [Posting(tmp_path, "shop"), Posting(tmp_path, "shop"), Posting(tmp_path, "other")]
    os.pwrite(postings[0]._descriptor, b"00000000 0000", 0)  # So much of it had room.
    result = run(app)
    for posting in postings:
        posting.close()
    assert result.exit_code == 1
    assert result.output == (
        f"Error: 2 workers of this app can't write into '{tmp_path}' what they are doing: it is"
        " full, or they have just begun.\n"
    )


def test_before_the_first_request_it_says_what_to_look_at(app: Flask, tmp_path: Path) -> None:
    result = run(app)
    assert result.exit_code == 1
    assert result.output == (
        f"Error: No worker has told anything yet in '{tmp_path}/shop:…'. Each begins with its first"
        " request. If they have served some: run this as the same user, and with the same"
        " 'CONCURRENCY_GUARD_NAME' and 'CONCURRENCY_GUARD_DIR'.\n"
    )


def test_where_nobody_tells_it_says_what_to_set(tmp_path: Path) -> None:
    app = make_app(dir=str(tmp_path))[0]
    app.cli.add_command(status)
    result = run(app)
    assert result.exit_code == 1
    assert result.output == (
        "Error: No worker of this app tells what it is doing. Set 'CONCURRENCY_GUARD_STATUS' to"
        " True where they are started.\n"
    )


def test_where_nobody_can_tell_it_says_so(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_concurrency_guard.cli.status.CAN_POST", False)
    monkeypatch.delattr(os, "geteuid")  # As on Windows.
    result = run(app)
    assert result.exit_code == 1
    assert result.output == (
        "Error: No worker can tell what it is doing here. That needs file locks as Linux and macOS"
        " have them (the module 'fcntl').\n"
    )


def test_a_host_without_a_place_for_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("flask_concurrency_guard.core.host.folder.MEMORY", Path("/nowhere"))
    monkeypatch.setattr(tempfile, "gettempdir", fail)
    app = make_app()[0]
    app.cli.add_command(status)
    assert run(app).output == (
        "Error: What the workers tell can't be read: No temporary folder can be written to. Name a"
        " folder by 'CONCURRENCY_GUARD_DIR'.\n"
    )


def test_what_cannot_be_written_is_escaped(app: Flask) -> None:
    with hold(app, "/книга"):
        published(app)
        result = app.test_cli_runner(charset="ascii").invoke(args=["status"])
    assert result.exit_code == 0
    assert r"GET /\u043a\u043d" in result.output


def test_without_a_guard_it_says_so() -> None:
    app = Flask("plain")
    app.cli.add_command(status)
    assert run(app).output == (
        "Error: The app 'plain' has no guard. Set it up with 'ConcurrencyGuard(app)'.\n"
    )


def test_settings_that_are_refused_are_one_sentence() -> None:
    def create() -> Flask:
        return make_app(limit=0)[0]

    with pytest.raises(ConfigurationError) as refused:
        create()
    result = CliRunner().invoke(status, obj=ScriptInfo(create_app=create))
    assert (result.exit_code, result.output) == (1, f"Error: {refused.value}\n")


def test_a_folder_of_others_is_not_read(app: Flask, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert run(app).output == (
        f"Error: What the workers tell can't be read: Others may write to '{tmp_path}'. Take that"
        " right away ('chmod go-w').\n"
    )


def test_watching_and_json_exclude_each_other(app: Flask) -> None:
    result = run(app, "--watch", "--json")
    assert result.exit_code == 2
    assert result.output.endswith("Error: '--json' is written once. Leave '--watch' out.\n")


def published(app: Flask) -> None:
    app.extensions["concurrency_guard"].status.publisher.publish(time.time())


def test_json_has_all_there_is(app: Flask) -> None:
    for _ in range(3):
        call(app, "/x").read()
    with hold(app, "/slow"):
        published(app)
        told = json.loads(run(app, "--json").output)
    (one,) = told["workers"]
    assert one["pid"] == os.getpid()
    assert [serving["what"] for serving in one["serving"]] == ["GET /slow"]
    assert told["limits"][0]["admitted"] == 4
    assert told["limits"][0]["in_flight"] == 1
    assert told["killed"] == []


def test_not_at_a_terminal_watching_is_one_look(app: Flask) -> None:
    with hold(app, "/slow"):
        published(app)
        result = run(app, "--watch")
    assert result.exit_code == 0
    assert "GET /slow" in result.output
    assert "\x1b" not in result.output


def test_asking_makes_no_worker(app: Flask, tmp_path: Path) -> None:
    run(app)
    assert list(tmp_path.iterdir()) == []


WATCH = """
import sys
from flask import Flask
from flask.cli import ScriptInfo
from flask_concurrency_guard import ConcurrencyGuard
if sys.argv[2] == "plain":
    sys.modules["rich"] = None
from flask_concurrency_guard.cli.status import status
app = Flask("shop")
app.config.update(CONCURRENCY_GUARD_DIR=sys.argv[1], CONCURRENCY_GUARD_NAME="shop")
ConcurrencyGuard(app)
status.main(sys.argv[3:], obj=ScriptInfo(create_app=lambda: app))
"""


TERMINAL = {"TERM": "xterm-256color", "NO_COLOR": "", "PYTHONIOENCODING": "utf-8"}


class Terminal:
    """A terminal of 80 columns, and the command in it."""

    def __init__(self, folder: Path, how: str, *options: str, **variables: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", WATCH, str(folder), how, *options],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, **TERMINAL, **variables},
        )  # fmt: skip
        os.close(slave)
        self.shown = ""

    def look(self) -> str:
        while select.select([self._master], [], [], 0)[0]:
            try:
                self.shown += os.read(self._master, 65536).decode()
            except OSError:  # It has ended.
                break
        return self.shown

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)
        os.close(self._master)


@pytest.fixture(params=["rich", "plain"])
def terminal(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Iterator[Terminal]:
    if request.param == "rich":
        pytest.importorskip("rich", reason="the extra 'cli' is not installed")
    call(app, "/x").read()
    published(app)
    terminal = Terminal(tmp_path, request.param, "--watch")
    yield terminal
    terminal.close()


def test_at_a_terminal_it_goes_on_until_ctrl_c(app: Flask, terminal: Terminal) -> None:
    wait_until(lambda: "1 worker" in terminal.look())
    with hold(app, "/slow"):
        published(app)
        wait_until(lambda: "GET /slow" in terminal.look())
    assert "░░░" in terminal.look()
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(10) == 0
    shown = terminal.look()
    assert "Traceback" not in shown
    assert "Aborted" not in shown


@pytest.mark.parametrize(
    ("options", "variables", "has_colours"),
    [
        ((), {}, True),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"TERM": "dumb"}, False),
        (("--watch",), {"TERM": "dumb"}, False),
    ],
    ids=["colours", "no-color", "dumb", "dumb-watch"],
)
def test_colours_are_for_who_wants_them(
    options: tuple[str, ...],
    variables: dict[str, str],
    has_colours: bool,
    app: Flask,
    tmp_path: Path,
) -> None:
    call(app, "/x").read()
    published(app)
    terminal = Terminal(tmp_path, "plain", *options, **variables)
    try:
        wait_until(lambda: "WORKER" in terminal.look() and terminal.process.poll() is not None)
        assert ("\x1b" in terminal.look()) == has_colours
    finally:
        terminal.close()
