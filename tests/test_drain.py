"""The end of a process: nobody is admitted any more, and what is in flight ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from core_support import wait_until
from support import hold
from support import make_app


def test_nobody_is_admitted_any_more() -> None:
    app, guard = make_app(exempt=["/healthz"])
    client = app.test_client()
    assert client.get("/x").status_code == 200
    assert guard.ready()
    assert guard.drain() == 0
    rejected = client.get("/x")
    assert rejected.status_code == 503
    assert rejected.json is not None
    assert rejected.json["reason"] == "draining"
    assert rejected.json["detail"] == "The server is about to stop. Try again later."
    assert client.get("/healthz").status_code == 200
    assert not guard.ready()
    assert guard.snapshot().rejected["draining"] == 1
    assert guard.drain() == 0


def test_a_wrong_call_drains_nothing() -> None:
    app, guard = make_app()
    for wrong in (lambda: guard.drain(app), lambda: guard.drain(10, app), lambda: guard.drain("1")):
        with pytest.raises(TypeError):
            wrong()
    assert guard.ready()
    assert app.test_client().get("/x").status_code == 200


def test_before_the_first_request() -> None:
    app, guard = make_app(exempt=["/healthz"])
    guard.drain()
    assert app.test_client().get("/x").status_code == 503
    assert app.test_client().get("/healthz").status_code == 200


def test_during_the_first_request() -> None:
    app, guard = make_app()
    middleware = app.extensions["concurrency_guard"].middleware
    look_around = middleware.on_first

    def on_first(environ: Any) -> Any:
        guard.drain(0)
        return look_around(environ)

    middleware.on_first = on_first
    assert app.test_client().get("/x").status_code == 503
    assert app.test_client().get("/x").status_code == 503
    assert not guard.ready()


def test_it_waits_for_what_is_in_flight() -> None:
    app, guard = make_app()
    held = hold(app)
    assert guard.drain(0) == 1
    with ThreadPoolExecutor(1) as pool:
        left = pool.submit(guard.drain, 10, app=app)
        assert not left.done()
        held.close()
        assert left.result(10) == 0


def test_who_waits_in_the_line_has_a_turn() -> None:
    app, guard = make_app(limit=1, max_wait=10)
    held = hold(app)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: app.test_client().get("/x").status_code)
        wait_until(lambda: guard.snapshot().queued == 1)
        assert guard.drain(0) == 2
        held.close()
        assert waiting.result(10) == 200


def test_it_waits_for_what_any_limit_has() -> None:
    app, guard = make_app(limits={"reports": {"limit": 1, "match": "/reports", "max_wait": 10}})
    with ThreadPoolExecutor(1) as pool:
        with guard.lease("reports"):
            waiting = pool.submit(lambda: app.test_client().get("/reports").status_code)
            wait_until(lambda: guard.snapshot(name="reports").queued == 1)
            assert guard.drain(0) == 2
        assert waiting.result(10) == 200
    assert guard.drain(0) == 0


@pytest.mark.parametrize("via", ["wsgi", "flask"])
def test_in_shadow_mode_as_well(via: str) -> None:
    app, guard = make_app(mode="shadow", reject_via=via)
    guard.drain()
    assert app.test_client().get("/x").status_code == 503


def test_limits_for_some_requests_are_not_asked() -> None:
    app, guard = make_app(limits={"a": {"limit": 1, "match": "/a"}}, key="remote_addr", per_key=9)
    guard.drain()
    assert app.test_client().get("/a").status_code == 503
    assert guard.snapshot(name="a").admitted == 0


def test_it_is_not_ready_while_more_are_rejected_than_admitted() -> None:
    app, guard = make_app(limit=1, max_wait=0)
    log = app.extensions["concurrency_guard"].middleware.reporter._logs["default"]
    now = 0.0
    log._clock = lambda: now

    def second(rejected: int, admitted: int) -> None:
        nonlocal now
        now += 1.0
        client = app.test_client()
        for _ in range(admitted):
            client.get("/x").close()
        with hold(app):
            for _ in range(rejected):
                client.get("/x").close()

    def seconds_until(is_ready: bool) -> int:
        for seconds in range(20):
            if guard.ready(saturated_for=3) is is_ready:
                return seconds
            second(10, 1) if not is_ready else second(2, 20)
        raise AssertionError

    assert guard.ready(saturated_for=0)
    assert 3 < seconds_until(False) <= 6
    assert guard.ready()
    assert seconds_until(True) <= 2
    assert 3 < seconds_until(False) <= 6
    now += 3
    assert guard.ready(saturated_for=3)
