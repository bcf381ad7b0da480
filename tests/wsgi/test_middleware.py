from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from core_support import Waiter
from core_support import lease_of
from support import Called
from support import call
from support import hello
from werkzeug.wsgi import FileWrapper

from flask_concurrency_guard.core.decisions import Mode
from flask_concurrency_guard.core.decisions import Reason
from flask_concurrency_guard.core.host.store import HostStore
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.shared import SharedLimiter
from flask_concurrency_guard.core.shedder import Shedder
from flask_concurrency_guard.observe.current import current_environ
from flask_concurrency_guard.wsgi.arrivals import Arrivals
from flask_concurrency_guard.wsgi.middleware import GuardMiddleware

Start = Callable[..., Any]
HEADERS = [("Content-Type", "text/plain")]


def guarded(app: Any, limit: int = 1, **options: Any) -> GuardMiddleware:
    options.setdefault("max_wait", 0)
    return GuardMiddleware(app, Limiter(limit, **options))


class Body:
    """A body with a `close` that is counted."""

    def __init__(self, chunks: Iterable[bytes] = (b"a", b"b")) -> None:
        self.chunks = iter(chunks)
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self.chunks)

    def close(self) -> None:
        self.closed += 1


def test_passes_the_response_on() -> None:
    called = call(guarded(hello))
    assert called.status == "200 OK"
    assert called.headers["Content-Type"] == "text/plain"
    assert called.read() == b"hello"


