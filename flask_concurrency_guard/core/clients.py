"""How many requests of one client may be in flight inside a limit."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING
from typing import Any

from ..complaints import complain
from .decisions import Mode
from .decisions import Reason
from .decisions import Rejection
from .fork import reset_after_fork
from .lease import Lease
from .shedder import WELCOME
from .shedder import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Hashable

    from .limiter import Limiter

logger = logging.getLogger(__name__)


class ClientLimiter:
    """Let each client hold at most so many leases of a limiter, or wait for them.

    Asked before the limiter, so that who waits in its line counts as well, and no client can fill
    the line. Only clients that have some are remembered: no more than the limiter lets in, however
    many come.

    :param limiter: whose leases they are. Its mode holds here as well, and it counts who is
        rejected.
    :param most: how many each client may have.
    :param key: returns from what a lease is for who the client is; None if nobody knows, and then
        it may pass.
    """

    def __init__(self, limiter: Limiter, most: int, key: Callable[[Any], Hashable | None]) -> None:
        self.name = limiter.name
        self._limiter = limiter
        self._most = most
        self._key = key
        self._epoch = 0
        # Appended to without the lock, see `Limiter.reclaim`.
        self._abandoned: deque[Lease] = deque()
        self._start()
        reset_after_fork(self)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Hashable, int] = {}

    def after_fork(self) -> None:
        """Forget the parent's clients, and the lock that another thread may have held."""
        self._epoch += 1
        self._abandoned.clear()
        self._start()

    @property
    def mode(self) -> Mode:
        """What is done with the decisions."""
        return self._limiter.mode

    def clients(self) -> int:
        """Return how many clients there are that have a lease, or wait for one."""
        with self._lock:
            self._sweep()
            return len(self._held)

    def acquire(self, holder: object = None, verdict: Verdict = WELCOME) -> Lease | Rejection:
        """Return a lease that counts for the client; or the rejection."""
        key = self._find_key(holder)
        mode = self.mode
        with self._lock:
            self._sweep()
            held = 0 if key is None or mode is Mode.OFF else self._held.get(key, 0)
            has_room = held < self._most
            lease = None
            if has_room or mode is not Mode.ENFORCE:
                lease = _ClientLease(self, holder, self._epoch, key)
                if key is not None:
                    self._held[key] = self._held.get(key, 0) + 1
                lease._released = False
        if has_room and lease is not None:
            return lease
        rejection = self._limiter.reject(Reason.CLIENT)
        if lease is None:
            return rejection
        lease.rejection = rejection
        return lease

    def release(self, lease: Lease) -> bool:
        """Take `lease` back. Return whether this call did it."""
        with self._lock:
            self._sweep()
            if lease._released:
                return False
            self._take_back(lease)
        return True

    def withdraw(self, lease: Lease) -> None:
        """Take `lease` back as if it had never been admitted."""
        self.release(lease)

    def reclaim(self, lease: Lease) -> None:
        """Take back a lease that is being collected, maybe by the thread that holds the lock."""
        self._abandoned.append(lease)
        if self._lock.acquire(blocking=False):
            try:
                self._sweep()
            finally:
                self._lock.release()

    def _find_key(self, holder: object) -> Hashable | None:
        try:
            key = self._key(holder)
            hash(key)
        except Exception:
            complain(logger, "Who the client is could not be found out; going on without.")
            return None
        return key

    # Everything below runs with the lock held.

    def _sweep(self) -> None:
        while self._abandoned:
            lease = self._abandoned.popleft()
            if not lease._released:
                self._take_back(lease)

    def _take_back(self, lease: Lease) -> None:
        assert isinstance(lease, _ClientLease)
        if lease.key is not None and lease._epoch == self._epoch:
            held = self._held[lease.key] - 1
            if held:
                self._held[lease.key] = held
            else:
                del self._held[lease.key]
        # Only now: the key's own hash may have been interrupted.
        lease._released = True


class _ClientLease(Lease):
    __slots__ = ("key",)

    def __init__(
        self, limiter: ClientLimiter, holder: object, epoch: int, key: Hashable | None
    ) -> None:
        super().__init__(limiter, holder, epoch, 0.0)
        self.key = key
