"""Metrics over several processes, scraped from prometheus_client's own endpoint."""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from servers.gates import Gate
from servers.running import KINDS
from servers.running import Server
from servers.running import start
from servers.running import wait_until

pytestmark = pytest.mark.servers


class NoScrape(Exception):
    """The endpoint has failed."""


class Scrape:
    """The samples of one moment."""

    def __init__(self, server: Server) -> None:
        answer = server.ask("/metrics/")
        if answer.status != 200:
            raise NoScrape(answer.status)
        families = text_string_to_metric_families(answer.body.decode())
        self._samples = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        return self._samples.get((f"concurrency_guard_{name}", *sorted(labels.items())), 0.0)

    def requests(self, outcome: str, reason: str = "") -> float:
        return self("requests_total", limiter="default", outcome=outcome, reason=reason)


def wait_for(server: Server, condition: Callable[[Scrape], bool], what: str) -> Scrape:
    last: list[Scrape] = []

    def holds() -> bool:
        # prometheus_client makes a worker's file empty before it gives it a size, when something
        # is counted for the first time. A scrape between the two fails.
        with suppress(OSError, http.client.HTTPException, NoScrape):
            last.append(Scrape(server))
            return condition(last[-1])
        return False

    wait_until(holds, what)
    return last[-1]


def ended(scrape: Scrape) -> float:
    return scrape.requests("admitted") + scrape.requests("rejected", "limit")


@contextmanager
def two_workers(folder: Path, *options: str, **settings: object) -> Iterator[tuple[Server, int]]:
    """Run two workers, each of which has served; with how many requests they have."""
    folder.mkdir()
    options = ("--workers", "2", "-c", "python:servers.metered", *options)
    env = {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    app = "servers.metered:load()"
    kind = KINDS["gunicorn-gthread"]
    with start(kind, *options, app=app, env=env, metrics="prometheus", **settings) as server:
        seen = [server.ask("/ping").process]
        while len(set(seen)) < 2:
            with server.asking("/ping", 4) as answers:
                pass
            seen += [answer.result().process for answer in answers]
        yield server, len(seen)


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["plain", "preloaded"])
def test_two_workers_are_one_to_a_scrape(
    options: tuple[str, ...], gate: Gate, tmp_path: Path
) -> None:
    settings = {"limit": 1, "max_wait": 30, "max_queue": 9}
    with two_workers(tmp_path / "m", *options, **settings) as (server, pings):
        scrape = wait_for(server, lambda s: s.requests("admitted") == pings, "the pings")
        assert scrape("limit", limiter="default") == 2
        with server.asking(f"/hold?gate={gate.address}", 6) as answers:
            scrape = wait_for(
                server,
                lambda s: (
                    s("active_requests", limiter="default")
                    + s("queued_requests", limiter="default")
                    == 6
                ),
                "six in flight or in a line",
            )
            assert scrape("active_requests", limiter="default") in (1, 2)
            gate.open()
        assert [answer.result().status for answer in answers] == [200] * 6
        scrape = wait_for(server, lambda s: s.requests("admitted") == pings + 6, "all ended")
        assert scrape("active_requests", limiter="default") == 0
        assert scrape("queued_requests", limiter="default") == 0
        assert scrape("lease_duration_seconds_count", limiter="default") == pings + 6
        assert 4 <= scrape("queue_wait_seconds_count", limiter="default") <= pings + 5
        assert scrape.requests("rejected", "limit") == 0


def test_what_a_killed_worker_had_in_flight_is_gone(gate: Gate, tmp_path: Path) -> None:
    with two_workers(tmp_path / "m", limit=1, max_queue=0) as (server, pings):
        scrape = wait_for(server, lambda s: ended(s) == pings, "the pings")
        before = scrape.requests("admitted")
        connections = [server.send(f"GET /hold?gate={gate.address} HTTP/1.1") for _ in range(2)]
        gate.wait_for(1)
        scrape = wait_for(
            server, lambda s: s("active_requests", limiter="default") >= 1, "it is in flight"
        )
        parent = server.process.pid
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        scrape = wait_for(
            server, lambda s: s("active_requests", limiter="default") == 0, "it is gone"
        )
        assert scrape.requests("admitted") == before  # What was counted stays.
        for connection in connections:
            connection.close()


def test_rejections_are_counted_over_all_workers(gate: Gate, tmp_path: Path) -> None:
    with two_workers(tmp_path / "m", limit=1, max_queue=0) as (server, pings):
        scrape = wait_for(server, lambda s: ended(s) == pings, "the pings")
        before = scrape.requests("rejected", "limit")
        with server.asking(f"/hold?gate={gate.address}", 8) as answers:
            wait_for(
                server,
                lambda s: s.requests("rejected", "limit") - before + gate.arrived == 8,
                "each of them is held or rejected",
            )
            gate.open()
        statuses = [answer.result().status for answer in answers]
        scrape = wait_for(server, lambda s: ended(s) == pings + 8, "all ended")
        assert scrape.requests("rejected", "limit") - before == statuses.count(503)
        assert statuses.count(200) == gate.arrived


def test_one_process_needs_nothing_more(gate: Gate) -> None:
    kind, app = KINDS["gunicorn-gthread"], "servers.metered:load()"
    with start(kind, app=app, metrics="prometheus", limit=5) as server:
        assert server.ask("/ping").status == 200
        # Its client has its answer a moment before its place comes back.
        wait_for(
            server,
            lambda scrape: scrape("active_requests", limiter="default") == 0,
            "the ping is over",
        )
        with server.asking(f"/hold?gate={gate.address}", 1):
            gate.wait_for(1)
            scrape = Scrape(server)
            gate.open()
        assert scrape("active_requests", limiter="default") == 1
        assert scrape("limit", limiter="default") == 5
        assert scrape.requests("admitted") == 1
        assert scrape("requests_total", limiter="", outcome="exempt", reason="") >= 1
