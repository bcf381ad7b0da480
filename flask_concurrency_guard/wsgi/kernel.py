"""What the kernel knows of a request's connection: when its last bytes came, and if it is closed.

On Linux, ``TCP_INFO`` counts from the moment at which the bytes came in from the network. That is
the one clock that sees all queues of a server, the kernel's own backlog included.
"""

from __future__ import annotations

import select
import socket
import sys
from struct import Struct
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from .connections import Connection

_TCP_INFO = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None

# The beginning of `struct tcp_info` in linux/tcp.h: tcpi_state, and at offsets 44, 52 and 56 for
# how many milliseconds nothing was sent, no data was received, and nothing acknowledged.
_FIELDS = Struct("=B43xI4xII")

# include/net/tcp_states.h
_CLOSED = 7  # Reset by the client.
_CLOSE_WAIT = 8  # The client has said that it won't send any more.

HALF_CLOSED = 100
"""A client that closes its end later than this many milliseconds after its request has left."""

# PyPy has it, and no name for it.
_POLLRDHUP: int | None = getattr(select, "POLLRDHUP", 0x2000 if sys.platform == "linux" else None)


def look(connection: Connection, asks_to_continue: bool = False) -> tuple[float, bool] | None:
    """Return the age of the request in seconds, and whether its client has gone; None if unknown.

    The age begins with the last bytes that came in, so it is never too high: a request whose body
    is still on its way is young. Where the server has sent something since then, that was an
    answer to an earlier request that came along with this one, and the age begins there. One with
    ``Expect`` that comes along with another is as old as both: it has only itself to blame.

    A client that closes its end as soon as it has sent its request may still be reading: that is
    how some old clients, load balancers and CDNs mark the end of a request. One that closes it
    later has given up. Closing makes the kernel note an acknowledgement, which tells them apart.

    :param asks_to_continue: the request has ``Expect: 100-continue``, to which some servers
        answer before they call the app.
    """
    if _TCP_INFO is None:
        return None
    try:
        state, sent, received, acknowledged = _FIELDS.unpack(
            connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _FIELDS.size)
        )
    except Exception:
        # A UNIX socket, one that is closed by now, a kernel that tells less than Linux. Whatever
        # it is, no request may fail because of it.
        return None
    if sent < received and not asks_to_continue:
        return sent / 1000, state == _CLOSED
    if state == _CLOSE_WAIT:
        return received / 1000, sent >= received >= acknowledged + HALF_CLOSED
    return received / 1000, state == _CLOSED


def is_hung_up(connection: Connection) -> bool:
    """Return whether the other end was closed; of any connection, but without saying when."""
    if _POLLRDHUP is None:
        return False
    try:
        # Unlike a peek, this works with TLS, and sees the end behind bytes that nobody has read.
        poll = _system_poll()()
        poll.register(connection, _POLLRDHUP)
        return bool(poll.poll(0))
    except Exception:
        return False  # Closed by now; or eventlet has taken `poll` away.


def _system_poll() -> Any:
    # gevent's own knows no such event, and this never waits.
    monkey = sys.modules.get("gevent.monkey")
    return select.poll if monkey is None else monkey.get_original("select", "poll")
