"""A connection that is over at its deadline, whatever the server does meanwhile.

The timeout of `http.client` bounds each read by itself: a server that sends another byte of a
header every now and then, or '100 Continue' without end, would be listened to forever.
"""

from __future__ import annotations

import socket
import time
from functools import partial
from http.client import HTTPConnection
from http.client import HTTPResponse
from io import BufferedReader
from io import RawIOBase
from typing import TYPE_CHECKING
from typing import Any
from typing import cast

if TYPE_CHECKING:
    from ssl import SSLContext

    from _typeshed import WriteableBuffer


class Deadline:
    """A moment by which something has to be done.

    :param seconds: how far away it is.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return how many seconds are left.

        :raises TimeoutError: there are none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class Connection(HTTPConnection):
    """Connects to an address, and asks it for the certificate of the name that led there.

    :param address: where to.
    :param port: where to, there.
    :param deadline: for all of it: to connect, to send and to read.
    :param tls: how to check the certificate; None for plain HTTP.
    :param name: whose certificate it must be.
    """

    def __init__(
        self,
        address: str,
        port: int,
        deadline: Deadline,
        tls: SSLContext | None = None,
        name: str = "",
    ) -> None:
        super().__init__(address, port)
        self._deadline = deadline
        self._tls = tls
        self._name = name
        self.response_class = cast("type[HTTPResponse]", partial(_Response, deadline))

    def connect(self) -> None:
        left = self._deadline.left
        self.sock = socket.create_connection((self.host, self.port), left())
        self.sock.settimeout(left())
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)
            self.sock.settimeout(left())


class _Response(HTTPResponse):
    def __init__(self, deadline: Deadline, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = BufferedReader(_Reader(self.fp.detach(), sock, deadline))


class _Reader(RawIOBase):
    """Reads from a socket, with the time for it that is left."""

    def __init__(self, raw: RawIOBase, sock: socket.socket, deadline: Deadline) -> None:
        self._raw = raw
        self._socket = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        self._socket.settimeout(self._deadline.left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()  # The socket counts who reads from it, and is closed by the last one.
        super().close()
