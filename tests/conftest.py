from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from valkey_server import Valkey


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """A server that all tests share; each has names of its own, and leaves it running."""
    from valkey_server import Valkey

    server = Valkey()
    yield server
    server.kill()
