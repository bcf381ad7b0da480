"""Clients that all ask at once, each in a thread of its own."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from http.client import HTTPException

GIVE_UP_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and how long its client had to wait for it."""

    seconds: float
    status: int
    phrase: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Crowd:
    """As many clients as there are requests.

    :param port: where the server listens.
    :param path: what each client asks for.
    :param requests: how many there are.
    :param within: over how many seconds they come.
    """

    def __init__(self, port: int, path: str, requests: int, within: float = 0.0) -> None:
        self._port = port
        self._path = path
        self.requests = requests
        self.answers: list[Answer] = []
        self.failures: list[Exception] = []
        self._began = 0.0
        self._ends: list[float] = []
        self._barrier = threading.Barrier(requests + 1, action=self._note_start)
        self._clients = [
            # Daemons, so that Ctrl-C need not wait for answers.
            threading.Thread(
                target=self._ask,
                args=(within * number / requests,),
                name=f"client-{number}",
                daemon=True,
            )
            for number in range(requests)
        ]

    def start(self) -> None:
        """Let all clients ask, at the same moment."""
        for client in self._clients:
            client.start()
        self._barrier.wait()

    @property
    def done(self) -> int:
        """How many clients have an answer, or have failed."""
        return len(self._ends)

    @property
    def seconds(self) -> float:
        """How many seconds it took from the start to the last answer so far."""
        return max(self._ends) - self._began

    @property
    def elapsed(self) -> float:
        """How many seconds have gone by since the start."""
        return time.perf_counter() - self._began

    def _note_start(self) -> None:
        self._began = time.perf_counter()

    def _ask(self, late: float) -> None:
        self._barrier.wait()
        time.sleep(late)
        try:
            self.answers.append(self._get())
        except (OSError, HTTPException) as error:
            self.failures.append(error)
        self._ends.append(time.perf_counter())

    def _get(self) -> Answer:
        began = time.perf_counter()
        connection = HTTPConnection("127.0.0.1", self._port, timeout=GIVE_UP_SECONDS)
        try:
            connection.request("GET", self._path)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        seconds = time.perf_counter() - began
        headers = tuple(response.getheaders())
        return Answer(seconds, response.status, response.reason, headers, body)
