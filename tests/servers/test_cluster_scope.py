"""One limit for the workers of servers that have nothing in common but a store."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from typing import Any

import pytest
from servers.gates import Gate
from servers.running import KINDS
from servers.running import PATIENCE
from servers.running import Answer
from servers.running import Server
from servers.running import start
from servers.running import wait_until
from valkey_server import Valkey
from valkey_server import new_name

pytestmark = pytest.mark.servers

LEASE_TIME = 1.0
SERVERS = {
    "gunicorn": [("gunicorn-gthread", "--workers", "4")],
    "two gunicorns": [("gunicorn-gthread", "--workers", "2")] * 2,
    "gevent": [("gunicorn-gevent", "--workers", "2")],
    "gevent-preload": [("gunicorn-gevent", "--workers", "2", "--preload")],
    "uwsgi": [("uwsgi", "--processes", "2", "--enable-threads")],
    "uwsgi-lazy": [("uwsgi", "--processes", "2", "--enable-threads", "--lazy-apps")],
    "two waitresses": [("waitress",)] * 2,
}


@pytest.fixture
def settings(valkey: Valkey) -> dict[str, object]:
    return {
        "scope": "cluster",
        "name": new_name(),
        "store_url": valkey.url,
        # As long as there can be at most: not what is slow fails, but what is broken.
        "store_timeout": LEASE_TIME / 10,
        "lease_time": LEASE_TIME,
        "on_store_error": "closed",
        "limit": 6,
        "max_queue": 0,
    }


def patient(settings: dict[str, object]) -> dict[str, object]:
    """For what needs no lease to end: whatever takes long here is not an error."""
    return {**settings, "store_timeout": 5.0, "lease_time": 50.0}


def start_all(stack: ExitStack, name: str, settings: dict[str, object]) -> list[Server]:
    return [
        stack.enter_context(start(KINDS[kind], *extra, **settings))
        for kind, *extra in SERVERS[name]
    ]


def count(answers: list[Answer]) -> dict[int, int]:
    statuses = [answer.status for answer in answers]
    return {status: statuses.count(status) for status in statuses}


def cluster_of(server: Server) -> dict[str, Any]:
    state: dict[str, Any] = server.state()["cluster"]
    return state


@pytest.mark.parametrize("name", SERVERS)
def test_no_more_than_the_limit_are_inside(
    name: str, settings: dict[str, object], gate: Gate
) -> None:
    """As the gate counts, at which they wait; and the last place is used, too."""
    with ExitStack() as stack:
        servers = start_all(stack, name, patient(settings))
        holding = [
            one
            for server in servers
            for one in stack.enter_context(
                server.asking(f"/hold?gate={gate.address}", 24 // len(servers))
            )
        ]
        sent = [(server, server.send(hold_head(gate))) for server in servers]
        fill(servers, gate, sent)
        gate.open()
        answers = [one.result() for one in holding]
        assert gate.peak == 6
        assert set(count(answers)) <= {200, 503}
        for _, connection in sent:
            connection.close()
        wait_until(lambda: sum(server.state()["inside"] for server in servers) == 0, "all gone")


def hold_head(gate: Gate) -> str:
    return f"GET /hold?gate={gate.address} HTTP/1.1"


def fill(servers: list[Server], gate: Gate, sent: list[Any]) -> None:
    """Ask until all places are used: at first a worker may have more than it needs."""

    def is_full() -> bool:
        if gate.waiting < 6:
            sent.extend((server, server.send(hold_head(gate))) for server in servers)
        return gate.waiting == 6

    wait_until(is_full, "all places are used")


@pytest.mark.parametrize("name", SERVERS)
def test_the_limit_holds_under_load(name: str, settings: dict[str, object], gate: Gate) -> None:
    """With places that go from worker to worker all the time, and all who wait get one."""
    waiting = {**patient(settings), "limit": 2, "max_queue": 48, "max_wait": PATIENCE}
    with ExitStack() as stack:
        servers = start_all(stack, name, waiting)
        gate.open()
        asked = [
            one
            for _ in range(3)
            for server in servers
            for one in stack.enter_context(
                server.asking(f"/hold?gate={gate.address}", 16 // len(servers))
            )
        ]
        assert count([one.result() for one in asked]) == {200: len(asked)}
        assert gate.arrived == len(asked)


@pytest.mark.parametrize("name", ["gunicorn", "gevent", "uwsgi"])
def test_a_killed_worker_gives_its_places_back(
    name: str, settings: dict[str, object], gate: Gate
) -> None:
    with ExitStack() as stack:
        (server,) = start_all(stack, name, settings)
        sent: list[Any] = []
        fill([server], gate, sent)
        wait_until(lambda: cluster_of(server)["in_flight"] == 6, "all have said what they have")
        members = cluster_of(server)["members"]
        victim = max(members, key=lambda member: member["in_flight"])
        lost = victim["in_flight"]
        os.kill(int(victim["name"].split(":")[1]), signal.SIGKILL)
        began = time.monotonic()
        wait_until(lambda: gate.waiting == 6 - lost, "the dead one's have left the gate")
        fill([server], gate, sent)
        assert gate.peak == 6
        # What it was lent last, and what a busy machine needs.
        assert time.monotonic() - began < LEASE_TIME + 5
        gate.open()
        for _, connection in sent:
            connection.close()


@pytest.mark.parametrize("name", ["gunicorn", "two waitresses"])
def test_who_ends_gives_back_at_once(name: str, settings: dict[str, object], gate: Gate) -> None:
    """Long before its lease ends, which is in 50 seconds."""
    with ExitStack() as stack:
        (ending, *_) = start_all(stack, name, patient(settings))
        last = stack.enter_context(start(KINDS["waitress"], **patient(settings)))
        assert ending.ask("/ping").status == 200
        wait_until(lambda: cluster_of(last)["members"], "it has borrowed")
        # To the main process: it tells the workers.
        os.kill(ending.process.pid, signal.SIGINT if name != "gunicorn" else signal.SIGTERM)
        wait_until(lambda: not cluster_of(last)["members"], "all is given back", PATIENCE)


def test_who_waits_is_admitted_when_another_server_has_a_place(
    settings: dict[str, object], gate: Gate
) -> None:
    waiting = {**patient(settings), "limit": 1, "max_queue": 4, "max_wait": PATIENCE}
    with ExitStack() as stack:
        holder = stack.enter_context(start(KINDS["waitress"], **waiting))
        server = stack.enter_context(start(KINDS["gunicorn-gevent"], **waiting))
        (held,) = stack.enter_context(holder.asking(f"/hold?gate={gate.address}", 1))
        gate.wait_for(1)
        asked = stack.enter_context(server.asking("/ping", 3))
        wait_until(lambda: server.state()["queued"] == 3, "three in the line")
        gate.open()
        assert count([one.result() for one in (held, *asked)]) == {200: 4}
