"""Send several kinds of requests at the same moment, and show what became of each kind.

    python rush.py 20 "GET /suggestions" 5 "POST /checkout" 4 "GET /api/items X-Api-Key=key-of-anna"

Asks port 8000 of this machine; `PORT` says another one.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from dataclasses import field
from http.client import HTTPConnection
from statistics import median

MOST = 500


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
    began = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, headers=dict(header.split("=", 1) for header in headers))
    response = connection.getresponse()
    body = response.read()
    connection.close()
    took = time.perf_counter() - began
    outcome = str(response.status)
    if response.headers.get_content_type() == "application/problem+json":
        outcome += f" {json.loads(body)['reason']}"
    kind.seconds.setdefault(outcome, []).append(took)


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


def main(words: list[str]) -> None:
    """Read the kinds off the command line."""
    if not words or len(words) % 2 or not all(number.isdecimal() for number in words[::2]):
        sys.exit(__doc__)
    kinds = [Kind(what, int(number)) for number, what in zip(words[::2], words[1::2], strict=True)]
    if sum(kind.requests for kind in kinds) > MOST:
        sys.exit(f"At most {MOST} requests at once.")
    rush(int(os.environ.get("PORT", "8000")), kinds)
    print(table(kinds))


if __name__ == "__main__":
    main(sys.argv[1:])
