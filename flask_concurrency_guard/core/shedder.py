"""Whether a request is still worth serving, by how long it has waited before it came here.

The limiter only sees what the server hands over. In most servers the queue stands in front of
that, and a request that comes out of it may be one that nobody waits for any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING
from typing import NamedTuple

from .decisions import Reason

if TYPE_CHECKING:
    from .codel import CoDel


@dataclass(slots=True)
class Arrival:
    """What is known of a request when it comes.

    Not frozen, although nobody changes it: that would triple what making it costs.
    """

    age: float | None = None
    """How long ago it came in at the server, in seconds; None where nobody knows."""

    patience: float | None = None
    """How long from then on its client is willing to wait, in seconds; None for as long as it
    takes."""

    is_gone: bool = False
    """Whether the client has left."""

    is_doubtful: bool = False
    """Whether a proxy has told a far higher age than the kernel."""


class Verdict(NamedTuple):
    """What is to become of a request, as far as its age tells."""

    reason: Reason | None = None
    """Why not to admit it, whatever room there is."""

    max_wait: float = inf
    """How long it may wait for a place, in seconds, and still be worth serving."""

    late: Reason = Reason.QUEUE_TIMEOUT
    """The reason to reject it when that is over."""

    insists: bool = False
    """Whether it may wait for that long, however long the limiter lets others wait."""


WELCOME = Verdict()

_GONE = Verdict(Reason.CLIENT_GONE)
_PAST_DEADLINE = Verdict(Reason.DEADLINE)
_TOO_OLD = Verdict(Reason.TOO_OLD)
_OVERLOAD = Verdict(Reason.OVERLOAD)


class Shedder:
    """Judge each request by its age, before the limiter is asked.

    :param max_age: how old a request may be, in seconds; None for no bound.
    :param codel: tells which requests are overdue; None for none.
    :param serve_gone: serve a request although its client has left.
    :param max_wait: see `max_wait`.
    """

    def __init__(
        self,
        *,
        max_age: float | None = None,
        codel: CoDel | None = None,
        serve_gone: bool = False,
        max_wait: float = inf,
    ) -> None:
        self.max_age = max_age
        self.codel = codel
        self.serve_gone = serve_gone
        self.max_wait = max_wait
        """How long a request waits at most in all lines together, in seconds. Where it may wait for
        longer than that, there is nothing to tell the limiters."""

    @property
    def looks_at_age(self) -> bool:
        """Whether a request can be too old at all."""
        return self.codel is not None or self.max_age is not None

    def judge(self, arrival: Arrival, patience: float = 1.0) -> Verdict:
        """Return what is to become of a request that has just come.

        What the client wants goes first: it has left, then it has waited for as long as it would.

        :param patience: how many times as long as others it may have waited in an overload.
        """
        is_overdue = (
            arrival.age is not None
            and self.codel is not None
            # Of those who have left, too: they stood in the queue like everybody else.
            and self.codel.is_overdue(arrival.age, patience)
        )
        if arrival.is_gone and not self.serve_gone:
            return _GONE
        age = arrival.age or 0.0
        verdict = WELCOME
        if arrival.patience is not None:
            left = arrival.patience - age
            if left <= 0:
                return _PAST_DEADLINE
            verdict = Verdict(None, left, Reason.DEADLINE)
        if self.max_age is not None:
            left = self.max_age - age
            if left <= 0:
                return _TOO_OLD
            if left < verdict.max_wait and left < self.max_wait:
                verdict = Verdict(None, left, Reason.TOO_OLD)
        return _OVERLOAD if is_overdue else verdict
