"""What a limiter says: the values that leave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

    from .tuner import Change


class Mode(StrEnum):
    """What a limiter does with its decisions."""

    ENFORCE = "enforce"
    """Decide, and act on it."""

    SHADOW = "shadow"
    """Decide, count and log, but admit everybody at once."""

    OFF = "off"
    """Do nothing at all."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"'mode' must be 'enforce', 'shadow' or 'off', got {value!r}.")


class Reason(StrEnum):
    """Why a request was rejected. A closed set; its values stand in bodies, logs and metrics."""

    # An enumeration's own is written in Python, and each rejection counts by its reason.
    __hash__ = str.__hash__

    LIMIT = "limit"
    """The limit was reached, and nobody may wait."""

    QUEUE_FULL = "queue_full"
    """The limit was reached, and the line was full."""

    QUEUE_TIMEOUT = "queue_timeout"
    """No place came free within the longest wait."""

    OVERLOAD = "overload"
    """More came than can be served, and it had waited for longer than others."""

    TOO_OLD = "too_old"
    """It had waited for longer than any request may, here or in front of the app."""

    DEADLINE = "deadline"
    """It had waited for longer than its client is willing to."""

    CLIENT_GONE = "client_gone"
    """Its client had left."""

    CLIENT = "client"
    """Its client had as many in flight as one client may have."""

    DRAINING = "draining"
    """Nobody is admitted any more, since the process is to end."""


_TEXTS = {
    Reason.LIMIT: "The server is busy with other requests.",
    Reason.QUEUE_FULL: "The server is busy with other requests, and many are waiting.",
    Reason.QUEUE_TIMEOUT: "The server was busy with other requests for too long.",
    Reason.OVERLOAD: "The server is asked for more than it can do.",
    Reason.TOO_OLD: "The request had waited too long when its turn came.",
    Reason.DEADLINE: "The request had waited for as long as it was to wait at most.",
    Reason.CLIENT_GONE: "The client had left when the request's turn came.",
    Reason.CLIENT: "The client has sent as many requests at once as it may.",
    Reason.DRAINING: "The server is about to stop.",
}

_OF_THIS_KIND = ("other requests", "other requests of this kind")

DEFAULT = "default"
"""The name of the limiter that all requests have to pass."""


@dataclass(slots=True)
class Rejection:
    """A request was not admitted; or would not have been, where `enforced` is false.

    Not frozen, although nobody changes it: that would be a third of what a rejection costs.
    """

    reason: Reason
    """Why."""

    retry_after: int
    """When to try again: whole seconds from now, at least 1."""

    queue_time: float = 0.0
    """How long the request had waited in the line, in seconds."""

    enforced: bool = True
    """False in shadow mode, where the request was admitted all the same."""

    limiter: str = DEFAULT
    """The name of the limiter that decided."""

    @property
    def text(self) -> str:
        """The reason in a sentence that anybody may read.

        Not a word on how many are in flight: that would tell an attacker how close the end is.
        """
        text = _TEXTS[self.reason]
        return text if self.limiter == DEFAULT else text.replace(*_OF_THIS_KIND)


@dataclass(frozen=True, slots=True)
class Partition:
    """One part of a limit."""

    guaranteed: int
    """How many places it gets when it needs them: those that others use, as they come back. Where
    processes share the limit, in all of them; each divides what it was lent."""

    in_flight: int
    """How many it uses. More than it is guaranteed, while others don't need theirs."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A limiter's numbers at one instant, taken together under its lock."""

    name: str
    """The limiter's name."""

    mode: Mode
    """What the limiter does with its decisions."""

    limit: int
    """How many may be in flight."""

    in_flight: int
    """How many are in flight: admitted and not yet released. One that costs several places counts
    as many times."""

    queued: int
    """How many wait in the line. In shadow mode: would wait."""

    admitted: int
    """How many were admitted since the process started."""

    rejected: Mapping[str, int]
    """How many were rejected since the process started, by reason. In shadow mode: would be."""

    peak: int
    """The most that were ever in flight at once."""

    queue_age: float | None = None
    """How long the newest request had waited before it came here, in seconds; None as long as no
    request's age was known. The guard tells, a limiter alone doesn't know."""

    changes: tuple[Change, ...] = ()
    """The last changes of a limit that is learned, and why."""

    partitions: Mapping[str, Partition] = field(default_factory=dict)
    """The parts of the limit by their names, if it has any."""

    odd_headers: Mapping[str, int] = field(default_factory=dict)
    """How many request headers with times in them were not taken as they were, by what was wrong.
    The guard tells, a limiter alone doesn't know."""
