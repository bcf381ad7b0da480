"""Response bodies that give the lease back: at their end or `close()`, whichever comes first.

Servers close what they were given, with exceptions: asgiref never does, and neither do most test
clients. Lists stay lists, since some servers only infer a Content-Length from a true list.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from typing import TYPE_CHECKING

from werkzeug.wsgi import ClosingIterator

from ..observe.current import leave

if TYPE_CHECKING:
    from contextvars import Token

    from _typeshed.wsgi import WSGIEnvironment

    from ..core.lease import Lease


def guard_body(
    body: Iterable[bytes], lease: Lease, token: Token[WSGIEnvironment | None]
) -> Iterable[bytes]:
    """Return `body` so that its end gives `lease` back.

    :param token: what `current_environ` was set with; for `close` to undo.
    """
    kind = type(body)
    if kind is list or kind is tuple:
        leave(token)
        guarded = GuardedList(body)
        guarded.lease = lease
        return guarded
    # To be told that a class has no such thing takes long, and this one is Flask's.
    if kind is not ClosingIterator and hasattr(kind, "__len__"):
        return SizedGuardedBody(body, lease, token)
    return GuardedBody(body, lease, token)


class GuardedList(list[bytes]):
    """A body that was ready when the app returned: nothing of the app runs any more."""

    __slots__ = ("lease",)

    lease: Lease

    def __iter__(self) -> Iterator[bytes]:
        self.lease.may_be_dropped = True
        yield from list.__iter__(self)
        self.lease.release()

    def close(self) -> None:
        self.lease.release()


class GuardedBody:
    """A body that the app makes while it is sent."""

    __slots__ = ("_body", "_lease", "_token")

    def __init__(
        self, body: Iterable[bytes], lease: Lease, token: Token[WSGIEnvironment | None]
    ) -> None:
        self._body = body
        self._lease = lease
        self._token = token

    def __iter__(self) -> Iterator[bytes]:
        lease = self._lease
        # Dropped half-way is how some servers end a response.
        lease.may_be_dropped = True
        try:
            # Not `yield from`, which would close the body as well.
            for chunk in self._body:
                try:
                    yield chunk
                except GeneratorExit:
                    # What the app does at its end is still to come, with `close`, or when the body
                    # is dropped; and the lease goes after that.
                    return
        except BaseException:
            lease.release()
            raise
        lease.release()

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        try:
            if close is not None:
                close()
        finally:
            leave(self._token)
            self._lease.release()


class SizedGuardedBody(GuardedBody):
    """A body of known length that is no list."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]
