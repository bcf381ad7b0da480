"""Requests that have waited before they came: how it is found out, and what becomes of them."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any
from wsgiref.validate import validator

import pytest
from core_support import wait_until
from support import Called
from support import call
from support import hello
from werkzeug.middleware.lint import LintMiddleware
from wsgi.sockets import RESOLUTION
from wsgi.sockets import let_pass
from wsgi.sockets import tcp

from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.shedder import Shedder
from flask_concurrency_guard.signals import request_admitted
from flask_concurrency_guard.signals import request_rejected
from flask_concurrency_guard.wsgi.arrivals import SUSPICIOUS
from flask_concurrency_guard.wsgi.arrivals import Arrivals
from flask_concurrency_guard.wsgi.kernel import HALF_CLOSED
from flask_concurrency_guard.wsgi.kernel import look
from flask_concurrency_guard.wsgi.middleware import GuardMiddleware

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
linters = pytest.mark.parametrize(
    "lint", [lambda app: app, validator, LintMiddleware], ids=["plain", "wsgiref", "werkzeug"]
)

AGE = "flask_concurrency_guard.queue_age"
HEADERS = {"queue_age": "X-Queue-Age"}
NOW = 1_795_374_000.0
LONG = 2 * HALF_CLOSED / 1000


def guarded(limit: int = 1, **options: Any) -> GuardMiddleware:
    shedder = Shedder(
        max_age=options.pop("max_age", None), serve_gone=options.pop("serve_gone", False)
    )
    arrivals = Arrivals(
        trust_request_start=options.pop("trusts", False),
        deadline_header=options.pop("deadline", None),
        clock=lambda: NOW,
    )
    limiter = Limiter(limit, **{"max_wait": 0, **options})
    return GuardMiddleware(hello, limiter, shedder=shedder, arrivals=arrivals, headers=HEADERS)


def ask(
    app: Any, path: str = "/", connection: socket.socket | None = None, **headers: str
) -> Called:
    base: dict[str, Any] = {"REMOTE_ADDR": "127.0.0.1"}
    if connection is not None:
        base["gunicorn.socket"] = connection
    dashed = {name.replace("_", "-"): value for name, value in headers.items()}
    return call(app, path, environ_base=base, headers=dashed)


def start(age: float) -> str:
    return f"t={NOW - age:.3f}"


def reason(called: Called) -> str:
    assert called.status == "503 Service Unavailable"
    assert int(called.headers["Retry-After"]) >= 1
    assert called.headers["Content-Type"] == "application/problem+json"
    return str(json.loads(called.read())["reason"])


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    with tcp() as ends:
        yield ends


@linux
def test_age_by_the_kernel(ends: Any) -> None:
    client, server = ends
    guard = guarded()
    client.sendall(b"GET")
    sent = time.monotonic()
    waited = let_pass(LONG) - sent
    called = ask(guard, connection=server)
    called.close()
    assert waited - RESOLUTION <= called.environ[AGE] <= time.monotonic() - sent + RESOLUTION
    assert called.headers["X-Queue-Age"] == f"{called.environ[AGE]:.3f}"
    assert guard.snapshot().queue_age == called.environ[AGE]


def test_age_that_nobody_knows() -> None:
    guard = guarded()
    called = ask(guard, X_Request_Start=start(5))
    called.close()
    assert AGE not in called.environ
    assert "X-Queue-Age" not in called.headers
    snapshot = guard.snapshot()
    assert (snapshot.queue_age, snapshot.odd_headers) == (None, {})


def test_age_by_a_trusted_header() -> None:
    guard = guarded(trusts=True)
    called = ask(guard, X_Request_Start=start(1.2345))
    called.close()
    assert called.environ[AGE] == pytest.approx(1.234, abs=0.0011)
    assert called.headers["X-Queue-Age"] == f"{called.environ[AGE]:.3f}"


@pytest.mark.parametrize(
    ("told", "age"),
    [
        pytest.param(str(int((NOW - 2.5) * 1e6)), 2.5, id="4.9"),
        pytest.param(NOW - 2.5, 2.5, id="6"),
        pytest.param(0.0, None, id="6-embedded"),
        pytest.param(NOW + 1, 0.0, id="clock-set-back"),
        pytest.param(NOW - 1e6, None, id="clock-set-forward"),
    ],
)
def test_age_by_mod_wsgi(told: object, age: float | None) -> None:
    guard = guarded()
    for _ in range(2):  # No connection is looked for in the second one.
        apache = {"SERVER_SOFTWARE": "Apache", "mod_wsgi.queue_start": told}
        called = call(guard, environ_base=apache)
        assert called.environ.get(AGE) == age
        called.close()


def test_age_by_mod_wsgi_and_by_a_proxy_before_it() -> None:
    called = call(
        guarded(trusts=True),
        environ_base={"mod_wsgi.queue_start": NOW - 1},
        headers={"X-Request-Start": start(3)},
    )
    assert called.environ[AGE] == 3.0
    called.close()


def test_first_of_the_two_headers_counts() -> None:
    guard = guarded(trusts=True, limit=3)
    assert ask(guard, X_Queue_Start=start(2)).environ[AGE] == 2
    both = ask(guard, X_Queue_Start=start(2), X_Request_Start=start(3))
    assert both.environ[AGE] == 3


@linux
def test_higher_one_of_two_ages_is_the_better_one(ends: Any) -> None:
    client, server = ends
    guard = guarded(trusts=True, limit=2)
    client.sendall(b"GET")
    let_pass(LONG)
    assert ask(guard, connection=server, X_Request_Start=start(5)).environ[AGE] == 5
    assert ask(guard, connection=server, X_Request_Start=start(0)).environ[AGE] > 0


def test_odd_headers_are_counted() -> None:
    guard = guarded(trusts=True, deadline="X-Request-Timeout", limit=9)
    for value in (start(-1), start(-2), start(5000), "yesterday"):
        ask(guard, X_Request_Start=value).close()
    ask(guard, X_Request_Timeout="soon").close()
    snapshot = guard.snapshot()
    assert snapshot.odd_headers == {
        "request_start_in_future": 2,
        "request_start_absurd": 1,
        "request_start_malformed": 1,
        "deadline_malformed": 1,
    }
    assert snapshot.queue_age == 0.0
    assert sum(snapshot.rejected.values()) == 0


@linux
def test_ages_that_nothing_explains_are_told_of_once(
    ends: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client, server = ends
    guard = guarded(limit=2, trusts=True, max_age=2)

    def ask_late(connection: socket.socket | None) -> None:
        client.sendall(b"GET")
        assert reason(ask(guard, connection=connection, X_Request_Start=start(3))) == "too_old"

    held = ask(guard)
    ask_late(server)  # It may have waited for that one.
    held.close()
    ask_late(None)  # It may have waited in a queue that nobody sees.
    assert guard.snapshot().odd_headers == {}
    for _ in range(SUSPICIOUS + 5):
        ask_late(server)
    assert guard.snapshot().odd_headers == {"request_start_while_idle": SUSPICIOUS + 5}
    (message,) = [each for each in caplog.messages if "X-Request-Start" in each]
    assert message == (
        "20 requests were rejected by the age that 'X-Request-Start' tells, the last one by 3 s,"
        " with nothing in flight here. If the proxy has no queue of its own, its clock is behind"
        " this one."
    )


@pytest.mark.parametrize(
    ("extra", "known"),
    [
        ({"wsgi.input": BytesIO()}, False),
        ({"waitress.client_disconnected": print, "wsgi.input": object()}, False),
        ({"wsgi.input": object()}, True),
        ({"wsgi.input": BytesIO(), "CONTENT_LENGTH": "0"}, True),
    ],
    ids=["asgiref", "waitress", "others", "no body"],
)
def test_sending_the_body_is_no_waiting(extra: dict[str, Any], known: bool) -> None:
    """Where the server has taken all of it before, the header would count that as well."""
    environ = {"CONTENT_LENGTH": "5", "HTTP_X_REQUEST_START": start(5), **extra}
    arrival = Arrivals(trust_request_start=True, clock=lambda: NOW).look(environ)
    assert arrival.age == (5 if known else None)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_has_served_nothing_yet() -> None:
    guard = guarded(trusts=True)
    ask(guard, X_Request_Start=start(5)).close()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, repr(guard.snapshot().queue_age).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1000) == b"None"
    os.close(reader)
    os.close(writer)


@linters
def test_request_that_is_too_old_is_rejected(lint: Any) -> None:
    guard = guarded(max_age=2, trusts=True)
    called = ask(lint(guard), X_Request_Start=start(3))
    assert reason(called) == "too_old"
    assert called.headers["X-Queue-Age"] == "3.000"
    assert guard.limiter.in_flight == 0
    young = ask(lint(guard), X_Request_Start=start(1))
    assert young.status == "200 OK"
    assert young.read() == b"hello"


@linters
def test_request_past_its_deadline_is_rejected(lint: Any) -> None:
    guard = guarded(deadline="X-Request-Timeout", trusts=True)
    late = ask(lint(guard), X_Request_Start=start(1.5), X_Request_Timeout="1500ms")
    assert reason(late) == "deadline"
    in_time = ask(lint(guard), X_Request_Start=start(1.4), X_Request_Timeout="1500ms")
    assert in_time.status == "200 OK"
    in_time.read()


@linux
@linters
def test_request_of_a_client_that_has_left_is_rejected(lint: Any, ends: Any) -> None:
    client, server = ends
    guard = guarded()
    client.sendall(b"GET")
    let_pass(LONG)
    client.close()
    wait_until(lambda: (look(server) or (0, False))[1])
    assert reason(ask(lint(guard), connection=server)) == "client_gone"
    assert guard.snapshot().rejected["client_gone"] == 1


@linux
def test_request_of_a_client_that_has_left_can_be_served(ends: Any) -> None:
    client, server = ends
    client.sendall(b"GET")
    let_pass(LONG)
    client.close()
    wait_until(lambda: (look(server) or (0, False))[1])
    called = ask(guarded(serve_gone=True), connection=server)
    assert called.status == "200 OK"
    called.close()


@linux
def test_client_that_hung_up_a_unix_socket_has_left_if_it_has_waited() -> None:
    client, server = socket.socketpair()
    with client, server:
        client.close()
        guard = guarded(trusts=True)
        young = ask(guard, connection=server, X_Request_Start=start(0.05))
        assert young.status == "200 OK"
        young.close()
        old = ask(guard, connection=server, X_Request_Start=start(0.15))
        assert reason(old) == "client_gone"


def test_exempt_request_passes_whatever_its_age() -> None:
    guard = guarded(max_age=2, trusts=True)
    guard.match = lambda environ: None if environ["PATH_INFO"] == "/healthz" else ()
    called = ask(guard, "/healthz", X_Request_Start=start(3))
    assert called.status == "200 OK"
    assert called.headers["X-Queue-Age"] == "3.000"


def test_mode_off_looks_at_nothing() -> None:
    guard = guarded(max_age=2, trusts=True, mode="off")
    called = ask(guard, X_Request_Start=start(3))
    assert called.status == "200 OK"
    assert AGE not in called.environ
    assert guard.snapshot().queue_age is None


def test_shadow_mode_counts_and_tells_and_admits(caplog: pytest.LogCaptureFixture) -> None:
    guard = guarded(max_age=2, trusts=True, mode="shadow")
    heard: list[Any] = []

    def admitted(sender: Any, environ: Any, lease: Any, **extra: Any) -> None:
        heard.append(("admitted", environ[AGE]))

    def rejected(sender: Any, environ: Any, rejection: Any, **extra: Any) -> None:
        heard.append((str(rejection.reason), rejection.enforced))

    with request_admitted.connected_to(admitted), request_rejected.connected_to(rejected):
        called = ask(guard, X_Request_Start=start(3))
        assert called.status == "200 OK"
        assert called.read() == b"hello"
    assert heard == [("admitted", 3.0), ("too_old", False)]
    assert guard.snapshot().rejected["too_old"] == 1
    assert guard.limiter.in_flight == 0
    assert caplog.messages == [
        "Would have rejected 1 request (too_old 1); 1 in flight here, and the limit is 1."
    ]


def test_shadow_mode_tells_of_a_wait_that_was_too_long_at_its_end() -> None:
    guard = guarded(max_age=2, trusts=True, mode="shadow", max_wait=60)
    now = 0.0
    guard.limiter._clock = lambda: now
    heard: list[str] = []

    def rejected(sender: Any, rejection: Any, **extra: Any) -> None:
        heard.append(str(rejection.reason))

    with request_rejected.connected_to(rejected):
        first = ask(guard, X_Request_Start=start(0))
        second = ask(guard, X_Request_Start=start(1.5))
        now = 1.0
        first.close()
        assert heard == []
        second.close()
    assert heard == ["too_old"]


def test_rejections_are_logged_with_their_reasons(caplog: pytest.LogCaptureFixture) -> None:
    guard = guarded(max_age=2, trusts=True)
    ask(guard, X_Request_Start=start(3))
    assert caplog.messages == [
        "Rejected 1 request (too_old 1); 0 in flight here, and the limit is 1."
    ]


@pytest.mark.parametrize(
    ("options", "headers", "expected"),
    [
        ({"max_age": 0.25}, {"X_Request_Start": start(0.2)}, "too_old"),
        ({"deadline": "X-Timeout"}, {"X_Timeout": "0.05"}, "deadline"),
        (
            {"deadline": "X-Timeout", "max_age": 9},
            {"X_Timeout": "1s", "X_Request_Start": start(0.95)},
            "deadline",
        ),
    ],
    ids=["too old", "deadline", "deadline before the age"],
)
def test_wait_in_the_line_ends_with_the_age(
    options: dict[str, Any], headers: dict[str, str], expected: str
) -> None:
    guard = guarded(trusts=True, max_wait=60, **options)
    held = ask(guard)
    called = ask(guard, **headers)
    assert reason(called) == expected
    assert 0.04 < called.environ["flask_concurrency_guard.queue_time"] < 10
    held.close()


@linux
@pytest.mark.parametrize("family", ["unix", "tcp"])
def test_client_that_leaves_the_line_is_not_served(family: str, ends: Any) -> None:
    client, server = socket.socketpair() if family == "unix" else ends
    guard = guarded(max_wait=60)
    with client, server, ThreadPoolExecutor(1) as pool:
        client.sendall(b"GET")
        held = ask(guard)
        waiting = pool.submit(ask, guard, connection=server)
        wait_until(lambda: guard.snapshot().queued == 1)
        let_pass(LONG)
        client.close()
        if family == "tcp":
            wait_until(lambda: (look(server) or (0, False))[1])
        held.close()
        assert reason(waiting.result(10)) == "client_gone"
    snapshot = guard.snapshot()
    assert (snapshot.in_flight, snapshot.queued, snapshot.admitted) == (0, 0, 1)


@linux
def test_client_that_stays_in_the_line_is_served(ends: Any) -> None:
    client, server = ends
    guard = guarded(max_wait=60, max_age=30)
    with ThreadPoolExecutor(1) as pool:
        sent = time.monotonic()
        client.sendall(b"GET")
        held = ask(guard)
        waiting = pool.submit(ask, guard, connection=server)
        wait_until(lambda: guard.snapshot().queued == 1)
        came = time.monotonic() - sent
        let_pass(LONG)
        held.close()
        called = waiting.result(10)
    assert called.status == "200 OK"
    # What it has waited here is another tag.
    assert called.environ[AGE] <= came + RESOLUTION
    assert called.environ["flask_concurrency_guard.queue_time"] >= LONG
    called.close()


def test_nobody_reads_the_upload_of_a_client_that_has_left(ends: Any) -> None:
    client, server = ends
    client.sendall(b"x" * 50_000)
    reads = []
    guard = guarded()
    guard.shedder.judge = lambda arrival, patience=1.0: Shedder().judge(  # type: ignore[method-assign]
        type(arrival)(is_gone=True)
    )

    class Input:
        def read(self, *size: int) -> bytes:
            reads.append(size)
            return b""

    environ = call(hello).environ | {
        "gunicorn.socket": server,
        "CONTENT_LENGTH": "1000000",
        "wsgi.input": Input(),
    }
    assert reason(Called(guard, environ)) == "client_gone"
    assert reads == []


def test_threads_do_not_mix_up_their_ages() -> None:
    guard = guarded(limit=8, trusts=True)
    barrier = threading.Barrier(4)

    def serve(age: int) -> bool:
        barrier.wait(10)
        for _ in range(50):
            called = ask(guard, X_Request_Start=start(age))
            called.close()
            if called.environ[AGE] != age:
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(serve, range(1, 5)))
    assert guard.snapshot().queue_age in {1, 2, 3, 4}
