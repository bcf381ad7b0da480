"""The guard between others that wrap an app: OpenTelemetry's instrumentation, and Sentry's."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from core_support import wait_until
from flask import Flask
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from flask_concurrency_guard import ConcurrencyGuard

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


class Traced:
    """An app with its guard, and the spans of its requests."""

    def __init__(self, order: str, **settings: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.app = Flask(__name__)
        settings = {"limit": 1, "max_queue": 0, **settings}
        for name, value in settings.items():
            self.app.config[f"CONCURRENCY_GUARD_{name.upper()}"] = value
        if order == "guard inside":
            ConcurrencyGuard(self.app)
        self.instrument()
        if order == "guard outside":
            ConcurrencyGuard(self.app)

        @self.app.get("/hello")
        def hello() -> str:
            return "hello"

        @self.app.get("/fail")
        def fail() -> str:
            raise LookupError("on purpose")

    def instrument(self) -> None:
        FlaskInstrumentor().instrument_app(self.app, tracer_provider=self.provider)

    @property
    def guard(self) -> Any:
        return self.app.extensions["concurrency_guard"].middleware

    def spans(self) -> list[str]:
        return [span.name for span in self.exporter.get_finished_spans()]


@pytest.fixture(params=["guard inside", "guard outside"])
def order(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_each_served_request_has_a_span_and_gives_its_place_back(order: str) -> None:
    traced = Traced(order)
    client = traced.app.test_client()
    for _ in range(3):
        with client.get("/hello") as response:
            assert response.data == b"hello"
        with client.get("/fail") as response:
            assert response.status_code == 500
    assert traced.spans() == ["GET /hello", "GET /fail"] * 3
    assert (traced.guard.snapshot().in_flight, traced.guard.snapshot().admitted) == (0, 6)


@pytest.mark.parametrize("via", ["wsgi", "flask"])
def test_a_rejection_has_no_span(order: str, via: str, caplog: pytest.LogCaptureFixture) -> None:
    traced = Traced(order, reject_via=via)
    client = traced.app.test_client()
    with client.get("/hello", buffered=False):
        with client.get("/hello") as response:
            assert response.status_code == 503
        assert traced.guard.snapshot().rejected["limit"] == 1
        assert traced.guard.snapshot().in_flight == 1
    assert traced.guard.snapshot().in_flight == 0
    assert traced.spans() == ["GET /hello"]
    said = [record.getMessage() for record in caplog.records if "opentelemetry" in record.name]
    # Inside the app, if it got that far, the instrumentation has begun no span, and wonders.
    is_seen = via == "flask" and order == "guard inside"
    assert [message.partition(" at ")[0] for message in said] == (
        ["Flask environ's OpenTelemetry span missing"] if is_seen else []
    )


def test_a_span_has_the_wait_in_it_if_the_guard_is_inside(order: str) -> None:
    traced = Traced(order, max_queue=1, max_wait=10.0)
    client = traced.app.test_client()

    def ask() -> None:
        with traced.app.test_client().get("/hello") as response:
            assert response.status_code == 200

    with client.get("/hello", buffered=False):
        thread = threading.Thread(target=ask)
        thread.start()
        wait_until(lambda: traced.guard.snapshot().queued == 1)
        released = time.time_ns()
    thread.join(10)
    span = traced.exporter.get_finished_spans()[-1]
    assert span.start_time is not None
    assert (span.start_time < released) is (order == "guard inside")


def test_taking_the_instrumentation_away_takes_a_guard_outside_with_it(order: str) -> None:
    traced = Traced(order)
    FlaskInstrumentor().uninstrument_app(traced.app)
    with traced.app.test_client().get("/hello") as response:
        assert ("X-Process-Id" in response.headers) is (order == "guard inside")


def test_instrumenting_all_apps_puts_the_guard_outside() -> None:
    code = """
import flask
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from flask_concurrency_guard import ConcurrencyGuard

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
FlaskInstrumentor().instrument(tracer_provider=provider)
app = flask.Flask("app")
guard = ConcurrencyGuard(app)
app.add_url_rule("/hello", view_func=lambda: "hello")
app.test_client().get("/hello", buffered=True)
print([span.name for span in exporter.get_finished_spans()], guard.snapshot(app=app).admitted)
"""
    assert run(code) == "['GET /hello'] 1\n"


SENTRY = """
import json, sys, warnings
import flask
warnings.simplefilter("ignore")
import sentry_sdk
from sentry_sdk.integrations.flask import FlaskIntegration
from sentry_sdk.transport import Transport
from flask_concurrency_guard import ConcurrencyGuard

told = []

class Collector(Transport):
    def capture_envelope(self, envelope):
        for item in envelope.items:
            event = item.payload.json
            if event and "transaction" in event:
                trace = event["contexts"]["trace"]
                error = event.get("exception", {}).get("values", [{}])[0].get("type")
                told.append([item.type, event["transaction"], error or trace.get("status")])

__RECIPE__

def init():
    sentry_sdk.init(
        dsn="https://key@localhost/1",
        transport=Collector(),
        traces_sample_rate=1.0,
        default_integrations=False,
        integrations=[FlaskIntegration()],
        before_send_transaction=globals().get("without_rejections"),
    )

order, status = sys.argv[1:]
if order == "first":
    init()
app = flask.Flask("app")
app.logger.disabled = True
app.config.update(
    CONCURRENCY_GUARD_LIMIT=1, CONCURRENCY_GUARD_MAX_QUEUE=0,
    CONCURRENCY_GUARD_REJECT_STATUS=int(status),
)
guard = ConcurrencyGuard(app)
if order == "last":
    init()

@app.get("/hello")
def hello():
    return "hello"

@app.get("/fail")
def fail():
    raise LookupError("on purpose")

client = app.test_client()
client.get("/fail", buffered=True)
with client.get("/hello", buffered=False):
    assert client.get("/hello", buffered=True).status_code == int(status)
    assert guard.snapshot(app=app).in_flight == 1
assert guard.snapshot(app=app).in_flight == 0
sentry_sdk.flush()
print(json.dumps(told))
"""
SERVED = [
    ["event", "fail", "LookupError"],
    ["transaction", "fail", "internal_error"],
    ["transaction", "hello", "ok"],
]


@pytest.mark.parametrize("order", ["first", "last"])
def test_sentry_sees_a_rejection_wherever_the_guard_is(order: str) -> None:
    told = json.loads(run(SENTRY.replace("__RECIPE__", ""), order, "503"))
    assert told == [*SERVED, ["transaction", "generic WSGI request", "unavailable"]]


@pytest.mark.parametrize("status", ["503", "429"])
def test_the_documented_recipe_keeps_rejections_from_sentry(status: str) -> None:
    (recipe,) = re.findall(
        r"^```python\n(def without_rejections.*?)^```", PAGE.read_text("utf-8"), re.M | re.S
    )
    assert json.loads(run(SENTRY.replace("__RECIPE__", recipe), "last", status)) == SERVED


def run(code: str, *args: str) -> str:
    command = [sys.executable, "-c", code, *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout
