from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support import call

from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.observe.current import current_environ
from flask_concurrency_guard.observe.logs import TagFilter
from flask_concurrency_guard.tags import TAGS
from flask_concurrency_guard.wsgi.middleware import GuardMiddleware

logger = logging.getLogger("some.app")


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, Any, Any]] = []
        self.addFilter(TagFilter())

    def emit(self, record: Any) -> None:
        self.lines.append((record.getMessage(), record.process_id, record.thread_id))


@pytest.fixture(autouse=True)
def _outside_of_any_request() -> None:
    # Responses that a test has not closed are current until the next request.
    current_environ.set(None)


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler = Kept()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


class Talks:
    """Logs wherever code of an app can run."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        logger.warning("call")
        return self

    def __iter__(self) -> Iterator[bytes]:
        logger.warning("body")
        yield b""

    def close(self) -> None:
        logger.warning("close")


def test_every_record_of_a_request_has_the_tags(kept: Kept) -> None:
    guard = GuardMiddleware(Talks(), Limiter(1))
    logger.warning("before")
    called = call(guard)
    logger.warning("the server")
    for _ in called.body:
        logger.warning("the server")
    called.close()
    logger.warning("after")
    here = (os.getpid(), threading.get_native_id())
    assert kept.lines == [
        ("before", "-", "-"),
        ("call", *here),
        ("the server", *here),
        ("body", *here),
        ("the server", *here),
        ("close", *here),
        ("after", "-", "-"),
    ]


def test_an_exempt_request_has_the_tags(kept: Kept) -> None:
    guard = GuardMiddleware(Talks(), Limiter(1))
    guard.match = lambda environ: None
    call(guard).close()
    assert kept.lines[0] == ("call", os.getpid(), threading.get_native_id())


def test_a_rejection_has_the_tags(kept: Kept) -> None:
    guard = GuardMiddleware(Talks(), Limiter(1, max_wait=0))
    held = call(guard)
    call(guard)
    held.close()
    message = "Rejected 1 request (limit 1); the limit is 1 in flight."
    assert (message, os.getpid(), threading.get_native_id()) in kept.lines


def test_a_record_has_every_tag() -> None:
    record = logging.makeLogRecord({})
    assert TagFilter().filter(record) is True
    assert {getattr(record, tag) for tag in TAGS} == {"-"}
