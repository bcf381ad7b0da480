"""Send several kinds of requests at the same moment, and show what became of each kind.

    python rush.py 20 "GET /suggestions" 5 "POST /checkout" 4 "GET /api/items X-Api-Key=key-of-anna"

Asks port 8000 of this machine; `PORT` says another one.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from dataclasses import field
from http.client import HTTPConnection
from http.client import HTTPException
from statistics import median

MOST = 500
KIND = re.compile(r"[A-Z]+ /[!-~]*( [A-Za-z0-9-]+=[!-~]+)*")
NO_ANSWER = "no answer"


@dataclass
class Kind:
    """So many requests that are alike, and what they got."""

    what: str
    requests: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    """How long each took, by what it got: the status, and the reason if there is one."""

    def counts(self) -> Counter[str]:
        """Return how many got what."""
        return Counter({outcome: len(took) for outcome, took in self.seconds.items()})


def ask(port: int, kind: Kind) -> None:
    """Send one request, and note what it got."""
    method, path, *headers = kind.what.split()
    fields = dict(header.split("=", 1) for header in headers)
    began = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, headers=fields)
        response = connection.getresponse()
        body = response.read()
        outcome = str(response.status)
        if response.headers.get_content_type() == "application/problem+json":
            outcome += f" {json.loads(body)['reason']}"
    except (OSError, HTTPException):
        outcome = NO_ANSWER
    finally:
        connection.close()
    kind.seconds.setdefault(outcome, []).append(time.perf_counter() - began)


def rush(port: int, kinds: list[Kind]) -> None:
    """Send all requests at the same moment, and wait for all answers."""
    start = threading.Barrier(sum(kind.requests for kind in kinds))

    def client(kind: Kind) -> None:
        start.wait()
        ask(port, kind)

    threads = [
        threading.Thread(target=client, args=(kind,))
        for kind in kinds
        for _ in range(kind.requests)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def table(kinds: list[Kind]) -> str:
    """Return what each kind got, a line for each outcome."""
    width = max(len(kind.what) for kind in kinds)
    rows = []
    for kind in kinds:
        for outcome, took in sorted(kind.seconds.items()):
            times = f"{median(took) * 1000:5.0f} ms  {max(took) * 1000:5.0f} ms"
            rows.append(f"{kind.what:{width}}  {len(took):3} × {outcome:18}  {times}")
    head = f"{'':{width}}  {'':24}   median   longest"
    return "\n".join([head, *rows])


def read_kinds(words: list[str]) -> list[Kind]:
    """Read the kinds off the command line."""
    numbers, kinds = words[::2], words[1::2]
    if len(numbers) != len(kinds) or not words or not all(map(str.isdecimal, numbers)):
        sys.exit(__doc__)
    for what in kinds:
        if not KIND.fullmatch(what):
            sys.exit(f"'{what}' is no request. It must be like 'GET /' or 'GET /x Header=value'.")
    found = [Kind(what, int(number)) for number, what in zip(numbers, kinds, strict=True)]
    if not 1 <= sum(kind.requests for kind in found) <= MOST:
        sys.exit(f"At least one request, and at most {MOST} at once.")
    return found


def read_port() -> int:
    """Read the port off the environment."""
    port = os.environ.get("PORT", "8000")
    if not (port.isdecimal() and 1 <= int(port) <= 65535):
        sys.exit(f"'PORT' must be the number of a port, got '{port}'.")
    return int(port)


def main(words: list[str]) -> None:
    """Send what the command line says, and show what became of it."""
    kinds, port = read_kinds(words), read_port()
    rush(port, kinds)
    if all(kind.seconds.keys() <= {NO_ANSWER} for kind in kinds):
        sys.exit(
            f"Nothing answers at port {port}. Start the shop in this folder first, with 'gunicorn"
            " --threads 40 app:app'; or say by 'PORT' where it is."
        )
    print(table(kinds))


if __name__ == "__main__":
    main(sys.argv[1:])
