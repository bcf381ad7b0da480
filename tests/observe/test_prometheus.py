"""What prometheus_client is told, and that its failures are nobody else's."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from core_support import wait_until
from prometheus_client import REGISTRY
from prometheus_client import generate_latest
from support import call
from support import hold
from support import make_app

from flask_concurrency_guard import ConfigurationError
from flask_concurrency_guard.core.decisions import Reason
from flask_concurrency_guard.observe import prometheus

Sample = Callable[..., float]


FAILED = "What observes requests has failed; going on."


@pytest.fixture
def sample(caplog: pytest.LogCaptureFixture) -> Iterator[Sample]:
    """Return what has been added to a sample since the test began."""
    gc.collect()
    prometheus._take_back()  # What the apps of other tests have told.
    before = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
    }

    def added(name: str, **labels: str) -> float:
        name = f"concurrency_guard_{name}"
        now = REGISTRY.get_sample_value(name, labels) or 0.0
        return now - before.get((name, *sorted(labels.items())), 0.0)

    yield added
    assert FAILED not in [record.getMessage() for record in caplog.get_records("call")]


def requests(sample: Sample, limiter: str, outcome: str, reason: str = "") -> float:
    return sample("requests_total", limiter=limiter, outcome=outcome, reason=reason)


def test_an_admitted_request_is_counted_and_timed(sample: Sample) -> None:
    app, _ = make_app(metrics="prometheus", limit=7)
    with hold(app):
        assert sample("active_requests", limiter="default") == 1
        assert sample("limit", limiter="default") == 7
        assert requests(sample, "default", "admitted") == 0
    assert sample("active_requests", limiter="default") == 0
    assert requests(sample, "default", "admitted") == 1
    assert sample("lease_duration_seconds_count", limiter="default") == 1
    assert 0 < sample("lease_duration_seconds_sum", limiter="default") < 10
    assert sample("queue_wait_seconds_count", limiter="default") == 0


def test_a_request_counts_for_each_limit_that_it_falls_under(sample: Sample) -> None:
    few = {"few": {"limit": 1, "max_queue": 0, "match": "/few/*"}}
    app, _ = make_app(metrics="prometheus", limits=few)
    with hold(app, "/few/1"):
        assert sample("active_requests", limiter="few") == 1
        assert sample("active_requests", limiter="default") == 1
        assert app.test_client().get("/few/2", buffered=True).status_code == 503
    assert sample("limit", limiter="few") == 1
    assert sample("limit", limiter="default") == 32
    assert requests(sample, "few", "admitted") == requests(sample, "default", "admitted") == 1
    assert requests(sample, "few", "rejected", "limit") == 1
    assert sample("lease_duration_seconds_count", limiter="few") == 1
    assert sample("active_requests", limiter="few") == 0


def test_who_waits_is_counted_and_timed(sample: Sample) -> None:
    app, _ = make_app(metrics="prometheus", limit=1, max_wait=10.0)
    with hold(app):
        threads = [threading.Thread(target=lambda: call(app, "/y").read()) for _ in range(2)]
        for thread in threads:
            thread.start()
        wait_until(lambda: sample("queued_requests", limiter="default") == 2)
        assert sample("active_requests", limiter="default") == 1
    for thread in threads:
        thread.join(10)
    assert sample("queued_requests", limiter="default") == 0
    assert sample("queue_wait_seconds_count", limiter="default") == 2
    assert requests(sample, "default", "admitted") == 3


def test_who_waited_in_vain_is_counted_and_timed(sample: Sample) -> None:
    app, _ = make_app(metrics="prometheus", limit=1, max_wait=0.01)
    with hold(app):
        assert app.test_client().get("/y", buffered=True).status_code == 503
        assert sample("queued_requests", limiter="default") == 0
    assert requests(sample, "default", "rejected", "queue_timeout") == 1
    assert sample("queue_wait_seconds_count", limiter="default") == 1
    assert sample("queue_wait_seconds_sum", limiter="default") >= 0.01


def test_shadow_mode_is_told_apart(sample: Sample) -> None:
    app, _ = make_app(metrics="prometheus", limit=1, max_queue=0, mode="shadow")
    with hold(app), hold(app):
        assert sample("active_requests", limiter="default") == 2
    assert requests(sample, "default", "admitted") == 1
    assert requests(sample, "default", "shadow", "limit") == 1
    assert requests(sample, "default", "rejected", "limit") == 0


def test_a_client_that_has_too_many_counts_for_the_limit(sample: Sample) -> None:
    settings = {"key": "remote_addr", "per_key": 1, "metrics": "prometheus"}
    app, guard = make_app(**settings)
    with hold(app):
        assert sample("active_requests", limiter="default") == 1
        assert app.test_client().get("/y", buffered=True).status_code == 429
        guard.set_mode("shadow")
        with hold(app):
            pass
    assert requests(sample, "default", "rejected", "client") == 1
    assert requests(sample, "default", "shadow", "client") == 1
    assert requests(sample, "default", "admitted") == 1


def test_an_exempt_request_counts_for_no_limit(sample: Sample) -> None:
    app, _ = make_app(metrics="prometheus", exempt="/healthz")
    with hold(app, "/healthz"):
        assert sample("active_requests", limiter="default") == 0
    assert requests(sample, "", "exempt") == 1
    assert sample("lease_duration_seconds_count", limiter="default") == 0


def test_the_age_of_requests_is_observed_where_it_is_known(sample: Sample) -> None:
    app, _ = make_app(
        metrics="prometheus", trust_request_start=True, limit=1, max_queue=0, codel_target=None
    )
    started = {"X-Request-Start": f"t={time.time() - 0.3:.3f}"}
    with app.test_client().get("/x", headers=started):
        app.test_client().get("/y", headers=started, buffered=True)
    app.test_client().get("/z", buffered=True)
    for outcome in ("admitted", "rejected"):
        assert sample("queue_age_seconds_count", outcome=outcome) == 1
        assert 0.3 <= sample("queue_age_seconds_sum", outcome=outcome) < 5
        assert sample("queue_age_seconds_bucket", outcome=outcome, le="0.25") == 0


def test_what_takes_several_places_counts_as_many_times(sample: Sample) -> None:
    app, guard = make_app(metrics="prometheus")

    @app.get("/costly")
    @guard.cost(3)
    def costly() -> str:
        return "done"

    with hold(app, "/costly"):
        assert sample("active_requests", limiter="default") == 3
        with guard.lease(app=app):
            call(app, "/x").read()
            assert sample("active_requests", limiter="default") == 4
    call(app, "/x").read()
    assert sample("active_requests", limiter="default") == 0
    assert requests(sample, "default", "admitted") == 3


def test_a_limit_that_changes_is_told_with_the_next_request(sample: Sample) -> None:
    app, guard = make_app(metrics="prometheus", limit=4)
    call(app, "/x").read()
    guard.set_limit(9)
    call(app, "/x").read()
    assert sample("limit", limiter="default") == 9


def test_a_shared_limit_is_not_one_to_add_up(sample: Sample, tmp_path: Path) -> None:
    shared = {"limit": 3, "scope": "host", "match": "/shared/*"}
    app, _ = make_app(
        metrics="prometheus", dir=str(tmp_path), name="prometheus", limits={"few": shared}
    )
    for _ in range(2):
        call(app, "/shared/x").read()
    assert sample("shared_limit", limiter="few") == 3
    assert sample("limit", limiter="few") == 0
    assert sample("limit", limiter="default") == 32


def test_several_apps_add_up(sample: Sample) -> None:
    apps = [make_app(metrics="prometheus", limit=limit, max_wait=10.0)[0] for limit in (1, 4)]
    with hold(apps[0]):
        thread = threading.Thread(target=lambda: call(apps[0], "/y").read())
        thread.start()
        wait_until(lambda: sample("queued_requests", limiter="default") >= 1)
        with hold(apps[1]):
            assert sample("limit", limiter="default") == 5
            assert sample("active_requests", limiter="default") == 2
            assert sample("queued_requests", limiter="default") == 1
    thread.join(10)
    assert requests(sample, "default", "admitted") == 3


def test_what_an_app_has_told_is_taken_back_when_it_is_gone(sample: Sample) -> None:
    lasting, _ = make_app(metrics="prometheus", limit=1)
    for limit in (4, 10):
        app, _ = make_app(metrics="prometheus", limit=limit)
        held = hold(app)
        assert sample("active_requests", limiter="default") == 1
        assert sample("limit", limiter="default") == limit
        del app, _, held
        gc.collect()
    call(lasting, "/x").read()
    assert sample("limit", limiter="default") == 1
    assert sample("active_requests", limiter="default") == 0
    assert requests(sample, "default", "admitted") >= 1


@pytest.mark.usefixtures("sample")
def test_nothing_is_told_while_an_app_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    """That may be in the middle of something that has the lock of the same gauge."""
    app, _ = make_app(metrics="prometheus", limit=7)
    call(app, "/x").read()
    told: list[int] = []
    monkeypatch.setattr(prometheus._families().limit.labels("default"), "dec", told.append)
    del app, _
    gc.collect()
    assert told == []
    prometheus._take_back()
    assert told == [7]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_takes_back_nothing_of_its_parent(sample: Sample) -> None:
    app, _ = make_app(metrics="prometheus", limit=7)
    call(app, "/x").read()
    child = os.fork()
    if not child:
        noted = len(prometheus._gone)
        prometheus._take_back()
        os._exit(0 if noted and sample("limit", limiter="default") == 7 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not prometheus._gone
    assert sample("limit", limiter="default") == 7


def labels() -> set[tuple[str, str]]:
    return {
        (label, value)
        for metric in REGISTRY.collect()
        if metric.name.startswith(prometheus.PREFIX)
        for sample in metric.samples
        for label, value in sample.labels.items()
        if label != "le"
    }


def test_nothing_of_a_request_becomes_a_label() -> None:
    before = labels()
    app, _ = make_app(metrics="prometheus", limits={"closed": {"limit": 1, "match": "/closed/*"}})
    for path in ("/closed/hostile", "/hostile-1", "/x?hostile"):
        headers = {"X-Hostile": "hostile", "X-Request-Start": "hostile"}
        app.test_client().open(path, method="HOSTILE", headers=headers, buffered=True)
    reasons = {("reason", str(reason)) for reason in Reason} | {("reason", "")}
    outcomes = {("outcome", name) for name in ("admitted", "rejected", "shadow", "exempt")}
    limiters = {("limiter", "closed"), ("limiter", "default"), ("limiter", "")}
    assert ("limiter", "closed") in labels() - before
    assert labels() - before <= limiters | outcomes | reasons
    assert b"hostile" not in generate_latest().lower()


def test_a_metric_that_fails_harms_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> None:
        raise OSError("no space left on device")

    app, guard = make_app(metrics="prometheus")
    monkeypatch.setattr(prometheus, "_Series", fail)
    assert call(app, "/x").read() == b"x"
    assert guard.snapshot().in_flight == 0
    assert caplog.messages == [FAILED]


def test_a_response_may_be_dropped_unread_while_the_line_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, _ = make_app(metrics="prometheus", limit=1, max_wait=10)
    held = [hold(app)]
    tell = prometheus._Series.tell

    def drop_and_tell(series: prometheus._Series, *, queues: bool) -> None:
        if queues:
            held.clear()
        tell(series, queues=queues)

    monkeypatch.setattr(prometheus._Series, "tell", drop_and_tell)
    waiting = threading.Thread(target=lambda: app.test_client().get("/").close(), daemon=True)
    waiting.start()
    waiting.join(10)
    assert not held
    assert not waiting.is_alive()


def test_an_app_that_is_gone_is_not_kept() -> None:
    app, _ = make_app(metrics=["prometheus", "otel"])
    call(app, "/x").read()
    gc.collect()  # Those of other tests.
    observers = prometheus.request_queued.receivers
    assert len(observers) == 2
    del app, _
    gc.collect()
    assert len(observers) == 0


def test_a_folder_that_is_not_there_stops_init_app(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "gone"))
    with pytest.raises(ConfigurationError) as error:
        make_app(metrics="prometheus")
    assert str(error.value) == (
        f"'PROMETHEUS_MULTIPROC_DIR' is '{tmp_path}/gone', which is no folder that can be written"
        " to. Make it before the app starts."
    )


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_has_nothing_to_say_against_them() -> None:
    app, _ = make_app(metrics="prometheus", limit=1, max_queue=0)
    with hold(app):
        app.test_client().get("/y", buffered=True)
    text = generate_latest()
    ours = [line for line in text.splitlines(keepends=True) if b"concurrency_guard_" in line]
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=b"".join(ours), capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


WITHOUT = """
import sys
from flask import Flask
from flask_concurrency_guard import ConcurrencyGuard, ConfigurationError
sys.modules[{module!r}] = None
app = Flask("app")
before = app.wsgi_app
app.config["CONCURRENCY_GUARD_METRICS"] = {name!r}
try:
    ConcurrencyGuard(app)
