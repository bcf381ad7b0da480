"""What Redis or Valkey keeps for a limit: who was lent how much, and until when."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from dataclasses import field
from importlib.resources import files
from typing import TYPE_CHECKING
from typing import Any

from .member import Member

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

    from .connect import Connector

KEYS = ("limit", "members", "leases", "waiting")
LENDING = files(__package__).joinpath("lending.lua").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a member was told."""

    share: int
    """How many places it has."""

    limit: int
    """How many all have together."""

    waiting: int
    """How many others wait for places."""

    members: int
    """How many have asked in the time of a lease, with this one."""

    mode: bytes = b""
    """The mode that was set for all, if one was."""


class Ledger:
    """The entry of one member, and what it may see of the others.

    Every method may raise what the client raises, and `OSError`.

    :param connector: makes the connections, of which there are none before the first call.
    :param name: that of the limit.
    :param member: that of this member, like no other ever.
    :param patience: see `Listener`.
    """

    def __init__(
        self, connector: Connector, name: str, member: str, *, patience: float = math.inf
    ) -> None:
        # In a cluster the braces keep all keys on one node.
        self._keys = [f"flask-concurrency-guard:{{{name}}}:{key}" for key in KEYS]
        self._channels = f"flask-concurrency-guard:{{{name}}}:"
        self._connector = connector
        self._member = member
        self._patience = patience
        self.recoveries = 0
        """How often the server could be used again. It may be another one since."""
        self._settle: Any = None

    def settle(
        self,
        seq: int,
        *,
        lease_time: float,
        limit: int,
        sets_limit: str = "never",
        used: int = 0,
        keep: int = 0,
        wanted: int = 0,
        waits: bool = False,
        gives_way: bool = False,
        configured_mode: str = "",
        mode: str = "",
        need: int = 1,
    ) -> Terms:
        """Say what this member has and wants, and return what it gets. See `lending.lua`."""
        if self._settle is None:
            self._settle = self._connector.client().register_script(LENDING)
        reply = self._settle(
            keys=self._keys,
            args=[
                self._member,
                seq,
                used,
                keep,
                wanted,
                int(waits),
                int(gives_way),
                int(lease_time * 1000),
                limit,
                sets_limit,
                self._channels,
                configured_mode,
                mode,
                need,
            ],
        )
        return Terms(*reply)

    def members(self) -> tuple[int | None, tuple[Member, ...]]:
        """Return the limit, if any was set yet, and what is written of each member."""
        client = self._connector.client()
        cap, members, leases, _ = self._keys
        limit = client.hget(cap, "limit")
        seconds, microseconds = client.time()
        alive = set(client.zrangebyscore(leases, seconds * 1000 + microseconds // 1000, "+inf"))
        found = []
        for member, record in sorted(client.hgetall(members).items()):
            if member in alive:
                share, _, in_flight, _ = record.split()
                found.append(Member(member.decode(), int(share), int(in_flight)))
        return int(limit) if limit else None, tuple(found)

    def listen(self) -> Listener:
        """Return what is told to this member from now on, but for what its own calls tell to all.

        Their answers tell the same, and who acts on both calls again for nothing.
        """
        pubsub = self._connector.listening_client().pubsub(ignore_subscribe_messages=True)
        pubsub.subscribe(f"{self._channels}short", f"{self._channels}{self._member}")
        return Listener(pubsub, ignored=self._member, patience=self._patience)

    def hang_up(self) -> None:
        """Let the next call have a new connection."""
        self._settle = None
        self._connector.hang_up()

    def close(self) -> None:
        """Close all connections."""
        self._settle = None
        self._connector.close()


@dataclass(frozen=True, slots=True)
class Grant:
    """Places that came free, and were given to this member, which waited."""

    seq: int
    """That of the member's last call before."""

    share: int
    """How many it has now."""

    limit: int = field(default=0, compare=False)
    """How many all have together."""


class Listener:
    """What is told to a member.

    :param pubsub: has subscribed to its channels.
    :param ignored: the member that isn't heard when it tells all others something.
    :param patience: after how many seconds of silence to ask whether the server is there still.
        A connection may be lost with nobody told: a NAT forgets it, or a host loses its power.
    :param clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        pubsub: Any,
        *,
        ignored: str = "",
        patience: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pubsub = pubsub
        self._ignored = ignored.encode()
        self._patience = patience
        self._clock = clock
        self._heard = clock()
        self._asked = -math.inf

    def messages(self, seconds: float) -> Iterator[Grant | None]:
        """Yield what has come, after at most `seconds`; None says that others wait.

        :raises ConnectionError: there was no answer to the question whether the server is there.
        """
        message = self._pubsub.get_message(timeout=seconds)
        while message is not None:
            self._heard = self._clock()
            if message["type"] == "message":
                yield from self._read(message["channel"], message["data"])
            message = self._pubsub.get_message(timeout=0)
        # Not before: an answer may have come while this process stood still.
        self._ask_after_silence()

    def _read(self, channel: bytes, data: bytes) -> Iterator[Grant | None]:
        if not channel.endswith(b":short"):
            yield Grant(*(int(number) for number in data.split()))
        elif data != self._ignored:
            yield None

    def _ask_after_silence(self) -> None:
        now = self._clock()
        if now - max(self._heard, self._asked) < self._patience:
            return
        if self._asked > self._heard:
            raise ConnectionError("The server doesn't answer where it is listened to.")
        self._asked = now
        self._pubsub.ping()

    def close(self) -> None:
        """Stop listening."""
        self._pubsub.close()
