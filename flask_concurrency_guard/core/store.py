"""Where the count lives that several processes share."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING
from typing import Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from .cluster.member import ClusterSnapshot
    from .decisions import Mode
    from .host.process import HostSnapshot
    from .host.scoreboard import Scoreboard

UNBOUNDED = 2**31


class StoreError(Exception):
    """A store can't be used. Its message says why, and what to do."""


class OnStoreError(StrEnum):
    """What becomes of requests while the store can't be used."""

    LOCAL = "local"
    """Each process admits its part: the limit divided by how many processes there were."""

    OPEN = "open"
    """All are admitted."""

    CLOSED = "closed"
    """None is admitted."""


def places_without(policy: OnStoreError, limit: int, processes: int) -> int:
    """Return how many a process admits while the store can't be used.

    :param processes: how many there were, when that was last known.
    """
    if policy is OnStoreError.LOCAL:
        return max(1, limit // processes)
    return UNBOUNDED if policy is OnStoreError.OPEN else 0


def admitted_without(policy: OnStoreError, places: int) -> str:
    """Say what `places_without` means."""
    if policy is OnStoreError.LOCAL:
        return f"{places} at once"
    return "everything" if policy is OnStoreError.OPEN else "nothing"


class Store(Protocol):
    """Lends the places of one limit to the limiters of several processes.

    What it has lent, a limiter uses without asking again. The limiter calls it with its own lock
    held, so no two calls come at once, and what is to be logged is only noted, see `note`. No call
    raises: where the store can't be used, it is `places` that says what to do.
    """

    limit: int
    """How many may be in flight in all processes together, as far as this one knows."""

    places: int
    """How many may be in flight in this process. More only after a call of `take`, and less at
    any moment: so `enter` has to agree before each place is used."""

    on_places: Callable[[], object] | None
    """Called when places have come that were waited for, by a store that hears of it. With no lock
    held."""

    on_mode: Callable[[], object] | None
    """Called when `mode` may have changed, by a store that hears of it. With no lock held."""

    @property
    def error(self) -> Exception | None:
        """Why the store can't be used now, as far as this process knows; None where it can."""

    is_remote: bool
    """Whether a snapshot takes a while, since somebody is asked. No lock is held then."""

    scoreboard: Scoreboard | None
    """Where to show what this process is serving, if anywhere."""

    def enter(self, in_flight: int, cost: int = 1) -> bool:
        """Say that there will be `in_flight` now, which is not more than `places`.

        Return false where places were taken back meanwhile; then ask with `take`.

        :param cost: how many more these are than before.
        """

    def leave(self, in_flight: int, queued: int) -> None:
        """Say that there are `in_flight` left, and how many wait for the place that came free."""

    def take(self, in_flight: int, cost: int = 1, *, starving: bool = False) -> bool:
        """Try to borrow what is missing for `in_flight`, and `enter` them.

        :param cost: how many more these are than before.
        :param starving: a request waits for it. Other processes give way to it then.
        """

    @property
    def mode(self) -> Mode | None:
        """What was set for all processes while they serve; None where nothing was."""

    def set_mode(self, mode: Mode) -> None:
        """Set the mode of all processes.

        :raises StoreError: it can't be changed now.
        """

    def set_limit(self, limit: int) -> None:
        """Change the limit, for all processes.

        :raises StoreError: it can't be changed now.
        """

    def snapshot(self, name: str) -> HostSnapshot | ClusterSnapshot:
        """Return what all processes are at.

        :param name: the limiter's.
        """

    def after_fork(self) -> None:
        """Become a process of its own that has borrowed nothing."""
