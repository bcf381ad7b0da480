"""What is seen of those who share a limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """A process that shares the limit, as it was when it was last heard of."""

    name: str
    """Its host's name, its process id, and what makes it like no other."""

    places: int
    """How many it was lent."""

    in_flight: int
    """How many it had in flight."""


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """What all processes that share the limit are at."""

    name: str
    """The limiter's name."""

    limit: int
    """How many may be in flight in all of them together."""

    in_flight: int
    """How many were in flight when each was last heard of."""

    members: tuple[Member, ...]
    """The processes that share the limit, and had something to do lately."""

    error: str | None = None
    """Why the server can't be reached, if so; then only this process is known of."""
