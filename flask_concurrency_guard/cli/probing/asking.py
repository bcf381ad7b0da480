"""Send requests, one after the other or many at once."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from http.client import HTTPResponse
from itertools import count
from threading import Barrier
from threading import BrokenBarrierError
from threading import Thread
from typing import TYPE_CHECKING

from .answers import Answer
from .answers import rejection_reason
from .connection import Deadline

if TYPE_CHECKING:
    from ssl import SSLContext

    from .target import Target

MOST_REQUESTS = 500
MOST_AT_ONCE = 200
"""How many are sent at most: this is to find out, and no attack."""

KEPT = 16 * 1024
"""How much of a body is looked at. All of it is read."""

CHUNK = 64 * 1024

LONGEST = 200
"""How much of an error's text is kept."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks for one target.

    :param target: what to ask for.
    :param address: which of its addresses.
    :param timeout: how long one request may take in all, in seconds.
    :param headers: more request headers.
    :param tls: how to check the server's certificate.
    """

    target: Target
    address: str
    timeout: float
    headers: Mapping[str, str]
    tls: SSLContext | None = None

    def ask(self) -> Answer:
        """Send one request over a connection of its own, and read its answer to the end."""
        sent = time.monotonic()
        deadline = Deadline(self.timeout)
        try:
            connection = self.target.connection(self.address, deadline, self.tls)
            try:
                connection.request("GET", self.target.path, headers=self._all_headers())
                with connection.getresponse() as response:
                    body = _read(response)
            finally:
                connection.close()
        except TimeoutError:
            return Answer(sent, time.monotonic(), failure="timeout")
        except ConnectionRefusedError as error:
            return _failed(sent, "refused", error)
        except ssl.SSLError as error:
            return _failed(sent, "tls", error)
        except (OSError, HTTPException, ValueError) as error:
            return _failed(sent, "broken", error)
        ended = time.monotonic()
        headers = {name.lower(): value for name, value in response.getheaders()}
        reason = rejection_reason(headers.get("content-type", ""), body)
        return Answer(sent, ended, response.status, headers, reason)

    def ask_in_turn(self, times: int, budget: float) -> list[Answer]:
        """Send requests one after the other, as many as begin within `budget` seconds."""
        end = time.monotonic() + budget
        answers: list[Answer] = []
        while len(answers) < times and (not answers or time.monotonic() < end):
            answers.append(self.ask())
        return answers

    def ask_at_once(self, times: int, at_once: int) -> list[Answer]:
        """Send requests, so many at a time; the first of them in the same instant.

        Return the answers in the order in which the requests were sent.
        """
        answers: list[Answer] = []
        numbers = count(1)
        barrier = Barrier(at_once)

        def keep_asking() -> None:
            try:
                barrier.wait(self.timeout)
            except BrokenBarrierError:
                return
            # Taking a number is one step, and so is appending.
            while next(numbers) <= times:
                answers.append(self.ask())

        # Daemons: whoever interrupts the command is not to wait for all answers.
        threads = [Thread(target=keep_asking, daemon=True) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(answers, key=lambda answer: answer.sent)

    def _all_headers(self) -> dict[str, str]:
        own = {
            "Host": self.target.host_header,
            "Accept": "*/*",
            "User-Agent": "flask-guard-probe",
            "Connection": "close",
        }
        given = {name.lower() for name in self.headers}
        return {k: v for k, v in own.items() if k.lower() not in given} | dict(self.headers)


def _read(response: HTTPResponse) -> bytes:
    """Read all of a body; return its beginning."""
    kept = bytearray()
    while chunk := response.read1(CHUNK):
        kept += chunk[: KEPT - len(kept)]
    return bytes(kept)


def _failed(sent: float, failure: str, error: Exception) -> Answer:
    details = getattr(error, "strerror", None) or str(error) or type(error).__name__
    one_line = " ".join(details.split())[:LONGEST]
    return Answer(sent, time.monotonic(), failure=failure, details=one_line)
