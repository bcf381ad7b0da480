"""How fast JSON is: the guard's provider beside Flask's, flask-orjson, and the libraries alone."""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import pickle
import platform
import shlex
import sys
import time
from collections.abc import Callable
from collections.abc import Sequence
from importlib.metadata import version
from itertools import product
from operator import itemgetter
from typing import Any
from typing import NamedTuple

import msgspec
import orjson
import simplejson
import ujson
from documents import DOCUMENTS
from documents import Document
from flask import Flask
from timing import Times

from flask_concurrency_guard import ConcurrencyGuard

PACKAGES = ("Flask", "msgspec", "orjson", "simplejson", "ujson")
LIBRARIES: dict[str, tuple[Callable[[Any], str | bytes], Callable[[bytes], Any]]] = {
    "stdlib": (json.dumps, json.loads),
    "msgspec": (msgspec.json.Encoder().encode, msgspec.json.Decoder().decode),
    "orjson": (orjson.dumps, orjson.loads),
    "simplejson": (simplejson.dumps, simplejson.loads),
    "ujson": (ujson.dumps, ujson.loads),
}
OPERATIONS = ("dumps", "loads", "jsonify")
FLASK = "Flask's default"
BATCH_SECONDS = 0.01
BATCH_BYTES = 1_000_000  # All that a batch writes is in memory before it begins.


class Target(NamedTuple):
    """How many times as fast as Flask's default provider something is to be."""

    contender: str
    operation: str
    at_least: float
    documents: Sequence[str] = tuple(DOCUMENTS)


TARGETS = (
    Target("guard on stdlib, flask", "dumps", 0.9),
    Target("guard on stdlib, modern", "dumps", 1),
    Target("guard on stdlib, modern", "loads", 0.8),
    Target("guard on msgspec, modern", "dumps", 7, ("rows",)),
    Target("guard on msgspec, modern", "dumps", 10, ("special_rows",)),
    # All but citm, which msgspec alone doesn't read as fast as that.
    Target("guard on msgspec, modern", "loads", 1.7, [d for d in DOCUMENTS if d != "citm"]),
    Target("guard on orjson, modern", "dumps", 6, ("rows", "special_rows", "naive_rows")),
    Target("guard on orjson, modern", "loads", 1.4),
)


class Contender(NamedTuple):
    """Something that writes and reads JSON, and the app that is current meanwhile."""

    name: str
    app: Flask
    dumps: Callable[[Any], str | bytes]
    loads: Callable[[bytes], Any]
    jsonify: Callable[[Any], object]


def contenders() -> list[Contender]:
    """Return all there is to measure, Flask's own provider first."""
    flask = Flask("default")
    return [
        of_app(FLASK, flask),
        of_app("the same again: the noise", Flask("again")),
        *(guarded(backend, style) for backend, style in product(LIBRARIES, ("flask", "modern"))),
        *flask_orjson(),
        *(alone(library, flask) for library in LIBRARIES),
    ]


def guarded(backend: str, style: str) -> Contender:
    """Return the guard's provider."""
    app = Flask(f"{backend} {style}")
    app.config["CONCURRENCY_GUARD_JSON_BACKEND"] = backend
    app.config["CONCURRENCY_GUARD_JSON_STYLE"] = style
    ConcurrencyGuard(app)
    return of_app(f"guard on {backend}, {style}", app)


def flask_orjson() -> list[Contender]:
    """Return flask-orjson's provider, if it is there."""
    try:
        from flask_orjson import OrjsonProvider
    except ImportError:
        print("flask-orjson is left out, it isn't installed.")
        return []
    app = Flask("flask-orjson")
    app.json = OrjsonProvider(app)
    return [of_app("flask-orjson", app)]


def of_app(name: str, app: Flask) -> Contender:
    """Return an app's provider."""
    return Contender(name, app, app.json.dumps, app.json.loads, app.json.response)


def alone(library: str, app: Flask) -> Contender:
    """Return a library as it comes, with a response as one makes it by hand."""
    dumps, loads = LIBRARIES[library]

    def jsonify(value: Any) -> object:
        return app.response_class(dumps(value), mimetype="application/json")

    return Contender(f"{library} alone", app, dumps, loads, jsonify)


