"""Connect to Redis or Valkey, in whichever form it is there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from typing import Any

from ...complaints import note
from ..store import StoreError

if TYPE_CHECKING:
    from .address import Address

logger = logging.getLogger(__name__)

DECODES = "decode_responses"
"""The option of redis-py that can't be had: bytes are read here."""


class Connector:
    """Make clients for one address, when they are needed first.

    :param address: see `read_url`.
    :param timeout: how long to wait for a connection, or for an answer, in seconds.
    :raises StoreError: redis-py is not installed.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        try:
            import redis  # noqa: F401
        except ImportError:
            raise StoreError(
                "It needs redis-py: 'pip install Flask-Concurrency-Guard[redis]'."
            ) from None
        self.address = address
        self._timeout = timeout
        self._client: Any = None
        self._listening: Any = None

    def afresh(self) -> Connector:
        """Return another one that shares no connection with this one."""
        return Connector(self.address, self._timeout)

    def client(self) -> Any:
        """Return the client for calls. It tries a call once more where a connection was cut."""
        # Another thread may `close` at any moment.
        client = self._client
        if client is None:
            client = self._client = self._connect(retries=1)
        return client

    def listening_client(self) -> Any:
        """Return the client for a listener. It says so when its connection was cut."""
        client = self._listening
        if client is None:
            client = self._listening = self._connect(retries=0)
        return client

    def hang_up(self) -> None:
        """Close the connections for calls. The next call has a new one."""
        client, self._client = self._client, None
        _close(client)

    def close(self) -> None:
        """Close all connections."""
        self.hang_up()
        client, self._listening = self._listening, None
        _close(client)

    def _connect(self, retries: int) -> Any:
        import redis
        from redis.backoff import NoBackoff
        from redis.connection import URL_QUERY_ARGUMENT_PARSERS
        from redis.retry import Retry
        from redis.sentinel import Sentinel

        # A cut connection says nothing of the store. One that doesn't answer in time does.
        options: dict[str, Any] = {
            "retry": Retry(NoBackoff(), retries, (redis.ConnectionError,)),
            "socket_timeout": self._timeout,
            "socket_connect_timeout": self._timeout,
        }
        address = self.address
        if not address.form:
            return redis.Redis.from_url(without(address.url, DECODES), **options)
        for name, value in address.options.items():
            read = URL_QUERY_ARGUMENT_PARSERS.get(name)
            options[name] = read(value) if read and isinstance(value, str) else value
        options.pop(DECODES, None)
        if address.form == "cluster":
            nodes = [redis.cluster.ClusterNode(host, port) for host, port in address.nodes]
            return redis.RedisCluster(startup_nodes=nodes, **options)
        sentinel = Sentinel(
            address.nodes,
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            retry=Retry(NoBackoff(), 0, (redis.ConnectionError,)),
        )
        return sentinel.master_for(address.service, **options)


def _close(client: Any) -> None:
    try:
        if client is not None:
            client.close()
    except Exception as error:
        note(logger, logging.DEBUG, "The connection was lost already: %s.", error)


def without(url: str, option: str) -> str:
    """Return `url` without one of its options."""
    # Put together by `urllib`, 'unix:///path' would be 'unix:/path', which redis-py doesn't take.
    address, mark, query = url.partition("?")
    options = [part for part in query.split("&") if part.partition("=")[0] != option]
    return f"{address}{mark}{'&'.join(options)}"
