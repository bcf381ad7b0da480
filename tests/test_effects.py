from __future__ import annotations

from typing import Any

import pytest
from support import make_app

TOKEN = "correct-horse-battery"
HIGHER = "Set that higher, or to None, if they are to wait for so long."


def slow(**options: Any) -> dict[str, Any]:
    return {"limits": {"slow": {"limit": 1, "max_wait": 20, **options}}}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"status_token": TOKEN},
            "'CONCURRENCY_GUARD_STATUS_TOKEN' is set, and there is no status page. Say by"
            " 'CONCURRENCY_GUARD_STATUS_PATH' where it is to be, such as '/_guard'.",
        ),
        (
            {"status_authorize": bool},
            "'CONCURRENCY_GUARD_STATUS_AUTHORIZE' is set, and there is no status page. Say by"
            " 'CONCURRENCY_GUARD_STATUS_PATH' where it is to be, such as '/_guard'.",
        ),
        (
            {"max_wait": 30},
            "'CONCURRENCY_GUARD_MAX_WAIT' is 30 s, and requests whose age is known are rejected"
            f" when they are older than 'CONCURRENCY_GUARD_MAX_AGE', 10 s. {HIGHER}",
        ),
        (
            slow(match="/slow/*"),
            "'max_wait' of the limit 'slow' is 20 s, and requests whose age is known are rejected"
            f" when they are older than 'CONCURRENCY_GUARD_MAX_AGE', 10 s. {HIGHER}",
        ),
        (
            {"codel_target": 20},
            "'CONCURRENCY_GUARD_CODEL_TARGET' is 20 s, and requests are rejected anyway that are"
            " older than 'CONCURRENCY_GUARD_MAX_AGE', 10 s. Both are in seconds. Set the first well"
            " below the second, or to None.",
        ),
    ],
    ids=["token", "authorize", "wait", "wait-of-a-limit", "target"],
)
def test_what_can_hardly_be_meant_is_said_once(
    settings: dict[str, Any], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    app, _ = make_app(**settings)
    assert app.test_client().get("/x").status_code == 200
    assert caplog.messages == [message]
    assert caplog.records[0].levelname == "WARNING"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"store_url": "redis://localhost", "lease_time": 20, "on_store_error": "closed"},
        {"name": "shop", "dir": "/run/shop", "show_query": True},
        {"algorithm": "vegas", "algorithm_options": {"max_limit": 9}},
        {"key": "remote_addr", "partition": "header:X-Tenant"},
        {"max_age": 0.01},
        {"max_wait": 30, "max_age": None},
        {"max_wait": 30, "max_queue": 0},
        {"max_wait": 10},
        slow(),
        slow(match="/slow/*", max_wait=10),
        {"codel_target": 20, "max_age": None},
        {"codel_target": None},
    ],
    ids=repr,
)
def test_of_what_may_be_meant_nothing_is_said(
    settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    make_app(**settings)
    assert caplog.messages == []
