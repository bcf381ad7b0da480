"""One line a request: its fields, its forms, and that nobody can write lines of their own."""

from __future__ import annotations

import gc
import io
import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest
from core_support import Clock
from flask import Flask
from support import Called
from support import call
from support import hello
from support import hold
from support import make_app
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import create_environ

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import TagFilter
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.observe import access_log
from flask_concurrency_guard.observe.access_log import AccessLog
from flask_concurrency_guard.wsgi.middleware import GuardMiddleware

FIELD = re.compile(r'([a-z_]+)=([A-Za-z0-9_./:*+-]+|"[ -~]*?")(?: |$)')
"""What the documentation says a field of logfmt is, for values without quotes in them."""

ORDER = [
    "time", "method", "path", "status", "outcome", "reason", "limiter", "process_id", "thread_id",
    "queue_age", "queue_time", "duration", "in_flight", "limit",
]  # fmt: skip


class Lines(logging.Handler):
    """Keeps the records, and each as the line that a file would have."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.lines.append(self.format(record))

    def fields(self, number: int = -1) -> dict[str, Any]:
        """Return the fields of one line, and make sure that there is nothing else in it."""
        line = self.lines[number]
        assert line.isascii()
        assert line.isprintable()
        fields: dict[str, Any] = json.loads(line) if line[0] == "{" else read_logfmt(line)
        assert list(fields) == [name for name in ORDER if name in fields]
        return fields


def read_logfmt(line: str) -> dict[str, Any]:
    fields = dict(FIELD.findall(line))
    assert " ".join(f"{name}={value}" for name, value in fields.items()) == line
    return {name: json.loads(value) if value[0] == '"' else value for name, value in fields.items()}


FAILED = "What observes requests has failed; going on."


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Lines]:
    handler = Lines()
    level = access_log.logger.level
    access_log.logger.addHandler(handler)
    yield handler
    access_log.logger.removeHandler(handler)
    access_log.logger.setLevel(level)
    assert FAILED not in [record.getMessage() for record in caplog.get_records("call")]


def guarded(form: str = "logfmt", app: Any = hello, **options: Any) -> GuardMiddleware:
    limiter = Limiter(**{"limit": 1, "max_wait": 0, **options})
    return GuardMiddleware(app, limiter, observers=[AccessLog(form)])


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_an_admitted_request_has_a_line_with_what_is_known(form: str, lines: Lines) -> None:
    before = datetime.now(UTC)
    guard = guarded(form, limit=7)
    with_age = {"HTTP_COOKIE": "secret=1"}
    called = call(guard, "/a/b?secret=1", method="POST", environ_overrides=with_age)
    assert lines.lines == []  # It is not at its end.
    called.read()
    fields = lines.fields()
    assert before <= datetime.fromisoformat(fields.pop("time")) <= datetime.now(UTC)
    assert 0 <= float(fields.pop("duration")) < 10
    environ = called.environ
    expected: dict[str, Any] = {
        "method": "POST",
        "path": "/a/b",
        "status": 200,
        "outcome": "admitted",
        "process_id": environ["flask_concurrency_guard.process_id"],
        "thread_id": environ["flask_concurrency_guard.thread_id"],
        "queue_time": 0.0,
        "in_flight": 1,
        "limit": 7,
    }
    if form == "logfmt":
        expected = {name: str(value) for name, value in expected.items()}
        expected["queue_time"] = "0.000000"
    assert fields == expected
    assert "secret" not in lines.lines[0]


def test_a_mounted_app_and_the_one_around_it_log_their_own(lines: Lines) -> None:
    mounted, _ = make_app(access_log="logfmt", limit=3)
    app = Flask(__name__)
    app.config.update(
        CONCURRENCY_GUARD_ACCESS_LOG="logfmt",
        CONCURRENCY_GUARD_LIMIT=7,
        CONCURRENCY_GUARD_EXEMPT="/in/always",
        CONCURRENCY_GUARD_HEADERS=False,
    )
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/in": mounted})  # type: ignore[method-assign]
    ConcurrencyGuard(app)
    for path in ("/in/x", "/in/always"):
        call(app, path).read()
    told = [(lines.fields(n)["outcome"], lines.fields(n)["limit"]) for n in range(4)]
    assert told == [("admitted", "3"), ("admitted", "7"), ("admitted", "3"), ("exempt", "7")]
    # It came to the outer one before.
    inner, outer = (datetime.fromisoformat(lines.fields(n)["time"]) for n in (0, 1))
    assert outer < inner


def test_a_line_looks_as_documented(lines: Lines) -> None:
    call(guarded(), "/slow").read()
    assert re.fullmatch(
        r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z method=GET path=/slow status=200"
        r" outcome=admitted process_id=\d+ thread_id=\d+ queue_time=0\.000000"
        r" duration=\d+\.\d{6} in_flight=1 limit=1",
        lines.lines[0],
    )


def test_the_record_has_the_fields_as_attributes(lines: Lines) -> None:
    called = call(guarded("json"))
    called.read()
    record = lines.records[0]
    assert (record.name, record.levelname) == ("flask_concurrency_guard.access", "INFO")
    for name, value in lines.fields().items():
        assert getattr(record, name) == value
    assert type(record.status) is int


def test_no_field_is_called_like_something_that_records_have() -> None:
    taken = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}
    assert set(ORDER) & taken == set()


def test_a_filter_of_tags_changes_no_field(lines: Lines) -> None:
    lines.addFilter(TagFilter())
    lines.setFormatter(logging.Formatter("%(process_id)s %(limit)s %(request_number)s"))
    call(guarded()).read()
    call(guarded(), "/2").read()
    assert re.fullmatch(r"\d+ 1 1", lines.lines[0])


def test_a_rejected_request_has_the_status_of_its_answer(lines: Lines) -> None:
    guard = guarded(limit=1)
    held = guard.limiter.acquire()
    call(guard, "/late").read()
    fields = lines.fields()
    assert (fields["status"], fields["outcome"], fields["path"]) == ("503", "rejected", "/late")
    assert (fields["reason"], fields["limiter"]) == ("limit", "default")
    assert (fields["in_flight"], fields["limit"]) == ("1", "1")
    assert len(lines.lines) == 1
    del held


def test_an_error_handler_of_the_app_decides_on_the_status(lines: Lines) -> None:
    app, _ = make_app(access_log="json", reject_via="flask", limit=1, max_queue=0)

    @app.errorhandler(503)
    def teapot(error: Any) -> Any:
        return "short and stout", 418

    with hold(app):
        assert app.test_client().get("/y", buffered=True).status_code == 418
    fields = lines.fields(0)
    assert (fields["status"], fields["outcome"]) == (418, "rejected")
    assert fields["duration"] > 0


def test_a_limit_is_named_that_rejects(lines: Lines) -> None:
    app, _ = make_app(
        access_log="json", limits={"few": {"limit": 1, "max_queue": 0, "match": "/few/*"}}
    )
    with hold(app, "/few/1"):
        assert app.test_client().get("/few/2", buffered=True).status_code == 503
    rejected, admitted = lines.fields(0), lines.fields(1)
    assert (rejected["limiter"], rejected["reason"], rejected["limit"]) == ("few", "limit", 32)
    assert "limiter" not in admitted
    assert "reason" not in admitted


@pytest.mark.parametrize("max_wait", [0, 1.0], ids=["at-once", "after-a-wait"])
def test_shadow_mode_tells_what_it_would_have_rejected(max_wait: float, lines: Lines) -> None:
    clock = Clock()
    guard = guarded(mode="shadow", max_wait=max_wait, clock=clock)
    first = call(guard, "/first")
    second = call(guard, "/second")
    clock.now += 2
    first.read()
    second.read()
    admitted, shadow = lines.fields(0), lines.fields(1)
    assert admitted["outcome"] == "admitted"
    assert (shadow["outcome"], shadow["status"]) == ("shadow", "200")
    assert shadow["reason"] == ("queue_timeout" if max_wait else "limit")
    assert (shadow["limiter"], shadow["duration"]) == ("default", "2.000000")
    assert len(lines.lines) == 2


def test_shadow_mode_of_a_limit_names_it(lines: Lines) -> None:
    few = {"limit": 1, "max_queue": 0, "match": "/few/*", "mode": "shadow"}
    app, _ = make_app(access_log="json", limits={"few": few})
    with hold(app, "/few/1"):
        assert app.test_client().get("/few/2", buffered=True).status_code == 200
    shadow = lines.fields(0)
    assert (shadow["outcome"], shadow["limiter"]) == ("shadow", "few")


def test_an_exempt_request_has_a_line_as_well(lines: Lines) -> None:
    app, _ = make_app(access_log="json", exempt="/healthz")
    assert app.test_client().get("/healthz", buffered=True).status_code == 200
    fields = lines.fields()
    assert (fields["outcome"], fields["status"], fields["in_flight"]) == ("exempt", 200, 0)
    assert fields["duration"] > 0


def test_a_wait_in_the_line_is_in_the_duration(lines: Lines) -> None:
    began = datetime.now(UTC)
    clock = Clock()
    guard = guarded(max_wait=5.0, clock=clock)
    first = call(guard, "/first")
    waiting = threading.Event()
    guard.limiter.on_queued = lambda lease: waiting.set()
    thread = threading.Thread(target=lambda: call(guard, "/second").read())
    thread.start()
    assert waiting.wait(10)
    clock.now += 1.5
    first.read()
    thread.join(10)
    fields = lines.fields(1)
    assert (fields["path"], fields["queue_time"]) == ("/second", "1.500000")
    assert fields["duration"] == "1.500000"
    assert fields["thread_id"] == str(thread.native_id)
    admitted = datetime.fromisoformat(fields["time"]) + timedelta(seconds=1.5)
    assert began <= admitted <= datetime.now(UTC)


def test_a_queue_age_is_there_where_it_is_known(lines: Lines) -> None:
    app, _ = make_app(access_log="logfmt", trust_request_start=True, max_age=None)
    started = f"t={datetime.now(UTC).timestamp() - 0.25:.6f}"
    app.test_client().get("/x", headers={"X-Request-Start": started}, buffered=True)
    assert re.search(r" queue_age=0\.[23]\d\d queue_time=", lines.lines[0])


@pytest.mark.parametrize(
    "header", ["1e400\nx", "t=\x1b[31m", "NaN", "-1", "9" * 5000, "t=0x10", "\u2028"]
)
def test_no_header_gets_into_a_line(header: str, lines: Lines) -> None:
    app, _ = make_app(access_log="logfmt", trust_request_start=True, deadline_header="X-D")
    names = ("REQUEST_START", "QUEUE_START", "D", "FORWARDED_FOR", "REQUEST_ID")
    hostile = {f"HTTP_X_{name}": header for name in names}
    call(app, "/x", environ_overrides={**hostile, "HTTP_HOST": header}).read()
    assert lines.fields()["path"] == "/x"
    assert set(lines.fields()) <= set(ORDER)


@pytest.mark.parametrize("form", ["logfmt", "json"])
@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/a\ntime=2026-01-01T00:00:00Z", "/a%0Atime%3D2026-01-01T00%3A00%3A00Z"),
        ("/a\r\n\r\nb", "/a%0D%0A%0D%0Ab"),
        ('/a" status=200 path="/b', "/a%22%20status%3D200%20path%3D%22/b"),
        ("/a\\n", "/a%5Cn"),
        ("/\x00\x07\x1b[31mred\x7f", "/%00%07%1B%5B31mred%7F"),
        ("/caf\xc3\xa9", "/caf%C3%A9"),
        ("/latin\xe9", "/latin%E9"),
        ("/\xe2\x80\xa8\xe2\x80\xae\xc2\x85\xc2\x9b", "/%E2%80%A8%E2%80%AE%C2%85%C2%9B"),
        ("/\u2028 no byte", "/%3F%20no%20byte"),
        ("/100%", "/100%25"),
        ("/%s%(path)s{path}", "/%25s%25%28path%29s%7Bpath%7D"),
        ("", ""),
        ("*", "*"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_no_path_can_write_a_line(form: str, path: str, shown: str, lines: Lines) -> None:
    environ = create_environ("/")
    environ["PATH_INFO"] = path
    Called(guarded(form), environ).read()
    fields = lines.fields()
    assert fields["path"] == lines.records[0].path == shown
    assert (fields["method"], fields["outcome"]) == ("GET", "admitted")


@pytest.mark.parametrize("form", ["logfmt", "json"])
@pytest.mark.parametrize(
    ("method", "shown"),
    [
        ("BREW", "BREW"),
        ("GE\nT", "GE%0AT"),
        ('GET" status="500', "GET%22%20status%3D%22500"),
        ("\x1b]0;title\x07", "%1B%5D0%3Btitle%07"),
        ("G" * 21, "G" * 20 + "..."),
    ],
    ids=ascii,
)
def test_no_method_can_write_a_line(form: str, method: str, shown: str, lines: Lines) -> None:
    Called(guarded(form), create_environ("/") | {"REQUEST_METHOD": method}).read()
    fields = lines.fields()
    assert fields["method"] == lines.records[0].method == shown


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_a_long_path_is_cut_so_that_a_line_stays_whole_in_a_pipe(form: str, lines: Lines) -> None:
    environ = create_environ("/") | {"SCRIPT_NAME": "/\xff", "PATH_INFO": "\xff" * 100_000}
    Called(guarded(form), environ | {"REQUEST_METHOD": "\xff" * 100}).read()
    assert lines.fields()["path"] == "/" + "%FF" * 499 + "..."
    assert len(lines.lines[0]) + 1 < 2048


def test_what_is_inside_the_guard_may_rewrite_the_request(lines: Lines) -> None:
    def rewriting(environ: Any, start_response: Any) -> Any:
        environ |= {"REQUEST_METHOD": "DELETE", "PATH_INFO": "/else", "SCRIPT_NAME": "/where"}
        return hello(environ, start_response)

    call(guarded(app=rewriting), "/here").read()
    assert (lines.fields()["method"], lines.fields()["path"]) == ("GET", "/here")


def raising(environ: Any, start_response: Any) -> Any:
    raise ValueError("on purpose")


def raising_later(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("202 Accepted", [])
    yield b"a"
    raise ValueError("on purpose")


def nonsense(environ: Any, start_response: Any) -> Any:
    start_response("²²² OK", [])
    return []


@pytest.mark.parametrize(
    ("app", "status"),
    [(raising, None), (raising_later, "202"), (nonsense, None)],
    ids=["at-once", "later", "no-number"],
)
def test_a_status_that_is_not_known_is_left_out(app: Any, status: str, lines: Lines) -> None:
    try:
        call(guarded(app=app)).read()
    except ValueError:
        pass
    assert lines.fields().get("status") == status
    assert len(lines.lines) == 1


@pytest.mark.parametrize("path", ["/x", "/exempt"])
def test_a_response_that_is_dropped_has_its_line_with_the_next(path: str, lines: Lines) -> None:
    app, guard = make_app(access_log="logfmt", exempt="/exempt")
    ring: list[Any] = [call(app, path).body]
    ring.append(ring)  # Only the collector finds it.
    del ring
    gc.collect()
    assert lines.lines == []  # The collector may run in the middle of anything.
    call(app, path).read()
    assert len(lines.lines) == 2
    assert guard.snapshot().in_flight == 0


def test_a_logger_that_is_off_costs_nothing_and_says_nothing(lines: Lines) -> None:
    access_log.logger.setLevel(logging.WARNING)
    call(guarded()).read()
    assert lines.lines == []


def test_a_handler_that_raises_harms_nobody(lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    def fail(record: logging.LogRecord) -> None:
        raise OSError("no space left on device")

    lines.emit = fail  # type: ignore[method-assign]
    guard = guarded()
    assert call(guard).read() == b"hello"
    assert guard.limiter.in_flight == 0
    assert caplog.messages[-1] == FAILED
    caplog.clear()


SEEN = """
import logging, sys
from flask import Flask
from flask_concurrency_guard import ConcurrencyGuard
{setting}
app = Flask("app")
app.config["CONCURRENCY_GUARD_ACCESS_LOG"] = "logfmt"
ConcurrencyGuard(app)
for _ in range(2):
    app.test_client().get("/x", buffered=True)
