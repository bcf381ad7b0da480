from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from core_support import Clock
from log_support import entry
from log_support import logfmt
from log_support import pool_log
from log_support import rejection
from log_support import server_line
from log_support import write

from flask_concurrency_guard.core.decisions import Reason
from flask_concurrency_guard.core.decisions import Rejection
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.logs.errors import LogError
from flask_concurrency_guard.logs.reading import read_logs
from flask_concurrency_guard.logs.replay.candidates import Settings
from flask_concurrency_guard.logs.replay.candidates import read_limit
from flask_concurrency_guard.logs.replay.comparison import Comparison
from flask_concurrency_guard.logs.replay.comparison import compare
from flask_concurrency_guard.logs.replay.contention import Contention
from flask_concurrency_guard.logs.replay.describe import describe
from flask_concurrency_guard.logs.replay.driven import DrivenLimiter
from flask_concurrency_guard.logs.replay.verdict import verdict
from flask_concurrency_guard.logs.replay.workload import EXEMPT
from flask_concurrency_guard.logs.replay.workload import REJECTED
from flask_concurrency_guard.logs.replay.workload import SERVED
from flask_concurrency_guard.logs.replay.workload import Collector
from flask_concurrency_guard.logs.replay.workload import Workload
from flask_concurrency_guard.logs.text import plain


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def workload_of(path: Path, lines: Iterable[str], most: int = 10**9) -> Workload:
    collector = Collector()
    for requests in read_logs([write(path, lines)], []):
        collector.add(requests)
    return collector.workload(most, seed=1)


def try_limits(workload: Workload, *limits: int | str, **options: Any) -> Comparison:
    settings = Settings(
        **{
            name: options.pop(name)
            for name in ("max_queue", "max_wait", "queue_order", "threads")
            if name in options
        }
    )
    usual = {"deadline": 1.0, "per_process": True, "speed": 1.0, "with_contention": False}
    return compare(workload, limits, settings, **(usual | options))


def test_workload_is_what_the_log_tells(log: Path) -> None:
    fields = [
        entry(2, duration=0.5, queue_time=0.2, queue_age=0.25, process_id=7),
        entry(1, duration=0.3, process_id=8, queue_age=None, status=503),
        rejection(3, process_id=7, queue_age=None),
        entry(4, outcome="exempt", process_id=8, queue_age=None, duration=0.125),
    ]
    workload = workload_of(log, map(logfmt, fields))

    assert workload.arrivals == pytest.approx([0, 0.75, 2, 3])
    assert workload.services[1] == pytest.approx(0.3)
    assert workload.services[2] == pytest.approx(0.3)
    assert workload.latencies == pytest.approx([0.3, 0.75, 0.0001, 0.125])
    assert workload.kinds == [SERVED, SERVED, REJECTED, EXEMPT]
    assert workload.dropped == [True, False, True, False]
    assert workload.processes[0] == workload.processes[3] != workload.processes[1]
    assert (workload.of, workload.made_up, workload.untold) == (4, 1, 0)


def test_rejected_one_takes_as_long_as_others_of_its_path(log: Path) -> None:
    fields = [entry(n / 10, path="/a", duration=0.5) for n in range(50)]
    fields += [entry(n / 10, path="/b/7", duration=0.001) for n in range(50)]
    fields += [rejection(n / 10, path="/b/9") for n in range(50)]
    workload = workload_of(log, map(logfmt, fields))
    drawn = [
        service
        for service, kind in zip(workload.services, workload.kinds, strict=True)
        if kind == REJECTED
    ]

    assert drawn == pytest.approx([0.001] * 50)


