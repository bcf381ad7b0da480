"""Fixtures that run servers, and stop them whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from servers.running import KINDS
from servers.running import Gate
from servers.running import Kind
from servers.running import Server
from servers.running import start


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.servers)


class Shared:
    """One server for all tests that need nothing special; started anew if a test has ended it."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._stack = ExitStack()
        self._server: Server | None = None

    def get(self) -> Server:
        if self._server is None or not self._server.is_up:
            self.close()
            self._server = self._stack.enter_context(start(self.kind, limit=4, max_queue=0))
        return self._server

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="session", params=KINDS)
def shared(request: pytest.FixtureRequest) -> Iterator[Shared]:
    shared = Shared(KINDS[request.param])
    yield shared
    shared.close()


@pytest.fixture
def server(shared: Shared) -> Iterator[Server]:
    """Each of the servers in turn, idle, at limit 4 and without a line."""
    server = shared.get()
    server.wait_until_idle()
    server.set_limit(4)
    yield server


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.close()


@pytest.fixture(scope="session")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("servers") / "big"
    path.write_bytes(bytes(range(256)) * 32768)  # 8 MB
    return path
