"""What is seen of a limit in a moment of it."""

from __future__ import annotations

from math import inf

WAITED = 0.02
"""From how many seconds on it was a wait. What is shorter may be the server's own, or the clock of
the proxy in front."""

FULL = 0.8
"""Which part of the requests must have found all other places taken, or waited for theirs."""


class Window:
    """Sums over the requests that end from one moment on.

    Those that had begun before the limit was changed tell what is served now, but not how it is to
    come at this limit.

    :param opened: that moment, in seconds.
    """

    __slots__ = (
        "all_rtt",
        "all_squares",
        "alone",
        "beyond",
        "done",
        "failed",
        "full",
        "most",
        "new",
        "opened",
        "rtt",
        "short",
        "squares",
    )

    def __init__(self, opened: float = -inf) -> None:
        self.opened = opened
        self.done = self.failed = 0
        #: Of those that were served, and of all: how long each took, and the squares of that.
        self.rtt = self.squares = self.all_rtt = self.all_squares = 0.0
        #: How many have begun at this limit, and the most that were in flight then. Of those, how
        #: many found not even half of the places taken; all of them; or more, where nothing is
        #: enforced; and how many waited, although some were free.
        self.new = self.most = self.alone = self.full = self.beyond = self.short = 0

    def add(
        self, rtt: float, dropped: bool, is_new: bool, in_flight: int, limit: int, waited: float
    ) -> None:
        """Count one that has ended; see `Algorithm.on_sample`.

        :param is_new: whether it has begun at this limit.
        """
        self.all_rtt += rtt
        self.all_squares += rtt * rtt
        if dropped:
            self.failed += 1
        else:
            self.done += 1
            self.rtt += rtt
            self.squares += rtt * rtt
        if not is_new:
            return
        self.new += 1
        if in_flight * 2 <= limit and waited <= WAITED:
            self.alone += 1
        if in_flight > self.most:
            self.most = in_flight
        if in_flight >= limit:
            self.full += 1
            if in_flight > limit:
                self.beyond += 1
        elif waited > WAITED:
            self.full += 1
            self.short += 1

    @property
    def is_beyond(self) -> bool:
        """Whether more are in flight than there are places: nothing is enforced."""
        return self.new > 0 and self.beyond >= FULL * self.new

    @property
    def is_full(self) -> bool:
        """Whether all places are taken."""
        return self.new > 0 and self.full >= FULL * self.new and not self.alone

    @property
    def has_room(self) -> bool:
        """Whether most found a place, and at once."""
        return self.full * 2 < self.new

    @property
    def mean_rtt(self) -> float:
        """How long one that was served took in the mean, in seconds."""
        return self.rtt / self.done

    @property
    def spread(self) -> float:
        """The squared coefficient of variation of how long requests take."""
        return self.all_squares / self.all_rtt / self.all_rtt * (self.done + self.failed) - 1
