from __future__ import annotations

import logging
from typing import Any

import pytest

from flask_concurrency_guard import complaints
from flask_concurrency_guard.core.claims import Claim
from flask_concurrency_guard.wsgi.claims import VIEW_COSTS
from flask_concurrency_guard.wsgi.claims import VIEW_PRIORITY
from flask_concurrency_guard.wsgi.claims import Claims
from flask_concurrency_guard.wsgi.claims import Priorities
from flask_concurrency_guard.wsgi.clients import ByHeader

NAMES = ("critical", "default", "sheddable")
TAG = "flask_concurrency_guard.priority"


@pytest.mark.parametrize(
    ("environ", "name", "rank", "patience"),
    [
        ({}, "default", 1, 1.0),
        ({"HTTP_X_PRIORITY": "critical"}, "critical", 0, 4.0),
        ({"HTTP_X_PRIORITY": "sheddable"}, "sheddable", 2, 0.5),
        ({"HTTP_X_PRIORITY": "urgent"}, "default", 1, 1.0),
        ({VIEW_PRIORITY: "sheddable"}, "sheddable", 2, 0.5),
        ({VIEW_PRIORITY: "nothing"}, "default", 1, 1.0),
        ({VIEW_PRIORITY: "sheddable", "HTTP_X_PRIORITY": "critical"}, "critical", 0, 4.0),
        ({VIEW_PRIORITY: "sheddable", "HTTP_X_PRIORITY": "urgent"}, "sheddable", 2, 0.5),
    ],
)
def test_the_class_of_a_request(
    environ: dict[str, str], name: str, rank: int, patience: float
) -> None:
    priorities = Priorities(NAMES, ByHeader("X-Priority"))
    assert priorities(environ) == patience
    assert environ[TAG] == name
    assert priorities.rank(environ) == rank


def test_other_names() -> None:
    priorities = Priorities(("a", "b", "c", "d"))
    environ: dict[str, str] = {}
    assert priorities(environ) == 1.0
    assert environ[TAG] == priorities.default == "c"
    assert priorities.named("d") == 3
    with pytest.raises(ValueError, match="priority") as error:
        priorities.named("default")
    assert str(error.value) == "There is no priority 'default'. There are: a, b, c, d."


@pytest.mark.parametrize(
    ("found", "error"),
    [
        ("urgent", "There is no priority 'urgent'. There are: critical, default, sheddable."),
        (0, "There is no priority 0. There are: critical, default, sheddable."),
        (
            "x" * 99,
            "There is no priority 'xxxxxxxxxxxx...xxxxxxxxxxxxx'. There are: critical, default,"
            " sheddable.",
        ),
    ],
    ids=["name", "number", "long"],
)
def test_a_function_that_finds_no_class_is_complained_of(
    found: object, error: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complaints, "_next", {})
    priorities = Priorities(NAMES, lambda environ: found)  # type: ignore[arg-type,return-value]
    environ = {VIEW_PRIORITY: "sheddable"}
    for _ in range(3):
        assert priorities(environ) == 0.5
    assert caplog.messages == ["'CONCURRENCY_GUARD_PRIORITY' has returned no priority; going on."]
    exc_info = caplog.records[0].exc_info
    assert exc_info is not None
    assert str(exc_info[1]) == error


@pytest.mark.parametrize(
    ("find", "environ"),
    [
        (lambda environ: None, {}),
        (lambda environ: "", {}),
        (ByHeader("X-Priority"), {"HTTP_X_PRIORITY": "urgent"}),
    ],
    ids=["nothing", "empty", "header"],
)
def test_what_says_nothing_or_comes_from_anybody_is_not_complained_of(
    find: Any, environ: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert Priorities(NAMES, find)(environ) == 1.0
    assert caplog.messages == []


@pytest.mark.parametrize("found", [1 / 3, None, [], {}], ids=repr)
def test_a_function_may_find_nonsense(found: object, caplog: pytest.LogCaptureFixture) -> None:
    priorities = Priorities(NAMES, lambda environ: found)  # type: ignore[arg-type,return-value]
    assert priorities({}) == 1.0


def test_a_function_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    def fail(environ: object) -> str:
        raise LookupError

    claims = Claims("default", None, {"live": ["/"]}, fail)
    with caplog.at_level(logging.ERROR):
        assert Priorities(NAMES, fail)({}) == 1.0
        assert claims({"PATH_INFO": "/"}).partition == "live"
    assert caplog.messages == [
        f"The {what} of a request could not be found out; going on without."
        for what in ("priority", "partition")
    ]


@pytest.mark.parametrize(
    ("environ", "claim"),
    [
        ({"PATH_INFO": "/live"}, Claim(partition="live")),
        ({"PATH_INFO": "/live/1"}, Claim()),
        ({"PATH_INFO": "/batch/1"}, Claim(partition="batch")),
        ({"PATH_INFO": "//batch/1"}, Claim(partition="batch")),
        ({"PATH_INFO": "live"}, Claim(partition="live")),
        ({"PATH_INFO": "/caf\xc3\xa9/1"}, Claim(partition="batch")),
        ({"PATH_INFO": "/live", "HTTP_X_TENANT": "batch"}, Claim(partition="batch")),
        ({"PATH_INFO": "/live", "HTTP_X_TENANT": "who"}, Claim(partition="live")),
        ({"PATH_INFO": "/", VIEW_COSTS: {"reports": 3}}, Claim(cost=3)),
        ({"PATH_INFO": "/", VIEW_COSTS: {"default": 3}}, Claim()),
        (None, Claim()),
    ],
)
def test_what_a_request_claims(environ: dict[str, object] | None, claim: Claim) -> None:
    partitions = {"live": ["/live"], "batch": ["/batch/*", "/café/*"]}
    assert Claims("reports", None, partitions, ByHeader("X-Tenant"))(environ) == claim
