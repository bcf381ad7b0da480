"""Who may be in flight, who waits, who is turned away: the numbers, and what follows from them.

Nothing here waits or locks. `Limiter` does, and calls it with its lock held.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

from .claims import PLAIN
from .codel import INTERVAL
from .codel import TARGET
from .decisions import DEFAULT
from .decisions import Mode
from .decisions import Partition
from .decisions import Reason
from .decisions import Rejection
from .decisions import Snapshot
from .fork import reset_after_fork
from .lease import ClaimedLease
from .lease import Lease
from .line import Line
from .line import Order
from .ranks import RankedLine
from .retry import retry_after
from .shares import Shares
from .shedder import Verdict
from .tuner import Tuner

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping
    from threading import Lock

    from .claims import Claim
    from .lease import Grantor

MOST_PLACES = 2**31 - 1
"""No store can have more."""

# Looking them up on the enumeration takes longer.
_ENFORCE = Mode.ENFORCE
_OFF = Mode.OFF
_LIMIT = Reason.LIMIT

_WEIGHT = 0.1  # of each new lease in the mean time that leases are held
_SAMPLE = 16  # One of about so many is measured as long as there is room, and the first.


class Admission:
    """The state of a limiter. See `Limiter` for the parameters."""

    # They are more than fit into a dictionary whose keys CPython shares among instances, and each
    # request looks up most of them.
    __slots__ = (
        "__weakref__",
        "_admitted",
        "_beyond",
        "_ceiling",
        "_clock",
        "_enter",
        "_epoch",
        "_is_plain",
        "_line",
        "_line_settings",
        "_make_line",
        "_max_queue",
        "_peak",
        "_places",
        "_rejected",
        "_retry_after",
        "_shares",
        "claim_of",
        "in_flight",
        "least_queue",
        "limit",
        "max_wait",
        "mean_held",
        "mode",
        "name",
        "on_full",
        "on_queued",
        "on_release",
        "on_turn",
        "tuner",
    )

    def __init__(
        self,
        limit: int | Tuner,
        *,
        max_queue: int | None = None,
        max_wait: float = 1.0,
        queue_order: str = Order.FIFO,
        target: float = TARGET,
        interval: float = INTERVAL,
        mode: str = Mode.ENFORCE,
        retry_after: int | None = None,
        name: str = DEFAULT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.max_wait = max_wait
        self.tuner = limit if isinstance(limit, Tuner) else None
        """What learns the limit, if anything. Change it with `set_limit`."""
        self.limit = positive(limit if self.tuner is None else self.tuner.limit)
        """How many places there are. Change it with `set_limit`."""
        self.mode = Mode(mode)
        """What is done with the decisions. Change it with `set_mode`."""
        self.on_queued: Callable[[Lease], object] | None = None
        """Called with a lease that begins to wait in the line."""
        self.on_turn: Callable[[Lease], Reason | None] | None = None
        """Called with a lease that was given a place after a wait. Returns why not to admit it
        after all, if so; the place then goes to the next in line."""
        self.on_full: Callable[[], object] | None = None
        """Called when the limit is reached, before that is held against a request."""
        self.on_release: Callable[[Lease], object] | None = None
        """Called with each lease after it was given back. May be changed while serving."""
        self.least_queue: int | None = 0
        """How many may wait, if the limit is less, and it isn't said how many may; None for nobody
        then."""
        self.claim_of: Callable[[Any], Claim] | None = None
        """Returns of what a lease is for what it claims; None where all ask for the same. See
        `tell_apart`."""
        self._ceiling: int | None = None
        self._max_queue = max_queue
        self._retry_after = retry_after
        self._clock = clock
        self._shares: Shares | None = None
        self._line_settings: dict[str, Any] = {
            "order": Order(queue_order),
            "target": target,
            "interval": interval,
            "clock": clock,
        }
        self._make_line: Callable[[], Line] = partial(Line, **self._line_settings)
        self._epoch = 0
        self._start()
        reset_after_fork(self)

    @property
    def max_queue(self) -> int:
        """How many may wait."""
        if self._max_queue is not None:
            return self._max_queue
        return 0 if self.least_queue is None else max(self.limit, self.least_queue)

    def after_fork(self) -> None:
        """Forget the parent's leases and its lock, which another thread may have held."""
        self._epoch += 1
        if self.tuner is not None:
            self.tuner.after_fork()
            self.limit = self.tuner.limit
        self._start()

    def _start(self) -> None:
        self._line = self._make_line()
        self.in_flight = 0
        """How many places are taken. Most requests take one."""
        # How many of them this process may use: all, unless a store lends them.
        self._places = self.limit
        # Agrees to the use of each place, where they are lent: see `SharedLimiter`.
        self._enter: Callable[[int], bool] | None = None
        # Whether each lease so far was for one place, and like all others.
        self._is_plain = self.claim_of is None
        if self._shares is not None:
            self._shares.clear()
        self._beyond = 0
        self._admitted = 0
        self._peak = 0
        self._rejected = dict.fromkeys(Reason, 0)
        self.mean_held = 0.0
        """How long leases were held lately in the mean, in seconds."""

    def _tell_apart(
        self, claim_of: Callable[[Any], Claim], shares: Mapping[str, float] | None
    ) -> None:
        self.claim_of = claim_of
        self._is_plain = False
        if shares and self._shares is None:
            self._shares = Shares(shares, self._clock)
            self._shares.enter(PLAIN, self._taken())
        self._make_line = partial(RankedLine, shares=self._shares, **self._line_settings)
        waiting, self._line = list(self._line), self._make_line()
        self._line.service_time = self.mean_held
        for lease in waiting:
            self._line.append(lease)

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            name=self.name,
            mode=self.mode,
            limit=self.limit,
            in_flight=self.in_flight,
            queued=len(self._line),
            admitted=self._admitted,
            rejected={str(reason): count for reason, count in self._rejected.items()},
            peak=self._peak,
            changes=() if self.tuner is None else self.tuner.last_changes(),
            partitions=self._partitions(),
        )

    def _partitions(self) -> dict[str, Partition]:
        shares = self._shares
        if shares is None:
            return {}
        # What processes share is told as a whole, and not as what this one was lent.
        guaranteed = shares.guaranteed(self.limit)
        return {name: Partition(least, shares.used[name]) for name, least in guaranteed.items()}

    def _decide(
        self, grantor: Grantor, holder: object, verdict: Verdict, claim: Claim
    ) -> Lease | Rejection:
        """Return the lease; or the rejection. Let who has to wait `_queue`."""
        enforced = self.mode is _ENFORCE
        reason = verdict.reason
        cost = self._cost(claim)
        has_room = self.mode is _OFF or (reason is None and self._has_room_for(claim, cost))
        if reason is None and not has_room:
            reason = self._refusal(verdict, claim)
        elif reason is Reason.OVERLOAD:
            self._line.count_refused()
        if reason is not None and enforced:
            return self._reject(reason, 0.0)
        now = self._clock()
        if claim is PLAIN:
            lease = Lease(grantor, holder, self._epoch, now)
        else:
            lease = ClaimedLease(grantor, holder, self._epoch, now, claim)
        if has_room:
            return self._admit(lease, cost)
        if not enforced:
            if reason is None:
                self._queue(lease, verdict)
            self._admit_beyond(lease, reason)
            if reason is None and not self._is_plain:
                self._advance_line()  # As in `_queue`; but it had to be counted first.
            return lease
        # Looked up when called: gevent and eventlet replace it.
        lease._wakeup = threading.Lock()
        lease._wakeup.acquire()
        return lease

    def _refusal(self, verdict: Verdict, claim: Claim) -> Reason | None:
        """Return why one may not wait, if so. Make room in the line where that will do."""
        if self._shares is not None and self._shares.left(claim.partition, self._places) > 0:
            self._shares.hold(claim.partition)
        max_queue = self.max_queue
        if max_queue == 0 or (verdict.max_wait if verdict.insists else self.max_wait) == 0:
            return _LIMIT
        has_room, pushed_out = self._line.make_room(max_queue, self._places or 1, claim)
        if pushed_out is not None:
            self._push_out(pushed_out)
        return None if has_room else Reason.QUEUE_FULL

    def _queue(self, lease: Lease, verdict: Verdict) -> None:
        if not verdict.insists:
            longest = min(self.max_wait, self._line.longest_wait(self._places or 1))
            if longest < verdict.max_wait:
                verdict = Verdict(None, longest, Reason.QUEUE_TIMEOUT)
        lease._verdict = verdict
        lease._released = False
        self._line.append(lease)
        if not self._is_plain and lease._wakeup is not None:
            # There may be a place that those before it couldn't use.
            self._advance_line()

    def _push_out(self, lease: Lease) -> None:
        lease.rejection = self._reject(Reason.QUEUE_FULL, self._clock() - lease.started)
        if lease._wakeup is not None:
            lease._released = True
            self._wake(lease, lease._wakeup)

    def _wake(self, lease: Lease, wakeup: Lock) -> None:
        wakeup.release()

    def _has_room_for(self, claim: Claim, cost: int) -> bool:
        """Return whether one who has just come may go in."""
        shares, taken, places = self._shares, self._taken(), self._places
        if taken >= places and self._enter is None:
            return False  # Whoever goes first.
        if shares is not None and not shares.may_enter(claim, cost, taken, places):
            return False
        # Who waits for more places than are free is not overtaken.
        return self._line.peek(taken, places) is None and self._has_room(cost)

    def _has_room(self, cost: int) -> bool:
        return self._taken() + cost <= self._places

    def _taken(self) -> int:
        # Those that only shadow mode admitted are in flight, but hold no place in its reckoning.
        return self.in_flight - (0 if self.mode is _ENFORCE else self._beyond)

    def _cost(self, claim: Claim) -> int:
        return 1 if claim is PLAIN else min(claim.cost, self.limit)

    def _admit(self, lease: Lease, cost: int) -> Lease:
        """Let a lease take so many places; as many as room was asked for.

        What it costs may be less by now, where the limit has become known meanwhile.
        """
        if isinstance(lease, ClaimedLease):
            lease.cost = cost
        in_flight = self.in_flight + cost
        # With nothing between that can be interrupted.
        self.in_flight = lease.in_flight = in_flight
        lease._released = False
        lease._wakeup = None
        self._admitted += 1
        if in_flight > self._peak:
            self._peak = in_flight
        if self._shares is not None and not lease._beyond:
            self._shares.enter(lease.claim, lease.cost)
        return lease

    def _admit_beyond(self, lease: Lease, reason: Reason | None) -> None:
        """Admit in shadow mode what could not be in flight now, and remember the decision.

        Who would be waiting stands in the line while being served. Who is still there after the
        longest wait would have been rejected.
        """
        lease._beyond = True
        if reason is not None:
            lease.rejection = self._reject(reason, 0.0)
        self._admit(lease, self._cost(lease.claim))
        self._beyond += lease.cost

    def _reject(self, reason: Reason, queue_time: float) -> Rejection:
        self._rejected[reason] += 1
        queued = len(self._line.waiting if self._is_plain else self._line)
        return Rejection(
            reason,
            self._retry_after or retry_after(self.mean_held, self._places or 1, queued),
            queue_time,
            self.mode is _ENFORCE,
            self.name,
        )

    def _take_back(self, lease: Lease, *, was_served: bool = True) -> None:
        if lease._epoch != self._epoch:
            lease._released = True
            return  # Admitted in the process that forked this one.
        if was_served and (
            self.in_flight >= self._places
            or not self.mean_held
            or not self._admitted % _SAMPLE
            or self.on_release is not None
            or self.tuner is not None
        ):
            now = self._clock()
            lease.held = held = now - lease.started
            self.mean_held += (held - self.mean_held) * (_WEIGHT if self.mean_held else 1.0)
            self._line.service_time = self.mean_held
            if self.tuner is not None:
                self._learn(self.tuner, lease, now)
        if self._is_plain and self._enter is None and not lease._beyond:
            # The way of nearly all: `_leave`, written out.
            self.in_flight -= 1
            lease._released = True
            if not self._line.waiting:
                return
        else:
            self._leave(lease)
        if self._line:
            if lease._beyond and lease in self._line:
                self._line.remove(lease)
                self._leave_shadow_line(lease)
            self._advance_line()

    def _leave(self, lease: Lease) -> None:
        in_flight = self.in_flight - lease.cost
        # As in `_admit`.
        self.in_flight = in_flight
        lease._released = True
        if lease._beyond:
            self._beyond -= lease.cost
        elif self._shares is not None:
            self._shares.leave(lease.claim, lease.cost)
        self._left()

    def _learn(self, tuner: Tuner, lease: Lease, now: float) -> None:
        self.limit = self._places = tuner.learn(lease, now)

    def _left(self) -> None:
        """Tell who has lent the places how many are still used."""

    def _advance_line(self) -> None:
        """Give the places that are free to those whose turn it is."""
        while (lease := self._line.peek(self._taken(), self._places)) is not None:
            cost = self._cost(lease.claim)
            if not self._has_room(cost):
                return
            self._let_in(lease, cost)

    def _let_in(self, lease: Lease, cost: int) -> None:
        self._line.pop(lease)
        if lease._wakeup is not None:
            self._grant(lease, lease._wakeup, cost)
        elif self._leave_shadow_line(lease):
            lease._beyond = False
            self._beyond -= lease.cost
            if self._shares is not None:
                self._shares.enter(lease.claim, lease.cost)

    def _grant(self, lease: Lease, wakeup: Lock, cost: int) -> None:
        self._admit(lease, cost)
        self._wake(lease, wakeup)

    def _change_mode(self, mode: Mode) -> None:
        if mode is self.mode:
            return
        self.mode = mode
        for lease in self._line:
            if lease._wakeup is not None:
                self._grant(lease, lease._wakeup, self._cost(lease.claim))
        self._line.clear()

    def _leave_line(self, lease: Lease) -> None:
        """Stop waiting. A place that was given in this very instant goes to the next in line."""
        if lease._released:
            return  # Pushed out.
        if lease._wakeup is not None:
            if lease in self._line:
                self._line.remove(lease)
            lease._released = True
            if not self._is_plain:
                self._advance_line()  # It may have waited for more than those behind it need.
        elif lease._epoch == self._epoch:
            self._admitted -= 1
            self._leave(lease)
            self._advance_line()
        else:
            lease._released = True

    def _leave_shadow_line(self, lease: Lease) -> bool:
        """Return whether the request would have been admitted in time."""
        verdict = lease._verdict
        if self._clock() - lease.started < verdict.max_wait:
            return True
        lease.rejection = self._reject(verdict.late, verdict.max_wait)
        return False


def positive(limit: Any) -> int:
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise ValueError(f"'limit' must be a positive integer, got {limit!r}.")
    if limit > MOST_PLACES:
        raise ValueError(f"'limit' must be {MOST_PLACES:,} at most, got {limit!r}.")
    return limit
