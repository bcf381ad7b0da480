"""Keep the server's own way to send files, and still give the lease back when a file is sent.

Servers use ``sendfile`` only for an object that their own ``wsgi.file_wrapper`` made. So the body
is left alone, and the *file* inside it holds the lease: servers close it when it is sent.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from typing import Any
from weakref import ref

from ..core.lease import Lease
from ..observe.current import current_request

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIEnvironment

KEY = "wsgi.file_wrapper"

# Holds a weak reference to what the server's wrapper made of the app's file.
_SENT = "flask_concurrency_guard.file"


class FileWrappers:
    """Servers' file wrappers, each with its counterpart that lends the lease to the file."""

    def __init__(self) -> None:
        self._guarded: dict[Any, Any] = {}

    def guard(self, environ: WSGIEnvironment, wrapper: Any) -> None:
        """Replace the server's `wrapper` in `environ`."""
        try:
            environ[KEY] = self._guarded[wrapper]
        except KeyError:
            # One a server, made in its first request.
            environ[KEY] = self._guarded[wrapper] = _counterpart(wrapper)


def holds_lease(body: object, environ: WSGIEnvironment) -> bool:
    """Return whether `body` is a file in the server's own wrapper, which holds the lease."""
    sent = environ.get(_SENT)
    return sent is not None and sent() is body


class LeasedFile:
    """A file that gives the lease back when it is closed, or read to its end."""

    def __init__(self, file: Any, lease: Lease) -> None:
        self._file = file
        self._lease = lease

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __iter__(self) -> Iterator[bytes]:
        yield from self._file
        self._lease.release()

    def read(self, *size: int) -> bytes:
        data: bytes = self._file.read(*size)
        if not data and size != (0,):
            self._lease.release()
        return data

    def close(self) -> None:
        try:
            close = getattr(self._file, "close", None)
            if close is not None:
                close()
        finally:
            self._lease.release()


def _counterpart(wrapper: Any) -> Any:
    return _guarded_class(wrapper) if isinstance(wrapper, type) else _guarded_function(wrapper)


def _guarded_class(wrapper: type) -> type:
    # gunicorn asks isinstance(body, environ["wsgi.file_wrapper"]), waitress isinstance(body, its
    # class): a subclass answers both.
    class GuardedFileWrapper(wrapper):  # type: ignore[misc]
        def __init__(self, file: Any, *args: Any, **options: Any) -> None:
            lease = current_request.get()
            if isinstance(lease, Lease):
                file = LeasedFile(file, lease)
                lease.holder[_SENT] = ref(self)
            super().__init__(file, *args, **options)

    return GuardedFileWrapper


def _guarded_function(wrapper: Callable[..., Any]) -> Callable[..., Any]:
    # uWSGI compares the body with the very object that it was given here.
    def guarded_file_wrapper(file: Any, *args: Any, **options: Any) -> Any:
        lease = current_request.get()
        if not isinstance(lease, Lease):
            return wrapper(file, *args, **options)
        body = wrapper(LeasedFile(file, lease), *args, **options)
        with suppress(TypeError):  # Not all objects can be referred to weakly.
            lease.holder[_SENT] = ref(body)
        return body

    return guarded_file_wrapper
