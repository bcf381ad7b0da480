from __future__ import annotations

from itertools import product
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
from log_support import pool_log
from log_support import rejection
from log_support import report_of
from log_support import server_line
from log_support import write

from flask_concurrency_guard.logs import timeline as timelines
from flask_concurrency_guard.logs.analysis import RejectedRoute
from flask_concurrency_guard.logs.analysis import Report
from flask_concurrency_guard.logs.describe import describe
from flask_concurrency_guard.logs.history import look_back
from flask_concurrency_guard.logs.paths import MOST_PATHS
from flask_concurrency_guard.logs.text import plain
from flask_concurrency_guard.logs.timeline import BEGUN
from flask_concurrency_guard.logs.timeline import ENDED
from flask_concurrency_guard.logs.timeline import PAGE
from flask_concurrency_guard.logs.timeline import REJECTED
from flask_concurrency_guard.logs.timeline import Timeline


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def test_outcomes_and_reasons_are_counted(log: Path) -> None:
    fields = [
        *(entry(number / 10) for number in range(70)),
        *(rejection(3 + number / 10) for number in range(20)),
        *(rejection(4, reason="limit", limiter="reports") for _ in range(5)),
        *(entry(5, outcome="shadow", reason="limit", limiter="reports") for _ in range(3)),
        *(entry(6, outcome="exempt", in_flight=None) for _ in range(2)),
    ]
    report = report_of(write(log, map(logfmt, fields)))

    assert report.requests == 100
    assert report.statuses == {"200": 75, "503": 25}
    assert report.outcomes == {"admitted": 70, "rejected": 25, "shadow": 3, "exempt": 2}
    assert [(each.limiter, each.reason, each.count, each.enforced) for each in report.causes] == [
        ("default", "queue_full", 20, True),
        ("reports", "limit", 5, True),
        ("reports", "limit", 3, False),
    ]
    assert report.measured == 75
    assert report.rejection_durations is not None
    assert report.rejection_durations.count == 25
    assert report.rejection_durations.max == 0.0001


def test_traffic_is_told(log: Path) -> None:
    times = [*range(10), *(5 + number / 100 for number in range(20))]
    report = report_of(write(log, [logfmt(entry(time, duration=0.5)) for time in times]))

    traffic = report.traffic
    assert traffic is not None
    assert (traffic.first, traffic.last) == (BEGIN, BEGIN + 9.5)
    assert traffic.mean_rate == pytest.approx(30 / 9.5)
    assert (traffic.peak_rate, traffic.peak_at) == (21, BEGIN + 5)
    assert sum(moment.rate * report.step for moment in report.moments) == pytest.approx(30)


def test_concurrency_is_told_from_starts_and_durations(log: Path) -> None:
    # Two at once for four seconds, then one for four, then nobody for two.
    fields = [entry(0, duration=4.0), entry(0, duration=8.0), entry(9.99, duration=0.01)]
    report = report_of(write(log, map(logfmt, fields)))

    concurrency = report.concurrency
    assert concurrency is not None
    assert concurrency.mean == pytest.approx(1.2, abs=0.01)
    assert (concurrency.p50, concurrency.p95, concurrency.peak) == (1, 2, 2)


def test_wait_in_the_line_is_not_in_flight(log: Path) -> None:
    fields = [entry(0, duration=10.0, queue_time=5.0), entry(0, duration=10.0)]
    report = report_of(write(log, map(logfmt, fields)))

    assert report.concurrency is not None
    assert report.concurrency.mean == pytest.approx(1.5, abs=0.01)
    assert report.queue_time is not None
    assert report.queue_time.max == 5.0


@pytest.mark.parametrize("wait", [0.064, 0.9], ids=["as-long", "longer"])
def test_wait_may_be_as_long_as_its_request_or_longer(wait: float, log: Path) -> None:
    # The sum of the two is the end of a slot, as one way to divide it says, and not as another.
    report = report_of(write(log, [logfmt(entry(95392.576, duration=0.064, queue_time=wait))]))

    assert report.traffic is not None
    assert report.traffic.last == pytest.approx(BEGIN + 95392.64, abs=1e-6, rel=0)
    assert report.queue_time is not None
    assert report.queue_time.max == wait


