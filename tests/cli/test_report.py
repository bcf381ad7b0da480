from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from click.testing import Result
from log_support import BEGIN
from log_support import entry
from log_support import logfmt
from log_support import pool_log
from log_support import rejection
from log_support import server_line
from log_support import write

from flask_concurrency_guard.cli.report import report


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    lines = [*pool_log(seconds=12), *(logfmt(rejection(11.1 + n / 100)) for n in range(20))]
    return write(tmp_path_factory.mktemp("logs") / "access.log", lines)


def run(*arguments: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(report, arguments, input=given)


def run_alone(*arguments: str, stdout: int) -> tuple[int, str]:
    """Run it in a process of its own. Return its exit code, and what it says of errors."""
    code = "from flask_concurrency_guard.cli.report import report; report()"
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True
    )
    return result.returncode, result.stderr


def test_report_is_printed(log: str) -> None:
    result = run(log)

    assert result.exit_code == 0
    assert "The right limit: 4\n" in result.stdout
    assert "queue_full" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("options", "first", "last"),
    [
        (("--since", "2026-11-29 13:20:03"), 3, 7),
        (("--until", "2026-11-29T13:20:03Z"), 0, 2),
        (("--since", "2026-11-29T14:20:02+01:00", "--until", "2026-11-29 13:20:04.5"), 2, 4),
    ],
)
def test_report_of_a_part_of_the_time(
    options: tuple[str, ...], first: int, last: int, tmp_path: Path
) -> None:
    name = write(tmp_path / "log", [logfmt(entry(number)) for number in range(8)])
    found = json.loads(run(name, "--json", *options).stdout)
    assert found["requests"] == last - first + 1
    assert found["traffic"]["first"] == BEGIN + first


def test_time_that_is_none_and_time_of_nothing_are_refused(tmp_path: Path) -> None:
    name = write(tmp_path / "log", [logfmt(entry(number)) for number in range(8)])
    result = run(name, "--since", "noon")
    assert result.exit_code == 2
    assert "'noon' is no time. Write it as the report does, in UTC: '2026-" in result.stderr
    result = run(name, "--since", "2026-11-30")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: No request came in that time: they came from 2026-11-29 13:20:00 until 2026-11-29"
        " 13:20:07 UTC.\n"
    )


def test_part_of_the_time_of_a_log_without_times_is_refused(tmp_path: Path) -> None:
    name = write(tmp_path / "log", ['"GET / HTTP/1.1" 200 5'])
    result = run(name, "--until", "2026-11-30")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: No request has a time")


def test_report_is_printed_as_json(log: str) -> None:
    result = run(log, "--json")
    found = json.loads(result.stdout)

    assert found["advice"]["limit"] == 4
    assert found["causes"] == [
        {"limiter": "default", "reason": "queue_full", "count": 20, "enforced": True}
    ]
    assert found["files"][0]["format"] == "the guard's access log, logfmt"