except ConfigurationError as error:
    print(error)
assert app.wsgi_app == before and not app.extensions
"""


@pytest.mark.parametrize(
    ("name", "module", "message"),
    [
        (
            "prometheus",
            "prometheus_client",
            "'CONCURRENCY_GUARD_METRICS' has 'prometheus', which needs prometheus_client: 'pip"
            " install Flask-Concurrency-Guard[prometheus]'.",
        ),
        (
            "otel",
            "opentelemetry",
            "'CONCURRENCY_GUARD_METRICS' has 'otel', which needs OpenTelemetry: 'pip install"
            " Flask-Concurrency-Guard[otel]'.",
        ),
    ],
    ids=["prometheus", "otel"],
)
def test_without_its_extra_a_sentence_says_what_to_install(
    name: str, module: str, message: str
) -> None:
    assert run(WITHOUT.format(name=name, module=module)) == f"{message}\n"


def test_nothing_optional_is_imported_unasked() -> None:
    code = "import sys, flask; from flask_concurrency_guard import ConcurrencyGuard\n"
    code += "ConcurrencyGuard(flask.Flask('app'))\n"
    code += "print({'prometheus_client', 'opentelemetry', 'sentry_sdk'} & set(sys.modules))"
    assert run(code) == "set()\n"


def run(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
