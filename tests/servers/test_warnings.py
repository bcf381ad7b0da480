"""A limit that the server's threads can never reach is said to be one, once."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from servers.gates import Gate
from servers.running import DEV_PROCESSES
from servers.running import KINDS
from servers.running import THREADS
from servers.running import Kind
from servers.running import Server
from servers.running import launched
from servers.running import python
from servers.running import start
from servers.running import uvicorn

NEVER = "can never be reached"

POOL = min(32, (os.cpu_count() or 1) + 4)
"""How many threads asyncio has by default."""

WITHOUT_A2WSGI = """
import sys

sys.modules["a2wsgi"] = None

from uvicorn import main

main()
"""


def warnings_of(server: Server) -> list[str]:
    return [line for line in server.log.splitlines() if NEVER in line]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_limit_that_is_never_reached_is_warned_of_once(kind: Kind) -> None:
    with start(kind, limit=THREADS) as server:
        for _ in range(3):
            assert server.ask("/ping").status == 200
        warnings = warnings_of(server)

    if kind.serial:
        (warning,) = warnings
        assert f"{kind.says} serves one request at a time in each process" in warning
    elif kind.bounded:
        (warning,) = warnings
        assert f"{kind.says} serves at most {THREADS} requests at once" in warning
        assert f"Set 'CONCURRENCY_GUARD_LIMIT' to {THREADS - 1} or less" in warning
    else:
        assert warnings == []


def test_limit_that_can_be_reached_is_not_warned_of(server: Server) -> None:
    assert server.ask("/ping").status == 200

    assert bool(warnings_of(server)) == server.kind.serial


@pytest.mark.parametrize("extra", [(), ("--preload",)], ids=["plain", "preloaded"])
def test_server_is_known_to_an_app_that_was_warmed_up(extra: tuple[str, ...]) -> None:
    kind, app = KINDS["gunicorn-gthread"], "servers.warmed:application"
    with start(kind, *extra, app=app, limit=THREADS) as server:
        for _ in range(3):
            assert server.ask("/ping").status == 200
        (warning,) = warnings_of(server)

    assert f"{kind.says} serves at most {THREADS} requests at once" in warning


@pytest.mark.parametrize(
    ("kind", "extra", "says"),
    [
        pytest.param(
            KINDS["gunicorn-gevent"],
            ("--worker-connections", "5"),
            "gunicorn (gevent) serves at most 5 requests at once in this process, so the limit of"
            " 99 can never be reached. Set 'CONCURRENCY_GUARD_LIMIT' to 4 or less, or give it more"
            " threads than the limit (--worker-connections).",
            id="gunicorn-gevent",
        ),
        pytest.param(
            replace(KINDS["gevent"], command=launched("gevent", "5")),
            (),
            "gevent serves at most 5 requests at once in this process, so the limit of 99 can"
            " never be reached. Set 'CONCURRENCY_GUARD_LIMIT' to 4 or less, or give it more"
            " threads than the limit (spawn=).",
            id="gevent",
        ),
        pytest.param(
            Kind("uvicorn", (*python("-c", WITHOUT_A2WSGI), *uvicorn("")[3:-1], "{app}")),
            ("--interface", "wsgi"),
            "uvicorn's own WSGI serves at most 10 requests at once in this process, so the limit"
            " of 99 can never be reached. Set 'CONCURRENCY_GUARD_LIMIT' to 9 or less, or give it"
            " more threads than the limit (workers=).",
            id="uvicorn",
        ),
        pytest.param(
            Kind("hypercorn", (*python("-m", "hypercorn", "-b", "{host}:{port}"), "wsgi:{app}")),
            (),
            f"hypercorn's own WSGI serves at most {POOL} requests at once in this process, so the"
            f" limit of 99 can never be reached. Set 'CONCURRENCY_GUARD_LIMIT' to {POOL - 1} or"
            " less, or give it more threads than the limit (a2wsgi has as many as you like).",
            id="hypercorn",
        ),
        pytest.param(
            Kind("tornado", launched("tornado", "5")),
            (),
            "Tornado serves at most 5 requests at once in this process, so the limit of 99 can"
            " never be reached. Set 'CONCURRENCY_GUARD_LIMIT' to 4 or less, or give it more"
            " threads than the limit (executor= of its WSGIContainer).",
            id="tornado",
        ),
        pytest.param(
            Kind("tornado-alone", launched("tornado", "0")),
            (),
            "Tornado serves one request at a time in each process, so the limit of 99 can never be"
            " reached, and no other one either. Give it more threads than the limit (executor= of"
            " its WSGIContainer).",
            id="tornado-alone",
        ),
        pytest.param(
            Kind("wsgiref", launched("wsgiref", "0")),
            (),
            "wsgiref serves one request at a time in each process, so the limit of 99 can never be"
            " reached, and no other one either. Give it more threads than the limit (a"
            " ThreadingMixIn; or another server).",
            id="wsgiref",
        ),
    ],
)
def test_pool_of_another_kind_is_known(kind: Kind, extra: tuple[str, ...], says: str) -> None:
    with start(kind, *extra, limit=99) as server:
        server.ask("/ping")
        (warning,) = warnings_of(server)

    assert warning.endswith(says)


def test_where_a_wait_would_stop_the_others_nobody_waits(gate: Gate) -> None:
    """Tornado ends a request in another turn of the thread in which the next one would wait."""
    with (
        start(Kind("tornado", launched("tornado", "5")), limit=1) as server,
        server.asking(f"/hold?gate={gate.address}", 1) as (holder,),
    ):
        gate.wait_for(1)
        rejected = server.ask("/ping")
        assert (rejected.status, rejected.json["reason"]) == (503, "limit")
        gate.open()
        assert holder.result().status == 200


def test_each_worker_of_several_is_warned_of_once() -> None:
    with start(KINDS["gunicorn-gthread"], "-w", "2", limit=THREADS) as server:
        processes = {server.ask("/ping").process for _ in range(50)}
        warnings = warnings_of(server)

    assert len(processes) <= len(warnings) <= 2


def test_process_for_each_request_is_warned_of_once() -> None:
    with start(DEV_PROCESSES, limit=8) as server:
        processes = {server.ask("/ping").process for _ in range(5)}
        warnings = warnings_of(server)

    assert len(processes) == 5
    (warning,) = warnings
    assert "Flask's development server serves one request at a time in each process" in warning
