"""Lines of access logs, made up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

from flask_concurrency_guard.logs.analysis import Report
from flask_concurrency_guard.logs.analysis import analyse
from flask_concurrency_guard.logs.reading import File
from flask_concurrency_guard.logs.reading import read_logs
from flask_concurrency_guard.logs.requests import TimeIs
from flask_concurrency_guard.logs.tally import Tally

BEGIN = 1_795_958_400  # 2026-11-29 13:20:00 UTC
BARE = re.compile(r"[A-Za-z0-9_./:*+-]+")
DIGITS = {"queue_age": 3, "queue_time": 6, "duration": 6}


def entry(start: float = 0.0, **fields: Any) -> dict[str, Any]:
    """Return the fields of a line of the guard's access log, in their order.

    :param start: when the request came, in seconds since `BEGIN`.
    """
    moment = datetime.fromtimestamp(BEGIN + start, UTC)
    whole = {
        "time": f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z",
        "method": "GET",
        "path": "/slow",
        "status": 200,
        "outcome": "admitted",
        "reason": None,
        "limiter": None,
        "process_id": 4242,
        "thread_id": 4250,
        "queue_age": 0.002,
        "queue_time": 0.0,
        "duration": 0.1,
        "in_flight": 3,
        "limit": 10,
    }
    return {key: value for key, value in (whole | fields).items() if value is not None}


def rejection(start: float = 0.0, **fields: Any) -> dict[str, Any]:
    """Return the fields of a rejected request."""
    told = {"status": 503, "outcome": "rejected", "reason": "queue_full", "limiter": "default"}
    return entry(start, **(told | {"duration": 0.0001} | fields))


def logfmt(fields: dict[str, Any]) -> str:
    return " ".join(f"{key}={_value(key, value)}" for key, value in fields.items())


def _value(key: str, value: Any) -> str:
    text = f"{value:.{DIGITS[key]}f}" if key in DIGITS else str(value)
    return text if BARE.fullmatch(text) else json.dumps(text)


def json_line(fields: dict[str, Any]) -> str:
    return json.dumps(fields)


def server_line(start: float = 0.0, rest: str = "", request: str = "GET /slow?a=1 HTTP/1.1") -> str:
    moment = datetime.fromtimestamp(BEGIN + start, UTC)
    return f'192.0.2.1 - - [{moment:%d/%b/%Y:%H:%M:%S} +0000] "{request}" 200 5 "-" "curl"{rest}'


def write(path: Path, lines: Iterable[str]) -> str:
    """Write a log. Return its name."""
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return str(path)


def report_of(*names: str, time_is: TimeIs = TimeIs.END) -> Report:
    tally = Tally()
    files: list[File] = []
    for requests in read_logs(names, files, time_is=time_is):
        tally.add(requests)
    return analyse(tally, files)


def pool_log(
    size: int = 4,
    highest: int = 12,
    seconds: int = 24,
    *,
    limit: int | None = None,
    slower: float = 1.0,
) -> list[str]:
    """Return a log of what a pool of so many connections serves, with now few and now many in
    flight: 20 ms each, and longer for those who wait.

    :param slower: by which power of how many there are for each connection.
    """
    limit = limit or highest
    lines = []
    for second in range(seconds):
        in_flight = 1 + second % highest
        took = 0.02 * max(1, in_flight / size) ** slower
        for number in range(int(in_flight / took)):
            start = second + number * took / in_flight
            lines.append(logfmt(entry(start, duration=took, in_flight=in_flight, limit=limit)))
    return lines