def generator(environ: Any, start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", HEADERS)
    yield b"hel"
    yield b"lo"


def lazy(environ: Any, start_response: Start) -> Iterator[bytes]:
    """Calls start_response in its first step only."""

    def body() -> Iterator[bytes]:
        start_response("200 OK", HEADERS)
        yield b"hello"

    return body()


def writer(environ: Any, start_response: Start) -> list[bytes]:
    write = start_response("200 OK", HEADERS)
    write(b"hello")
    return []


def empty(environ: Any, start_response: Start) -> tuple[bytes, ...]:
    start_response("204 No Content", [])
    return ()


def not_modified(environ: Any, start_response: Start) -> Iterator[bytes]:
    start_response("304 Not Modified", [])
    return iter(())


def closing(environ: Any, start_response: Start) -> Body:
    start_response("200 OK", HEADERS)
    return Body([b"hello"])


class Sized:
    """A body of known length that is no list."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"hello"])


def sized(environ: Any, start_response: Start) -> Sized:
    start_response("200 OK", HEADERS)
    return Sized()


def twice(environ: Any, start_response: Start) -> list[bytes]:
    start_response("200 OK", HEADERS)
    try:
        raise ValueError
    except ValueError:
        start_response("500 Oops", HEADERS, sys.exc_info())
    return [b"hello"]


SHAPES = [hello, generator, lazy, writer, empty, not_modified, closing, sized, twice]
shapes = pytest.mark.parametrize("app", SHAPES, ids=lambda app: app.__name__)


@shapes
def test_the_lease_is_held_until_the_body_is_closed(app: Any) -> None:
    guard = guarded(app)
    called = call(guard)
    assert guard.limiter.in_flight == 1
    called.close()
    assert guard.limiter.in_flight == 0
    called.close()
    assert guard.limiter.in_flight == 0


@shapes
def test_the_lease_is_held_until_the_body_is_exhausted(app: Any) -> None:
    guard = guarded(app)
    called = call(guard)
    assert guard.limiter.in_flight == 1
    list(called.body)
    assert guard.limiter.in_flight == 0
    called.close()
    assert guard.limiter.in_flight == 0


@shapes
def test_the_lease_comes_back_when_the_body_is_dropped(
    app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    guard = guarded(app)
    called = call(guard)
    assert guard.limiter.in_flight == 1
    del called
    gc.collect()
    assert guard.limiter.in_flight == 0
    guard.limiter.settle()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize("app", [hello, generator], ids=["list", "generator"])
def test_a_body_dropped_half_way_is_no_mistake(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    # asgiref stops after Content-Length bytes, and never closes.
    guard = guarded(app)
    called = call(guard)
    iterator = iter(called.body)
    assert next(iterator)
    assert guard.limiter.in_flight == 1
    del iterator, called
    gc.collect()
    assert guard.limiter.in_flight == 0
    guard.limiter.settle()
    assert caplog.records == []


ERRORS = [ValueError, StopIteration, KeyboardInterrupt, SystemExit, GeneratorExit, BaseException]
errors = pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)


@errors
def test_the_lease_comes_back_when_the_app_raises(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def app(environ: Any, start_response: Start) -> list[bytes]:
        raise error

    guard = guarded(app)
    with pytest.raises(error):
        call(guard)
    assert guard.limiter.in_flight == 0
    assert caplog.records == []  # Not by the finalizer.


@errors
def test_the_lease_comes_back_when_the_body_raises(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    class Raises(Body):
        def __next__(self) -> bytes:
            raise error

    def app(environ: Any, start_response: Start) -> Body:
        start_response("200 OK", HEADERS)
        return Raises()

    guard = guarded(app)
    called = call(guard)
    if error is StopIteration:
        assert list(called.body) == []
    else:
        with pytest.raises(error):
            list(called.body)
    assert guard.limiter.in_flight == 0
    assert caplog.records == []  # Not by the finalizer.


@errors
def test_the_lease_comes_back_when_close_raises(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    class Raises(Body):
        def close(self) -> None:
            raise error

    def app(environ: Any, start_response: Start) -> Body:
        start_response("200 OK", HEADERS)
        return Raises()

    guard = guarded(app)
    called = call(guard)
    with pytest.raises(error):
        called.close()
    assert guard.limiter.in_flight == 0
    assert caplog.records == []  # Not by the finalizer.


@pytest.mark.parametrize("result", [None, 5], ids=repr)
def test_the_lease_comes_back_when_the_body_is_none(result: Any) -> None:
    def app(environ: Any, start_response: Start) -> Any:
        start_response("200 OK", HEADERS)
        return result

    guard = guarded(app)
    called = call(guard)
    with pytest.raises(TypeError, match="not iterable"):
        list(called.body)
    assert guard.limiter.in_flight == 0


def test_the_apps_close_is_called_once_before_the_lease_comes_back() -> None:
    in_flight_at_close = []

    class Looks(Body):
        def close(self) -> None:
            super().close()
            in_flight_at_close.append(guard.limiter.in_flight)

    body = Looks()

    def app(environ: Any, start_response: Start) -> Body:
        start_response("200 OK", HEADERS)
        return body

    guard = guarded(app)
    called = call(guard)
    called.close()
    assert (body.closed, in_flight_at_close) == (1, [1])


@pytest.mark.parametrize("make", [list, tuple], ids=["list", "tuple"])
def test_a_list_stays_a_list(make: Any) -> None:
    # gevent.pywsgi, eventlet and waitress infer Content-Length from it, granian joins it.
    def app(environ: Any, start_response: Start) -> Any:
        start_response("200 OK", HEADERS)
        return make([b"a", b"b"])

    guard = guarded(app)
    called = call(guard)
    assert isinstance(called.body, list)
    assert len(called.body) == 2
    assert sum(len(chunk) for chunk in called.body) == 2
    assert b"".join(called.body) == b"ab"
    assert guard.limiter.in_flight == 0


def test_a_sized_body_stays_sized_and_can_be_iterated_twice() -> None:
    called = call(guarded(sized))
    assert len(called.body) == 1
    assert list(called.body) == list(called.body) == [b"hello"]


def test_an_unsized_body_has_no_length() -> None:
    called = call(guarded(generator))
    assert not hasattr(called.body, "__len__")
    called.close()


def test_the_apps_header_list_is_left_alone() -> None:
    kept = [("Content-Type", "text/plain")]

    def app(environ: Any, start_response: Start) -> list[bytes]:
        start_response("200 OK", kept)
        return [b""]

    guard = guarded(app)
    for _ in range(3):
        called = call(guard)
        assert {"X-Process-Id", "X-Thread-Id"} <= set(called.headers)
        called.close()
    assert kept == [("Content-Type", "text/plain")]


def test_start_response_is_passed_through() -> None:
    called = call(guarded(twice))
    assert [status for status, _, _ in called.started] == ["200 OK", "500 Oops"]
    assert called.started[0][2] is None
    assert called.started[1][2][0] is ValueError
    called.close()


def test_a_start_response_that_returns_nothing_is_not_our_business() -> None:
    # granian's and asgiref's do.
    got = []

    def app(environ: Any, start_response: Start) -> list[bytes]:
        got.append(start_response("200 OK", HEADERS))
        return [b""]

    Called(guarded(app), call(hello).environ).close()
    guarded(app)(call(hello).environ, lambda *_: None).close()  # type: ignore[attr-defined,arg-type,misc,func-returns-value]
    assert got[1] is None


def test_rejects_without_calling_the_app() -> None:
    calls = []

    def app(environ: Any, start_response: Start) -> Iterable[bytes]:
        calls.append(environ)
        return hello(environ, start_response)

    guard = guarded(app)
    first = call(guard)
    second = call(guard)
    assert second.status == "503 Service Unavailable"
    assert second.read()
    assert len(calls) == 1
    first.close()
    assert call(guard).status == "200 OK"


def test_off_touches_nothing() -> None:
    guard = guarded(hello, mode="off")
    called = call(guard)
    assert type(called.body) is list
    assert called.headers == {"Content-Type": "text/plain", "Content-Length": "5"}
    assert guard.limiter.snapshot().admitted == 0
    assert not [key for key in called.environ if key.startswith("flask_concurrency_guard")]


def test_off_is_over_when_another_process_says_so(tmp_path: Path) -> None:
    def make() -> GuardMiddleware:
        store = HostStore(tmp_path / "private" / "app.host", 1)
        return GuardMiddleware(hello, SharedLimiter(store, max_wait=0))

    one, other = make(), make()
    for guard in (one, other):
        call(guard).close()
    one.limiter.set_mode("off")
    call(other).close()
    assert other.limiter.mode is Mode.OFF
    one.limiter.set_mode("enforce")
    held = call(other)
    assert call(other).status == "503 Service Unavailable"
    held.close()


def broken(environ: Any, start_response: Start) -> Iterable[bytes]:
    raise ZeroDivisionError


def sends_a_file(environ: Any, start_response: Start) -> Any:
    start_response("200 OK", HEADERS)
    return environ["wsgi.file_wrapper"](BytesIO(b"hello"))


@pytest.mark.parametrize("app", [hello, generator, broken, sends_a_file])
@pytest.mark.parametrize("is_exempt", [False, True], ids=["guarded", "exempt"])
def test_a_request_that_is_over_is_not_the_current_one(app: Any, is_exempt: bool) -> None:
    guard = guarded(app)
    guard.match = lambda environ: None if is_exempt else ()
    before = current_environ.get()
    with suppress(ZeroDivisionError):
        call(guard, environ_overrides={"wsgi.file_wrapper": FileWrapper}).read()
    assert current_environ.get() is before


def test_who_waits_outside_of_a_request_has_no_client_that_could_have_left() -> None:
    guard = guarded(hello, max_wait=30)
    held = lease_of(guard.limiter)
    waiter = Waiter(guard.limiter)
    held.release()
    lease = waiter.result()
    assert isinstance(lease, Lease)
    lease.release()


class AllLeave(Arrivals):
    def has_left(self, environ: Any, waited: float) -> bool:
        return True


@pytest.mark.parametrize(("serve_gone", "reason"), [(False, Reason.CLIENT_GONE), (True, None)])
def test_whose_client_has_left_in_the_line_is_served_if_that_is_set(
    serve_gone: bool, reason: Reason | None
) -> None:
    limiter = Limiter(1)
    GuardMiddleware(hello, limiter, shedder=Shedder(serve_gone=serve_gone), arrivals=AllLeave())
    assert limiter.on_turn is not None
    with limiter.acquire({}) as lease:  # type: ignore[union-attr]
        assert limiter.on_turn(lease) is reason


def test_an_exempt_request_passes_and_holds_no_lease() -> None:
    guard = guarded(hello)
    guard.match = lambda environ: None if environ["PATH_INFO"] == "/healthz" else ()
    held = call(guard)
    exempt = call(guard, "/healthz")
    assert exempt.status == "200 OK"
    assert "X-Thread-Id" in exempt.headers
    assert exempt.environ["flask_concurrency_guard.in_flight"] == 1
    assert guard.limiter.in_flight == 1
    held.close()


def test_an_error_while_looking_around_is_not_the_apps(caplog: pytest.LogCaptureFixture) -> None:
    guard = guarded(hello)
    calls = []

    def on_first(environ: Any) -> None:
        calls.append(environ)
        raise ValueError("something of ours")

    guard.on_first = on_first
    for _ in range(2):
        assert call(guard).read() == b"hello"
    assert len(calls) == 1
    assert caplog.messages == ["The guard could not look around at the first request; going on."]


def test_rejections_not_logged_yet_are_logged_at_a_release(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard = guarded(hello)
    now = 0.0
    guard.reporter._logs["default"]._clock = lambda: now
    held = call(guard)
    for _ in range(5):
        call(guard)
    now = 2.0
    held.close()
    assert caplog.messages == [
        "Rejected 1 request (limit 1); the limit is 1 in flight.",
        "Rejected 4 requests (limit 4); the limit is 1 in flight.",
    ]


def test_rejections_of_a_limit_that_nobody_comes_to_any_more_are_logged_as_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard = guarded(hello)
    few = Limiter(1, max_queue=0, name="few")
    guard.add(few)
    guard.match = lambda environ: (few,)
    now = 0.0
    guard.reporter._logs["few"]._clock = lambda: now
    held = few.acquire()
    for _ in range(5):
        call(guard)
    guard.match = None
    now = 2.0
    call(guard).close()
    assert caplog.messages == [
        "Rejected 1 request (limit 1); the limit 'few' is 1 in flight.",
        "Rejected 4 requests (limit 4); the limit 'few' is 1 in flight.",
    ]
    assert isinstance(held, Lease)


@pytest.mark.parametrize("closes", [True, False])
def test_the_lease_is_kept_for_what_the_app_does_when_a_client_has_left(closes: bool) -> None:
    # Servers drop the iterator before they close the body; or drop that, too.
    at_the_end = []

    def app(environ: Any, start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", HEADERS)
        try:
            yield b"hel"
            yield b"lo"
        finally:
            at_the_end.append(guard.limiter.in_flight)

    guard = guarded(app)
    released = []
    called = call(guard)
    guard.limiter.on_release = released.append
    iterator = iter(called.body)
    next(iterator)
    del iterator
    assert at_the_end == []
    if closes:
        called.close()
    else:
        called.body = []
    assert at_the_end == [1]
    assert guard.limiter.snapshot().in_flight == 0
    assert len(released) == 1


def test_several_first_requests_do_not_get_into_each_others_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard = guarded(hello, limit=2)
    calls = []

    def on_first(environ: Any) -> None:
        calls.append(environ)
        if len(calls) == 1:
            call(guard).close()

    guard.on_first = on_first
    assert call(guard).read() == b"hello"
    assert len(calls) == 2
    assert guard.on_first is None
    assert caplog.records == []
