"""The limiter: who may be in flight, who waits, who is turned away.

One lock guards every number. A place that comes free goes straight to one who waits in the line: as
long as anybody waits, no place is free, so no newcomer can snatch one and no wake-up can be lost.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

from .codel import INTERVAL
from .codel import TARGET
from .decisions import DEFAULT
from .decisions import Mode
from .decisions import Reason
from .decisions import Rejection
from .decisions import Snapshot
from .fork import reset_after_fork
from .lease import Lease
from .line import Line
from .line import Order
from .retry import retry_after
from .shedder import WELCOME
from .shedder import Verdict
from .tuner import Tuner

if TYPE_CHECKING:
    from threading import Lock


# Looking them up on the enumeration takes longer.
_ENFORCE = Mode.ENFORCE
_OFF = Mode.OFF

_WEIGHT = 0.1  # of each new lease in the mean time that leases are held
_SAMPLE = 16  # One of about so many is measured as long as there is room, and the first.


class Limiter:
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
        """How many may be in flight. Change it with `set_limit`."""
        self.mode = Mode(mode)
        """What is done with the decisions. Change it with `set_mode`."""
        self.on_queued: Callable[[Lease], object] | None = None
        """Called with a lease that begins to wait in the line."""
        self.on_turn: Callable[[Lease], Reason | None] | None = None
        """Called with a lease that was given a place after a wait. Returns why not to admit it
        after all, if so; the place then goes to the next in line."""
        self.on_release: Callable[[Lease], object] | None = None
        """Called with each lease after it was given back. May be changed while serving."""
        self.on_full: Callable[[], object] | None = None
        """Called when the limit is reached, before that is held against a request."""
        self.least_queue = 0
        """How many may wait, if the limit is less, and it isn't said how many may."""
        self._max_queue = max_queue
        self._retry_after = retry_after
        self._clock = clock
        self._make_line = partial(
            Line, Order(queue_order), target=target, interval=interval, clock=clock
        )
        self._ceiling: int | None = None
        self._epoch = 0
        # Appended to without the lock, see `reclaim`.
        self._abandoned: deque[Lease] = deque()
        self._start()
        reset_after_fork(self)

    def _start(self) -> None:
        # Looked up when called: gevent and eventlet replace `threading.Lock`.
        self._lock = threading.Lock()
        self._line = self._make_line()
        self.in_flight = 0
        """How many are in flight."""
        self._places = self.limit
        # Agrees to the use of each place, where they are lent: see `SharedLimiter`.
        self._enter: Callable[[int], bool] | None = None
        self._beyond = 0
        self._admitted = 0
        self._peak = 0
        self._rejected = dict.fromkeys(Reason, 0)
        self.mean_held = 0.0
        """How long leases were held lately in the mean, in seconds."""

    def after_fork(self) -> None:
        """Forget the parent's leases and its lock, which another thread may have held."""
        self._epoch += 1
        self._abandoned.clear()
        if self.tuner is not None:
            self.tuner.after_fork()
            self.limit = self.tuner.limit
        self._start()

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name!r} {self.mode}: {self.in_flight}/{self.limit}"
            f" in flight, {len(self._line)} queued>"
        )

    def set_limit(self, limit: int | Tuner) -> None:
        """Change the limit, at once and without blocking.

        A higher one admits from the line. A lower one takes nothing away: no one is admitted
        until enough leases have come back.
        """
        tuner = limit if isinstance(limit, Tuner) else None
        if tuner is not None and self._ceiling is not None:
            tuner.set_ceiling(self._ceiling)
        limit = positive(limit if tuner is None else tuner.limit)
        with self._holding_lock():
            self.tuner = tuner
            self.limit = self._places = limit
            self._advance_line()

    def set_ceiling(self, ceiling: int) -> None:
        """Tell who learns the limit how many the server can have in flight."""
        with self._holding_lock():
            self._ceiling = ceiling
            if self.tuner is not None:
                self.tuner.set_ceiling(ceiling)
                self.limit = self._places = self.tuner.limit
                self._advance_line()

    def set_mode(self, mode: str) -> None:
        """Change the mode, at once. Whoever waits is admitted when nothing is enforced any more."""
        mode = Mode(mode)
        with self._holding_lock():
            if mode is self.mode:
                return
            self.mode = mode
            for lease in self._line:
                if lease._wakeup is not None:
                    self._grant(lease, lease._wakeup)
            self._line.clear()

    def snapshot(self) -> Snapshot:
        """Return the numbers of this instant."""
        self.settle()
        with self._holding_lock():
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
            )

    def acquire(self, holder: object = None, verdict: Verdict = WELCOME) -> Lease | Rejection:
        """Return a lease, now or after a wait in the line; or the rejection.

        :param holder: what the lease is for; kept in it.
        :param verdict: what was found before the limiter was asked.
        """
        lease = None
        if self.on_full is not None and self.in_flight >= self._places:
            self.on_full()
        with self._lock:
            in_flight = self.in_flight
            if (
                in_flight < self._places
                and (verdict is WELCOME or verdict.reason is None)
                and (self._enter is None or self._enter(in_flight + 1))
            ):
                # The way of nearly all requests: `_admit`, written out.
                lease = Lease(self, holder, self._epoch, self._clock())
                self.in_flight = lease.in_flight = in_flight = in_flight + 1
                self._admitted += 1
                if in_flight > self._peak:
                    self._peak = in_flight
            else:
                decision = self._decide(holder, verdict)
        if self._abandoned:
            self.settle()
        if lease is not None:
            return lease
        if isinstance(decision, Lease) and decision._wakeup is not None:
            return self._wait(decision, decision._wakeup)
        return decision

    def release(self, lease: Lease) -> bool:
        """Take `lease` back. Return whether this call did it."""
        with self._lock:
            if lease._released:
                return False
            self._take_back(lease)
        if self.on_release is not None:
            self.on_release(lease)
        if self._abandoned:
            self.settle()
        return True

    def reject(self, reason: Reason) -> Rejection:
        """Return the rejection of one that is not let in for another reason; count it."""
        with self._holding_lock():
            return self._reject(reason, 0.0)

    def withdraw(self, lease: Lease) -> None:
        """Take `lease` back as if it had never been admitted: its request was rejected after all.

        That tells nothing of how long leases are held.
        """
        with self._holding_lock():
            if not lease._released:
                self._admitted -= lease._epoch == self._epoch
                self._take_back(lease, was_served=False)

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

    def settle(self) -> None:
        """Finish what `reclaim` has left for later, if anything."""
        while self._abandoned:
            try:
                lease = self._abandoned.popleft()
            except IndexError:
                return  # Another thread was faster.
            with self._lock:
                if not lease._released:
                    self._take_back(lease)
            if self.on_release is not None:
                self.on_release(lease)

    @contextmanager
    def _holding_lock(self) -> Iterator[None]:
        """Hold the lock, and settle afterwards. `acquire` and `release` do so by themselves."""
        with self._lock:
            yield
        self.settle()

    def _wait(self, lease: Lease, wakeup: Lock) -> Lease | Rejection:
        longest = min(lease._verdict.max_wait, threading.TIMEOUT_MAX)
        try:
            if self.on_queued is not None:
                self.on_queued(lease)
            admitted = self._await_turn(lease, wakeup, longest)
            now = self._clock()
            lease.queue_time, lease.started = now - lease.started, now
            reason = self._second_thought(lease) if admitted else lease._verdict.late
        except BaseException:
            # A killed greenlet, a timeout of gevent's, Ctrl-C.
            with self._holding_lock():
                self._leave_line(lease)
            raise
        if reason is None:
            return lease
        with self._holding_lock():
            self._leave_line(lease)
            return lease.rejection or self._reject(reason, lease.queue_time)

    def _await_turn(self, lease: Lease, wakeup: Lock, longest: float) -> bool:
        """Return whether `lease` left the line within `longest` seconds."""
        return wakeup.acquire(timeout=longest)

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

    # Everything below runs with the lock held.

    def _decide(self, holder: object, verdict: Verdict) -> Lease | Rejection:
        enforced = self.mode is _ENFORCE
        reason = verdict.reason
        has_room = self.mode is _OFF or (reason is None and self._has_room())
        if reason is None and not has_room:
            reason = self._refusal(verdict)
        if reason is not None and enforced:
            return self._reject(reason, 0.0)
        lease = Lease(self, holder, self._epoch, self._clock())
        if has_room:
            return self._admit(lease)
        if reason is None:
            self._queue(lease, verdict)
        if not enforced:
            return self._admit_beyond(lease, reason)
        lease._wakeup = threading.Lock()
        lease._wakeup.acquire()
        return lease

    def _refusal(self, verdict: Verdict) -> Reason | None:
        """Return why one may not wait, if so. Make room in the line where that will do."""
        max_queue = self._max_queue
        if max_queue is None:
            max_queue = max(self.limit, self.least_queue)
        if max_queue == 0 or (verdict.max_wait if verdict.insists else self.max_wait) == 0:
            return Reason.LIMIT
        has_room, pushed_out = self._line.make_room(max_queue, self._places or 1)
        if pushed_out is not None:
            self._push_out(pushed_out)
        return None if has_room else Reason.QUEUE_FULL

    def _queue(self, lease: Lease, verdict: Verdict) -> None:
        if not verdict.insists:
            longest = min(self.max_wait, self._line.longest_wait(self._places or 1))
            if longest < verdict.max_wait:
                verdict = Verdict(None, longest, Reason.QUEUE_TIMEOUT)
        lease._verdict = verdict
        self._line.append(lease)

    def _push_out(self, lease: Lease) -> None:
        lease.rejection = self._reject(Reason.QUEUE_FULL, self._clock() - lease.started)
        if lease._wakeup is not None:
            lease._released = True
            self._wake(lease, lease._wakeup)

    def _wake(self, lease: Lease, wakeup: Lock) -> None:
        wakeup.release()

    def _has_room(self) -> bool:
        return self._taken() < self._places

    def _taken(self) -> int:
        # Those that only shadow mode admitted are in flight, but hold no place in its reckoning.
        return self.in_flight - (0 if self.mode is _ENFORCE else self._beyond)

    def _admit(self, lease: Lease) -> Lease:
        self.in_flight = lease.in_flight = in_flight = self.in_flight + 1
        self._admitted += 1
        if in_flight > self._peak:
            self._peak = in_flight
        return lease

    def _admit_beyond(self, lease: Lease, reason: Reason | None) -> Lease:
        """Admit in shadow mode what could not be in flight now, and remember the decision.

        Who would be waiting stands in the line while being served. Who is still there after the
        longest wait would have been rejected.
        """
        lease._beyond = True
        self._beyond += 1
        if reason is not None:
            lease.rejection = self._reject(reason, 0.0)
        return self._admit(lease)

    def _reject(self, reason: Reason, queue_time: float) -> Rejection:
        self._rejected[reason] += 1
        return Rejection(
            reason,
            self._retry_after or retry_after(self.mean_held, self._places or 1, len(self._line)),
            queue_time,
            self.mode is _ENFORCE,
            self.name,
        )

    def _take_back(self, lease: Lease, *, was_served: bool = True) -> None:
        lease._released = True
        if lease._epoch != self._epoch:
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
        self.in_flight -= 1
        if lease._beyond:
            self._beyond -= 1
        if self._enter is not None:
            self._left()
        if self._line:
            if lease._beyond and lease in self._line:
                self._line.remove(lease)
                self._leave_shadow_line(lease)
            self._advance_line()

    def _learn(self, tuner: Tuner, lease: Lease, now: float) -> None:
        self.limit = self._places = tuner.learn(lease, now)

    def _left(self) -> None:
        """Tell who has lent the places how many are still used."""

    def _has_unreturned(self) -> bool:
        return any(not lease._released for lease in tuple(self._abandoned))

    def _advance_line(self) -> None:
        """Give the places that are free to those whose turn it is."""
        while self._line and self._has_room():
            lease = self._line.pop()
            if lease._wakeup is not None:
                self._grant(lease, lease._wakeup)
            elif self._leave_shadow_line(lease):
                lease._beyond = False
                self._beyond -= 1

    def _grant(self, lease: Lease, wakeup: Lock) -> None:
        self._admit(lease)
        lease._wakeup = None
        self._wake(lease, wakeup)

    def _leave_line(self, lease: Lease) -> None:
        """Stop waiting. A place that was given in this very instant goes to the next in line."""
        if lease._released:
            return  # Pushed out.
        lease._released = True
        if lease._wakeup is not None:
            self._line.remove(lease)
        elif lease._epoch == self._epoch:
            self.in_flight -= 1
            self._admitted -= 1
            if self._enter is not None:
                self._left()
            self._advance_line()

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
    return limit