def test_densest_part_of_a_long_log_is_taken(log: Path) -> None:
    times = [*range(100), *(50 + n / 100 for n in range(100)), *range(100, 200)]
    workload = workload_of(log, [logfmt(entry(time)) for time in times], most=100)

    assert len(workload) == 100
    assert workload.of == 300
    assert workload.seconds <= 1.0


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([server_line()], id="no-durations"),
        pytest.param(['"GET / HTTP/1.1" 200 duration=0.5'], id="no-times"),
        pytest.param([logfmt(rejection())], id="only-rejections"),
    ],
)
def test_log_with_nothing_to_replay_is_told(lines: list[str], log: Path) -> None:
    with pytest.raises(LogError) as caught:
        workload_of(log, lines)

    assert str(caught.value) == (
        "There is nothing to let happen again: that needs requests that were served, with the times"
        " at which they came, and durations."
    )


def test_nothing_changes_without_a_limit(log: Path) -> None:
    fields = [entry(n / 10, duration=0.05 * (n % 7), queue_age=None) for n in range(200)]
    found = try_limits(workload_of(log, map(logfmt, fields)), "none", 100, "adaptive")

    for outcome in found.candidates:
        for name in ("served", "in_time", "rejected", "p50", "p99", "most_in_flight"):
            expected = getattr(found.as_it_was, name)
            assert getattr(outcome, name) == pytest.approx(expected), name


def test_who_comes_to_a_full_line_is_rejected(log: Path) -> None:
    # One after the other, 0.1 s each: three at once, of whom one is served and one waits.
    fields = [entry(second, duration=0.1, queue_age=None) for second in (0, 0, 0, 5, 5, 5)]
    found = try_limits(workload_of(log, map(logfmt, fields)), 1, max_queue=1)
    (outcome,) = found.candidates

    assert (outcome.served, outcome.rejected) == (4, 2)
    assert outcome.reasons == {"queue_full": 2}
    assert (outcome.p50, outcome.p99) == (pytest.approx(0.2), pytest.approx(0.2))
    assert (outcome.most_in_flight, outcome.limit) == (1, 1)


def test_who_waits_too_long_is_rejected(log: Path) -> None:
    fields = [entry(0, duration=0.5, queue_age=None) for _ in range(4)]
    (outcome,) = try_limits(workload_of(log, map(logfmt, fields)), 1, max_wait=0.6).candidates

    assert outcome.reasons == {"queue_timeout": 2}
    assert outcome.p99 == pytest.approx(1.0)


def test_nobody_waits_where_nobody_may(log: Path) -> None:
    fields = [entry(0, duration=0.5, queue_age=None) for _ in range(4)]
    (outcome,) = try_limits(workload_of(log, map(logfmt, fields)), 3, max_wait=0.0).candidates

    assert outcome.reasons == {"limit": 1}


def test_who_has_left_is_not_served(log: Path) -> None:
    fields = [entry(0, duration=0.5, queue_age=None) for _ in range(4)]
    (outcome,) = try_limits(
        workload_of(log, map(logfmt, fields)), 1, max_wait=10.0, deadline=0.9
    ).candidates

    assert outcome.reasons == {"client_gone": 2}
    assert (outcome.served, outcome.in_time) == (2, 1)


def test_exempt_requests_always_pass(log: Path) -> None:
    fields = [entry(0, duration=0.5, queue_age=None)]
    fields += [entry(0, duration=0.5, queue_age=None, outcome="exempt") for _ in range(9)]
    (outcome,) = try_limits(workload_of(log, map(logfmt, fields)), 1).candidates

    assert (outcome.served, outcome.most_in_flight) == (10, 10)


def test_processes_have_limits_of_their_own_or_one(log: Path) -> None:
    fields = [entry(0, duration=0.5, queue_age=None, process_id=1 + n % 4) for n in range(8)]
    workload = workload_of(log, map(logfmt, fields))
    (own,) = try_limits(workload, 1, max_wait=0).candidates
    (shared,) = try_limits(workload, 1, max_wait=0, per_process=False).candidates

    assert (own.served, shared.served) == (4, 1)


def test_dense_arrivals_are_denser(log: Path) -> None:
    fields = [entry(n, duration=1.0, queue_age=None) for n in range(100)]
    workload = workload_of(log, map(logfmt, fields))
    (slow,) = try_limits(workload, "none").candidates
    (fast,) = try_limits(workload, "none", speed=4).candidates

    assert (slow.most_in_flight, fast.most_in_flight) == (1, 4)


