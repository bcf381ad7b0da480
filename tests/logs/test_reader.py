from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterator
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
from flask_concurrency_guard.logs.layouts import Batch
from flask_concurrency_guard.logs.layouts import Layout
from flask_concurrency_guard.logs.reader import ENOUGH
from flask_concurrency_guard.logs.reader import MOST_LAYOUTS
from flask_concurrency_guard.logs.reader import Format
from flask_concurrency_guard.logs.reader import Reader
from flask_concurrency_guard.logs.reader import detect
from flask_concurrency_guard.logs.reading import FAR
from flask_concurrency_guard.logs.reading import File
from flask_concurrency_guard.logs.reading import read_logs
from flask_concurrency_guard.logs.requests import Decoder
from flask_concurrency_guard.logs.requests import Requests
from flask_concurrency_guard.logs.requests import TimeIs
from flask_concurrency_guard.logs.requests import text_of

GREENLET = 139758146575136

OWN = pytest.mark.parametrize("line_of", [logfmt, json_line], ids=["logfmt", "json"])


def format_of(text: str) -> Format:
    found = detect(text.encode())
    assert found is not None
    return found


def read(*lines: str, time_is: TimeIs = TimeIs.END) -> tuple[list[Requests], Reader]:
    text = "\n".join(lines).encode()
    reader = Reader(format_of("\n".join(lines)))
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
def test_line_of_a_greenlet_is_read(line_of: Callable[[dict[str, Any]], str]) -> None:
    threads = read_one(line_of(entry(thread_id=GREENLET))).threads

    assert threads is not None
    assert int(threads[0]) == GREENLET


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


def test_line_of_a_server_with_greenlets_is_read() -> None:
    assert read_one(server_line(rest=f" thread={GREENLET}")).threads == (f"{GREENLET}".encode(),)


@pytest.mark.parametrize(
    "prefix",
    ["Nov 29 13:20:00 web1 gunicorn[812]: ", "[web-1] [29/Nov] "],
    ids=["syslog", "brackets"],
)
def test_line_of_a_server_is_read_whatever_is_in_front(prefix: str) -> None:
    requests = read_one(prefix + server_line(10, " duration=0.250000"))

    assert requests.starts == [BEGIN + 10 - 0.25]
    assert requests.paths == (b"/slow",)


@pytest.mark.parametrize("prefix", ["192.0.2.1 - - ", "web1 gunicorn[812]: 192.0.2.1 - - "])
def test_line_without_a_time_hides_no_others(prefix: str) -> None:
    line = prefix + '[-] "GET /slow HTTP/1.1" 200'
    found, reader = read(line, *(prefix + server_line(second) for second in range(3)))

    assert [(len(each), each.starts is None) for each in found] == [(1, True), (3, False)]
    assert reader.unread == 0


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


FORGED = 'GET /forged HTTP/1.1\\" 500 process=666 duration=99.0 decision=rejected '


@pytest.mark.parametrize("prefix", ["", "web1 gunicorn[812]: "], ids=["bare", "syslog"])
@pytest.mark.parametrize(
    "user",
    [
        pytest.param('\\"' + FORGED, id="escaped-quote"),
        pytest.param('\\\\"' + FORGED, id="backslash-before-it"),  # Which gunicorn doesn't escape.
        pytest.param('[29/Nov/2000:13:20:00 +0000] \\"' + FORGED, id="time-as-well"),
        pytest.param("[29/Nov/2000:13:20:00 +0000] x", id="time-only"),
        pytest.param("DOMAIN\\me", id="harmless"),
    ],
)
def test_a_user_name_is_no_request(user: str, prefix: str) -> None:
    line = prefix + server_line(10, " process=42 duration=0.250000").replace("- -", f"- {user}", 1)
    other = prefix + server_line(11, " process=43 duration=0.250000", "GET /other HTTP/1.1")
    found, reader = read(other, line, other, line)

    assert {path for each in found for path in each.paths} == {b"/slow", b"/other"}
    assert {name for each in found for name in each.processes or [b""]} == {b"42", b"43"}
    starts = [start for each in found for start in each.starts or [0]]
    assert all(BEGIN + 9.75 <= start < BEGIN + 11.75 for start in starts)
    assert {length for each in found for length in each.durations or [0.0]} == {0.25}
    assert {each.outcome for each in found} == {"unknown"}
    assert reader.unread == 0


def test_a_quote_in_a_path_ends_no_request() -> None:
    path = '/x\\"'
    line = server_line(rest=" duration=0.250000", request=f"GET {path} 500 duration=99.0 HTTP/1.1")
    requests = read_one(line)

    assert (requests.paths, requests.statuses) == ((path.encode(),), (b"200",))
    assert requests.durations == [0.25]


@pytest.mark.parametrize("end", ["x", "x\\", 'x\\"', "x\\\\", "x\r"])
def test_a_quote_that_nothing_closes_hides_no_line(end: str) -> None:
    lines = [server_line(rest=f' process=42 "{rest}') for rest in ('"', f"thread=666 {end}", 'x"')]
    found, reader = read(*lines, *lines)

    assert [(len(each), set(each.processes or []), each.threads) for each in found] == [
        (4, {b"42"}, None),
        (2, {b"42"}, None),
    ]
    assert reader.unread == 0


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


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine be three hours before UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XXX-3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone can't be set")
@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    "request_line",
    ["GET /slow?a=1 HTTP/1.1", "\x1b[35m\x1b[1mGET /slow?a=1 HTTP/1.1\x1b[0m"],
    ids=["plain", "coloured"],
)
def test_line_of_the_development_server_is_read(request_line: str) -> None:
    line = f'127.0.0.1 - - [29/Nov/2026 16:20:10] "{request_line}" 200 -'
    requests = read_one(line)

    assert requests.starts == [BEGIN + 10]
    assert (requests.paths, requests.statuses) == ((b"/slow",), (b"200",))


