from __future__ import annotations

import faulthandler
import gc
import os
import signal
from collections.abc import Generator
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flask_concurrency_guard import complaints

if TYPE_CHECKING:
    from valkey_server import Valkey


HUNG = 240
"""After how many seconds of one module's tests to say where every thread is. Nothing is killed."""


THOROUGH = (
    "cli/test_",
    "core/test_admission_model",
    "core/test_algorithm_",
    "core/test_cluster_model",
    "core/test_controller",
    "core/test_host_model",
    "core/test_line",
    "json/test_json_flask_style",
    "json/test_json_mutation",
    "json/test_json_patches",
    "json/test_json_reading",
    "json/test_json_rfc8785",
    "json/test_json_scan",
    "json/test_json_suite",
    "json/test_json_values",
    "logs/test_",
    "observe/test_tracing",
    "test_testing_mode",
    "web/test_",
)
"""Tests that take long, and of what is the same on every Python."""


@pytest.fixture(autouse=True)
def no_earlier_complaints() -> None:
    """Let each test hear of what has gone wrong, however short ago another one has."""
    complaints._next.clear()
    complaints.notes.clear()


def is_thorough(path: Path) -> bool:
    return path.relative_to(Path(__file__).parent).as_posix().startswith(THOROUGH)


def may_start_servers(path: Path) -> bool:
    return path.parent.name == "servers" or "mark.servers" in path.read_text(encoding="utf-8")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # To collect thousands of tests that are deselected afterwards would take longer than to run
    # many that are not, in each process.
    wanted = config.option.markexpr.split(" and ")
    if "not thorough" in wanted and is_thorough(collection_path):
        return True
    if wanted == ["servers"] and collection_path.match("test_*.py"):
        return None if may_start_servers(collection_path) else True
    return None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    # Whatever is made here stays, and the collector would look at it over and over again.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(scope="module", autouse=True)
def collector_passes_over_what_stays() -> None:
    """Spare each run of the collector what is there before the first test of a module.

    All that pytest knows of thousands of tests is there, and would take it nearly a second.
    """
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # With an address in it, the name of a test is another one in each process.
        assert " at 0x" not in item.name, f"Give the parameters of {item.nodeid} ids."
        # Else it would run in no run of only these.
        if item.get_closest_marker("servers"):
            assert may_start_servers(item.path), f"Write 'mark.servers' in {item.path}."
        if is_thorough(item.path):
            item.add_marker("thorough")


_stderr = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        config.stash[_stderr] = os.dup(2)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A job in the background of a script; and what it starts would ignore Ctrl-C as well.
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def say_where_it_hangs(pytestconfig: pytest.Config) -> Iterator[None]:
    # Not pytest's own setting, which starts and ends a thread for each of thousands of tests.
    faulthandler.dump_traceback_later(HUNG, repeat=True, file=pytestconfig.stash[_stderr])
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """A server that all tests share; each has names of its own, and leaves it running."""
    from valkey_server import Valkey

    server = Valkey()
    yield server
    server.kill()