def test_few_threads_make_requests_wait_in_front_of_the_guard(log: Path) -> None:
    fields = [entry(n / 100, duration=0.1, queue_age=None) for n in range(600)]
    workload = workload_of(log, map(logfmt, fields))
    nobody, guard = try_limits(workload, "none", 8, threads=4).candidates

    # Ten would be needed. Without a guard everybody waits until nobody is there any more.
    assert nobody.rejected == 0
    assert nobody.in_time < 0.2 * nobody.offered
    assert guard.in_time > 0.38 * guard.offered
    assert set(guard.reasons) & {"overload", "client_gone"}
    assert guard.most_in_flight == 4


@pytest.mark.parametrize("order", ["fifo", "lifo", "adaptive"])
def test_limit_is_never_exceeded(order: str, log: Path) -> None:
    workload = workload_of(log, pool_log(4, 20, 20))
    (outcome,) = try_limits(workload, 5, queue_order=order, max_queue=7).candidates

    assert outcome.most_in_flight == 5
    assert outcome.served + sum(outcome.reasons.values()) == outcome.offered == len(workload)


def test_contention_is_learned_and_taken_in(log: Path) -> None:
    # A pool of 4, and now and then 12 in flight. Eight at once only wait for each other.
    workload = workload_of(log, pool_log(4, 12))
    found = try_limits(workload, 4, 12)
    with_it = try_limits(workload, 4, 12, with_contention=True)

    assert found.slowdown == pytest.approx(3, rel=0.15)
    assert found.hides_contention
    assert not with_it.hides_contention
    assert with_it.candidates[0].served > 1.3 * found.candidates[0].served


def test_contention_between_and_beyond_what_is_known() -> None:
    contention = Contention(((1.0, 1.0), (4.0, 1.0), (8.0, 2.0)))

    factors = [contention.factor(number) for number in (0.5, 1, 2, 4, 6, 8, 16)]
    assert factors == pytest.approx([1, 1, 1, 1, 1.5, 2, 4])


@pytest.mark.servers
def test_learned_limit_comes_near_the_pool(log: Path) -> None:
    lines = pool_log(4, 24, 72)
    found = try_limits(workload_of(log, lines), "adaptive", "none", with_contention=True, speed=1.5)
    adaptive, nobody = found.candidates

    assert adaptive.limit is not None
    assert 3 <= adaptive.limit <= 16
    assert adaptive.p99 is not None
    assert nobody.p99 is not None
    assert adaptive.p99 < nobody.p99


def test_same_seed_gives_the_same(log: Path) -> None:
    lines = [*pool_log(4, 8, 10), *(logfmt(rejection(n / 10)) for n in range(100))]
    first, again = (workload_of(log, lines) for _ in range(2))

    assert first == again
    assert try_limits(first, 3, "adaptive") == try_limits(again, 3, "adaptive")


def test_driven_limiter_keeps_no_thread() -> None:
    clock = Clock()
    limiter = DrivenLimiter(1, max_queue=5, clock=clock)
    first, second, third = (limiter.acquire() for _ in range(3))
    assert isinstance(first, Lease)
    assert isinstance(second, Lease)
    assert isinstance(third, Lease)
    assert limiter.in_line == {second, third}
    assert limiter.longest_wait(second) == 1.0

    clock.now += 0.25
    first.release()
    assert limiter.woken == [second]
    assert limiter.end_wait(second, is_woken=True) is second
    assert second.queue_time == 0.25

    clock.now += 0.75
    rejection = limiter.end_wait(third, is_woken=False)
    assert isinstance(rejection, Rejection)
    assert (rejection.reason, rejection.queue_time) == (Reason.QUEUE_TIMEOUT, 1.0)
    second.release()
    assert (limiter.in_flight, limiter.snapshot().queued) == (0, 0)


@pytest.mark.parametrize(("text", "limit"), [("8", 8), ("adaptive", "adaptive"), ("none", "none")])
def test_limit_is_read(text: str, limit: int | str) -> None:
    assert read_limit(text) == limit


