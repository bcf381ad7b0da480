from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from log_support import BEGIN
from log_support import entry
from log_support import json_line
from log_support import logfmt
from log_support import rejection
from log_support import server_line
from log_support import write

from flask_concurrency_guard.logs import opening
from flask_concurrency_guard.logs.errors import LogError
from flask_concurrency_guard.logs.reader import MOST_LAYOUTS
from flask_concurrency_guard.logs.reader import Reader
from flask_concurrency_guard.logs.reader import detect
from flask_concurrency_guard.logs.reading import File
from flask_concurrency_guard.logs.reading import read_logs
from flask_concurrency_guard.logs.requests import Decoder
from flask_concurrency_guard.logs.requests import Requests
from flask_concurrency_guard.logs.requests import TimeIs
from flask_concurrency_guard.logs.requests import text_of

OWN = pytest.mark.parametrize("line_of", [logfmt, json_line], ids=["logfmt", "json"])


def read(*lines: str, time_is: TimeIs = TimeIs.END) -> tuple[list[Requests], Reader]:
    text = "\n".join(lines).encode()
    reader = Reader(detect(text, "x.log"))
    decoder = Decoder(time_is)
    found = [each for batch in reader.read(text) for each in decoder.decode(batch)]
    return found, reader


def read_one(line: str, **options: Any) -> Requests:
    (requests,), reader = read(line, **options)
    assert (len(requests), reader.unread) == (1, 0)
    return requests


@OWN
@pytest.mark.parametrize(
    "prefix",
    ["", "INFO:flask_concurrency_guard.access:", "2026-11-29 13:20:00,123 INFO [1/2]\t"],
    ids=["bare", "basic", "formatted"],
)
def test_own_line_is_read(line_of: Callable[[dict[str, Any]], str], prefix: str) -> None:
    requests = read_one(prefix + line_of(entry(1.25, queue_time=0.05)))

    assert requests.outcome == "admitted"
    assert requests.starts == [BEGIN + 1.25]
    assert requests.durations == [0.1]
    assert requests.is_precise
    texts = (requests.methods, requests.paths, requests.statuses, requests.processes)
    assert [text_of(column[0]) for column in texts if column] == ["GET", "/slow", "200", "4242"]
    assert [column and float(column[0]) for column in (requests.ages, requests.waits)] == [
        0.002,
        0.05,
    ]
    assert (requests.in_flight, requests.limits) == ((b"3",), (b"10",))


@OWN
def test_rejections_and_admissions_are_told_apart(
    line_of: Callable[[dict[str, Any]], str],
) -> None:
    lines = [line_of(each) for each in (entry(), rejection(1), entry(2), rejection(3))]
    shadow = line_of(entry(4, outcome="shadow", reason="limit", limiter="reports"))
    found, reader = read(*lines, shadow)

    assert {(each.outcome, len(each)) for each in found} == {
        ("admitted", 2),
        ("rejected", 2),
        ("shadow", 1),
    }
    causes = {each.outcome: each.causes for each in found}
    assert causes["rejected"] == [("default", "queue_full")] * 2
    assert causes["shadow"] == [("reports", "limit")]
    assert reader.unread == 0


@OWN
@settings(max_examples=50, deadline=None)
@given(path=st.text(min_size=1), method=st.text(min_size=1, max_size=5))
def test_any_path_comes_back_as_it_was(
    line_of: Callable[[dict[str, Any]], str], path: str, method: str
) -> None:
    requests = read_one(line_of(entry(path=path, method=method)))

    expected = path.encode("utf-8", "backslashreplace").decode()
    assert text_of(requests.paths[0]) == expected
    assert requests.durations == [0.1]


def test_words_in_a_path_are_no_fields() -> None:
    requests = read_one(logfmt(entry(path="/a status=500 duration=99.0 time=x")))

    assert requests.statuses == (b"200",)
    assert requests.durations == [0.1]


