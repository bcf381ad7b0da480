from __future__ import annotations

import gc
import logging
import os
import re
import threading
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from core_support import Clock
from core_support import wait_until
from flask import Flask
from support import call
from support import hello
from support import hold
from support import make_app
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.observe.logs import TagFilter
from flask_concurrency_guard.observe.watchdog import INNERMOST
from flask_concurrency_guard.observe.watchdog import LONGEST_LINE
from flask_concurrency_guard.observe.watchdog import LONGEST_PAUSE
from flask_concurrency_guard.observe.watchdog import OUTERMOST
from flask_concurrency_guard.observe.watchdog import RETRY
from flask_concurrency_guard.observe.watchdog import Watchdog
from flask_concurrency_guard.wsgi.middleware import GuardMiddleware


def make(after: float = 2.0, app: Any = hello) -> tuple[GuardMiddleware, Watchdog, Clock]:
    clock = Clock()
    watchdog = Watchdog(after, clock)
    watchdog._thread = threading.current_thread()  # It is the test that looks.
    return GuardMiddleware(app, Limiter(8), observers=[watchdog]), watchdog, clock


class Blocked:
    """A WSGI app whose requests wait, each in a thread of its own."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.inside = threading.Semaphore(0)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.inside.release()
        self.wait_for_the_gate()
        return hello(environ, start_response)

    def wait_for_the_gate(self) -> None:
        self.gate.wait(10)


@pytest.fixture
def blocked() -> Iterator[Blocked]:
    app = Blocked()
    yield app
    app.gate.set()


def test_a_slow_request_is_logged_with_its_stack_at_doubling_ages(
    blocked: Blocked, caplog: pytest.LogCaptureFixture
) -> None:
    guard, watchdog, clock = make(2.0, blocked)
    caplog.handler.addFilter(TagFilter())
    thread = threading.Thread(target=lambda: call(guard, "/re%0Aport?secret=1").read())
    thread.start()
    assert blocked.inside.acquire(timeout=10)
    ages = []
    for seconds in (0, 1, 1.9, 2, 3.9, 4, 7, 9, 31, 33):
        clock.now = 100 + seconds
        before = len(caplog.records)
        watchdog.look()
        ages += [seconds] * (len(caplog.records) - before)
    assert ages == [2, 4, 9, 31, 33]
    first = caplog.records[0]
    assert first.levelname == "WARNING"
    assert first.thread_id == thread.native_id  # type: ignore[attr-defined]
    lines = first.getMessage().splitlines()
    assert lines[0] == "GET /re?port has been in flight for 2 s, and is at:"
    blocked.gate.set()
    thread.join(10)
    clock.now += 1000
    watchdog.look()
    assert len(caplog.records) == len(ages)
    assert watchdog._watched == {}


Stack = Callable[[Any, Watchdog, Clock], list[str]]


@pytest.fixture
def stack_of(blocked: Blocked, caplog: pytest.LogCaptureFixture) -> Stack:
    """Return what calls something in a thread of its own, and returns where that is told to be."""

    def look(run: Any, watchdog: Watchdog, clock: Clock) -> list[str]:
        thread = threading.Thread(target=run)
        thread.start()
        assert blocked.inside.acquire(timeout=10)
        clock.now += 2
        watchdog.look()
        blocked.gate.set()
        thread.join(10)
        return caplog.messages[0].splitlines()[1:]

    return look


def test_a_stack_begins_with_the_apps_own(blocked: Blocked, stack_of: Stack) -> None:
    app = Flask("shop")
    app.add_url_rule("/", view_func=lambda: blocked.inside.release() or blocked.gate.wait(10) or "")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app)  # type: ignore[method-assign]
    guard, watchdog, clock = make(2.0, app)
    stack = stack_of(lambda: call(guard).read(), watchdog, clock)
    assert re.fullmatch(rf'  File "{re.escape(__file__)}", line \d+, in <lambda>', stack[0])
    assert stack[1].startswith("    app.add_url_rule(")
    assert re.fullmatch(r'  File ".*threading\.py", line \d+, in wait', stack[2])


def test_a_long_stack_has_its_middle_left_out(blocked: Blocked, stack_of: Stack) -> None:
    def left(depth: int) -> None:
        blocked.wait_for_the_gate() if depth == 0 else right(depth - 1)

    def right(depth: int) -> None:
        left(depth)

    def deep(environ: Any, start_response: Any) -> Any:
        blocked.inside.release()
        left(100)
        return hello(environ, start_response)

    guard, watchdog, clock = make(2.0, deep)
    stack = stack_of(lambda: call(guard).read(), watchdog, clock)
    assert stack[0].endswith("in deep")
    assert any(line.endswith("in wait_for_the_gate") for line in stack)
    (left_out,) = [line for line in stack if line.startswith("  ...")]
    assert re.fullmatch(r"  \.\.\. 18\d more \.\.\.", left_out)
    assert len(stack) == 2 * (OUTERMOST + INNERMOST) + 1


def test_a_stack_outside_of_the_app_is_whole(blocked: Blocked, stack_of: Stack) -> None:
    guard, watchdog, clock = make(2.0)

    def send_slowly() -> None:
        called = call(guard)
        blocked.inside.release()
        blocked.wait_for_the_gate()
        called.read()

    stack = stack_of(send_slowly, watchdog, clock)
    assert stack[0].endswith("in _bootstrap")
    assert any(line.endswith("in send_slowly") for line in stack)


def test_a_long_line_is_cut_but_not_the_name_of_a_file(
    tmp_path: Path, blocked: Blocked, stack_of: Stack
) -> None:
    folder = tmp_path / ("f" * 200)
    folder.mkdir()
    file = folder / "long.py"
    file.write_text(f"def app(environ, start_response):\n    run(); {'x' * 300!r}\n    return []\n")
    names = {"run": lambda: blocked.inside.release() or blocked.gate.wait(10)}
    exec(compile(file.read_text(), str(file), "exec"), names)
    guard, watchdog, clock = make(2.0, names["app"])
    stack = stack_of(lambda: list(call(guard).body), watchdog, clock)
    assert stack[0] == f'  File "{file}", line 2, in app'
    assert stack[1].startswith("    run(); 'xxx")
    assert len(stack[1]) == LONGEST_LINE


def test_a_method_is_cut_and_has_nothing_that_a_terminal_would_obey(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard, watchdog, clock = make()
    held = call(guard, "/x", method="GE\x1b]0;TITLE\x07" + "T" * 100)
    clock.now += 2
    watchdog.look()
    assert caplog.messages[0].startswith(
        "GE?]0;TITLE?TTTTTTTT /x has been in flight for 2 s, and is at:\n"
    )
    held.close()


def test_a_response_that_nobody_closes_gives_its_place_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard, watchdog, clock = make()
    kept: list[Any] = []
    thread = threading.Thread(target=lambda: kept.append(call(guard, "/lost")))
    thread.start()
    thread.join(10)
    assert guard.limiter.in_flight == 1
    clock.now += 2
    watchdog.look()
    assert guard.limiter.in_flight == 0
    assert caplog.messages == [
        "GET /lost has been in flight for 2 s, and its thread has ended: its response was neither"
        " read to its end nor closed. Its place is free again."
    ]
    assert watchdog._watched == {}
    kept.pop().close()
    assert guard.limiter.in_flight == 0


def test_what_is_dropped_is_not_watched_any_more() -> None:
    guard, watchdog, _ = make()
    call(guard)
    gc.collect()
    guard.snapshot()
    assert watchdog._watched == {}


def test_a_thread_looks_while_there_is_an_app(
    blocked: Blocked, caplog: pytest.LogCaptureFixture
) -> None:
    watchdogs = [Watchdog(0.01)]
    guards = [GuardMiddleware(blocked, Limiter(8), observers=watchdogs)]
    assert watchdogs[0]._thread is None
    thread = threading.Thread(target=lambda: call(guards[0]).read())
    thread.start()
    wait_until(lambda: len(caplog.records) >= 2)
    looking = watchdogs[0]._thread
    assert looking is not None
    assert looking.daemon
    blocked.gate.set()
    thread.join(10)
    gone = ref(watchdogs[0])
    watchdogs.clear()
    guards.clear()
    gc.collect()
    looking.join(10)
    assert not looking.is_alive()
    assert gone() is None


@pytest.mark.parametrize(
    ("after", "pause"), [(2.0, 0.5), (1e11, LONGEST_PAUSE), (1.7e308, LONGEST_PAUSE)]
)
def test_it_pauses_no_longer_than_a_thread_can_sleep(after: float, pause: float) -> None:
    _, watchdog, _ = make(after)
    assert watchdog.pause() == pause


def test_of_two_threads_one_ends() -> None:
    watchdog = Watchdog(0.01)
    watchdog._start()
    first = watchdog._thread
    watchdog._start()
    assert first is not None
    first.join(10)
    assert not first.is_alive()
    assert watchdog._thread is not None
    assert watchdog._thread.is_alive()


def test_where_there_can_be_no_thread_requests_are_served(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    clock = Clock()
    watchdog = Watchdog(1.0, clock)
    guard = GuardMiddleware(hello, Limiter(8), observers=[watchdog])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert call(guard).read() == call(guard).read() == b"hello"
    assert caplog.messages == ["Nobody looks for slow requests: there can be no more threads."]
    # It is tried again, but not with each request.
    assert call(guard).read() == b"hello"
    assert watchdog._thread is None
    clock.now += RETRY
    assert call(guard).read() == b"hello"
    assert watchdog._thread is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_watches_its_own() -> None:
    guard, watchdog, _ = make()
    held = call(guard)
    child = os.fork()
    if not child:
        os._exit(int(bool(watchdog._watched) or watchdog._thread is not None))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(watchdog._watched) == 1
    held.close()


def test_it_is_a_setting(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = make_app(slow_after=0.01)
    with hold(app, "/slow"), caplog.at_level(logging.WARNING):
        wait_until(lambda: bool(caplog.records))
    assert caplog.messages[0].startswith("GET /slow has been in flight for 0.")


def test_there_is_no_thread_without_the_setting() -> None:
    before = set(threading.enumerate())
    app: Flask = make_app()[0]
    with hold(app):
        assert set(threading.enumerate()) <= before
    assert app.extensions["concurrency_guard"].middleware._observers == ()
