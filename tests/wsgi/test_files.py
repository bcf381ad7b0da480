from __future__ import annotations

import gc
import io
from collections.abc import Callable
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from support import call
from support import hello
from waitress.buffers import ReadOnlyFileBasedBuffer
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.utils import send_file

from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.wsgi.files import MOST
from flask_concurrency_guard.wsgi.files import LeasedFile
from flask_concurrency_guard.wsgi.middleware import GuardMiddleware

Start = Callable[..., Any]


class FileWrapper:
    """As gunicorn's: a class, and the server asks for instances of it."""

    def __init__(self, filelike: Any, blksize: int = 2) -> None:
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if data := self.filelike.read(self.blksize):
            return bytes(data)
        raise StopIteration


def function_wrapper(file: Any, size: int = 2) -> Any:
    """As uWSGI's: a function, and the server compares what it returned."""
    return file


def send(file: Any) -> Any:
    def app(environ: Any, start_response: Start) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file, 2)

    return app


def guarded(app: Any) -> GuardMiddleware:
    return GuardMiddleware(app, Limiter(1, max_wait=0))


wrappers = pytest.mark.parametrize(
    "wrapper", [FileWrapper, function_wrapper], ids=["class", "function"]
)


@wrappers
def test_the_file_closed_by_the_server_gives_the_lease_back(wrapper: Any) -> None:
    file = io.BytesIO(b"hello")
    guard = guarded(send(file))
    called = call(guard, environ_overrides={"wsgi.file_wrapper": wrapper})
    assert guard.limiter.in_flight == 1
    called.close()
    assert file.closed
    assert guard.limiter.in_flight == 0


def test_a_file_that_is_sent_by_no_thread_of_those_that_serve_holds_nothing() -> None:
    """As on waitress, whose main thread sends it, however slowly the client reads."""
    file = io.BytesIO(b"hello")
    guard = guarded(send(file))
    called = call(guard, environ_overrides={"wsgi.file_wrapper": ReadOnlyFileBasedBuffer})
    assert isinstance(called.body, ReadOnlyFileBasedBuffer)
    assert guard.limiter.in_flight == 0
    assert not file.closed
    called.close()
    assert file.closed


@wrappers
def test_the_file_read_to_its_end_gives_the_lease_back(wrapper: Any) -> None:
    guard = guarded(send(io.BytesIO(b"hello")))
    called = call(guard, environ_overrides={"wsgi.file_wrapper": wrapper})
    assert b"".join(called.body) == b"hello"
    assert guard.limiter.in_flight == 0


def test_the_server_gets_an_instance_of_what_it_asks_for() -> None:
    with Path(__file__).open("rb") as file:
        called = call(guarded(send(file)), environ_overrides={"wsgi.file_wrapper": FileWrapper})
        assert isinstance(called.body, FileWrapper)
        assert isinstance(called.body, called.environ["wsgi.file_wrapper"])
        assert called.body.filelike.fileno() == file.fileno()
        called.close()


def test_the_server_gets_back_the_very_object_that_it_returned() -> None:
    returned = []

    def wrapper(file: Any, size: int = 2) -> Any:
        returned.append(file)
        return file

    called = call(guarded(send(io.BytesIO())), environ_overrides={"wsgi.file_wrapper": wrapper})
    assert called.body is returned[0]
    called.close()


@wrappers
def test_a_file_that_the_app_does_not_return_holds_nothing(wrapper: Any) -> None:
    def app(environ: Any, start_response: Start) -> Iterator[bytes]:
        environ["wsgi.file_wrapper"](io.BytesIO(b"unused"))
        start_response("200 OK", [])
        return iter([b"something else"])

    guard = guarded(app)
    called = call(guard, environ_overrides={"wsgi.file_wrapper": wrapper})
    assert guard.limiter.in_flight == 1
    assert b"".join(called.body) == b"something else"
    assert guard.limiter.in_flight == 0


@wrappers
def test_a_file_that_the_app_reads_itself_holds_nothing(wrapper: Any) -> None:
    def app(environ: Any, start_response: Start) -> Any:
        response = send_file(__file__, environ)
        response.direct_passthrough = False
        assert response.get_data() == Path(__file__).read_bytes()
        assert guard.limiter.in_flight == 1
        return response(environ, start_response)

    guard = guarded(app)
    called = call(guard, environ_overrides={"wsgi.file_wrapper": wrapper})
    assert guard.limiter.in_flight == 1
    called.read()
    assert guard.limiter.in_flight == 0


