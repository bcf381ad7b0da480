"""One limit for all workers of a server, and of several servers."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from servers.gates import Gate
from servers.running import CONCURRENT
from servers.running import KINDS
from servers.running import PATIENCE
from servers.running import Answer
from servers.running import Server
from servers.running import start
from servers.running import wait_until

WORKERS = 4


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, object]:
    return {"scope": "host", "dir": str(tmp_path / "host"), "limit": 6, "max_queue": 0}


def count(answers: list[Answer]) -> dict[int, int]:
    statuses = [answer.status for answer in answers]
    return {status: statuses.count(status) for status in statuses}


def test_workers_share_the_limit(settings: dict[str, object], gate: Gate) -> None:
    with ExitStack() as stack:
        extra = ("--workers", str(WORKERS))
        server = stack.enter_context(start(KINDS["gunicorn-gthread"], *extra, **settings))
        holding = stack.enter_context(server.asking(f"/hold?gate={gate.address}", 24))
        gate.wait_for(6)
        wait_until(lambda: sum(one.done() for one in holding) == 18, "18 rejections")
        state = server.state()
        gate.open()
        answers = [one.result() for one in holding]
        assert count(answers) == {503: 18, 200: 6}
        host = state["host"]
        assert (host["limit"], host["in_flight"]) == (6, 6)
        served = [one["what"] for process in host["processes"] for one in process["serving"]]
        assert served == ["GET /hold"] * 6
        wait_until(lambda: server.state()["host"]["in_flight"] == 0, "all places are back")


@pytest.mark.parametrize("name", CONCURRENT)
def test_who_waits_is_admitted_when_another_server_has_a_place(
    name: str, settings: dict[str, object], gate: Gate
) -> None:
    """On threads, greenlets, and after forks that Python isn't told of."""
    settings |= {"name": "both", "limit": 1, "max_queue": 4, "max_wait": PATIENCE}
    with ExitStack() as stack:
        holder = stack.enter_context(start(KINDS["waitress"], **settings))
        server = stack.enter_context(start(KINDS[name], **settings))
        (held,) = stack.enter_context(holder.asking(f"/hold?gate={gate.address}", 1))
        gate.wait_for(1)
        waiting = stack.enter_context(server.asking("/ping", 3))
        wait_until(lambda: server.state()["queued"] == 3, "three in the line")
        gate.open()
        assert count([one.result() for one in (held, *waiting)]) == {200: 4}
        states = [wait_until_free(one) for one in (holder, server)]
        assert [len(state["host"]["processes"]) for state in states] == [2, 2]


def wait_until_free(server: Server) -> dict[str, Any]:
    state: dict[str, Any] = {}

    def is_free() -> bool:
        state.update(server.state())
        return bool(state["host"]["in_flight"] == 0)

    wait_until(is_free, "all places are back")
    return state


def test_servers_share_the_limit(settings: dict[str, object], gate: Gate) -> None:
    settings["name"] = "both"
    with ExitStack() as stack:
        servers = [
            stack.enter_context(start(KINDS[name], **settings))
            for name in ("waitress", "gunicorn-gthread")
        ]
        holding = [
            one
            for server in servers
            for one in stack.enter_context(server.asking(f"/hold?gate={gate.address}", 6))
        ]
        gate.wait_for(6)
        wait_until(lambda: sum(one.done() for one in holding) == 6, "6 rejections")
        gate.open()
        assert count([one.result() for one in holding]) == {503: 6, 200: 6}


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
def test_a_killed_worker_gives_its_places_back(
    settings: dict[str, object], gate: Gate, preload: tuple[str, ...]
) -> None:
    extra = ("--workers", "2", *preload)
    with start(KINDS["gunicorn-gthread"], *extra, **settings) as server:
        held = [server.send(f"GET /hold?gate={gate.address}&secret=1 HTTP/1.1") for _ in range(6)]
        gate.wait_for(6)
        processes = server.state()["host"]["processes"]
        victim = max(processes, key=lambda process: process["in_flight"])
        os.kill(victim["pid"], signal.SIGKILL)
        lost = victim["in_flight"]
        wait_until(lambda: gate.waiting == 6 - lost, "the dead one's have left the gate")
        server.pings_until(lambda answer: answer.status == 200, "a place is free")
        wait_until(lambda: server.state()["host"]["in_flight"] == 6 - lost, "the ping is over")
        again = [server.send(f"GET /hold?gate={gate.address} HTTP/1.1") for _ in range(lost)]
        gate.wait_for(6)
        told = f"Worker {victim['pid']} died with {lost} in flight: GET /hold "
        assert told in server.log
        assert "secret" not in server.log.partition(told)[2].partition("\n")[0]
        gate.open()
        for connection in (*held, *again):
            connection.close()
        wait_until(lambda: server.state()["host"]["in_flight"] == 0, "all places are back")
