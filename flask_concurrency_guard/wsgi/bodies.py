"""Response bodies that give the lease back: at their end or `close()`, whichever comes first.

Servers close what they were given, with exceptions: asgiref never does, and neither do most test
clients. Lists stay lists, since some servers only infer a Content-Length from a true list.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

from ..observe.current import current_environ

if TYPE_CHECKING:
    from ..core.lease import Lease

_END: Any = object()


def guard_body(body: Iterable[bytes], lease: Lease) -> Iterable[bytes]:
    """Return `body` so that its end gives `lease` back."""
    kind = type(body)
    if kind is list or kind is tuple:
        guarded = GuardedList(body)
        guarded.lease = lease
        return guarded
    if hasattr(kind, "__len__"):
        return SizedGuardedBody(body, lease)
    return GuardedBody(body, lease)


class GuardedList(list[bytes]):
    """A body that was ready when the app returned: nothing of the app runs any more."""

    __slots__ = ("lease",)

    lease: Lease

    def __iter__(self) -> Iterator[bytes]:
        self.lease.may_be_dropped = True
        yield from super().__iter__()
        self.lease.release()

    def close(self) -> None:
        self.lease.release()


class GuardedBody:
    """A body that the app makes while it is sent."""

    __slots__ = ("_body", "_lease")

    def __init__(self, body: Iterable[bytes], lease: Lease) -> None:
        self._body = body
        self._lease = lease

    def __iter__(self) -> Iterator[bytes]:
        # Dropped half-way is how some servers end a response. Then the lease's own finalizer
        # gives it back, not a `finally` here: a generator that is collected runs its `finally`
        # wherever the collector struck, maybe where this thread has the limiter locked.
        lease = self._lease
        lease.may_be_dropped = True
        iterator: Iterator[bytes] | None = None
        while True:
            token = current_environ.set(lease.holder)
            try:
                if iterator is None:
                    iterator = iter(self._body)
                chunk = next(iterator, _END)
            except BaseException:
                lease.release()
                raise
            finally:
                current_environ.reset(token)
            if chunk is _END:
                break
            yield chunk
        lease.release()

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        token = current_environ.set(self._lease.holder)
        try:
            if close is not None:
                close()
        finally:
            current_environ.reset(token)
            self._lease.release()


class SizedGuardedBody(GuardedBody):
    """A body of known length that is no list."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]