def test_processes_and_threads_are_told(log: Path) -> None:
    fields = [entry(n, process_id=n % 2 or 7, thread_id=n % 4) for n in range(20)]
    report = report_of(write(log, map(logfmt, [*fields, entry(20, process_id=7, thread_id=0)])))

    workers = report.workers
    assert workers is not None
    assert (workers.processes, workers.threads) == (2, 4)
    assert (workers.busiest_process, workers.busiest_process_share) == ("7", 11 / 21)
    assert (workers.busiest_thread, workers.busiest_thread_share) == ("0 of process 7", 6 / 21)


def test_workers_that_were_replaced_are_not_taken_for_more(log: Path) -> None:
    fields = [entry(n, process_id=100 + 2 * (n // 10) + n % 2) for n in range(100)]
    report = report_of(write(log, map(logfmt, fields)))

    assert report.workers is not None
    assert (report.workers.processes, report.workers.processes_at_once) == (20, 2)


def test_durations_are_right_to_one_percent(log: Path) -> None:
    durations = [0.001 * (number + 1) for number in range(1000)]
    report = report_of(write(log, [logfmt(entry(duration=each)) for each in durations]))

    spread = report.durations
    assert spread is not None
    assert (spread.count, spread.max) == (1000, 1.0)
    assert spread.mean == pytest.approx(0.5005, rel=0.01)
    assert [spread.p50, spread.p90, spread.p99] == pytest.approx([0.5, 0.9, 0.99], rel=0.011)


def test_no_figure_is_above_the_maximum(log: Path) -> None:
    # The middle of its bucket is above it.
    fields = [entry(duration=0.100001, queue_age=0.1, queue_time=0.1)] * 60
    report = report_of(write(log, map(logfmt, fields)))

    for spread in (
        report.durations, report.routes[0].duration, report.queue_age, report.queue_time,
    ):  # fmt: skip
        assert spread is not None
        assert spread.max == pytest.approx(0.1, abs=0.00001)
        assert max(spread.mean, spread.p50, spread.p90, spread.p99) <= spread.max


def test_slowest_requests_and_paths_are_told(log: Path) -> None:
    fields = [entry(n, path=f"/{n % 5}", duration=0.01 * (n % 5 + 1)) for n in range(500)]
    fields.append(entry(500, path="/2", duration=9.0, status=500, thread_id=99))
    report = report_of(write(log, map(logfmt, fields)))

    assert [route.path for route in report.routes] == ["/4", "/3", "/2", "/1", "/0"]
    assert report.routes[0].duration.p90 == pytest.approx(0.05, rel=0.011)
    assert report.routes[2].duration.max == pytest.approx(9.0, rel=0.01)
    slowest = report.slowest[0]
    assert (slowest.duration, slowest.start, slowest.path) == (9.0, BEGIN + 500, "/2")
    assert (slowest.status, slowest.thread) == ("500", "99")
    assert len(report.slowest) == 10


def test_numbers_in_paths_are_folded_where_there_are_many(log: Path) -> None:
    paths = [f"/users/{number}/items" for number in range(3 * MOST_PATHS)]
    paths += [f"/files/0f8fad5b-d9cb-469f-a165-7086772{number:05}" for number in range(50)]
    report = report_of(write(log, [logfmt(entry(path=path)) for path in paths]))

    assert report.routes_are_folded
    assert {(route.path, route.duration.count) for route in report.routes} == {
        ("/users/*/items", 3 * MOST_PATHS),
        ("/files/*", 50),
    }


@pytest.mark.parametrize(
    ("path", "folded"),
    [
        ("/7/%C3%A9/%0A%22x%20y", "/*/%C3%A9/%0A%22x%20y"),
        ("/%3712", "/%37*"),
        ("/a%2", "/a%*"),
        ("/\\x22/7", "/\\x22/*"),
    ],
    ids=["bytes", "digit", "no-byte", "by-nginx"],
)
def test_escaped_bytes_in_paths_are_no_numbers(path: str, folded: str, log: Path) -> None:
    many = [server_line(rest=" duration=0.1", request=f"GET /{n} HTTP/1.1") for n in range(300)]
    line = server_line(rest=" duration=0.1", request=f"GET {path} HTTP/1.1")
    # Before there are many, and after.
    for lines in ([line, *many], [*many, line]):
        assert {route.path for route in report_of(write(log, lines)).routes} == {"/*", folded}


def test_escaped_characters_in_paths_are_no_numbers(log: Path) -> None:
    fields = [*(entry(path=f"/{n}") for n in range(300)), entry(path="/\u00e9/7")]
    lines = [json_line(each) for each in fields]
    report = report_of(write(log, [*lines, *lines]))

    assert {route.path for route in report.routes} == {"/*", "/\u00e9/*"}


def test_paths_take_no_memory_without_end(log: Path) -> None:
    letters = [chr(97 + number) for number in range(15)]
    paths = ["/" + "".join(three) for three in product(letters, repeat=3)]
    report = report_of(write(log, [logfmt(entry(path=path)) for path in paths]))

    assert report.route_count == MOST_PATHS + 1
    assert report.measured == 15**3


def test_log_without_times_still_counts(log: Path) -> None:
    line = '192.0.2.1 "GET /slow HTTP/1.1" 200 process=42 thread=43'
    report = report_of(write(log, [line] * 3))

    assert (report.requests, report.timed) == (3, 0)
    assert (report.traffic, report.concurrency, report.durations) == (None, None, None)
    assert report.workers is not None
    assert report.workers.threads == 1


def test_rejections_of_a_server_are_not_served(log: Path) -> None:
    lines = [server_line(n // 20, " duration=0.100000") for n in range(200)]
    refused = server_line(5, " duration=0.000100").replace(" 200 ", " 503 ")
    report = report_of(write(log, [*lines, *[refused] * 600]))

    assert report.outcomes == {"rejected_by_status": 600, "unknown": 200}
    assert (report.measured, report.statuses) == (200, {"200": 200, "503": 600})
    assert report.durations is not None
    assert report.durations.p50 == pytest.approx(0.1, rel=0.011)
    assert report.rejection_durations is not None
    assert report.rejection_durations.count == 600
    assert sum(each.requests for each in report.levels) <= 200


def hang_log(*, hangs: bool) -> list[dict[str, Any]]:
    """Return ten calm seconds, and ten in which the two places are taken."""
    calm = [entry(number / 20, duration=0.02, in_flight=1, limit=2) for number in range(200)]
    rejected = [rejection(10 + number / 20, in_flight=2, limit=2) for number in range(200)]
    holders = [entry(10, duration=11, in_flight=number, limit=2) for number in (1, 2)]
    return [*calm, *rejected, *([] if hangs else holders), entry(21, limit=2)]


def test_places_of_requests_that_never_ended_are_told(log: Path) -> None:
    report = report_of(write(log, map(logfmt, hang_log(hangs=True))))
    assert report.unlogged_seconds == pytest.approx(10, abs=2 * report.step)
    assert report.advice.limit is None
    assert "If requests hung, none would." in report.advice.sentences[0]

    report = report_of(write(log, map(logfmt, hang_log(hangs=False))))
    assert report.unlogged_seconds == 0


def test_rejections_for_something_else_tell_of_no_hanging_requests(log: Path) -> None:
    lines = [{**fields, "limiter": "reports"} for fields in hang_log(hangs=True)]
    assert report_of(write(log, map(logfmt, lines))).unlogged_seconds == 0


def test_exempt_requests_are_no_part_of_the_curve(log: Path) -> None:
    served = [entry(number / 10, duration=0.02, in_flight=4, limit=4) for number in range(100)]
    exempt = [
        entry(number / 10, duration=0.001, in_flight=4, limit=4, outcome="exempt")
        for number in range(100)
    ]
    report = report_of(write(log, map(logfmt, served + exempt)))
    assert [level.requests for level in report.levels] == [100]
    assert report.limits == {"4": 100}


def test_rejections_are_told_by_path(log: Path) -> None:
    paths = {"/a": (1, 3), "/b": (0, 2), "/c": (4, 0)}
    lines = [
        logfmt(kind(number / 10, path=path))
        for path, counts in paths.items()
        for kind, count in zip((entry, rejection), counts, strict=True)
        for number in range(count)
    ]
    report = report_of(write(log, lines))

    assert report.rejected_routes == (
        RejectedRoute("GET", "/a", 3, 0.75),
        RejectedRoute("GET", "/b", 2, 1.0),
    )
    assert report.rejected_route_count == 2
    assert [route.path for route in report.routes] == ["/a", "/c"]


def test_share_of_rejections_is_unknown_without_durations(log: Path) -> None:
    fields = [kind(1) for kind in (entry, rejection)]
    for each in fields:
        del each["duration"]
    (route,) = report_of(write(log, map(logfmt, fields))).rejected_routes
    assert (route.count, route.share) == (1, None)


def test_rejected_paths_are_folded_with_the_others(log: Path) -> None:
    kinds = [entry, rejection] * MOST_PATHS
    lines = [logfmt(kind(path=f"/users/{number}")) for number, kind in enumerate(kinds)]
    report = report_of(write(log, lines))
    assert report.rejected_routes == (RejectedRoute("GET", "/users/*", MOST_PATHS, 0.5),)


@pytest.mark.parametrize(
    ("lines", "rate"),
    [
        ([logfmt(entry(duration=0.01))], None),
        ([logfmt(entry(duration=0))] * 5, None),
        ([logfmt(entry(n, duration=0)) for n in range(3)], 1.5),
    ],
    ids=["one", "at-once", "some"],
)
def test_rate_needs_more_than_one_moment(lines: list[str], rate: float | None, log: Path) -> None:
    report = report_of(write(log, lines))

    assert report.traffic is not None
    assert report.traffic.mean_rate == rate
    text = plain(describe(report))
    assert ("mean rate" in text) == ("requests a second" in text) == (rate is not None)


def test_request_at_the_end_of_time_is_shown(log: Path) -> None:
    last = logfmt(entry(duration=1.5)).replace("2026-11-29T13:20:00.0", "9999-12-31T23:59:59.5")
    first = logfmt(entry(queue_age=None)).replace("2026-11-29T13:20:00", "0001-01-01T00:00:00")
    text = plain(describe(report_of(write(log, [last, first]))))

    assert "0001-01-01 00:00:00 UTC" in text
    assert "9999-12-31 23:59:59 UTC" in text
    assert "9999-12-31 23:59:59.500" in text


def test_log_without_durations_still_has_rates(log: Path) -> None:
    report = report_of(write(log, [server_line(second) for second in range(10)]))

    assert report.traffic is not None
    assert report.traffic.peak_rate == 1
    assert (report.concurrency, report.durations) == (None, None)
    assert report.advice.limit is None


def test_whole_seconds_tell_the_mean_of_each(log: Path) -> None:
    lines = [server_line(n // 20, " duration=0.100000") for n in range(20 * 60)]
    report = report_of(write(log, lines))

    concurrency = report.concurrency
    assert concurrency is not None
    assert concurrency.is_mean
    assert concurrency.every == 1
    assert concurrency.p50 == pytest.approx(2, abs=0.3)


def sentences_of(report: Report) -> str:
    return " ".join(report.advice.sentences)


@pytest.mark.parametrize("size", [3, 6])
def test_size_of_a_pool_is_the_right_limit(size: int, log: Path) -> None:
    report = report_of(write(log, pool_log(size, 3 * size)))

    assert report.advice.limit == size
    assert report.advice.of_each_process
    assert sentences_of(report).startswith(f"From about {size} in flight on, more of them took")


def test_size_of_a_pool_is_found_without_in_flight(log: Path) -> None:
    lines = [line.partition(" in_flight=")[0] for line in pool_log(6, 18, 54)]
    report = report_of(write(log, lines))

    assert not report.advice.of_each_process
    assert report.advice.limit in {6, 7}


def test_app_that_was_never_busy_is_told(log: Path) -> None:
    report = report_of(write(log, pool_log(100, 3, limit=50)))

    assert report.advice.limit is None
    assert sentences_of(report).startswith(
        "The app was never busy: with about 3 in flight in each process, the most that there were"
        " often enough to tell, requests took hardly longer than with fewer (1: 49.6 a second, 20.2"
    )


def test_a_limit_that_holds_all_down_is_too_low_though_nobody_was_busy(log: Path) -> None:
    served = pool_log(100, 1, limit=2)
    # As of a limit that processes share: none of them has reached it by itself.
    turned_away = [logfmt(rejection(number / 50)) for number in range(len(served))]
    report = report_of(write(log, served + turned_away))

    assert report.advice.limit == 4
    assert sentences_of(report).startswith("The limit of 2 was too low: 50.0 % of the requests")


def test_a_limit_that_was_reached_in_a_hang_is_not_too_low(log: Path) -> None:
    usual = [entry(number / 8, duration=0.02, in_flight=1, limit=32) for number in range(2000)]
    hung = [entry(250, duration=30, in_flight=number, limit=32) for number in range(1, 33)]
    turned_away = [
        rejection(251 + number / 5, reason="queue_timeout", queue_time=1.0, duration=1.0, limit=32)
        for number in range(118)
    ]
    report = report_of(write(log, map(logfmt, usual + hung + turned_away)))

    assert report.advice.limit is None
    assert sentences_of(report).startswith("The app was never busy")


def test_where_more_in_flight_served_less_the_number_may_not_be_to_blame(log: Path) -> None:
    report = report_of(write(log, pool_log(4, 12, slower=2.0)))

    assert "With 12 even less was served." in sentences_of(report)
    assert "even less" not in sentences_of(report_of(write(log, pool_log(4, 12))))


def test_one_request_at_a_time_is_told(log: Path) -> None:
    report = report_of(write(log, pool_log(100, 1)))

    assert report.advice.limit is None
    assert sentences_of(report).startswith("The app was never busy: next to always")


def test_limit_that_was_too_low_is_told(log: Path) -> None:
    report = report_of(write(log, pool_log(100, 8)))

    assert report.advice.limit == 16
    assert sentences_of(report).startswith("The limit of 8 was too low: 22.2 % of the")


def test_limit_at_which_requests_wait_for_each_other_is_not_raised(log: Path) -> None:
    # With each more, a little more is served all the same.
    report = report_of(write(log, pool_log(1, 8, slower=0.6)))

    assert report.advice.limit == 8
    assert "The limit of 8 was about right: " in sentences_of(report)


def test_log_that_only_has_one_level_is_told(log: Path) -> None:
    lines = [logfmt(entry(n / 100, in_flight=10, limit=10)) for n in range(1000)]
    report = report_of(write(log, lines))

    assert report.advice.limit is None
    assert sentences_of(report).startswith(
        "The log only tells of times with about 10 in flight in each process"
    )


def test_too_few_requests_tell_no_limit(log: Path) -> None:
    report = report_of(write(log, [logfmt(entry(n)) for n in range(10)]))

    assert report.advice.limit is None
    assert sentences_of(report).startswith("No limit can be recommended")


times = st.floats(0, 30).map(lambda seconds: round(seconds, 3))


@settings(max_examples=50, deadline=None)
@given(requests=st.lists(st.tuples(times, times), min_size=1, max_size=30))
def test_timeline_tells_how_many_were_in_flight(requests: list[tuple[float, float]]) -> None:
    timeline = Timeline()
    timeline.add(BEGUN, [start for start, _ in requests])
    timeline.add(ENDED, [start + took for start, took in requests])
    first = min(start for start, _ in requests)
    last = max(start + took for start, took in requests)
    history = look_back(timeline, first, last, window=1.0, is_mean=False)

    origin, end = int(first * 100), int(last * 100)
    expected = [
        sum(int(start * 100) <= slot < int((start + took) * 100) for start, took in requests)
        for slot in range(origin, end + 1)
    ]
    looks = [level for level, count in history.levels.items() for _ in range(count)]
    assert sorted(looks) == sorted(expected)
    moments = sum(moment.in_flight * round(history.step * 100) for moment in history.moments)
    assert moments == pytest.approx(sum(expected))


def test_timeline_of_many_days_takes_bounded_memory_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timelines, "MOST_PAGES", 4)
    timeline = Timeline()
    events = [20.0 * number for number in range(2000)]
    for kind in (BEGUN, ENDED, REJECTED):
        timeline.add(kind, events)
    slots = list(timeline.slots())

    assert len(slots) <= 4 * PAGE
    for place in (1, 2, 3):
        assert sum(slot[place] for slot in slots) == len(events)
    # Each stands where it did, as far as the longer slots tell.
    assert timeline.width == 15.0
    assert sum(slot * timeline.width * begun for slot, begun, _, _ in slots) == pytest.approx(
        sum(events), rel=0.001
    )


def test_one_line_with_a_wrong_year_costs_nothing(log: Path) -> None:
    old = logfmt(entry()).replace("2026-", "1970-")
    report = report_of(write(log, [old, *map(logfmt, (entry(n) for n in range(10)))]))

    assert report.traffic is not None
    assert report.traffic.peak_rate == 1
    assert len(report.moments) <= 120