@wrappers
def test_a_part_of_a_file_is_sent(wrapper: Any) -> None:
    def app(environ: Any, start_response: Start) -> Any:
        return send_file(__file__, environ)(environ, start_response)

    guard = guarded(app)
    environ = {"wsgi.file_wrapper": wrapper, "HTTP_RANGE": "bytes=5-14"}
    called = call(guard, environ_overrides=environ)
    assert called.status == "206 PARTIAL CONTENT"
    assert called.read() == Path(__file__).read_bytes()[5:15]
    assert guard.limiter.in_flight == 0


@wrappers
def test_a_file_of_an_app_inside_another_holds_the_leases_of_both(wrapper: Any) -> None:
    inner = guarded(send(io.BytesIO(b"hello")))
    outer = guarded(DispatcherMiddleware(hello, {"/inner": inner}))
    called = call(outer, "/inner", environ_overrides={"wsgi.file_wrapper": wrapper})
    assert (outer.limiter.in_flight, inner.limiter.in_flight) == (1, 1)
    called.close()
    assert (outer.limiter.in_flight, inner.limiter.in_flight) == (0, 0)


def test_a_wrapper_that_takes_no_subclass_is_left_alone() -> None:
    class Final(FileWrapper):
        """As bjoern's, which is written in C."""

        def __init_subclass__(cls) -> None:
            raise TypeError("not an acceptable base type")

    guard = guarded(send(io.BytesIO(b"hello")))
    called = call(guard, environ_overrides={"wsgi.file_wrapper": Final})
    assert called.environ["wsgi.file_wrapper"] is Final
    assert guard.limiter.in_flight == 1
    assert called.read() == b"hello"
    assert guard.limiter.in_flight == 0


def test_a_file_that_is_no_iterator_itself_can_be_iterated_over() -> None:
    with NamedTemporaryFile() as file:
        file.write(b"hel\nlo\n")
        file.seek(0)
        guard = guarded(send(file))
        called = call(guard, environ_overrides={"wsgi.file_wrapper": function_wrapper})
        assert list(called.body) == [b"hel\n", b"lo\n"]
        assert guard.limiter.in_flight == 0


def test_a_file_read_in_parts_holds_the_lease_until_there_is_no_more() -> None:
    file = LeasedFile(io.BytesIO(b"hello"))
    lease = Limiter(1).acquire()
    assert isinstance(lease, Lease)
    file.leases.append(lease)
    assert [file.read(3), file.read(0), file.read(3)] == [b"hel", b"", b"lo"]
    assert not lease.released
    assert file.read(3) == b""
    assert lease.released


@wrappers
def test_a_dropped_file_gives_the_lease_back(wrapper: Any) -> None:
    guard = guarded(send(io.BytesIO(b"hello")))
    called = call(guard, environ_overrides={"wsgi.file_wrapper": wrapper})
    del called
    gc.collect()
    assert guard.limiter.in_flight == 0


@wrappers
def test_a_file_whose_close_raises_gives_the_lease_back(wrapper: Any) -> None:
    class Raises(io.BytesIO):
        def close(self) -> None:
            super().close()
            raise OSError("disk on fire")

    guard = guarded(send(Raises(b"hello")))
    called = call(guard, environ_overrides={"wsgi.file_wrapper": wrapper})
    with pytest.raises(OSError, match="disk on fire"):
        called.close()
    assert guard.limiter.in_flight == 0


@wrappers
def test_an_exempt_file_holds_nothing(wrapper: Any) -> None:
    guard = guarded(send(io.BytesIO(b"hello")))
    guard.match = lambda environ: None
    called = call(guard, environ_overrides={"wsgi.file_wrapper": wrapper})
    assert guard.limiter.in_flight == 0
    called.close()


def test_of_many_wrappers_few_are_remembered() -> None:
    """mod_wsgi has another one in each request, which keeps all that there is of it."""
    guard = guarded(send(io.BytesIO(b"hello")))

    def bound(number: int, file: Any, size: int = 2) -> Any:
        return file

    for number in range(3 * MOST):
        wrapper = partial(bound, number)
        call(guard, environ_overrides={"wsgi.file_wrapper": wrapper}).close()
    assert len(guard._file_wrappers._guarded) <= MOST
    assert guard.limiter.in_flight == 0


def test_a_counterpart_is_made_once() -> None:
    guard = guarded(send(io.BytesIO(b"hello")))
    first = call(guard, environ_overrides={"wsgi.file_wrapper": FileWrapper})
    first.close()
    second = call(guard, environ_overrides={"wsgi.file_wrapper": FileWrapper})
    second.close()
    assert first.environ["wsgi.file_wrapper"] is second.environ["wsgi.file_wrapper"]
