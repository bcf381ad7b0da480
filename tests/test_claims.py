"""Requests that are not all alike: priorities, partitions, costs."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from core_support import wait_until
from flask import Blueprint
from flask import Flask
from flask.views import MethodView
from support import hold
from support import make_app

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import ConfigurationError
from flask_concurrency_guard import LimitReached
from flask_concurrency_guard.core.decisions import Partition


def get(app: Flask, path: str = "/x", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().get(path, headers=named)


# Costs


def test_a_view_costs_several_places() -> None:
    app, guard = make_app(limit=4, max_wait=0)

    @app.get("/heavy")
    @guard.cost(3)
    def heavy() -> str:
        return "heavy"

    with hold(app, "/heavy"):
        assert guard.snapshot().in_flight == 3
        assert get(app, "/heavy").status_code == 503
        with hold(app, "/light"):
            assert guard.snapshot().in_flight == 4
            assert get(app, "/light").status_code == 503
    assert guard.snapshot().in_flight == 0


def test_what_costs_more_than_there_is_takes_all() -> None:
    app, guard = make_app(limit=2, max_wait=0)
    app.add_url_rule("/heavy", "heavy", guard.cost(5)(lambda: "heavy"))
    with hold(app, "/heavy"):
        assert guard.snapshot().in_flight == 2
    with hold(app, "/light"):
        assert get(app, "/heavy").status_code == 503


def test_a_view_costs_several_places_of_another_limit() -> None:
    app, guard = make_app(max_wait=0)
    app.add_url_rule("/a", "a", guard.limit("pool", 3)(lambda: "a"))
    app.add_url_rule("/b", "b", guard.limit("pool", cost=2)(lambda: "b"))
    with hold(app, "/b"):
        assert guard.snapshot(name="pool").in_flight == 2
        assert guard.snapshot().in_flight == 1
        with hold(app, "/a"):
            assert guard.snapshot(name="pool").in_flight == 3
        assert get(app, "/b").status_code == 503


def test_the_nearest_cost_counts() -> None:
    app, guard = make_app(limit=9)
    blueprint = guard.cost(2)(Blueprint("b", __name__))

    class Items(MethodView):
        def get(self) -> str:
            return "items"

        @guard.cost(4)
        def post(self) -> str:
            return "stored"

    blueprint.add_url_rule("/items", view_func=guard.cost(3)(Items.as_view("items")))
    blueprint.add_url_rule("/other", "other", lambda: "other")
    app.register_blueprint(blueprint)
    for method, path, cost in [("GET", "/items", 3), ("POST", "/items", 4), ("GET", "/other", 2)]:
        with app.test_client().open(path, method=method, buffered=False):
            assert guard.snapshot().in_flight == cost


@pytest.mark.parametrize("cost", [0, -1, 1.5, "2", True, None], ids=repr)
def test_a_cost_is_a_positive_integer(cost: Any) -> None:
    app, guard = make_app()
    message = f"'cost' must be a positive integer, got {cost!r}."
    for use in (guard.cost, lambda cost: guard.limit("x", 1, cost=cost)):
        with pytest.raises(ConfigurationError) as error:
            use(cost)
        assert str(error.value) == message
    with pytest.raises(ConfigurationError) as error:
        guard.lease(cost=cost)
    assert str(error.value) == message
    assert app


def test_a_command_may_cost_several_places() -> None:
    app, guard = make_app(limit=3, max_wait=0)
    with guard.lease(cost=2) as lease:
        assert lease.cost == guard.snapshot().in_flight == 2
        with pytest.raises(LimitReached):
            guard.lease(cost=2)
        assert get(app).status_code == 200


# Partitions


def test_a_partition_gets_what_it_is_guaranteed() -> None:
    app, guard = make_app(
        limit=4,
        max_wait=0,
        partitions={"live": 0.5, "batch": {"share": 0.25, "match": "/batch/*"}},
        partition="header:X-Kind",
    )
    with hold(app, "/batch/1"), hold(app, "/batch/2"), hold(app, "/batch/3"):
        with hold(app, "/batch/4"):
            assert get(app, "/x", X_Kind="live").status_code == 503
        # One place is free, and "live" was short of its share a moment ago.
        assert get(app, "/batch/4").status_code == 503
        assert get(app, "/x", X_Kind="live").status_code == 200
        assert guard.snapshot().partitions == {"live": Partition(2, 0), "batch": Partition(1, 3)}


def test_partitions_of_a_named_limit() -> None:
    app, guard = make_app(
        limits={
            "reports": {
                "limit": 2,
                "match": "/reports/*",
                "max_wait": 0,
                "partitions": {"us": {"share": 0.5, "match": "/reports/us/*"}},
            }
        },
    )
    with hold(app, "/reports/a"), hold(app, "/reports/b"):
        assert get(app, "/reports/us/1").status_code == 503
    assert guard.snapshot(name="reports").partitions == {"us": Partition(1, 0)}
    assert guard.snapshot().partitions == {}


def test_named_limits_have_no_partitions_unless_they_say_so() -> None:
    _, guard = make_app(
        partitions={"live": {"share": 0.5, "match": "/*"}},
        limits={"reports": {"limit": 2, "match": "/reports/*"}},
    )
    assert guard.snapshot(name="reports").partitions == {}


def test_a_command_uses_a_share() -> None:
    _, guard = make_app(limit=4, partitions={"live": {"share": 0.5, "match": "/*"}})
    with guard.lease(partition="live"):
        assert guard.snapshot().partitions["live"].in_flight == 1
    with pytest.raises(ValueError, match="partition") as error:
        guard.lease(partition="liv")
    assert str(error.value) == "The limit 'default' has no partition 'liv'. There are: live."


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"partitions": {"live": 0.5}},
            "Say which requests use the share 'live': by 'CONCURRENCY_GUARD_PARTITION' what tells"
            " it, such as 'header:X-Tenant', or by {'share': 0.5, 'match': '/live/*'} its paths.",
        ),
        (
            {"partitions": {"live": 0.7, "batch": 0.4}, "partition": "header:X-A"},
            "'CONCURRENCY_GUARD_PARTITIONS' must be a dictionary of shares of at most 1 together,"
            " such as {'live': 0.7, 'batch': 0.3}, got {'live': 0.7, 'batch': 0.4} (together they"
            " are 1.1).",
        ),
        (
            {"partitions": {"live": {"match": "/x"}}},
            "'CONCURRENCY_GUARD_PARTITIONS' must be a dictionary of shares of at most 1 together,"
            " such as {'live': 0.7, 'batch': 0.3}, got {'live': {'match': '/x'}} ('live' must be a"
            " number from 0 to 1, or a dictionary with 'share' and 'match').",
        ),
        (
            {"limits": {"a": {"limit": 1, "match": "/a", "partitions": {"x": 1}}}},
            "Say which requests use the share 'x': by 'CONCURRENCY_GUARD_PARTITION', or by"
            " 'partition' of the limit 'a', what tells it, such as 'header:X-Tenant', or by"
            " {'share': 1, 'match': '/x/*'} its paths.",
        ),
        (
            {"priorities": ["one"]},
            "'CONCURRENCY_GUARD_PRIORITIES' must be a list of two names or more, the most important"
            " first, got ['one'].",
        ),
        (
            {"priority": "X-Priority"},
            "'CONCURRENCY_GUARD_PRIORITY' must be a header such as 'header:X-Priority', a function"
            " of the WSGI environment, or None, got 'X-Priority'.",
        ),
    ],
)
def test_wrong_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        make_app(**settings)
    assert str(error.value) == message


# Priorities


def in_turn(app: Flask, guard: ConcurrencyGuard, paths: list[tuple[str, str]]) -> list[str]:
    """Return the paths in the order in which they are served, one by one."""
    served: list[str] = []
    app.view_functions["view"] = lambda path: served.append(path) or path
    with ThreadPoolExecutor(len(paths)) as pool, hold(app, "/first"):
        for number, (path, priority) in enumerate(paths, 1):
            pool.submit(lambda path=path, name=priority: get(app, path, X_Priority=name).data)
            wait_until(lambda number=number: guard.snapshot().queued == number)  # type: ignore[misc]
    return served[1:]


def test_the_most_important_go_first() -> None:
    app, guard = make_app(limit=1, max_queue=9, max_wait=9, priority="header:X-Priority")
    paths = [("/low", "sheddable"), ("/1", ""), ("/2", "what?"), ("/high", "critical")]
    assert in_turn(app, guard, paths) == ["high", "1", "2", "low"]


def test_a_view_says_how_important_it_is() -> None:
    app, guard = make_app(limit=1, max_queue=9, max_wait=9)
    served: list[str] = []
    for name in ("critical", "sheddable"):
        view = guard.priority(name)(lambda name=name: served.append(name) or name)
        app.add_url_rule(f"/{name}", name, view)
    with ThreadPoolExecutor(2) as pool, hold(app, "/first"):
        for number, path in enumerate(["/sheddable", "/critical"], 1):
            pool.submit(lambda path=path: get(app, path).data)
            wait_until(lambda number=number: guard.snapshot().queued == number)  # type: ignore[misc]
    assert served == ["critical", "sheddable"]


def test_the_priority_is_a_tag() -> None:
    app, _ = make_app(priority="header:X-Priority", headers={"priority": "X-Class"})
    assert get(app, X_Priority="critical").headers["X-Class"] == "critical"
    assert get(app).headers["X-Class"] == "default"
    plain, _ = make_app(headers={"priority": "X-Class"})
    assert "X-Class" not in get(plain).headers


def test_a_priority_that_is_none_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    app, guard = make_app()
    app.add_url_rule("/a", "a", guard.priority("urgent")(lambda: "a"))
    with caplog.at_level(logging.WARNING):
        assert get(app, "/a").status_code == 200
    assert caplog.messages == [
        "There is no priority 'urgent', which a view has. It counts as 'default'; there are:"
        " critical, default, sheddable."
    ]


def test_in_overload_the_least_important_are_turned_away_first() -> None:
    app, _ = make_app(
        trust_request_start=True, priority="header:X-Priority", codel_target=0.02, max_age=None
    )
    shedder = app.extensions["concurrency_guard"].middleware.shedder
    shedder.codel.is_standing, shedder.codel.bound = True, 10.0
    shedder.codel._least, shedder.codel._end = 8.0, float("inf")

    def status(age: float, name: str) -> int:
        started = f"t={time.time() - age:.3f}"
        return int(get(app, X_Request_Start=started, X_Priority=name).status_code)

    assert [status(8, name) for name in ("critical", "default", "sheddable")] == [200, 200, 503]
    assert [status(20, name) for name in ("critical", "default", "sheddable")] == [200, 503, 503]
    assert [status(50, name) for name in ("critical", "default", "sheddable")] == [503, 503, 503]


def test_a_command_may_be_important(caplog: pytest.LogCaptureFixture) -> None:
    app, guard = make_app(limit=2)
    with guard.lease(priority="critical") as lease:
        assert lease.claim.rank == 0
        assert get(app).status_code == 200
    assert caplog.messages == []
    with pytest.raises(ValueError, match="priority") as error:
        guard.lease(priority="urgent")
    assert str(error.value) == (
        "There is no priority 'urgent'. There are: critical, default, sheddable."
    )


def test_an_app_that_uses_none_of_it_pays_nothing() -> None:
    app, guard = make_app()
    get(app)
    state = app.extensions["concurrency_guard"]
    assert state.middleware.match is None
    assert state.middleware.classify is None
    assert state.limiter.claim_of is None
    assert guard
