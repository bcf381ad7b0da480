from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from click.testing import Result
from log_support import pool_log
from log_support import server_line
from log_support import write

from flask_concurrency_guard.cli.simulate import simulate
from flask_concurrency_guard.logs.replay.candidates import Settings
from flask_concurrency_guard.settings import SETTINGS


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("logs") / "access.log", pool_log(seconds=12))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(simulate, arguments)


def test_candidates_are_printed_beside_what_happened(log: str) -> None:
    result = run(log, "--limit", "2", "--limit", "adaptive", "--limit", "2")
    first = [line.split("  ")[0] for line in result.stdout.splitlines()]

    assert result.exit_code == 0
    begin = first.index("limit")
    assert first[begin + 1 : begin + 4] == ["as it was", "2", "adaptive"]


def test_candidates_are_printed_as_json(log: str) -> None:
    options = ("--limit=3", "--max-queue=0", "--deadline=0.5", "--scope=host", "--contention")
    found = json.loads(run(log, *options, "--json").stdout)

    assert found["as_it_was"]["rejected"] == 0
    assert found["candidates"][0]["name"] == "3"
    assert set(found["candidates"][0]["reasons"]) == {"limit"}
    assert (found["deadline"], found["per_process"]) == (0.5, False)
    assert found["uses_contention"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk is full at will")
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_full_disk_ends_the_command(
    options: tuple[str, ...],
    log: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdout", Path("/dev/full").open("w"))  # noqa: SIM115
    with pytest.raises(SystemExit) as ended:
        simulate([log, "--limit", "2", *options])

    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "Error: The output can't be written: No space left on device.\n"
    )


def test_wrong_limit_is_a_wrong_call(log: str) -> None:
    result = run(log, "--limit", "ten")

    assert result.exit_code == 2
    assert "'ten' is no limit: write a positive integer, 'adaptive' or 'none'." in result.stderr


@pytest.mark.parametrize("option", ["--speed=nan", "--deadline=inf", "--max-wait=inf"])
def test_number_without_end_is_a_wrong_call(option: str, log: str) -> None:
    result = run(log, "--limit", "8", option)

    assert result.exit_code == 2
    assert f"'{option.partition('=')[2]}' is no finite number." in result.stderr


def test_log_without_durations_ends_the_command(tmp_path: Path) -> None:
    result = run(write(tmp_path / "x.log", [server_line()]), "--limit", "8")

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: There is nothing to let happen again: that needs requests that were served, with"
        " the times at which they came, and durations.\n"
    )


def test_defaults_are_those_of_the_settings() -> None:
    ours = Settings()
    defaults = {setting.name: setting.default for setting in SETTINGS}
    context = click.Context(simulate)
    options = {option.name: option.get_default(context) for option in simulate.params}

    for name in ("max_queue", "max_wait", "queue_order", "max_age"):
        assert getattr(ours, name) == defaults[name], name
        assert options[name] == defaults[name], name
    assert options["scope"] == defaults["scope"]