"""
BASIC = "logging.basicConfig(format='%(name)s:%(message)s'"
PACKAGE = "logging.getLogger('flask_concurrency_guard')"


@pytest.mark.parametrize(
    ("setting", "beginning"),
    [
        ("", "time="),
        (f"{BASIC})", "flask_concurrency_guard.access:time="),
        (f"{BASIC}); logging.root.handlers[0].setLevel(30)", "time="),
        (f"{PACKAGE}.setLevel(logging.ERROR)", None),
        ("logging.getLogger('flask_concurrency_guard.access').setLevel(30)", None),
        ("logging.disable()", None),
    ],
    ids=["nothing", "basic", "handler-level", "package-off", "off", "all"],
)
def test_lines_come_out_unless_somebody_has_said_no(setting: str, beginning: str | None) -> None:
    code = SEEN.format(setting=setting)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    seen = [line for line in done.stderr.splitlines() if "path=/x status=404" in line]
    assert [line.startswith(beginning or "?") for line in seen] == [True] * (2 * bool(beginning))


def test_the_handler_of_last_resort_follows_standard_error(
    monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    access_log.default_handler.emit(logging.makeLogRecord({"msg": "a line"}))
    assert stderr.getvalue() == "a line\n"


def test_the_logger_takes_the_handler_once(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.Logger("alone")
    monkeypatch.setattr(access_log, "logger", logger)
    access_log.set_up_logger()
    access_log.set_up_logger()
    assert logger.handlers == [access_log.default_handler]
    assert logger.level == logging.INFO


def test_nothing_is_logged_without_the_setting(lines: Lines) -> None:
    app: Flask = make_app()[0]
    app.test_client().get("/x", buffered=True)
    assert lines.lines == []


def test_what_is_no_http_is_rejected_like_all_else(caplog: pytest.LogCaptureFixture) -> None:
    """uWSGI passes it on without a method."""
    app = make_app(limit=1, max_queue=0, access_log="logfmt")[0]
    environ = create_environ("/x")
    del environ["REQUEST_METHOD"]
    with hold(app):
        assert Called(app.wsgi_app, environ).status.startswith("503")
    assert not [record for record in caplog.records if record.exc_info]
