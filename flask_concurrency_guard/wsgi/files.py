"""Keep the server's own way to send files, and still give the lease back when a file is sent.

Servers use ``sendfile`` only for an object that their own ``wsgi.file_wrapper`` made. So the body
is left alone, and the *file* inside it holds the lease: servers close it when it is sent.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from typing import Any
from weakref import ref

from ..observe.current import current_environ

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIEnvironment

    from ..core.lease import Lease

KEY = "wsgi.file_wrapper"

# What else is put into the environ, both as weak references: the lease, and what the server's
# wrapper made of the app's file.
_LEASE = "flask_concurrency_guard.lease"
_SENT = "flask_concurrency_guard.file"


class FileWrappers:
    """Servers' file wrappers, each with its counterpart that lends the lease to the file."""

    def __init__(self) -> None:
        self._guarded: dict[Any, Any] = {}

    def guard(self, environ: WSGIEnvironment, wrapper: Any, lease: Lease) -> None:
        """Replace the server's `wrapper` in `environ`."""
        environ[_LEASE] = ref(lease)
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
            super().__init__(_lend(file), *args, **options)
            _note_sent(self)

    return GuardedFileWrapper


def _guarded_function(wrapper: Callable[..., Any]) -> Callable[..., Any]:
    # uWSGI compares the body with the very object that it was given here.
    def guarded_file_wrapper(file: Any, *args: Any, **options: Any) -> Any:
        body = wrapper(_lend(file), *args, **options)
        _note_sent(body)
        return body

    return guarded_file_wrapper


def _lend(file: Any) -> Any:
    """Return `file` so that its end gives back the lease of the request, if there is one."""
    get_lease = (current_environ.get() or {}).get(_LEASE)
    lease: Lease | None = get_lease() if get_lease is not None else None
    return file if lease is None else LeasedFile(file, lease)


def _note_sent(body: object) -> None:
    environ = current_environ.get()
    if environ is not None:
        with suppress(TypeError):  # Not all objects can be referred to weakly.
            environ[_SENT] = ref(body)
