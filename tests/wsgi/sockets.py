"""Real connections for the tests of this floor, and time that really passes."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

RESOLUTION = 0.02
"""The kernel counts in ticks of its clock, of 1 to 10 ms."""


@contextmanager
def tcp() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield both ends of a connection: the client's, and the server's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with client, server:
        yield client, server


def let_pass(seconds: float) -> float:
    """Let time pass: what is measured here is the kernel's clock, which nobody can wind.

    :return: when it was over, on the monotonic clock.
    """
    threading.Event().wait(seconds)
    return time.monotonic()


def reset(connection: socket.socket) -> None:
    """Close without a good-bye."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
