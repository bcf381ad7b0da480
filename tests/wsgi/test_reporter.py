"""What observers are told of requests."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from typing import Any

import pytest
from werkzeug.test import create_environ
from werkzeug.test import run_wsgi_app

from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.tags import tag_key
from flask_concurrency_guard.wsgi.arrivals import Arrivals
from flask_concurrency_guard.wsgi.middleware import GuardMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterable


class Notes:
    """An observer that writes everything down."""

    def __init__(self, *, sees_exempt: bool = False) -> None:
        self.sees_exempt = sees_exempt
        self.told: list[str] = []

    def begin(self, environ: dict[str, Any], lease: Any) -> None:
        self._note("begin", environ)

    def end(self, environ: dict[str, Any], lease: Any) -> None:
        assert lease.held >= 0
        self._note("end", environ)

    def rejected(self, environ: dict[str, Any], rejection: Any) -> None:
        self._note(f"rejected {rejection.reason} enforced={rejection.enforced}", environ)

    def _note(self, what: str, environ: dict[str, Any]) -> None:
        status = environ.get("flask_concurrency_guard.status", "-")
        self.told.append(f"{what} {status} {environ['flask_concurrency_guard.decision']}")


class Broken(Notes):
    def _note(self, what: str, environ: dict[str, Any]) -> None:
        raise LookupError(what)


def hello(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("201 Created", [])
    return [b"hello"]


def call(guard: GuardMiddleware, path: str = "/") -> str:
    body, status, _ = run_wsgi_app(guard, create_environ(path))
    assert list(body) is not None
    return status


def test_observers_hear_of_the_beginning_and_the_end() -> None:
    notes = Notes()
    assert call(GuardMiddleware(hello, Limiter(1), observers=[notes])) == "201 Created"
    assert notes.told == ["begin - admitted", "end 201 admitted"]


def test_observers_hear_of_a_rejection_when_it_has_its_answer() -> None:
    notes = Notes()
    limiter = Limiter(1, max_wait=0)
    guard = GuardMiddleware(hello, limiter, observers=[notes])
    held = limiter.acquire()
    assert call(guard).startswith("503 ")
    assert notes.told == ["rejected limit enforced=True 503 rejected; limit=default; reason=limit"]
    del held


def test_observers_hear_of_what_shadow_mode_would_have_rejected() -> None:
    notes = Notes()
    limiter = Limiter(1, max_wait=0, mode="shadow")
    guard = GuardMiddleware(hello, limiter, observers=[notes])
    held = limiter.acquire()
    assert call(guard) == "201 Created"
    decision = "rejected; limit=default; reason=limit; mode=shadow"
    assert notes.told == [
        f"begin - {decision}",
        f"rejected limit enforced=False - {decision}",
        f"end 201 {decision}",
    ]
    del held


@pytest.mark.parametrize("sees_exempt", [True, False])
def test_observers_hear_of_exempt_requests_if_they_want_to(sees_exempt: bool) -> None:
    notes = Notes(sees_exempt=sees_exempt)
    limiter = Limiter(1)
    guard = GuardMiddleware(hello, limiter, observers=[notes])
    guard.match = lambda environ: None
    assert call(guard) == "201 Created"
    assert notes.told == (["begin - exempt", "end 201 exempt"] if sees_exempt else [])
    assert limiter.snapshot().admitted == 0


@pytest.mark.parametrize("path", ["admitted", "exempt"])
def test_an_observer_that_raises_harms_nobody(path: str, caplog: pytest.LogCaptureFixture) -> None:
    notes = Notes(sees_exempt=True)
    limiter = Limiter(1)
    guard = GuardMiddleware(hello, limiter, observers=[Broken(sees_exempt=True), notes])
    if path == "exempt":
        guard.match = lambda environ: None
    with caplog.at_level(logging.ERROR):
        assert call(guard) == "201 Created"
    assert notes.told == [f"begin - {path}", f"end 201 {path}"]
    # Not twice a second.
    assert caplog.messages == ["What observes requests has failed; going on."]
    assert limiter.in_flight == 0


class Tags(Notes):
    def _note(self, what: str, environ: dict[str, Any]) -> None:
        tags = [str(environ.get(tag_key(tag), "-")) for tag in ("decision", "limit", "queue_age")]
        self.told.append(" ".join([what, *tags]))


def test_each_of_the_guards_in_one_another_tells_its_own_tags() -> None:
    outer_notes, middle_notes, inner_notes = (Tags(sees_exempt=True) for _ in range(3))
    aged = Arrivals(trust_request_start=True, clock=lambda: 1_800_000_000.5)
    inner = GuardMiddleware(hello, Limiter(1), observers=[inner_notes])
    middle = GuardMiddleware(inner, Limiter(2), observers=[middle_notes], arrivals=aged)
    outer = GuardMiddleware(middle, Limiter(3), observers=[outer_notes])
    outer.match = lambda environ: None
    environ = create_environ(headers={"X-Request-Start": "t=1800000000.000"})
    body, _, _ = run_wsgi_app(outer, environ)
    assert list(body) == [b"hello"]
    assert outer_notes.told == ["begin exempt 3 -", "end exempt 3 -"]
    assert middle_notes.told == ["begin admitted 2 0.5", "end admitted 2 0.5"]
    assert inner_notes.told[-1].startswith("end admitted 1 ")
