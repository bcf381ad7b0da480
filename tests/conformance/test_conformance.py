"""The comparison with Flask's own tests finds what it is there to find."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conformance.run import Run
from conformance.run import differences
from conformance.run import find_problems

import flask_concurrency_guard

CONFTEST = """
import flask

app = flask.Flask("made_by_the_conftest")
"""

TESTS = """
import weakref

import flask
import pytest
from conftest import app

kept = []


class Special(flask.Flask):
    pass


def limiter_of(app):
    return app.extensions["concurrency_guard"].limiter


def test_guard_is_on():
    for each in (app, flask.Flask("one"), Special("other")):
        assert each.test_client().get("/").headers["X-Thread-Id"]


def test_limit_is_the_one_asked_for():
    limiter = limiter_of(flask.Flask("one"))
    assert (limiter.limit, limiter.max_wait) == (3, 0)


def test_app_is_freed():
    one = flask.Flask("one")
    freed = weakref.ref(one)
    del one
    assert freed() is None


def test_leaves_leases():
    for each in (flask.Flask("one"), flask.Flask("two")):
        kept.append(limiter_of(each).acquire())


def test_leaves_a_lease_of_an_old_app():
    kept.append(limiter_of(app).acquire())


def test_loses_a_lease():
    limiter_of(flask.Flask("one")).in_flight += 1


def test_leaves_an_unread_404():
    assert flask.Flask("one").test_client().get("/").status_code == 404


def test_fails_with_an_unread_404():
    response = flask.Flask("one").test_client().get("/")
    assert response.status_code == 200


@pytest.fixture
def broken_before():
    raise LookupError


@pytest.fixture
def broken_after():
    yield
    raise LookupError


def test_is_in_error_before(broken_before):
    pass


def test_is_in_error_after(broken_after):
    pass


@pytest.mark.skip
def test_is_skipped():
    pass


@pytest.mark.xfail(strict=True)
def test_was_expected_to_fail():
    raise LookupError
"""

RUN_PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "outcomes_plugin"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what both plugins wrote about the tests above."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "conftest.py").write_text(CONFTEST, "utf-8")
    (folder / "test_it.py").write_text(TESTS, "utf-8")
    (folder / "test_broken.py").write_text("import missing_module", "utf-8")
    files = [folder / "outcomes.json", folder / "guarded.json"]
    command = [*RUN_PYTEST, "--continue-on-collection-errors", f"--outcomes={files[0]}"]
    command += ["-p", "guard_plugin", f"--guarded={files[1]}", "--guard-limit=3"]
    importable = [Path(__file__).parent, Path(flask_concurrency_guard.__file__).parent.parent]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, importable))}
    environment.pop("PYTEST_ADDOPTS", None)
    finished = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, check=False, text=True
    )
    assert finished.returncode == 1, finished.stdout + finished.stderr
    outcomes, guarded = (json.loads(file.read_text("utf-8")) for file in files)
    return {**outcomes, **guarded}


def test_each_outcome_is_written_down(found: dict[str, Any]) -> None:
    outcomes = {test.rpartition("::")[2]: outcome for test, outcome in found["outcomes"].items()}
    assert outcomes == {
        "test_broken.py": "error",
        "test_guard_is_on": "passed",
        "test_limit_is_the_one_asked_for": "passed",
        "test_app_is_freed": "passed",
        "test_leaves_leases": "passed",
        "test_leaves_a_lease_of_an_old_app": "passed",
        "test_loses_a_lease": "passed",
        "test_leaves_an_unread_404": "passed",
        "test_fails_with_an_unread_404": "failed",
        "test_is_in_error_before": "error",
        "test_is_in_error_after": "error",
        "test_is_skipped": "skipped",
        "test_was_expected_to_fail": "skipped",
    }


def test_message_of_each_failure_is_written_down(found: dict[str, Any]) -> None:
    messages = found["messages"]
    assert messages["test_it.py::test_fails_with_an_unread_404"] == "assert 404 == 200"
    assert messages["test_it.py::test_is_in_error_after"] == "LookupError"
    assert "missing_module" in messages["test_broken.py"]


def test_leases_that_are_left_held_are_found(found: dict[str, Any]) -> None:
    assert found["held"] == {
        "test_it.py::test_leaves_leases": 2,
        "test_it.py::test_leaves_a_lease_of_an_old_app": 1,
        "test_it.py::test_loses_a_lease": 1,
    }


def test_tests_that_need_the_collector_are_told(found: dict[str, Any]) -> None:
    assert "test_it.py::test_leaves_an_unread_404" in found["collected"]


def make_run(outcomes: str, held: int = 0, admitted: int = 1) -> Run:
    """Return a run of tests that ended so: p for passed, f failed, e error, s skipped."""
    names = {"p": "passed", "f": "failed", "e": "error", "s": "skipped"}
    ends = {str(test): names[end] for test, end in enumerate(outcomes)}
    return Run(ends, {}, 1.0, admitted=admitted, held={"0": held} if held else {})


BROKEN = "1 tests that pass plain don't pass guarded."


@pytest.mark.parametrize(
    ("plain", "guarded", "problems"),
    [
        pytest.param(make_run("ppfes"), make_run("ppfes"), [], id="same"),
        pytest.param(make_run("pf"), make_run("pp"), [], id="passes-only-guarded"),
        pytest.param(make_run("pf"), make_run("pe"), [], id="fails-otherwise"),
        pytest.param(make_run("pp"), make_run("pf"), [BROKEN], id="fails"),
        pytest.param(make_run("pp"), make_run("pe"), [BROKEN], id="in-error"),
        pytest.param(make_run("pp"), make_run("ps"), [BROKEN], id="skipped"),
        pytest.param(make_run("pp"), make_run("p"), [BROKEN], id="missing"),
        pytest.param(
            make_run("p"), make_run("p", held=2), ["1 tests have left a lease held."], id="held"
        ),
        pytest.param(
            make_run("ff"),
            make_run("ff"),
            ["No test passed even plain, so nothing was compared."],
            id="nothing-passes",
        ),
        pytest.param(
            make_run("p"),
            make_run("p", admitted=0),
            ["No request met the guard, so nothing was compared."],
            id="guard-unused",
        ),
    ],
)
def test_problems_are_found(plain: Run, guarded: Run, problems: list[str]) -> None:
    assert find_problems(plain, guarded) == problems


def test_test_that_exists_in_one_run_only_is_a_difference() -> None:
    assert differences(make_run("p"), make_run("pp")) == {"1": ("passed", "missing")}
    assert differences(make_run("pp"), make_run("p")) == {"1": ("missing", "passed")}