@pytest.mark.parametrize(
    ("rest", "status", "outcome"),
    [
        pytest.param("", 200, "unknown", id="served"),
        pytest.param("", 503, "rejected_by_status", id="unavailable"),
        pytest.param("", 429, "rejected_by_status", id="too-many"),
        pytest.param("", 500, "unknown", id="error"),
        pytest.param(' decision="-"', 503, "rejected_by_status", id="no-tag"),
        pytest.param(' decision="-"', 200, "unknown", id="no-tag-and-served"),
        pytest.param(' decision="admitted"', 503, "admitted", id="the-tag-counts-more"),
    ],
)
def test_status_tells_rejections_where_nothing_else_does(
    rest: str, status: int, outcome: str
) -> None:
    line = server_line(rest=rest).replace(" 200 ", f" {status} ")

    assert read_one(line).outcome == outcome


def test_line_without_time_is_read() -> None:
    requests = read_one('192.0.2.1 "GET /slow HTTP/1.1" 200 process=42 thread=43')

    assert (requests.starts, requests.threads) == (None, (b"43",))


def test_lines_that_can_not_be_read_are_counted() -> None:
    found, reader = read(logfmt(entry()), "", "Traceback:", logfmt(entry(1)), "  oops")

    assert sum(map(len, found)) == 2
    assert (reader.lines, reader.unread) == (4, 2)
    assert reader.first_unread == (3, "Traceback:")


def test_number_of_a_line_counts_those_of_earlier_chunks() -> None:
    reader = Reader(format_of(logfmt(entry())))
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
        server_line().replace("29/Nov/2026:13:20:00 +0000", "29/Nov/0000 13:20:00"),
    ],
    ids=["own", "day", "hour", "month", "year"],
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


@pytest.mark.parametrize(
    ("rest", "field", "value"),
    [
        pytest.param("", "statuses", (b"200",), id="status"),
        pytest.param(" duration=0.250000", "durations", [0.25], id="seconds"),
        pytest.param(" duration=250000", "durations", [0.25], id="microseconds"),
        pytest.param(" thread=43", "threads", (b"43",), id="thread"),
        pytest.param(" decision=admitted", "outcome", "admitted", id="decision"),
        pytest.param(' thread=- "curl"', "threads", None, id="quotes"),
        pytest.param(" thread=-", "threads", None, id="nothing"),
    ],
)
def test_lines_of_a_server_end_as_on_windows(rest: str, field: str, value: object) -> None:
    line = server_line().partition(" 200")[0] + " 200" + rest
    ((requests,), reader) = read(f"{line}\r", f"{line}\r")

    column = getattr(requests, field)
    assert (column if isinstance(column, str | None) else column[:1]) == value
    assert (len(requests), reader.unread) == (2, 0)


def test_lines_that_only_look_like_a_known_shape_take_no_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_bytes = 0

    def count(self: Layout, text: bytes, read: Any = Layout.read) -> tuple[Batch, list[bytes]]:
        nonlocal read_bytes
        read_bytes += len(text)
        found: tuple[Batch, list[bytes]] = read(self, text)
        return found

    monkeypatch.setattr(Layout, "read", count)
    odd = logfmt(entry(thread_id="9" * 30))
    lines = [logfmt(entry()), *[odd] * 500, logfmt(entry(1))]
    found, reader = read(*lines)

    assert (sum(map(len, found)), reader.unread) == (2, 500)
    assert read_bytes < 5 * sum(map(len, lines))


def test_more_shapes_than_are_remembered_are_all_read() -> None:
    lines = [server_line(rest=' "a"' * number) for number in range(2 * MOST_LAYOUTS)]
    found, reader = read(*lines, *lines)

    assert sum(map(len, found)) == 4 * MOST_LAYOUTS
    assert reader.unread == 0


def test_own_log_is_read_where_there_are_others_lines() -> None:
    lines = [server_line(), server_line(), logfmt(entry())]

    assert format_of("\n".join(lines)).name == "the guard's access log, logfmt"


@pytest.mark.parametrize("chunk", [1000, 1 << 20], ids=["many-chunks", "one-chunk"])
def test_what_a_server_says_at_its_start_may_be_long(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "CHUNK", chunk)
    begin = [f"booting {number}" for number in range(3 * ENOUGH)]
    name = write(tmp_path / "x.log", [*begin, logfmt(entry()), "", logfmt(entry(1))])
    files: list[File] = []
    found = list(read_logs([name], files))

    assert sum(map(len, found)) == 2
    assert (files[0].lines, files[0].unread) == (3 * ENOUGH + 2, 3 * ENOUGH)
    assert (files[0].first_unread, files[0].first_unread_text) == (1, "booting 0")


@pytest.mark.parametrize(
    "lines",
    [["[section]", "key=value"], ["x" * 99] * (FAR // 50) + [logfmt(entry())]],
    ids=["at-the-end", "too-far"],
)
def test_what_is_no_access_log_is_refused(lines: list[str], tmp_path: Path) -> None:
    name = write(tmp_path / "setup.cfg", lines)
    with pytest.raises(LogError) as caught:
        list(read_logs([name], []))

    assert str(caught.value) == (
        f"'{name}' is no access log that can be read: name one that this guard has written"
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
