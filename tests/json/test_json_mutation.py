"""No thread that changes what another one is writing ends the process or spoils a body.

Libraries in C hold borrowed pointers into the list that they write. When Python code runs in the
middle of it, another thread may clear that list. Raw orjson, msgspec and ujson die of the program
below within a second, and the raw standard library writes keys twice. Each backend is written with
in a process of its own, for as many seconds as ``JSON_MUTATION_SECONDS`` says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import flask_concurrency_guard

SOURCES = os.pathsep.join(
    [str(Path(flask_concurrency_guard.__file__).parents[1]), str(Path(__file__).parents[1])]
)
SECONDS = float(os.environ.get("JSON_MUTATION_SECONDS", "2"))

PROGRAM = r"""
import collections, dataclasses, datetime as dt, enum, json, sys, threading, time, uuid
from decimal import Decimal
from json_support import provider_on, read_strictly

backend, seconds = sys.argv[1], float(sys.argv[2])

class Color(enum.Enum):
    RED = "red"

class HourAhead(dt.tzinfo):
    def utcoffset(self, when): return dt.timedelta(hours=1)
    def dst(self, when): return None

@dataclasses.dataclass
class Row:
    price: object

UTC = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)

def python_row(n):
    # All that a library in C runs Python code for.
    return {"id": n, "price": Decimal(n), "color": Color.RED, "at": UTC.replace(tzinfo=HourAhead())}

def native_row(n):
    # All that libraries in C write by themselves, without any.
    return {"id": n, "price": Decimal(n), "uuid": uuid.UUID(int=n), "at": UTC, "x": [n, None, 0.5]}

def native_value(n):
    return uuid.UUID(int=n) if n % 2 else UTC

def mixed_row(n):
    # All that is copied for some other reason.
    return (n, {n, "x"}, {n: float("nan")}, Row(Row(n)), collections.deque([n]), "\u00e9", 2**70)

def refresh_list(store, rows):
    store.clear()
    store.extend(rows)

def refresh_slice(store, rows):
    store[:] = rows

def refresh_dict(store, rows):
    store.clear()
    store.update((f"key {n}", row) for n, row in enumerate(rows))

def drain_dict(store, rows):
    for n, row in enumerate(rows):
        store.pop(f"key {n + 7}", None)
        store[f"key {n}"] = row

def rotate_dict(store, rows):
    for n, row in enumerate(rows):
        store.pop(f"key {n * 7 % len(rows)}", None)
        store[f"key {n * 11 % len(rows)}"] = row

SCENARIOS = [
    (native_value, dict, rotate_dict, "modern"),
    (python_row, list, refresh_list, "flask"),
    (python_row, list, refresh_list, "modern"),
    (python_row, dict, refresh_dict, "modern"),
    (python_row, dict, drain_dict, "flask"),
    (native_row, list, refresh_list, "modern"),
    (native_row, list, refresh_slice, "modern"),
    (native_row, dict, drain_dict, "modern"),
    (mixed_row, list, refresh_list, "flask"),
    (mixed_row, collections.deque, refresh_list, "modern"),
    (mixed_row, collections.OrderedDict, refresh_dict, "flask"),
]
COMPACT = {"separators": (",", ":")}
report = {}

def write(name, provider, store, options):
    counts = report[name]
    # At least some, however busy the machine is.
    tries = 0
    while tries < 5 or time.monotonic() < end:
        tries += 1
        try:
            text = provider.dumps({"rows": store}, **options)
        except Exception as error:
            counts["errors"].append(f"{type(error).__name__}: {error}")
            continue
        try:
            read_strictly(text)
            counts["written"] += 1
        except ValueError as error:
            counts["invalid"].append(f"{error}: {text[:200]}")

def refresh(store, how, make_row, done):
    while not done.is_set():
        how(store, [make_row(n) for n in range(200)])

def refuse(value):
    raise TypeError

sys.setswitchinterval(1e-5)
started = time.monotonic()
for number, (make_row, kind, how, style) in enumerate(SCENARIOS):
    end = started + seconds * (number + 1) / len(SCENARIOS)
    store = kind()
    name = f"{make_row.__name__} {kind.__name__} {how.__name__} {style}"
    report[name] = {"written": 0, "errors": [], "invalid": []}
    provider = provider_on(backend, style)
    done = threading.Event()
    writers = [
        threading.Thread(target=write, args=(name, provider, store, options))
        for options in (COMPACT, COMPACT, {"default": refuse})
    ]
    refresher = threading.Thread(target=refresh, args=(store, how, make_row, done))
    for thread in (refresher, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    refresher.join()
print(json.dumps(report))
"""


def test_rows_may_be_changed_while_they_are_written(backend: str) -> None:
    # One after the other: threads that have to wait for a CPU get in each other's way less.
    result = subprocess.run(
        [sys.executable, "-P", "-X", "faulthandler", "-c", PROGRAM, backend, str(SECONDS)],
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        timeout=60 + 10 * SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    report: dict[str, dict[str, Any]] = json.loads(result.stdout)

    assert len(report) == 11
    for name, counts in report.items():
        assert counts["invalid"][:3] == [], name
        assert counts["errors"][:3] == [], name
        assert counts["written"] >= 15, name
