"""What OpenTelemetry is told of requests."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from core_support import wait_until
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from support import call
from support import hold
from support import make_app

from flask_concurrency_guard.observe.otel import PREFIX

reader = InMemoryMetricReader()
VAIN = {"limit": 1, "max_wait": 0.01, "match": "/vain/*"}


@pytest.fixture(scope="module", autouse=True)
def _provider() -> None:
    # The first app may well come before it: the instruments wait for it. There can be one only.
    make_app(metrics="otel")
    metrics.set_meter_provider(MeterProvider([reader]))


def points() -> dict[Any, Any]:
    """Return the data points by the instrument's name and the attributes."""
    data = reader.get_metrics_data()
    found: dict[Any, Any] = {}
    for resource in data.resource_metrics if data is not None else ():
        for scope in resource.scope_metrics:
            if scope.scope.name == "flask_concurrency_guard":
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        name = metric.name.removeprefix(PREFIX)
                        found[name, *sorted(point.attributes.values())] = point
    return found


class Added:
    def __init__(self) -> None:
        self._before = {key: total(point) for key, point in points().items()}

    def __call__(self, *key: str) -> float:
        point = points().get((key[0], *sorted(key[1:])))
        return 0 if point is None else total(point) - self._before.get(key, 0)


def total(point: Any) -> float:
    number: float = point.count if hasattr(point, "count") else point.value
    return number


def test_requests_are_counted_and_timed() -> None:
    few = {"few": {"limit": 1, "max_queue": 0, "match": "/few/*"}}
    app, _ = make_app(metrics="otel", limits=few, exempt="/healthz")
    added = Added()
    with hold(app, "/few/1"):
        assert added("active_leases", "few") == 1
        assert app.test_client().get("/few/2", buffered=True).status_code == 503
    call(app, "/x").read()
    call(app, "/healthz").read()
    assert added("active_leases", "few") == 0
    assert added("requests", "admitted", "default") == 2
    assert added("requests", "admitted", "few") == 1
    assert added("requests", "few", "limit", "rejected") == 1
    assert added("requests", "exempt") == 1
    assert added("lease.duration", "default") == 2
    assert added("lease.duration", "few") == 1
    assert points()["limit", "few"].value == 1


def test_who_waits_is_counted_and_timed() -> None:
    app, _ = make_app(metrics="otel", limit=1, max_wait=10.0)
    added = Added()
    with hold(app):
        thread = threading.Thread(target=lambda: call(app, "/y").read())
        thread.start()
        wait_until(lambda: added("queued_requests", "default") == 1)
    thread.join(10)
    assert added("queued_requests", "default") == 0
    assert added("request.time_in_queue", "default") == 1


def test_who_waited_in_vain_is_timed() -> None:
    app, _ = make_app(metrics="otel", limits={"vain": VAIN})
    with hold(app, "/vain/x"):
        assert app.test_client().get("/vain/y", buffered=True).status_code == 503
    waited = points()["request.time_in_queue", "vain"]
    assert (waited.count, waited.sum >= 0.01) == (1, True)
    assert points()["requests", "queue_timeout", "rejected", "vain"].value == 1


def test_shadow_mode_is_told_apart() -> None:
    app, _ = make_app(metrics="otel", limit=1, max_queue=0, mode="shadow")
    added = Added()
    with hold(app), hold(app):
        pass
    assert added("requests", "admitted", "default") == 1
    assert added("requests", "default", "limit", "shadow") == 1


def test_the_age_of_requests_is_observed_in_buckets_of_seconds() -> None:
    app, _ = make_app(metrics="otel", trust_request_start=True, codel_target=None)
    added = Added()
    started = {"X-Request-Start": f"t={time.time() - 0.3:.3f}"}
    app.test_client().get("/x", headers=started, buffered=True)
    assert added("request.queue_age", "admitted") == 1
    assert points()["request.queue_age", "admitted"].explicit_bounds[0] == 0.001


def test_a_shared_limit_is_not_one_to_add_up(tmp_path: Any) -> None:
    few = {"limit": 3, "scope": "host", "match": "/shared/*"}
    app, _ = make_app(metrics="otel", dir=str(tmp_path), name="a", limits={"shared": few})
    call(app, "/shared/x").read()
    assert points()["shared_limit", "shared"].value == 3
    assert ("limit", "shared") not in points()
