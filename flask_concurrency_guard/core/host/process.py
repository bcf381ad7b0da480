"""What is seen of a process of the host."""

from __future__ import annotations

from dataclasses import dataclass

from ..durations import duration
from .scoreboard import Served

TOLD = 8
"""How many requests of a dead process are named."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that shares the limit."""

    pid: int
    """Its process id."""

    places: int
    """How many it was lent."""

    in_flight: int
    """How many it has in flight."""

    serving: tuple[Served, ...]
    """Those requests, the longest in flight first; 32 at most."""

    def obituary(self, limit: str = "") -> str:
        """Return what to say of it when it has died.

        :param limit: the name of the limit, if it is one of several.
        """
        told = [
            f"{served.what} begun {duration(served.seconds)} ago" for served in self.serving[:TOLD]
        ]
        if len(self.serving) > TOLD:
            told.append("and more")
        what = f" under the limit '{limit}'" if limit else ""
        if told:
            what += f": {', '.join(told)}"
        return f"Worker {self.pid} died with {self.in_flight} in flight{what}."


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """What all processes of the host are at. Each was looked at in passing, and not all at once."""

    name: str
    """The limiter's name."""

    limit: int
    """How many may be in flight in all of them together."""

    in_flight: int
    """How many are in flight."""

    processes: tuple[Process, ...]
    """The processes that share the limit."""
