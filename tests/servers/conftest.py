"""Fixtures that run servers, and stop them whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from servers.gates import Gate
from servers.running import KINDS
from servers.running import Kind
from servers.running import Server
from servers.running import start


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "on(*names): runs on these servers only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    elsewhere = []
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.servers)
            if not is_here(item):
                elsewhere.append(item)
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]


def is_here(item: pytest.Item) -> bool:
    """Return whether the mark `on`, if there is one, names the server of this test."""
    mark = item.get_closest_marker("on")
    return mark is None or item.callspec.params["shared"] in mark.args  # type: ignore[attr-defined]


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
def server(shared: Shared) -> Server:
    """Each of the servers in turn, idle, at limit 4 and without a line."""
    server = shared.get()
    server.wait_until_idle()
    server.set_limit(4)
    return server


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.close()


@pytest.fixture
def full(server: Server, gate: Gate) -> Iterator[Server]:
    """A server at its limit of 1."""
    server.set_limit(1)
    holder = server.send(f"GET /hold?gate={gate.address} HTTP/1.1")
    gate.wait_for(1)
    yield server
    gate.open()
    holder.close()


@pytest.fixture(scope="session")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("servers") / "big"
    path.write_bytes(bytes(range(256)) * 32768)  # 8 MB
    return path
