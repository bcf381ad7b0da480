from __future__ import annotations

import json

import pytest
from support import Called
from support import call
from support import hello

from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.wsgi.middleware import GuardMiddleware
from flask_concurrency_guard.wsgi.rejections import ProblemAnswer


def rejected(
    accept: str | None = None, method: str = "GET", status: int = 503, **limits: float
) -> Called:
    limits.setdefault("max_wait", 0)
    limiter = Limiter(1, **limits)  # type: ignore[arg-type]
    guard = GuardMiddleware(hello, limiter, answer=ProblemAnswer(status))
    held = call(guard)
    headers = {} if accept is None else {"Accept": accept}
    called = call(guard, headers=headers, method=method)
    held.close()
    return called


def test_the_whole_answer() -> None:
    called = rejected(retry_after=7)
    body = called.read()
    headers = called.headers
    assert called.status == "503 Service Unavailable"
    assert headers.pop("X-Process-Id").isdecimal()
    assert headers.pop("X-Thread-Id").isdecimal()
    assert headers == {
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "Retry-After": "7",
        "Cache-Control": "no-store",
    }
    assert json.loads(body) == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The server is busy with other requests. Try again later.",
        "reason": "limit",
        "limit": "default",
    }


def test_the_status_can_be_429() -> None:
    called = rejected(status=429)
    assert called.status == "429 Too Many Requests"
    problem = json.loads(called.read())
    assert (problem["status"], problem["title"]) == (429, "Too Many Requests")


def test_the_reason_is_told() -> None:
    called = rejected(max_wait=0.001)
    assert json.loads(called.read())["reason"] == "queue_timeout"
    assert called.environ["flask_concurrency_guard.queue_time"] >= 0.001


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/problem+json", False),
        ("text/html", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("application/json, text/html;q=0.5", False),
        ("application/json;q=0.5, text/html", True),
        ("text/html;q=0", False),
        ("image/png", False),
        ("html", False),
        ("text/html;q=1," * 100, False),
        ("text/html," + "a/b," * 30, False),
        ("text/html;q=\xff", True),
    ],
)
def test_the_client_chooses_a_page_or_a_problem(accept: str | None, page: bool) -> None:
    called = rejected(accept)
    expected = "text/html; charset=utf-8" if page else "application/problem+json"
    assert called.headers["Content-Type"] == expected
    body = called.read()
    assert body.startswith(b"<!doctype html>") is page
    assert called.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("accept", [None, "text/html"])
def test_head_has_no_body(accept: str | None) -> None:
    called = rejected(accept, method="HEAD")
    assert called.read() == b""
    assert "Content-Length" not in called.headers
    assert called.headers["Retry-After"]


def test_nothing_tells_how_many_are_in_flight() -> None:
    for accept in (None, "text/html"):
        called = rejected(accept)
        text = called.read().decode() + str(called.headers)
        assert "in flight" not in text
        assert "in_flight" not in text


def test_the_connection_is_left_alone() -> None:
    # waitress answers 500 to this header, gunicorn's gthread and bjoern ignore it.
    assert "Connection" not in rejected().headers
