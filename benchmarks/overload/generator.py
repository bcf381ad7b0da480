"""The load generator: a process of its own, one thread, raw sockets.

It is told on its standard input what to do, as JSON, and writes what happened to its standard
output. Each request has a connection of its own: new connections stand in the server's queue.
"""

from __future__ import annotations

import errno
import gc
import json
import re
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from collections.abc import Sequence

HOST = "127.0.0.1"
LATE = 0
"""In place of a status: no whole answer within the deadline."""
BROKEN = -1
"""In place of a status: the connection was refused or reset, or the answer made no sense."""
UNSENT = -2
"""In place of a status: this machine had no socket left."""

PORTS_PER_ADDRESS = 20_000
"""How many connections may come from one address; there are 28,000 ports, and they wear off."""
AT_ONCE = 32
"""How many requests to send before looking at the answers again."""

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)


class Client:
    """A client that waits for its answer."""

    __slots__ = ("answer", "connection", "due", "unsent")

    def __init__(self, connection: socket.socket, due: float, request: bytes) -> None:
        self.connection = connection
        self.due = due
        self.unsent = request
        self.answer = b""


class Generator:
    """Send requests when they are due, whatever has become of those before."""

    def __init__(self, port: int, path: str, deadline: float) -> None:
        self.deadline = deadline
        self.outcomes: list[tuple[float, int, float]] = []
        """When each request was due, its status, and the seconds from then to its end."""
        self.lags: list[float] = []
        """How much later than due each request was sent."""
        self.done: Callable[[], None] = lambda: None
        """Called after each outcome."""
        self._port = port
        lines = (f"GET {path} HTTP/1.1", f"Host: {HOST}:{port}", "Connection: close", "", "")
        self._request = "\r\n".join(lines).encode()
        self._poll = select.epoll()
        self._clients: dict[int, Client] = {}
        self._in_order: deque[Client] = deque()

    def run(self, due: Sequence[float], until: float) -> None:
        """Send requests at the times given, by `time.monotonic`, and wait for their answers.

        :param until: when to end, whoever still waits.
        """
        number = 0
        while (number < len(due) or self._clients) and time.monotonic() < until:
            for _ in range(AT_ONCE):
                if number == len(due) or due[number] > time.monotonic():
                    break
                self.send(due[number])
                number += 1
            self.look(due[number] if number < len(due) else None)

    def send(self, due: float) -> None:
        """Send a request that is due, or was."""
        try:
            connection = self._connect(len(self.lags))
        except OSError:
            self.lags.append(time.monotonic() - due)
            self._end(due, UNSENT)
            return
        client = Client(connection, due, self._request)
        self._clients[connection.fileno()] = client
        self._in_order.append(client)
        # On loopback the connection mostly stands by now, which saves one turn of the loop.
        self._write(client)
        self.lags.append(time.monotonic() - due)
        if client.connection.fileno() >= 0:
            events = select.EPOLLIN | (select.EPOLLOUT if client.unsent else 0)
            self._poll.register(connection, events)

    def look(self, until: float | None) -> None:
        """Wait for answers until the next request or deadline, and take in what has come."""
        self._give_up()
        times = [until] if until is not None else []
        if self._in_order:
            times.append(self._in_order[0].due + self.deadline)
        wait = max(min(times) - time.monotonic(), 0) if times else 0
        # epoll itself knows only whole milliseconds, which would send requests in small bursts.
        if wait and not select.select([self._poll], [], [], wait)[0]:
            return
        for number, _ in self._poll.poll(0):
            client = self._clients[number]
            if not client.unsent:
                self._read(client)
                continue
            self._write(client)
            if not client.unsent:
                self._poll.modify(number, select.EPOLLIN)

    def _connect(self, number: int) -> socket.socket:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        if address := number // PORTS_PER_ADDRESS:
            connection.bind((f"127.0.0.{address + 1}", 0))
        error = connection.connect_ex((HOST, self._port))
        if error in (errno.EADDRNOTAVAIL, errno.EAGAIN):
            raise OSError(error, "No port is left.")
        return connection

    def _write(self, client: Client) -> None:
        try:
            sent = client.connection.send(client.unsent)
        except BlockingIOError:
            return
        except OSError:
            self._finish(client, BROKEN)
            return
        client.unsent = client.unsent[sent:]

    def _read(self, client: Client) -> None:
        try:
            data = client.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            self._finish(client, BROKEN)
            return
        client.answer += data
        status = read_status(client.answer, ended=not data)
        if status is not None:
            self._finish(client, status)

    def _give_up(self) -> None:
        """Let the clients go whose deadline has passed."""
        oldest = time.monotonic() - self.deadline
        while self._in_order:
            client = self._in_order[0]
            if client.connection.fileno() >= 0:
                if client.due > oldest:
                    return
                self._finish(client, LATE)
            self._in_order.popleft()

    def _finish(self, client: Client, status: int) -> None:
        del self._clients[client.connection.fileno()]
        client.connection.close()
        self._end(client.due, status)

    def _end(self, due: float, status: int) -> None:
        took = time.monotonic() - due
        # An answer that was there in time, but that this loop came to see too late, is late.
        self.outcomes.append((due, LATE if took > self.deadline and status > 0 else status, took))
        self.done()


def read_status(answer: bytes, ended: bool) -> int | None:
    """Return the status of an answer; None if there is more to come.

    :param ended: whether the server has closed the connection.
    """
    head, found, body = answer.partition(b"\r\n\r\n")
    if found:
        length = _LENGTH.search(head)
        whole = ended if length is None else len(body) >= int(length[1])
        if whole and answer[9:12].isdigit():
            return int(answer[9:12])
    return BROKEN if ended else None


def keep_busy(generator: Generator, clients: int, until: float) -> None:
    """Run a closed loop: each client sends its next request when it has its answer."""
    idle = clients

    def come_back() -> None:
        nonlocal idle
        idle += 1

    generator.done = come_back
    while time.monotonic() < until:
        for _ in range(idle):
            idle -= 1
            generator.send(time.monotonic())
        generator.look(until)


def main() -> None:
    """Do as told."""
    plan = json.load(sys.stdin)
    generator = Generator(plan["port"], plan["path"], plan["deadline"])
    gc.disable()  # Nothing here goes in circles, and a collection takes milliseconds.
    if "clients" in plan:
        keep_busy(generator, plan["clients"], plan["until"])
    else:
        generator.run(plan["due"], plan["until"])
    json.dump({"outcomes": generator.outcomes, "lags": generator.lags}, sys.stdout)


if __name__ == "__main__":
    main()
