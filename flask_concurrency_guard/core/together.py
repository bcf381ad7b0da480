"""Leases of several limiters, taken together: all of them, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Protocol

from .decisions import Mode
from .decisions import Rejection
from .shedder import WELCOME
from .shedder import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .lease import Lease
    from .limiter import Limiter


class Admitting(Protocol):
    """What has to admit a request."""

    def acquire(self, holder: object = None, verdict: Verdict = WELCOME) -> Lease | Rejection: ...


def acquire_all(
    limiters: Sequence[Admitting],
    last: Limiter,
    holder: object = None,
    verdict: Verdict = WELCOME,
) -> Lease | Rejection:
    """Return the lease of the last limiter, with the others as its companions; or the rejection.

    :param limiters: the others, in the order in which to ask them. As long as that is the same one
        everywhere, no two requests wait for each other. The narrowest go first, so that nobody
        who waits holds a place that others need.
    :param last: is asked after them.
    :param holder: what the leases are for.
    :param verdict: what was found before. What speaks against the request goes to the last limiter.
    """
    if verdict.reason is not None and last.mode is Mode.ENFORCE:
        return last.acquire(holder, verdict)
    taken: list[Lease] = []
    waited = 0.0
    try:
        for limiter in (*limiters, last):
            lease = limiter.acquire(holder, _after(verdict, waited, limiter is last))
            if isinstance(lease, Rejection):
                _withdraw(taken)
                lease.queue_time += waited
                return lease
            waited += lease.queue_time
            taken.append(lease)
    except BaseException:
        _withdraw(taken)
        raise
    lease = taken.pop()
    for companion in taken:
        # Only now does it serve the request; and that it was dropped, one warning says.
        companion.started, companion.may_be_dropped = lease.started, True
    lease.companions = tuple(taken)
    return lease


def _after(verdict: Verdict, waited: float, is_last: bool) -> Verdict:
    """Return what is left of `verdict` after so many seconds."""
    reason = verdict.reason if is_last else None
    if not waited and reason is verdict.reason:
        return verdict
    return verdict._replace(reason=reason, max_wait=max(verdict.max_wait - waited, 0.0))


def _withdraw(taken: list[Lease]) -> None:
    for lease in reversed(taken):
        lease.limiter.withdraw(lease)
