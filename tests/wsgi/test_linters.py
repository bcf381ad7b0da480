"""Nothing that the guard does, or lets through, breaks PEP 3333."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from wsgiref.validate import validator

import pytest
from support import call
from werkzeug.middleware.lint import LintMiddleware
from werkzeug.wsgi import ClosingIterator

from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.wsgi.middleware import GuardMiddleware

Start = Callable[..., Any]

SERVER = {"REMOTE_ADDR": "127.0.0.1"}


def headers(environ: Any) -> list[tuple[str, str]]:
    # Werkzeug's linter holds a Content-Length against the empty body of an answer to HEAD.
    length = [] if environ["REQUEST_METHOD"] == "HEAD" else [("Content-Length", "5")]
    return [("Content-Type", "text/plain; charset=utf-8"), *length]


def content(environ: Any) -> list[bytes]:
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"hello"]


def a_list(environ: Any, start_response: Start) -> list[bytes]:
    start_response("200 OK", headers(environ))
    return content(environ)


def a_generator(environ: Any, start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", headers(environ))
    yield from content(environ)


def a_closing_iterator(environ: Any, start_response: Start) -> ClosingIterator:
    start_response("200 OK", headers(environ))
    return ClosingIterator(content(environ), [lambda: None])


def no_content(environ: Any, start_response: Start) -> list[bytes]:
    # RFC 9110 wants no Content-Length here, Werkzeug's linter does.
    wanted = "werkzeug.middleware.lint" in str(type(environ["wsgi.errors"]))
    start_response("204 No Content", [("Content-Length", "0")] if wanted else [])
    return []


def not_modified(environ: Any, start_response: Start) -> Iterator[bytes]:
    start_response("304 Not Modified", [])
    return iter(())


def reads_the_body(environ: Any, start_response: Start) -> list[bytes]:
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return a_list(environ, start_response)


apps = pytest.mark.parametrize(
    "app",
    [a_list, a_generator, a_closing_iterator, no_content, not_modified, reads_the_body],
    ids=lambda app: app.__name__,
)
linters = pytest.mark.parametrize("lint", [validator, LintMiddleware], ids=["wsgiref", "werkzeug"])
methods = pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])


@linters
@methods
@apps
def test_an_admitted_request_is_clean(lint: Any, method: str, app: Any) -> None:
    guard = GuardMiddleware(lint(app), Limiter(1))
    data = b"data" if method == "POST" else None
    called = call(lint(guard), method=method, data=data, environ_base=SERVER)
    called.read()
    assert guard.limiter.in_flight == 0


@linters
@methods
@pytest.mark.parametrize("accept", ["", "text/html"], ids=["problem", "page"])
def test_a_rejection_is_clean(lint: Any, method: str, accept: str) -> None:
    guard = GuardMiddleware(a_list, Limiter(1, max_wait=0))
    held = call(guard)
    called = call(lint(guard), method=method, headers={"Accept": accept}, environ_base=SERVER)
    assert called.status == "503 Service Unavailable"
    assert bool(called.read()) is (method != "HEAD")
    held.close()


@linters
@methods
def test_an_exempt_request_is_clean(lint: Any, method: str) -> None:
    guard = GuardMiddleware(lint(a_list), Limiter(1), headers={"decision": "X-Decision"})
    guard.match = lambda environ: None
    called = call(lint(guard), method=method, environ_base=SERVER)
    called.read()
    assert called.headers["X-Decision"] == "exempt"
    assert guard.limiter.snapshot().admitted == 0