@pytest.mark.parametrize("text", ["0", "-1", "ten", "1.5", "٣", ""])
def test_wrong_limit_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no limit") as caught:
        read_limit(text)

    assert str(caught.value) == (
        f"'{text}' is no limit: write a positive integer, 'adaptive' or 'none'."
    )


def test_rejections_of_a_server_are_told_by_their_status(log: Path) -> None:
    lines = [server_line(n, " duration=0.1") for n in range(4)]
    lines += [line.replace(" 200 ", f" {status} ") for status in (503, 429) for line in lines[:1]]
    workload = workload_of(log, lines)

    assert sorted(workload.kinds) == [SERVED] * 4 + [REJECTED] * 2
    assert workload.made_up == 2


def told(comparison: Comparison) -> list[str]:
    return list(verdict(comparison))


def spare(log: Path) -> Workload:
    """Return what three at once serve: none of them as soon as 1 or 2 can."""
    fields = [entry(n // 3, duration=0.9, queue_age=None) for n in range(30)]
    return workload_of(log, map(logfmt, fields))


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (
            (1,),
            "With '1', fewer are served in time (1.11 a second) than as it was (3.33 a second).",
        ),
        (
            (1, 2),
            "With each of these, fewer are served in time than as it was (3.33 a second). The best"
            " of them is '2', with 2.22.",
        ),
        ((3,), "With '3', 3.33 a second are served in time, and 3.33 as it was."),
        (("none",), "Without a limit, 3.33 a second are served in time, and 3.33 as it was."),
        (
            (1, "none"),
            "Without a limit, most are served in time: 3.33 a second, and 3.33 as it was.",
        ),
        (
            (1, 3),
            "Of these, '3' serves best: 3.33 a second in time, and 3.33 as it was. No other one"
            " serves 3 % more, or as many with a p99 that is 3 % lower.",
        ),
    ],
    ids=["fewer", "all-fewer", "as-many", "none-alone", "none", "best"],
)
def test_limits_are_compared_with_what_happened(
    limits: tuple[int | str, ...], expected: str, log: Path
) -> None:
    assert told(try_limits(spare(log), *limits, max_wait=0))[0] == expected


def test_denser_requests_are_not_compared_with_what_happened(log: Path) -> None:
    found = try_limits(spare(log), 1, max_wait=0, speed=2)

    assert told(found) == ["With '1', 1.11 a second are served in time."]


def test_one_request_tells_nothing(log: Path) -> None:
    for lines, who in (
        ([logfmt(entry())], "One request doesn't"),
        ([logfmt(entry())] * 5, "Requests at one instant don't"),
    ):
        found = try_limits(workload_of(log, lines), 2)

        assert told(found) == [f"{who} tell which limit serves best."]
        assert found.candidates[0].goodput is None
        assert plain(describe(found), 1000).count("  -   100 %") == 2


def test_verdict_says_that_contention_is_hidden(log: Path) -> None:
    workload = workload_of(log, pool_log(4, 12))

    hint = told(try_limits(workload, 4))[1]
    assert hint.startswith("But in this log requests took ")
    assert hint.endswith("'--contention' takes that in.")
    assert len(told(try_limits(workload, 4, with_contention=True))) == 1


def test_comparison_says_what_it_assumes(log: Path) -> None:
    lines = [*pool_log(4, 12, 24), *(logfmt(rejection(n / 10, process_id=9)) for n in range(50))]
    workload = workload_of(log, lines, most=2000)
    text = plain(describe(try_limits(workload, 4, "none", speed=2, threads=16)), 1000)
    words = " ".join(text.split())

    assert "2 times as dense as in the log" in words
    assert "These are the densest part of the" in words
    assert "But in this log requests took" in words
    assert "There are 16 threads in each process." in words
    assert "that were rejected in the log, nobody knows how long they would have taken" in words
    with_it = plain(describe(try_limits(workload, 4, with_contention=True)), 1000)
    assert "made shorter or longer by how many are in flight" in " ".join(with_it.split())
