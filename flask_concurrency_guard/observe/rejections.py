"""Log rejections without becoming a part of the overload."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

from ..core.decisions import DEFAULT
from ..core.decisions import Reason
from ..core.durations import duration
from ..core.fork import reset_after_fork
from ..exits import at_exit

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

    from ..core.decisions import Snapshot
    from ..core.limiter import Limiter

logger = logging.getLogger("flask_concurrency_guard.rejections")

ABOUT_THE_LIMIT = {Reason.LIMIT, Reason.QUEUE_FULL, Reason.QUEUE_TIMEOUT, Reason.CLIENT}
"""The other reasons are about the request, or about the process."""

LATE = 5.0
"""After how many seconds a line also says when the last one was rejected."""


class RejectionLog:
    """Warn at most once a second, with the count of rejections since the last warning.

    :param limiter: counts the rejections.
    :param clock: a monotonic clock, in seconds.
    """

    interval = 1.0

    many = 0.5
    """From which share of rejections on it counts as saturated."""

    def __init__(self, limiter: Limiter, clock: Callable[[], float] = time.monotonic) -> None:
        self.limiter = limiter
        self.enforced = True
        """Whether those that no line tells yet were really rejected."""
        self.client_share: int | None = None
        """How many requests one client may have, if that is bounded. The limiter counts who is
        rejected for it, and doesn't know it."""
        self._clock = clock
        self.after_fork()
        reset_after_fork(self)
        _logs.add(self)

    def after_fork(self) -> None:
        """Forget what the parent has counted."""
        self._writing = threading.Lock()
        self._next = float("-inf")
        self._last = float("inf")
        self._noted = 0
        self._logged: Mapping[str, int] = {}
        self._admitted = 0
        # Between these two, more were rejected than admitted, all the time.
        self._saturated_since = self._saturated_until = float("-inf")
        #: Whether there is something that no line tells yet.
        self.pending = False

    def due(self) -> bool:
        """Return whether a line may be written on one just rejected. If not, it stays pending."""
        self.pending = True
        self._noted += 1
        self._last = self._clock()
        return self._last >= self._next

    def overdue(self) -> bool:
        """Return whether a line that is pending may be written."""
        return self.pending and self._clock() >= self._next

    def saturated_for(self) -> float:
        """Return for how many seconds more have been rejected than admitted, until now."""
        now = self._clock()
        is_over = now - self._saturated_until > 2 * self.interval
        return 0.0 if is_over else now - self._saturated_since

    def write(self, *, but: Reason | None = None) -> None:
        """Write a line on what was rejected since the last one.

        :param but: the reason of one that is left for the next line.
        """
        if not self._writing.acquire(blocking=False):
            return  # Another thread is at it.
        try:
            now = self._clock()
            self._next = now + self.interval
            self.pending = False
            noted, self._noted = self._noted, 0
            snapshot = self.limiter.snapshot()
            rejected = dict(snapshot.rejected)
            if but is not None:
                rejected[but] -= 1
            new = {
                reason: count - self._logged.get(reason, 0)
                for reason, count in rejected.items()
                if count > self._logged.get(reason, 0)
            }
            self._logged = rejected
            self._look_back(now, sum(new.values()), snapshot.admitted)
            if new:
                # Of what was no request nobody knows when it was.
                since = now - self._last if sum(new.values()) <= noted else 0.0
                # Where nobody reads the log it is one thread that stands still, and not one more
                # each second.
                self._log(new, snapshot, since)
        finally:
            self._writing.release()

    def _log(self, new: Mapping[str, int], snapshot: Snapshot, since: float) -> None:
        count = sum(new.values())
        last = "the last one" if count > 1 else "that was"
        logger.warning(
            "%s %s (%s)%s; %s.",
            "Rejected" if self.enforced else "Would have rejected",
            _requests(count),
            ", ".join(f"{reason} {count}" for reason, count in new.items()),
            # A server that had nothing to do for hours tells with its next request.
            f", {last} {duration(since)} ago" if since >= LATE else "",
            _reached(new, snapshot, self.client_share),
            extra={"limiter": snapshot.name, "reason": ",".join(new), "rejected": new},
        )

    def _look_back(self, now: float, rejected: int, admitted: int) -> None:
        came = rejected + admitted - self._admitted
        self._admitted = admitted
        if rejected <= self.many * came:
            self._saturated_until = float("-inf")
            return
        if now - self._saturated_until > 2 * self.interval:
            self._saturated_since = now
        self._saturated_until = now


_logs: WeakSet[RejectionLog] = WeakSet()


def _write_pending() -> None:
    """Write what is pending when the process ends: nobody else will."""
    for log in list(_logs):
        if log.pending:
            with suppress(Exception):
                log.write()


at_exit(_write_pending)


def _reached(new: Mapping[str, int], snapshot: Snapshot, share: int | None) -> str:
    """Return what was reached: the limit, a client's share of it, or both."""
    name = "" if snapshot.name == DEFAULT else f" '{snapshot.name}'"
    if ABOUT_THE_LIMIT.isdisjoint(new):
        return f"{snapshot.in_flight} in flight here, and the limit{name} is {snapshot.limit}"
    limit = f"the limit{name} is {snapshot.limit} in flight"
    if share is None or Reason.CLIENT not in new:
        return limit
    if len(new) > 1:
        return f"{limit}, and one client may have {share}"
    return f"one client may have {share} at once{name and ', of the limit'}{name}"


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"
