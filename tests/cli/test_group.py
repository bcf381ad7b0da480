from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from flask_concurrency_guard.cli import COMMANDS
from flask_concurrency_guard.cli import LazyGroup

PACKAGE = "flask_concurrency_guard.cli"

GOOD = """
import click

@click.command()
def good():
    "Do good."
    click.echo("done")
"""


@pytest.fixture
def group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> LazyGroup:
    package = f"commands_of_{request.node.name.partition('[')[0]}"
    folder = tmp_path / package
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "good.py").write_text(GOOD)
    (folder / "lacking.py").write_text("import a_package_that_nobody_has")
    (folder / "wrong.py").write_text("1 / 0")
    (folder / "empty.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    names = ("good", "lacking", "wrong", "empty", "absent")
    return LazyGroup("guard", commands_in=package, names=names)


def test_what_is_absent_is_not_listed_and_what_is_broken_is_in_nobodys_way(
    group: LazyGroup,
) -> None:
    listed = CliRunner().invoke(group, ["--help"])
    done = CliRunner().invoke(group, ["good"])

    assert listed.exit_code == 0
    assert listed.stdout.partition("Commands:\n")[2] == (
        "  empty    (can't be loaded)\n"
        "  good     Do good.\n"
        "  lacking  (can't be loaded)\n"
        "  wrong    (can't be loaded)\n"
    )
    assert (done.exit_code, done.stdout) == (0, "done\n")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("lacking", "ModuleNotFoundError: No module named 'a_package_that_nobody_has'"),
        ("wrong", "ZeroDivisionError: division by zero"),
        (
            "empty",
            "AttributeError: module 'commands_of_test_broken.empty' has no attribute 'empty'",
        ),
    ],
)
def test_broken(group: LazyGroup, name: str, why: str) -> None:
    result = CliRunner().invoke(group, [name, "--any", "thing", "--help"])

    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: 'flask guard {name}' can't be loaded ({why}). 'pip install"
        " Flask-Concurrency-Guard[cli]' installs what the commands can use.\n"
    )


def test_pip_has_no_module_of_the_standard_library(
    group: LazyGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path(find_spec(group._package).origin).parent / "good.py").write_text("import ssl")
    monkeypatch.setitem(sys.modules, "ssl", None)
    assert CliRunner().invoke(group, ["good"]).stderr == (
        "Error: 'flask guard good' can't be loaded (ModuleNotFoundError: import of ssl halted; None"
        " in sys.modules). This Python was built without that module.\n"
    )


def test_what_is_absent_is_no_command(group: LazyGroup) -> None:
    result = CliRunner().invoke(group, ["absent"])

    assert result.exit_code == 2
    assert "No such command 'absent'." in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_needs_another_one(name: str) -> None:
    script = (
        f"import sys, {PACKAGE}.{name}; from {PACKAGE} import COMMANDS;"
        f"print(*[other for other in COMMANDS if '{PACKAGE}.' + other in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert result.stdout == f"{name}\n"


def test_flask_imports_next_to_nothing_for_it() -> None:
    script = (
        "import sys, flask.cli, flask_concurrency_guard; before = set(sys.modules);"
        "import flask_concurrency_guard.cli; print(*sorted(set(sys.modules) - before))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert result.stdout == "flask_concurrency_guard.cli\n"


@pytest.mark.skipif(
    find_spec("flask_limiter") is not None,
    reason="Flask-Limiter adds a command that a broken rich breaks, and 'flask' with it",
)
def test_flask_finds_the_group_and_a_broken_rich_is_none(tmp_path: Path) -> None:
    (tmp_path / "rich").mkdir()
    (tmp_path / "rich/__init__.py").write_text("raise RuntimeError('broken')")
    (tmp_path / "app.py").write_text(
        "from flask import Flask\nfrom flask_concurrency_guard import ConcurrencyGuard\n"
        "app = Flask(__name__)\nConcurrencyGuard(app)\n"
    )
    result = subprocess.run(
        [sys.executable, "-m", "flask", "guard", "config", "--changed"],
        capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "FORCE_COLOR": "1"},
    )  # fmt: skip

    assert result.stdout == "Every setting is as it is by default.\n", result.stderr
    assert (result.returncode, result.stderr) == (0, "")
