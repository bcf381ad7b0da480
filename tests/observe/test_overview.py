from __future__ import annotations

from typing import Any

import pytest

from flask_concurrency_guard.core.decisions import Partition
from flask_concurrency_guard.observe.history import KEPT
from flask_concurrency_guard.observe.history import STEP
from flask_concurrency_guard.observe.history import Sample
from flask_concurrency_guard.observe.history import bucket
from flask_concurrency_guard.observe.history import write_durations
from flask_concurrency_guard.observe.overview import Points
from flask_concurrency_guard.observe.overview import _filled
from flask_concurrency_guard.observe.overview import all_limits
from flask_concurrency_guard.observe.overview import describe
from flask_concurrency_guard.observe.overview import recent_rates
from flask_concurrency_guard.observe.workers import Change
from flask_concurrency_guard.observe.workers import Worker
from flask_concurrency_guard.observe.workers import WorkerLimit

LAST = 1000
NOW = (LAST + 1) * STEP + 0.6
"""The step `LAST` is over, and everybody has told of it."""


def limit(**changed: Any) -> WorkerLimit:
    values: dict[str, Any] = {
        "name": "default",
        "scope": "process",
        "mode": "enforce",
        "is_learned": False,
        "limit": 8,
        "in_flight": 3,
        "all_in_flight": None,
        "queued": 1,
        "max_queue": 8,
        "partitions": {},
        "admitted": 10,
        "rejected": {"limit": 2},
        "peak": 5,
        "changes": (),
    }
    return WorkerLimit(**{**values, **changed})


def sample(step: int, good: int = 10, seconds: float = 0.1, **changed: int) -> Sample:
    values = {"failed": 2, "rejected": 4, "limit": 8, "in_flight": 3, "queued": 1, **changed}
    return Sample(step, good, durations=write_durations({bucket(seconds): good}), **values)


def worker(*samples: Sample, pid: int = 1, **changed: Any) -> Worker:
    values: dict[str, Any] = {
        "pid": pid,
        "is_alive": True,
        "has_ended": False,
        "started": 0.0,
        "written": NOW - 0.5,
        "server": None,
        "threads": None,
        "is_draining": False,
        "queue_age": None,
        "limits": (limit(),),
        "requests": 8,
        "serving": (),
        "history": samples,
    }
    return Worker(**{**values, **changed})


def test_what_each_process_has_for_itself_is_added_up() -> None:
    other = limit(limit=4, in_flight=4, rejected={"limit": 1, "queue_full": 5}, peak=9)
    (own,) = all_limits([worker(), worker(limits=(other,))])
    assert (own.limit, own.in_flight, own.queued, own.max_queue) == (12, 7, 2, 16)
    assert (own.admitted, own.peak, own.workers) == (20, 9, 2)
    assert own.rejected == {"limit": 3, "queue_full": 5}


def test_partitions_of_all_workers_are_added_up() -> None:
    one = limit(partitions={"live": Partition(6, 1), "batch": Partition(2, 0)})
    other = limit(partitions={"live": Partition(6, 7)})
    (own,) = all_limits([worker(limits=(one,)), worker(limits=(other,))])
    assert own.partitions == {"live": Partition(12, 8), "batch": Partition(2, 0)}


def test_of_what_they_share_each_tells_what_is_guaranteed_in_all() -> None:
    old = limit(scope="host", limit=10, partitions={"live": Partition(7, 1)})
    new = limit(scope="host", limit=20, partitions={"live": Partition(14, 2)})
    workers = [worker(limits=(old,), written=NOW - 2), worker(limits=(new,), written=NOW - 1)]
    (own,) = all_limits(workers)
    assert own.partitions == {"live": Partition(14, 3)}


def test_what_the_host_shares_is_as_the_newest_tells() -> None:
    old = limit(scope="host", limit=8, in_flight=2, all_in_flight=5)
    new = limit(scope="host", limit=6, in_flight=2, all_in_flight=4)
    workers = [worker(limits=(old,), written=NOW - 2), worker(limits=(new,), written=NOW - 1)]
    (own,) = all_limits(workers)
    assert (own.limit, own.in_flight) == (6, 4)


def test_of_a_cluster_the_host_knows_its_part() -> None:
    shared = limit(scope="cluster", limit=100, in_flight=2)
    (own,) = all_limits([worker(limits=(shared,)), worker(limits=(shared,))])
    assert (own.limit, own.in_flight) == (100, 4)


def test_who_is_without_the_store_is_counted() -> None:
    shared = limit(scope="host", limit=8, in_flight=3, all_in_flight=5)
    lost = limit(scope="host", limit=8, in_flight=3, store_error="gone", admits="2 at once")
    (own,) = all_limits([worker(limits=(shared,)), worker(limits=(lost,)), worker(limits=(lost,))])
    assert (own.alone, own.workers, own.store_error, own.admits) == (2, 3, "gone", "2 at once")
    assert own.in_flight == 9  # One of them can't know of the others.
    (own,) = all_limits([worker(limits=(shared,))])
    assert (own.alone, own.store_error, own.admits, own.in_flight) == (0, None, None, 5)