@OWN
def test_fields_that_are_missing_or_unknown_do_no_harm(
    line_of: Callable[[dict[str, Any]], str],
) -> None:
    fields = entry(queue_age=None, in_flight=None, limit=None) | {"added_later": "x y"}
    requests = read_one(line_of(fields))

    assert requests.durations == [0.1]
    assert (requests.ages, requests.in_flight, requests.limits) == (None, None, None)


@OWN
def test_least_that_a_line_may_have_is_read(line_of: Callable[[dict[str, Any]], str]) -> None:
    requests = read_one(line_of({"time": entry()["time"], "outcome": "admitted"}))

    assert (requests.methods, requests.paths) == ([b"-"], [b"-"])
    assert (requests.durations, requests.statuses, requests.processes) == (None, None, None)


def test_line_of_a_server_is_read() -> None:
    rest = " process=<4242> thread=4250 duration=0.250000 queue_age=0.004 in_flight=3 limit=10"
    requests = read_one(server_line(10, rest))

    assert (requests.methods, requests.paths) == ((b"GET",), (b"/slow",))
    assert (requests.processes, requests.threads) == ((b"4242",), (b"4250",))
    assert requests.durations == [0.25]
    assert requests.starts == [BEGIN + 10 - 0.25]
    assert not requests.is_precise
    assert (requests.ages, requests.in_flight, requests.limits) == ((b"0.004",), (b"3",), (b"10",))


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        pytest.param("duration=0.25", 0.25, id="gunicorn-L"),
        pytest.param("duration=250000", 0.25, id="D-in-microseconds"),
        pytest.param("duration_ms=250", 0.25, id="milliseconds"),
        pytest.param("duration_us=250000", 0.25, id="microseconds"),
        pytest.param("request_time=0.250", 0.25, id="nginx"),
        pytest.param("request_time=2", 2.0, id="whole-seconds"),
        pytest.param("queue_time=0.1 duration=0.25", 0.25, id="other-words-before"),
        pytest.param("duration=0.25 request_time=9.0", 0.25, id="the-first-one-counts"),
    ],
)
def test_duration_of_a_server_is_read(words: str, seconds: float) -> None:
    assert read_one(server_line(rest=f" {words}")).durations == [seconds]


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(' "duration=99.0 request_time=99.0"', id="user-agent"),
        pytest.param(' "a \\" duration=99.0 \\""', id="escaped-quotes"),
        pytest.param(" upstream_duration=99.0", id="part-of-a-word"),
        pytest.param(" x.duration=99.0", id="part-of-a-name"),
        pytest.param(" duration=-", id="nothing"),
        pytest.param(" duration=-1.0", id="negative"),
        pytest.param(" duration=99999999999.0", id="no-time"),
    ],
)
def test_what_is_no_duration_is_not_taken_for_one(rest: str) -> None:
    assert read_one(server_line(rest=rest)).durations is None


@pytest.mark.parametrize(
    ("decision", "outcome", "cause"),
    [
        ("admitted", "admitted", ("", "")),
        ("exempt", "exempt", ("", "")),
        ("rejected; limit=reports; reason=limit", "rejected", ("reports", "limit")),
        ("rejected; limit=a; reason=limit; mode=shadow", "shadow", ("a", "limit")),
    ],
)
def test_tag_decision_is_read(decision: str, outcome: str, cause: tuple[str, str]) -> None:
    requests = read_one(server_line(rest=f' decision="{decision}"'))

    assert (requests.outcome, requests.causes) == (outcome, [cause])


def test_time_in_a_servers_log_may_be_that_of_the_start() -> None:
    line = server_line(10, " duration=2.000000")

    assert read_one(line, time_is=TimeIs.START).starts == [BEGIN + 10]
    assert read_one(line).starts == [BEGIN + 8]


def test_time_with_fractions_wins() -> None:
    requests = read_one(server_line(10, f" request_time=0.250 time={BEGIN + 10}.500"))

    assert requests.starts == [BEGIN + 10.25]
    assert requests.is_precise


