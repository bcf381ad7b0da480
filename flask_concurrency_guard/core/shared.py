"""A limiter whose places are lent to it."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING
from typing import Any
from weakref import WeakMethod

from .admission import positive
from .decisions import Mode
from .lease import Lease
from .limiter import Limiter

if TYPE_CHECKING:
    from threading import Lock

    from .claims import Claim
    from .cluster.member import ClusterSnapshot
    from .host.process import HostSnapshot
    from .host.tuner import HostTuner
    from .store import Store
    from .tuner import Tuner

POLL = 0.002
"""How often one who waits asks the store for a place, in seconds."""


class SharedLimiter(Limiter):
    """Hold at most as many leases at any instant as a store has places, over all processes.

    Each process has a line of its own. As long as somebody waits in it, one of those who wait, the
    *watcher*, asks the store now and then; places that come free in this process need no asking.

    :param store: lends the places.
    :param tuner: learns the limit with those of the other processes, if it is learned.
    :param settings: those of `Limiter`, but for the limit.
    """

    __slots__ = ("_configured_mode", "_followed", "_store", "_watcher")

    def __init__(self, store: Store, tuner: HostTuner | None = None, **settings: Any) -> None:
        self._store = store
        self._followed: Mode | None = None
        super().__init__(store.limit, **settings)
        self._configured_mode = self.mode
        self.tuner: HostTuner | None = tuner
        # Weakly, since a circle would keep an app alive that nobody needs any more.
        admit = WeakMethod(self._admit_from_line)
        store.on_places = lambda: (call := admit()) and call()
        settle = WeakMethod(self.settle)
        store.on_mode = lambda: (call := settle()) and call()

    def _start(self) -> None:
        super()._start()
        self._places = 0
        self._watcher: Lease | None = None
        self._enter = self._store.enter

    def set_limit(self, limit: int | Tuner) -> None:
        """Change the limit of all processes, at once and without blocking.

        :raises ValueError: it is not a positive integer. See `learn_limit` for one that is learned.
        :raises StoreError: it can't be changed now.
        """
        limit = positive(limit)
        with self._lock:
            self._store.set_limit(limit)
            self.limit = limit
            self._fill()
        self.settle()

    def set_mode(self, mode: str) -> None:
        """See `Limiter.set_mode`. Other processes notice at their next request, or soon.

        :raises ValueError: it is no mode.
        :raises StoreError: it can't be changed now.
        """
        mode = Mode(mode)
        with self._lock:
            self._store.set_mode(mode)
        self.settle()

    def settle(self) -> None:
        """See `Limiter.settle`. Then follow the mode that was set for all, if it has changed."""
        super().settle()
        if self._store.mode is not self._followed:
            # Both at once. Who comes here with an older one must not be the last.
            with self._lock:
                mode = self._followed = self._store.mode
                self._change_mode(self._configured_mode if mode is None else mode)
            super().settle()

    def learn_limit(self) -> None:
        """Learn the limit again, after a number was set, in all processes.

        :raises ValueError: it is no limit that is learned.
        :raises StoreError: it can't be changed now.
        """
        if self.tuner is None:
            raise ValueError("Only a limit that was set up to be learned can be learned.")
        with self._lock:
            self.tuner.resume()
        self.settle()

    def set_ceiling(self, ceiling: int) -> None:
        """Do nothing: how many processes there will be, nobody knows."""

    def snapshot_of_all(self) -> HostSnapshot | ClusterSnapshot:
        """Return what all processes that share the limit are at."""
        self.settle()
        with nullcontext() if self._store.is_remote else self._lock:
            snapshot = self._store.snapshot(self.name)
        self.settle()
        return snapshot

    def _admit_from_line(self) -> None:
        with self._lock:
            self._fill(starving=True)
        self.settle()

    def _await_turn(self, lease: Lease, wakeup: Lock, longest: float) -> bool:
        end = time.monotonic() + longest
        while (left := end - time.monotonic()) > 0:
            if self._watch(lease):
                left = min(left, POLL)
            if wakeup.acquire(timeout=left) and not _is_waiting(lease):
                return True
        return False

    def _watch(self, lease: Lease) -> bool:
        """Ask the store for a place, if it is for `lease` to do so; return whether it is."""
        with self._lock:
            if self._watcher is None and _is_waiting(lease):
                self._watcher = lease
            if self._watcher is not lease:
                return False
            self._fill(starving=True)
        self.settle()
        return True

    # Everything below runs with the lock held.

    def _cost(self, claim: Claim) -> int:
        cost = super()._cost(claim)
        # Who wants more than there is without a store would wait in vain, and those behind as well.
        if self._store.error is not None:
            return min(cost, max(1, self._store.places))
        return cost

    def _has_room_for(self, claim: Claim, cost: int) -> bool:
        if self._shares is None or self._taken() + cost <= self._places:
            return super()._has_room_for(claim, cost)
        # Whose a place is can only be told once it is lent.
        nobody_waits = self._line.peek(self._taken(), self._places) is None
        if nobody_waits and self._has_room(cost) and super()._has_room_for(claim, cost):
            return True
        self._left()
        return False

    def _has_room(self, cost: int) -> bool:
        wanted = self._taken() + cost
        if wanted <= self._places and self._store.enter(wanted, cost):
            return True
        if self.mode is not Mode.ENFORCE:
            return self._borrow(cost)
        # Where some wait, the watcher asks. Otherwise this one will, if it may.
        may_wait = self.max_queue != 0 and self.max_wait != 0
        return not self._line and self._borrow(cost, starving=may_wait)

    def _fill(self, *, starving: bool = False) -> None:
        """Admit from the line for as long as there is something to borrow."""
        while (lease := self._line.peek(self._taken(), self._places)) is not None:
            cost = self._cost(lease.claim)
            if not self._borrow(cost, starving=starving):
                return
            # It is entered by now. Where there is no store, asking again would be in vain.
            self._let_in(lease, cost)
            self._advance_line()

    def _borrow(self, cost: int, *, starving: bool = False) -> bool:
        store = self._store
        has_taken = store.take(self._taken() + cost, cost, starving=starving)
        self._places, self.limit = store.places, store.limit
        return has_taken

    def _learn(self, tuner: Tuner, lease: Lease, now: float) -> None:
        tuner.learn(lease, now)  # What follows from it comes from the store.

    def _left(self) -> None:
        store = self._store
        store.leave(self._taken(), len(self._line))
        self._places, self.limit = store.places, store.limit

    def _wake(self, lease: Lease, wakeup: Lock) -> None:
        _unlock(wakeup)
        if lease is self._watcher:
            self._pass_watch()

    def _leave_line(self, lease: Lease) -> None:
        super()._leave_line(lease)
        if lease is self._watcher:
            self._pass_watch()
        if not self._line:
            self._left()  # Others may be waiting behind it.

    def _pass_watch(self) -> None:
        """Let another one who waits be the watcher, and wake them to begin."""
        leaving, self._watcher = self._watcher, None
        for lease in self._line:
            wakeup = lease._wakeup
            if wakeup is not None and lease is not leaving:
                self._watcher = lease
                _unlock(wakeup)
                return


def _is_waiting(lease: Lease) -> bool:
    return lease._wakeup is not None and not lease._released


def _unlock(wakeup: Lock) -> None:
    # It may be unlocked still since it was woken to watch, a moment ago.
    if wakeup.locked():
        wakeup.release()
