"""The limiter: who may be in flight, who waits, who is turned away.

One lock guards every number. A place that comes free goes straight to one who waits in the line: as
long as anybody waits, no place is free, so no newcomer can snatch one and no wake-up can be lost.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING
from typing import Any

from ..complaints import complain
from ..complaints import notes
from ..complaints import write_notes
from .admission import Admission
from .admission import positive
from .claims import PLAIN
from .claims import Claim
from .decisions import Mode
from .decisions import Reason
from .decisions import Rejection
from .decisions import Snapshot
from .lease import Lease
from .shares import HOLD
from .shedder import WELCOME
from .shedder import Verdict
from .tuner import Tuner

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping
    from threading import Lock

logger = logging.getLogger(__name__)

# Looking it up on the enumeration takes longer.
_ENFORCE = Mode.ENFORCE


class Limiter(Admission):
    """Hold at most `limit` leases at any instant; let a bounded line wait for the next.

    :param limit: how many may be in flight: a positive integer, or what learns it.
    :param max_queue: how many may wait; 0 for none, the limit where not given.
    :param max_wait: how long one may wait, in seconds; 0 rejects at once.
    :param queue_order: who in the line goes first, see `Order`.
    :param target: see `Line`.
    :param interval: see `Line`.
    :param mode: what to do with the decisions, see `Mode`.
    :param retry_after: seconds to put into every rejection; measured where not given.
    :param name: names the limiter in rejections and snapshots.
    :param clock: a monotonic clock, in seconds.
    """

    __slots__ = ("_abandoned", "_lock")

    def _start(self) -> None:
        # Looked up when called: gevent and eventlet replace `threading.Lock`.
        self._lock = threading.Lock()
        # Appended to without the lock, see `reclaim`.
        self._abandoned: deque[Lease] = deque()
        super()._start()

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name!r} {self.mode}: {self.in_flight}/{self.limit}"
            f" in flight, {len(self._line)} queued>"
        )

    @property
    def is_rush(self) -> bool:
        """Whether more comes than can be served, for longer than a burst; see `Line`."""
        # The line doesn't notice the end of it as long as all find a place.
        return self._line.is_rush and self.in_flight >= self._places

    @property
    def queued(self) -> int:
        """How many stand in the line. Unlike a snapshot, this calls nobody back."""
        return len(self._line)

    @property
    def waiting(self) -> int:
        """How many wait in the line. In shadow mode nobody really does."""
        return self.queued if self.mode is _ENFORCE else 0

    def set_limit(self, limit: int | Tuner) -> None:
        """Change the limit, at once and without blocking.

        A higher one admits from the line. A lower one takes nothing away: no one is admitted
        until enough leases have come back.
        """
        tuner = limit if isinstance(limit, Tuner) else None
        if tuner is not None and self._ceiling is not None:
            tuner.set_ceiling(self._ceiling)
        limit = positive(limit if tuner is None else tuner.limit)
        with self._lock:
            self.tuner = tuner
            self.limit = self._places = limit
            self._advance_line()
        self.settle()

    def set_ceiling(self, ceiling: int) -> None:
        """Tell who learns the limit how many the server can have in flight."""
        with self._lock:
            self._ceiling = ceiling
            if self.tuner is not None:
                self.tuner.set_ceiling(ceiling)
                self.limit = self._places = self.tuner.limit
                self._advance_line()
        self.settle()

    def set_mode(self, mode: str) -> None:
        """Change the mode, at once; for all who share the limit.

        Whoever waits is admitted when nothing is enforced any more.
        """
        self.set_mode_here(mode)

    def set_mode_here(self, mode: str) -> None:
        """Change the mode in this process only."""
        mode = Mode(mode)
        with self._lock:
            self._change_mode(mode)
        self.settle()

    def tell_apart(
        self, claim_of: Callable[[Any], Claim], shares: Mapping[str, float] | None = None
    ) -> None:
        """Tell requests apart from now on: they claim more or less, and some go before others.

        :param claim_of: returns of what a lease is for what it claims. Where it raises, that is
            logged, and it is one place like all others.
        :param shares: what part of the limit each partition is guaranteed, at most 1 together.
        """
        with self._lock:
            self._tell_apart(claim_of, shares)
        self.settle()

    def snapshot(self) -> Snapshot:
        """Return the numbers of this instant."""
        self.settle()
        with self._lock:
            snapshot = self._snapshot()
        self.settle()
        return snapshot

    def acquire(
        self, holder: object = None, verdict: Verdict = WELCOME, claim: Claim = PLAIN
    ) -> Lease | Rejection:
        """Return a lease, now or after a wait in the line; or the rejection.

        :param holder: what the lease is for; kept in it.
        :param verdict: what was found before the limiter was asked.
        :param claim: what is asked for, if it isn't what `claim_of` says of the holder.
        """
        lease = waiting = None
        if self.claim_of is not None and claim is PLAIN:
            claim = self._find_claim(holder)
        if self.on_full is not None and self.in_flight + claim.cost > self._places:
            self.on_full()
        try:
            with self._lock:
                in_flight = self.in_flight
                if claim is not PLAIN:
                    self._is_plain = False
                if (
                    self._is_plain
                    and in_flight < self._places
                    and (verdict is WELCOME or verdict.reason is None)
                    and (self._enter is None or self._enter(in_flight + 1))
                ):
                    # The way of nearly all requests: `_admit`, written out.
                    lease = Lease(self, holder, self._epoch, self._clock())
                    self.in_flight = lease.in_flight = in_flight = in_flight + 1
                    lease._released = False
                    self._admitted += 1
                    if in_flight > self._peak:
                        self._peak = in_flight
                else:
                    decision = self._decide(self, holder, verdict, claim)
                    if isinstance(decision, Lease) and decision._wakeup is not None:
                        waiting = decision
                        self._queue(waiting, verdict)
            if lease is not None:
                if self._abandoned:
                    self.settle()
                return lease
            self.settle()
            return decision if waiting is None else self._wait(waiting)
        except BaseException:
            # A killed greenlet, a timeout of gevent's, Ctrl-C, another signal's handler.
            if waiting is not None:
                with self._lock:
                    self._leave_line(waiting)
                self.settle()
            raise

    def release(self, lease: Lease) -> bool:
        """Take `lease` back. Return whether this call did it."""
        with self._lock:
            if lease._released:
                return False
            self._take_back(lease)
        if self.on_release is not None:
            self.on_release(lease)
        if self._abandoned or notes:
            self.settle()
        return True

    def reject(self, reason: Reason) -> Rejection:
        """Return the rejection of one that is not let in for another reason; count it."""
        with self._lock:
            rejection = self._reject(reason, 0.0)
        self.settle()
        return rejection

    def withdraw(self, lease: Lease) -> None:
        """Take `lease` back as if it had never been admitted: its request was rejected after all.

        That tells nothing of how long leases are held.
        """
        with self._lock:
            if not lease._released:
                self._admitted -= lease._epoch == self._epoch
                self._take_back(lease, was_served=False)
        self.settle()

    def reclaim(self, lease: Lease) -> None:
        """Take back a lease that is being collected.

        The collector may run inside one of our own critical sections, in the very thread that
        holds the lock. So this never waits for the lock: whoever holds it sweeps afterwards. Nor
        does it call anybody, since nobody can know what the interrupted thread holds; `on_release`
        is called by the next `acquire` or `release`.
        """
        self._abandoned.append(lease)
        while self._has_unreturned() and self._lock.acquire(blocking=False):
            try:
                for abandoned in tuple(self._abandoned):
                    if not abandoned._released:
                        self._take_back(abandoned)
            finally:
                self._lock.release()

    def _has_unreturned(self) -> bool:
        return any(not lease._released for lease in tuple(self._abandoned))

    def settle(self) -> None:
        """Finish what was left for later, since the lock was held."""
        if self._abandoned:
            returned = []
            with self._lock:
                while self._abandoned:
                    lease = self._abandoned[0]
                    if not lease._released:
                        self._take_back(lease)
                    returned.append(self._abandoned.popleft())
            if self.on_release is not None:
                for lease in returned:
                    self.on_release(lease)
        write_notes()

    def _wait(self, lease: Lease) -> Lease | Rejection:
        wakeup = lease._wakeup
        if wakeup is None:
            return lease  # A place came free just then, or was of no use to those before it.
        if self.on_queued is not None:
            self.on_queued(lease)
        longest = min(lease._verdict.max_wait, threading.TIMEOUT_MAX)
        return self._end_wait(lease, has_turn=self._await_turn(lease, wakeup, longest))

    def _end_wait(self, lease: Lease, *, has_turn: bool) -> Lease | Rejection:
        now = self._clock()
        lease.queue_time, lease.started = now - lease.started, now
        reason = self._second_thought(lease) if has_turn else lease._verdict.late
        if reason is None:
            return lease
        with self._lock:
            self._leave_line(lease)
            rejection = lease.rejection or self._reject(reason, lease.queue_time)
        self.settle()
        return rejection

    def _await_turn(self, lease: Lease, wakeup: Lock, longest: float) -> bool:
        """Return whether `lease` left the line within `longest` seconds."""
        if self._shares is None:
            return wakeup.acquire(timeout=longest)
        # What is held back for others is there again after a while, and nobody tells.
        while not wakeup.acquire(timeout=min(longest, HOLD)):
            longest -= HOLD
            if longest <= 0:
                return False
            with self._lock:
                self._advance_line()
            self.settle()
        return True

    def _second_thought(self, lease: Lease) -> Reason | None:
        """Return why not to admit a request whose turn it is, if so."""
        if lease.rejection is not None:
            return lease.rejection.reason  # Pushed out.
        if self.mode is not _ENFORCE:
            return None  # Since a moment ago.
        verdict = lease._verdict
        if lease.queue_time >= verdict.max_wait and verdict.late is not Reason.QUEUE_TIMEOUT:
            return verdict.late
        return None if self.on_turn is None else self.on_turn(lease)

    def _find_claim(self, holder: object) -> Claim:
        assert self.claim_of is not None
        try:
            return self.claim_of(holder)
        except Exception:
            complain(logger, "What a request asks for could not be found out; going on without.")
            return PLAIN
