from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support import Called
from support import call
from support import hello

from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.tags import TAGS
from flask_concurrency_guard.tags import tag_key
from flask_concurrency_guard.wsgi.middleware import GuardMiddleware

ALL = {tag: "X-" + tag.replace("_", "-").title() for tag in TAGS}


def tags_of(called: Called) -> dict[str, Any]:
    keys = {tag: tag_key(tag) for tag in TAGS}
    return {tag: called.environ[key] for tag, key in keys.items() if key in called.environ}


@pytest.mark.parametrize("headers", [{}, ALL], ids=["no headers", "all headers"])
def test_all_tags_are_in_the_environ(headers: dict[str, str]) -> None:
    guard = GuardMiddleware(hello, Limiter(7), headers=headers)
    call(guard).close()
    held = call(guard)
    called = call(guard)
    assert tags_of(called) == {
        "process_id": os.getpid(),
        "parent_process_id": os.getppid(),
        "thread_id": threading.get_native_id(),
        "thread_ident": threading.get_ident(),
        "thread_name": threading.current_thread().name,
        "main_thread_id": threading.main_thread().native_id,
        "decision": "admitted",
        "in_flight": 2,
        "limit": 7,
        "queue_time": 0.0,
        "request_number": 3,
    }
    held.close()
    called.close()


def test_each_tag_can_be_a_header() -> None:
    called = call(GuardMiddleware(hello, Limiter(7), headers=ALL))
    called.close()
    tags = tags_of(called) | {"queue_time": "0.000000"}
    assert {tag: called.headers[name] for tag, name in ALL.items() if tag in tags} == {
        tag: str(value) for tag, value in tags.items()
    }
    assert ALL["queue_age"] not in called.headers  # Nobody knows it here.


def test_only_those_asked_for_are_headers() -> None:
    called = call(GuardMiddleware(hello, Limiter(7), headers={"limit": "X-Guard-Limit"}))
    called.close()
    assert called.headers == {
        "Content-Type": "text/plain",
        "Content-Length": "5",
        "X-Guard-Limit": "7",
    }


def test_each_thread_has_tags_of_its_own() -> None:
    guard = GuardMiddleware(hello, Limiter(7))
    barrier = threading.Barrier(3)

    def serve() -> tuple[int, int, str]:
        called = call(guard)
        barrier.wait(10)
        called.close()
        tags = tags_of(called)
        assert called.headers["X-Thread-Id"] == str(threading.get_native_id())
        assert tags["thread_id"] == threading.get_native_id()
        return tags["thread_id"], tags["thread_ident"], tags["thread_name"]

    with ThreadPoolExecutor(3) as pool:
        served = [future.result(10) for future in [pool.submit(serve) for _ in range(3)]]
    assert [len(set(column)) for column in zip(*served, strict=True)] == [3, 3, 3]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_has_tags_of_its_own() -> None:
    guard = GuardMiddleware(hello, Limiter(7))
    call(guard).close()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        called = call(guard)
        tags = tags_of(called)
        right = (
            tags["process_id"] == os.getpid() == int(called.headers["X-Process-Id"])
            and tags["parent_process_id"] == os.getppid()
            and tags["thread_id"] == threading.get_native_id() == tags["main_thread_id"]
            and tags["request_number"] == tags["in_flight"] == 1
        )
        os.write(writer, b"right" if right else repr(tags).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1000) == b"right"


def test_a_header_can_carry_any_thread_name() -> None:
    guard = GuardMiddleware(hello, Limiter(7), headers={"thread_name": "X-Thread-Name"})
    got = []

    def serve() -> None:
        called = call(guard)
        called.close()
        got.append(called.headers["X-Thread-Name"])

    thread = threading.Thread(target=serve, name="a\r\nSet-Cookie: b=ü☃")
    thread.start()
    thread.join()
    assert got == ["a??Set-Cookie: b=ü?"]


def test_greenlets_are_told_apart() -> None:
    greenlet = pytest.importorskip("greenlet")
    guard = GuardMiddleware(hello, Limiter(7))
    served = []

    def serve() -> None:
        called = call(guard)
        called.close()
        served.append(tags_of(called))

    greenlets = [greenlet.greenlet(serve) for _ in range(2)]
    for each in greenlets:
        each.switch()
    serve()  # In the thread itself.
    assert served[0]["thread_id"] == served[0]["thread_ident"] == id(greenlets[0])
    assert served[1]["thread_id"] == id(greenlets[1])
    assert served[0]["thread_name"] == f"greenlet-{id(greenlets[0])}"
    assert served[2]["thread_id"] == threading.get_native_id()