def test_times_of_whole_seconds_are_spread_over_them() -> None:
    (requests,), _ = read(*[server_line(5) for _ in range(8)])

    assert requests.starts is not None
    parts = sorted(start - BEGIN - 5 for start in requests.starts)
    assert 0 <= parts[0] < 0.1
    assert 0.8 < parts[-1] < 1
    assert max(after - before for before, after in pairwise(parts)) < 0.25


def test_other_zone_is_the_same_time() -> None:
    line = server_line().replace("29/Nov/2026:13:20:00 +0000", "29/Nov/2026:08:50:00 -0430")

    assert read_one(line).starts == [BEGIN]


def test_line_without_time_is_read() -> None:
    requests = read_one('192.0.2.1 "GET /slow HTTP/1.1" 200 process=42 thread=43')

    assert (requests.starts, requests.threads) == (None, (b"43",))


def test_lines_that_can_not_be_read_are_counted() -> None:
    found, reader = read(logfmt(entry()), "", "Traceback:", logfmt(entry(1)), "  oops")

    assert sum(map(len, found)) == 2
    assert (reader.lines, reader.unread) == (4, 2)
    assert reader.first_unread == (3, "Traceback:")


def test_number_of_a_line_counts_those_of_earlier_chunks() -> None:
    reader = Reader(detect(logfmt(entry()).encode(), "x.log"))
    for chunk in ("\n".join([logfmt(entry())] * 3), "\n".join([logfmt(entry()), "\x1b[31mred"])):
        list(reader.read(chunk.encode()))

    assert reader.first_unread == (5, "\\x1b[31mred")


@pytest.mark.parametrize(
    "line",
    [
        logfmt(entry()).replace("2026-11-29", "2026-02-30"),
        server_line().replace("29/Nov", "31/Nov"),
        server_line().replace("13:20:00", "25:20:00"),
        server_line().replace("Nov", "Foo"),
    ],
    ids=["own", "day", "hour", "month"],
)
def test_impossible_time_makes_a_line_unreadable(line: str, tmp_path: Path) -> None:
    good = logfmt(entry()) if line.startswith("time") else server_line()
    files: list[File] = []
    found = list(read_logs([write(tmp_path / "x.log", [good, line, good])], files))

    assert sum(map(len, found)) == 2
    assert (files[0].lines, files[0].unread, files[0].first_unread) == (3, 1, 2)


@OWN
def test_lines_end_as_on_windows(line_of: Callable[[dict[str, Any]], str]) -> None:
    text = "\r\n".join(line_of(entry(second)) for second in range(3)) + "\r"
    found, reader = read(text)

    assert sum(map(len, found)) == 3
    assert reader.unread == 0


def test_more_shapes_than_are_remembered_are_all_read() -> None:
    lines = [server_line(rest=' "a"' * number) for number in range(2 * MOST_LAYOUTS)]
    found, reader = read(*lines, *lines)

    assert sum(map(len, found)) == 4 * MOST_LAYOUTS
    assert reader.unread == 0


def test_own_log_is_read_where_there_are_others_lines() -> None:
    lines = [server_line(), server_line(), logfmt(entry())]

    assert detect("\n".join(lines).encode(), "x.log").name == "the guard's access log, logfmt"


def test_what_is_no_access_log_is_refused() -> None:
    with pytest.raises(LogError) as caught:
        detect(b"[section]\nkey=value\n", "setup.cfg")

    assert str(caught.value) == (
        "'setup.cfg' is no access log that can be read: name one that this guard has written"
        ' (CONCURRENCY_GUARD_ACCESS_LOG), or one of a server with "GET /path HTTP/1.1" 200 in its'
        " lines."
    )


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_nothing_is_lost_between_chunks(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "CHUNK", size)
    lines = [logfmt(entry(second, path=f"/{second}")) for second in range(20)]
    path = tmp_path / "x.log"
    path.write_text("\n".join(lines))
    files: list[File] = []
    found = list(read_logs([str(path)], files))

    assert [text.decode() for each in found for text in each.paths] == [
        f"/{second}" for second in range(20)
    ]
    assert (files[0].lines, files[0].unread) == (20, 0)
