"""Clients write parts of a line. Whatever they write, twice as much of it takes twice as long."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from log_support import entry
from log_support import json_line
from log_support import logfmt
from log_support import server_line

from flask_concurrency_guard.logs.reader import Reader
from flask_concurrency_guard.logs.reader import detect

ENOUGH = 0.01
"""So many seconds the shorter one takes at least: of less, nobody can tell how it grows."""

WORDS = "process=1 thread=1 duration=0.1 queue_age=1.0 queue_time=1.0 in_flight=9 limit=9"


def words(times: int) -> list[str]:
    good = server_line(rest=f" {WORDS}")
    return [good, server_line(rest="".join(f" {word}" * times for word in WORDS.split())) + '"']


def same_words(times: int) -> list[str]:
    good = server_line(rest=f" {WORDS}")
    return [good, server_line(rest=f" {WORDS}" * times) + ' "x']


def times_in_front(times: int) -> list[str]:
    clock = "[29/Nov/2026:13:20:00 +0000] "
    return [server_line(), clock + server_line(), clock * times + '"GET /" 2000']


def brackets_in_front(times: int) -> list[str]:
    return [server_line(), "[29/Nov" * times + '"GET /" 2000']


def escaped_quotes_in_front(times: int) -> list[str]:
    return [server_line(), server_line().replace("- -", '- \\"'), '\\"' * times + '"GET /" 2000']


def escaped_quotes_in_the_request(times: int) -> list[str]:
    return [server_line(), server_line(request="GET /" + '\\"' * times).replace(" 200 ", " 2000 ")]


def escaped_quotes_at_the_end(times: int) -> list[str]:
    return [server_line(), server_line(rest=' "' + '\\"' * times)]


def quotes_at_the_end(times: int) -> list[str]:
    return [server_line(), server_line(rest=' ""' * times + ' "')]


def names(times: int) -> list[str]:
    return [server_line(), server_line(rest=" " + "a_" * times + ' "')]


def times_in_own_line(times: int) -> list[str]:
    begin = f"prefix time={entry()['time']} method="
    return [f"prefix {logfmt(entry())}", begin * times + "x" * 50 * times]


def unknown_fields(times: int) -> list[str]:
    return [logfmt(entry() | {"a": 1, "b": 1}), logfmt(entry()) + " a=1 b=1" * times + " a"]


def times_in_own_json(times: int) -> list[str]:
    begin = f'prefix {{"time": "{entry()["time"]}", "method": "'
    return [f"prefix {json_line(entry())}", begin * times]


def took(lines: list[str]) -> float:
    """Return how long it takes to read them, in seconds of this thread."""
    text = "\n".join(lines).encode()
    log_format = detect(lines[0].encode())
    assert log_format is not None
    reader = Reader(log_format)
    begin = time.thread_time()
    for _ in reader.read(text):
        pass
    end = time.thread_time()
    assert reader.lines == len(lines)
    return end - begin


@pytest.mark.parametrize(
    "lines_of",
    [
        words,
        same_words,
        times_in_front,
        brackets_in_front,
        escaped_quotes_in_front,
        escaped_quotes_in_the_request,
        escaped_quotes_at_the_end,
        quotes_at_the_end,
        names,
        times_in_own_line,
        unknown_fields,
        times_in_own_json,
    ],
)
def test_twice_as_long_a_line_takes_twice_as_long(lines_of: Callable[[int], list[str]]) -> None:
    times = 1
    while took(lines_of(times)) < ENOUGH:
        times *= 2
    short = min(took(lines_of(times)) for _ in range(5))

    # Step by step, as what grows fast enough would never come to an end.
    for factor in (2, 4, 8):
        long = min(took(lines_of(factor * times)) for _ in range(3))
        # With a square it would be 4, 16 and 64 times.
        assert long < (1 + 2 * factor) * short, (factor, times)