def measure(
    every: Sequence[Contender], operation: str, fresh: Callable[[], Any], most: int, rounds: int
) -> Times:
    """Give each contender its turn in each round. NaN is what those took that can't do it.

    :param fresh: makes one more copy of what is to be written or read.
    :param most: how many of these a batch may have. One may be enough, they can be large.
    """
    sizes = [(each, batch_size(each, operation, fresh(), most)) for each in every]
    microseconds = {contender.name: [math.nan] * rounds for contender in every}
    for number in range(rounds):
        for contender, size in filter(itemgetter(1), sizes):
            # A string keeps its UTF-8 once a library has asked for it, so none is used twice.
            first, batch = ([fresh() for _ in range(count)] for count in (size // 4, size))
            gc.collect()
            gc.freeze()
            run(contender, operation, first)
            microseconds[contender.name][number] = run(contender, operation, batch) / size * 1e6
    gc.unfreeze()
    return Times(microseconds)


def batch_size(contender: Contender, operation: str, value: Any, most: int) -> int:
    """Return how many calls to measure at a time, 0 if it can't do that at all."""
    try:
        seconds = min(run(contender, operation, [value]) for _ in range(3))
    except (TypeError, ValueError):
        return 0
    return max(min(int(BATCH_SECONDS / seconds), most), 1)


def run(contender: Contender, operation: str, values: list[Any]) -> float:
    """Return the seconds of this thread that it took to do that with each value."""
    call = getattr(contender, operation)
    with contender.app.app_context():
        began = time.thread_time()
        for value in values:
            call(value)
        return time.thread_time() - began


def table(
    every: Sequence[Contender], name: str, document: Document, rounds: int
) -> dict[str, list[str]]:
    """Measure one document. Return a row of figures for each contender."""
    text = document.text or every[0].app.json.dumps(document.value).encode()
    pickled = pickle.dumps(document.value)
    rows: dict[str, list[str]] = {contender.name: [] for contender in every}
    for operation in OPERATIONS:
        fresh = (lambda: text) if operation == "loads" else (lambda: pickle.loads(pickled))
        times = measure(every, operation, fresh, BATCH_BYTES // len(text), rounds)
        for contender, row in rows.items():
            row.append(figure(times, contender, operation, name))
    return rows


def figure(times: Times, name: str, operation: str, document: str) -> str:
    """Return how fast a contender is, and how fast it should be."""
    if name == FLASK:
        return f"{times.of(name):7,.{int(times.of(name) < 100)}f} us"
    ratio = round(times.ratio(FLASK, name), 2)
    shown = "      -" if math.isnan(ratio) else f"{ratio:7.2f}x"
    least = [
        target.at_least
        for target in TARGETS
        if (target.contender, target.operation) == (name, operation)
        and document in target.documents
    ]
    shown += "".join(f"  >= {number:g}" for number in least)
    # NaN is less than nothing: there is no document that the guard may refuse.
    is_missed = name.startswith("guard") and not all(ratio >= number for number in (0, *least))
    return f"{shown} MISSED" if is_missed else shown


def print_table(rows: dict[str, list[str]]) -> None:
    """Print a table for the eye."""
    print(f"{'':27}" + "".join(f"{operation:>7}{'':17}" for operation in OPERATIONS).rstrip())
    for name, row in rows.items():
        if name in (FLASK, "guard on stdlib, flask", "flask-orjson", "stdlib alone"):
            print()
        print(f"{name:27}" + "".join(f"{shown:24}" for shown in row).rstrip())


def print_markdown(rows: dict[str, list[str]]) -> None:
    """Print a table for a page."""
    print(f"|   | {' | '.join(OPERATIONS)} |")
    print(f"|---|{'---:|' * len(OPERATIONS)}")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(' '.join(shown.split()) for shown in row)} |")


def main() -> None:
    """Measure, and print the tables."""
    options = parse_options()
    print(f"$ {shlex.join(['python', *sys.argv])}")
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(f"Python {platform.python_version()}, {packages}, {os.cpu_count()} CPUs")
    every, missed = contenders(), 0
    print("\nCPU time of Flask's default, and how many times as fast the others are: medians.")
    for name in options.document or DOCUMENTS:
        document = DOCUMENTS[name]()
        print(f"\n{'### ' * options.markdown}{name}: {document.title}\n")
        rows = table(every, name, document, options.rounds)
        (print_markdown if options.markdown else print_table)(rows)
        missed += sum(shown.endswith("MISSED") for row in rows.values() for shown in row)
    print(f"\nTargets missed: {missed or 'none'}.")
    sys.exit(1 if options.check and missed else 0)


def parse_options() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    rounds = parser.add_mutually_exclusive_group()
    rounds.add_argument("--rounds", type=int, default=15, help="of each measurement (15)")
    rounds.add_argument("--quick", action="store_const", const=3, dest="rounds", help="only 3")
    parser.add_argument("--document", action="append", choices=DOCUMENTS, help="only this one")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    return parser.parse_args()


if __name__ == "__main__":
    main()
