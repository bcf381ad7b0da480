from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from valkey_server import Valkey


HUNG = 240
"""After how many seconds of one module's tests to say where every thread is. Nothing is killed."""


_stderr = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        config.stash[_stderr] = os.dup(2)


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
