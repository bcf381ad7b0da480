"""What the workers of real servers tell, beside what the app and its clients have counted."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers.gates import Gate
from servers.running import KINDS
from servers.running import Server
from servers.running import start
from servers.running import wait_until

from flask_concurrency_guard.observe.overview import all_limits
from flask_concurrency_guard.observe.workers import Worker
from flask_concurrency_guard.observe.workers import read_workers

SERVERS = {
    "gunicorn": ("gunicorn-gthread", "gunicorn (gthread)", "--workers", "4"),
    "gunicorn-preload": ("gunicorn-gthread", "gunicorn (gthread)", "--workers", "2", "--preload"),
    "gevent": ("gunicorn-gevent", "gunicorn (gevent)", "--workers", "2"),
    "uwsgi": ("uwsgi", "uWSGI", "--processes", "2", "--enable-threads"),
    "dev": ("dev", None),
}


@pytest.fixture(params=SERVERS)
def kind(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return SERVERS[request.param]


def settings(folder: Path) -> dict[str, object]:
    return {"status": True, "dir": str(folder), "name": "shop", "limit": 3, "max_queue": 0}


def told(folder: Path) -> list[Worker]:
    return read_workers(folder, "shop")


def test_what_the_workers_tell_is_what_was_counted(kind: tuple[str, ...], tmp_path: Path) -> None:
    name, says, *options = kind
    with start(KINDS[name], *options, **settings(tmp_path)) as server:
        with server.asking("/churn", 40) as asked:
            answers = [one.result() for one in asked]
        answers += [server.ask(path) for path in ("/unavailable", "/nothing", "/exempt/ping")]
        # All but the last one, which always passes.
        counted = Counter(answer.status for answer in answers[:-1])
        served = {answer.process for answer in answers[:-1] if answer.status == 200}
        kinds = [answer.headers.get_content_type() for answer in answers]
        rejected = kinds.count("application/problem+json")

        def samples() -> tuple[int, int, int]:
            found = [sample for worker in told(tmp_path) for sample in worker.history]
            return (
                sum(sample.good for sample in found),
                sum(sample.failed for sample in found),
                sum(sample.rejected for sample in found),
            )

        expected = (counted[200] + counted[404], 1, rejected)
        wait_until(lambda: samples() == expected, f"{expected} is told")
        workers = told(tmp_path)
        assert served <= {worker.pid for worker in workers}
        assert {worker.server for worker in workers} == {says}
        (own, narrow) = all_limits(workers)
        assert own.admitted == counted[200] + counted[404] + 1
        assert sum(own.rejected.values()) == rejected
        assert (own.limit, own.in_flight) == (3 * len(workers), 0)
        assert (narrow.name, narrow.admitted) == ("narrow", 0)


@contextmanager
def holding(server: Server, gate: Gate, times: int = 1) -> Iterator[None]:
    with ExitStack() as stack:
        for number in range(1, times + 1):
            stack.enter_context(server.send(f"GET /hold?gate={gate.address} HTTP/1.1"))
            gate.wait_for(number)
        yield
        gate.open()


def test_a_killed_worker_is_known_by_what_it_was_serving(tmp_path: Path, gate: Gate) -> None:
    options = ("--workers", "2")
    with (
        start(KINDS["gunicorn-gthread"], *options, **settings(tmp_path)) as server,
        holding(server, gate),
    ):
        (worker,) = wait_until(lambda: [w for w in told(tmp_path) if w.serving], "it is told")
        assert [one.what for one in worker.serving] == ["GET /hold"]
        os.kill(worker.pid, signal.SIGKILL)
        wait_until(lambda: [w for w in told(tmp_path) if w.was_killed], "its death is known")
        (killed,) = [worker for worker in told(tmp_path) if worker.was_killed]
        assert killed.pid == worker.pid
        assert [one.what for one in killed.serving] == ["GET /hold"]


def test_one_limit_of_a_host_is_one(tmp_path: Path, gate: Gate) -> None:
    shared = {**settings(tmp_path), "scope": "host"}
    options = ("--workers", "2")
    with (
        start(KINDS["gunicorn-gthread"], *options, **shared) as server,
        holding(server, gate, 3),
    ):
        wait_until(
            lambda: [limit for limit in all_limits(told(tmp_path)) if limit.in_flight == 3],
            "all three are told",
        )
        own = all_limits(told(tmp_path))[0]
        assert (own.scope, own.limit) == ("host", 3)


def test_a_worker_that_was_stopped_says_nothing(tmp_path: Path, gate: Gate) -> None:
    with start(KINDS["waitress"], **settings(tmp_path)) as server, holding(server, gate):
        (worker,) = wait_until(lambda: [w for w in told(tmp_path) if w.serving], "it is told")
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            later = worker.written + 60
            (stopped,) = read_workers(tmp_path, "shop", later)
            assert stopped.is_alive
            assert stopped.silent_for(later) > 50
        finally:
            os.kill(worker.pid, signal.SIGCONT)