def test_the_dead_have_no_limits() -> None:
    assert all_limits([worker(is_alive=False)]) == []


def test_the_newest_changes_of_all_are_there_once() -> None:
    changes = tuple(Change(float(time), time, time + 1, "room") for time in range(8))
    (own,) = all_limits([worker(limits=(limit(changes=changes[number:]),)) for number in (0, 4)])
    assert [change.time for change in own.changes] == [7, 6, 5, 4, 3, 2, 1, 0]


def test_what_is_now_is_the_last_ten_seconds() -> None:
    steps = range(LAST - 20, LAST + 3)
    rates = recent_rates([worker(*map(sample, steps)), worker(*map(sample, steps))], NOW)
    assert (rates.good, rates.failed, rates.rejected) == (10, 2, 4)
    assert rates.p50 == pytest.approx(0.1, rel=0.13)


def test_what_is_now_includes_those_that_have_ended_since() -> None:
    steps = range(LAST - 4, LAST + 1)
    told = describe([worker(*map(sample, steps)), worker(*map(sample, steps), is_alive=False)], NOW)
    assert told["rates"]["good"] == 10


def test_where_nothing_happens_there_is_no_latency() -> None:
    rates = recent_rates([worker()], NOW)
    assert (rates.good, rates.failed, rates.rejected, rates.p50, rates.p99) == (0, 0, 0, None, None)


def test_the_last_minutes_of_all_are_put_together() -> None:
    first = worker(*(sample(step) for step in range(LAST - 3, LAST + 2)))
    second = worker(sample(LAST, good=30, seconds=1.0))
    found = Points().of([first, second], NOW)
    assert [point.time for point in found] == [(step + 1) * STEP for step in range(997, 1001)]
    assert [point.rates.good for point in found] == [5, 5, 5, 20]
    assert [point.limit for point in found] == [8, 8, 8, 16]
    assert [point.in_flight for point in found] == [3, 3, 3, 6]
    assert found[-1].rates.p99 == pytest.approx(1.0, rel=0.13)


def test_who_was_too_busy_to_tell_is_as_before() -> None:
    found = Points().of([worker(sample(LAST - 2), sample(LAST))], NOW)
    assert [(point.limit, point.in_flight) for point in found] == [(8, 3)] * 3
    assert [point.rates.good for point in found] == [5, 0, 5]
    assert found[1].rates.p99 is None


def test_where_the_clock_was_set_forward_nobody_counts_the_years() -> None:
    gone_by = worker(sample(LAST - 100_000), sample(LAST))
    assert len(list(_filled(gone_by))) <= KEPT + 2
    found = Points().of([gone_by], NOW)
    assert len(found) == KEPT
    assert (found[-1].limit, found[-1].rates.good) == (8, 5)


def test_where_the_clock_was_set_back_a_worker_counts_once() -> None:
    told = [sample(LAST - 1), sample(LAST), sample(LAST - 1, good=4), sample(LAST)]
    found = Points().of([worker(*told)], NOW)
    assert [(point.limit, point.rates.good) for point in found] == [(8, 2), (8, 5)]


def test_where_there_was_nobody_is_a_gap() -> None:
    gone = worker(sample(LAST - 2), is_alive=False)
    found = Points().of([gone, worker(sample(LAST))], NOW)
    assert [point.limit for point in found] == [0, 0, 8]
    assert [point.rates.good for point in found] == [5, 0, 5]


def test_who_has_died_and_its_successor_are_one() -> None:
    gone = worker(sample(LAST - 2), sample(LAST - 1), is_alive=False)
    found = Points().of([gone, worker(sample(LAST - 1), sample(LAST))], NOW)
    assert [point.limit for point in found] == [8, 8, 8]
    assert [point.in_flight for point in found] == [3, 3, 3]
    assert [point.rates.good for point in found] == [5, 10, 5]


def test_a_shared_limit_is_not_added_up_in_the_last_minutes() -> None:
    shared = (limit(scope="host", all_in_flight=6),)
    workers = [worker(sample(LAST), limits=shared) for _ in range(2)]
    (found,) = Points().of(workers, NOW)
    assert (found.limit, found.in_flight) == (8, 6)


def test_what_comes_late_is_still_counted() -> None:
    points = Points()
    first, second = worker(sample(LAST)), worker(sample(LAST))
    assert points.of([first], NOW)[-1].rates.good == 5
    assert points.of([first, second], NOW)[-1].rates.good == 10


def test_what_is_older_than_ten_minutes_is_gone() -> None:
    steps = (sample(step) for step in range(LAST - 2 * KEPT, LAST + 1))
    found = Points().of([worker(*steps)], NOW)
    assert len(found) == KEPT
    assert Points().of([worker(sample(LAST - 2 * KEPT))], NOW) == []
