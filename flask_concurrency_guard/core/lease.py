"""The right to be in flight, held by one request from its admission to its release."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

from ..complaints import note
from .claims import PLAIN

if TYPE_CHECKING:
    from threading import Lock

    from .claims import Claim
    from .decisions import Mode
    from .decisions import Rejection
    from .shedder import Verdict

logger = logging.getLogger(__name__)


class Grantor(Protocol):
    """What has granted leases, and takes them back."""

    name: str

    @property
    def mode(self) -> Mode: ...

    def release(self, lease: Lease) -> bool: ...

    def withdraw(self, lease: Lease) -> None: ...

    def reclaim(self, lease: Lease) -> None: ...


class Lease:
    """A place inside a limit, given back exactly once.

    Made by `Limiter.acquire`. Call `release`, or use it as a context manager; if it is dropped
    instead, the limiter takes it back when it is collected.
    """

    __slots__ = (
        "__weakref__",
        "_beyond",
        "_epoch",
        "_limiter",
        "_released",
        "_verdict",
        "_wakeup",
        "age",
        "companions",
        "dropped",
        "held",
        "holder",
        "in_flight",
        "may_be_dropped",
        "queue_time",
        "rejection",
        "started",
    )

    #: How long its request may wait in the line. Only set if it has to.
    _verdict: Verdict

    #: What its request asked for.
    claim: Claim = PLAIN
    #: How many places it takes: all that there were, if its request asked for more.
    cost: int = 1

    def __init__(self, limiter: Grantor, holder: Any, epoch: int, started: float) -> None:
        self._limiter = limiter
        self._epoch = epoch
        # Until its place is counted. An exception that comes in between, from the handler of a
        # signal, must not give back what was never taken.
        self._released = True
        #: Admitted in shadow mode although the limit was reached.
        self._beyond = False
        #: Locked while its request waits in the line; the limiter unlocks it to admit.
        self._wakeup: Lock | None = None

        #: What the lease is held for: the WSGI environment, for a request; None outside of one.
        self.holder = holder
        #: When the request came, on the limiter's clock; when it was admitted, if it had to wait.
        self.started = started
        #: How long the request waited in the line, in seconds.
        self.queue_time = 0.0
        #: How old the request was when it came to the limiter, in seconds; zero where nobody knows.
        self.age = 0.0
        #: Whether it failed, so that nobody was served. For who learns the limit.
        self.dropped = False
        #: How many places were taken when this one was admitted, its own included.
        self.in_flight = 0
        #: How long the lease was held, in seconds. Measured at its release, and only if the limit
        #: was reached then or is learned, or `Limiter.on_release` is set, or now and then; zero
        #: otherwise.
        self.held = 0.0
        #: How the request was pushed out of the line; in shadow mode, how it would have been
        #: rejected.
        self.rejection: Rejection | None = None
        #: The leases of other limiters that were taken with this one, and go back with it.
        self.companions: tuple[Lease, ...] = ()
        #: Whether to drop the lease without releasing it is no mistake of its holder's.
        self.may_be_dropped = False

    @property
    def limiter(self) -> Grantor:
        """The limiter that admitted."""
        return self._limiter

    @property
    def released(self) -> bool:
        """Whether the lease was given back."""
        return self._released

    def release(self) -> bool:
        """Give the place back. Return whether this call did it: true once, then always false."""
        if self._released:
            return False
        if self.companions:
            self._release_companions()
        return self._limiter.release(self)

    def _release_companions(self) -> None:
        for lease in self.companions:
            lease.dropped = self.dropped
            lease.release()

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    def __del__(self) -> None:
        try:
            if self._released:
                return
        except AttributeError:
            return  # An interrupt came into its making.
        for lease in self.companions:
            lease.dropped = self.dropped
            lease.may_be_dropped = True  # It is said once.
            lease._limiter.reclaim(lease)
        if not self.may_be_dropped:
            note(
                logger,
                logging.WARNING,
                "A lease was dropped without being released, and held until it was collected. %s",
                "Use it by 'with', or release it."
                if self.holder is None
                else "Iterate over each response to its end, or close it.",
                seldom=True,
            )
        self._limiter.reclaim(self)


class ClaimedLease(Lease):
    """The lease of a request that isn't like all others."""

    __slots__ = ("claim", "cost")

    def __init__(
        self, limiter: Grantor, holder: Any, epoch: int, started: float, claim: Claim
    ) -> None:
        super().__init__(limiter, holder, epoch, started)
        self.claim = claim
        self.cost = claim.cost