def test_report_is_written_as_a_page(log: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = run(log, "--html", str(page))

    assert result.stdout == f"The report is in '{page}'.\n"
    assert "<h2>The right limit: 4</h2>" in page.read_text("utf-8")


def test_page_and_json_go_together(log: str, tmp_path: Path) -> None:
    result = run(log, "--json", "--html", str(tmp_path / "report.html"))

    assert json.loads(result.stdout)["requests"] > 0
    assert (tmp_path / "report.html").exists()


def test_standard_input_is_a_log() -> None:
    text = "\n".join(pool_log(seconds=12)).encode()

    assert "the standard input" in run("-", given=text).stdout
    assert "the standard input" in run("-", given=gzip.compress(text)).stdout


def test_time_of_an_apache_log_is_the_start(tmp_path: Path) -> None:
    name = write(tmp_path / "x.log", [server_line(0, " duration=2000000")] * 3)
    first = json.loads(run(name, "--json", "--time-is", "start").stdout)["traffic"]["first"]

    assert json.loads(run(name, "--json").stdout)["traffic"]["first"] == pytest.approx(first - 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "'{name}' doesn't exist.", id="missing"),
        pytest.param(b"", "'{name}' is empty.", id="empty"),
        pytest.param(b"\x89PNG\0", "'{name}' is a binary file, not a log.", id="binary"),
        pytest.param(
            b"a,b\n1,2\n",
            "'{name}' is no access log that can be read: name one that this guard has written"
            ' (CONCURRENCY_GUARD_ACCESS_LOG), or one of a server with "GET /path HTTP/1.1" 200 in'
            " its lines.",
            id="no-log",
        ),
    ],
)
def test_what_can_not_be_read_ends_the_command(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.log"
    if content is not None:
        path.write_bytes(content)
    result = run(str(path))

    assert result.exit_code == 1
    assert result.stderr == f"Error: {message.format(name=path)}\n"
    assert result.stdout == ""


def test_log_that_was_just_rotated_is_in_nobodys_way(log: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty.log"
    empty.touch()
    result = run(str(empty), log, "--json")

    assert [file["lines"] > 0 for file in json.loads(result.stdout)["files"]] == [False, True]
    assert "empty.log" in run(log, str(empty)).stdout


@pytest.mark.skipif(sys.platform == "darwin", reason="names are UTF-8 there")
def test_names_need_not_be_utf_8(log: str, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    Path(f"{name}.log").write_bytes(Path(log).read_bytes())
    result = run(f"{name}.log", "--html", f"{name}.html")

    assert result.stdout == f"The report is in '{tmp_path}/caf\N{REPLACEMENT CHARACTER}.html'.\n"
    assert "caf\N{REPLACEMENT CHARACTER}.log" in Path(f"{name}.html").read_text("utf-8")
    assert "caf\N{REPLACEMENT CHARACTER}.log" in run(f"{name}.log").stdout


def test_a_terminal_need_not_know_the_letters_of_a_name(log: str, tmp_path: Path) -> None:
    runner = CliRunner(charset="ascii")
    result = runner.invoke(report, [log, "--html", str(tmp_path / "отчёт.html")])

    assert result.exit_code == 0
    assert r"\u043e\u0442" in result.stdout


def test_a_name_of_a_file_is_not_obeyed(log: str, tmp_path: Path) -> None:
    path = tmp_path / "x\x1b]0;gotcha\x07.log"
    missing = run(str(path)).stderr
    path.write_bytes(Path(log).read_bytes())

    for text in (missing, run(str(path)).stdout):
        assert r"x\x1b]0;gotcha\x07.log" in text
        assert "\x1b" not in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk is full at will")
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_full_disk_ends_the_command(options: tuple[str, ...], log: str) -> None:
    with Path("/dev/full").open("wb") as full:
        found = run_alone(log, *options, stdout=full.fileno())

    assert found == (1, "Error: The output can't be written: No space left on device.\n")
    assert run(log, "--html", "/dev/full").stderr == (
        "Error: '/dev/full': No space left on device.\n"
    )


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_reader_that_has_read_enough_ends_the_command_quietly(
    options: tuple[str, ...], log: str
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    found = run_alone(log, *options, stdout=writer)
    os.close(writer)

    assert found == (1, "")


def test_page_that_can_not_be_written_ends_the_command(log: str, tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "report.html"
    result = run(log, "--html", str(path))

    assert result.exit_code == 1
    assert result.stderr == f"Error: '{path}': No such file or directory.\n"


def test_no_log_at_all_is_a_wrong_call() -> None:
    assert run().exit_code == 2


def test_log_that_tells_little_still_makes_a_report(tmp_path: Path) -> None:
    result = run(write(tmp_path / "x.log", [logfmt(entry())]))

    assert result.exit_code == 0
    assert "The right limit: unknown" in result.stdout
