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
from ..tags import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIEnvironment

    from ..core.lease import Lease

KEY = "wsgi.file_wrapper"

MOST = 8
"""How many wrappers are remembered."""

# What else is put into the environ, as weak references: what the server's wrapper made of the app's
# file, and that file.
_SENT = f"{PREFIX}file"


class FileWrappers:
    """Servers' file wrappers, each with its counterpart whose file can hold leases."""

    def __init__(self) -> None:
        self._guarded: dict[Any, Any] = {}

    def guard(self, environ: WSGIEnvironment, wrapper: Any) -> None:
        """Replace the server's `wrapper` in `environ`."""
        try:
            environ[KEY] = self._guarded[wrapper]
        except KeyError:
            # One a server, made in its first request. But mod_wsgi has another one in each.
            if len(self._guarded) >= MOST:
                self._guarded.clear()
            environ[KEY] = self._guarded[wrapper] = _counterpart(wrapper)


def lend(lease: Lease, body: object, environ: WSGIEnvironment) -> bool:
    """Let the file in `body` hold `lease`. Return whether it is one in the server's own wrapper.

    Not before the app has returned it: until then, it may well be read by the app itself. On
    waitress the lease ends here: its main thread sends the file, and none of those that serve. A
    lease that lasted would let clients that read slowly keep all others out.
    """
    get_body, get_file = environ.get(_SENT, (None, None))
    if get_body is None or get_body() is not body or (file := get_file()) is None:
        return False
    if file.is_handed_over:
        lease.release()
    else:
        file.leases.append(lease)
    return True


class LeasedFile:
    """A file that gives leases back when it is closed, or read to its end."""

    def __init__(self, file: Any, *, is_handed_over: bool = False) -> None:
        self.leases: list[Lease] = []
        """Those of the request, as soon as it is its response: one for each guard in its way."""
        self.is_handed_over = is_handed_over
        """Whether it keeps no thread while it is sent."""
        self._file = file
        self._lines: Iterator[bytes] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __iter__(self) -> Iterator[bytes]:
        return self  # As files do. For a range, Werkzeug seeks in what it gets here.

    def __next__(self) -> bytes:
        if self._lines is None:
            self._lines = iter(self._file)  # Not all files are iterators themselves.
        try:
            return next(self._lines)
        except StopIteration:
            self._release()
            raise

    def read(self, *size: int) -> bytes:
        data: bytes = self._file.read(*size)
        if not data and size != (0,):
            self._release()
        return data

    def close(self) -> None:
        try:
            close = getattr(self._file, "close", None)
            if close is not None:
                close()
        finally:
            self._release()

    def _release(self) -> None:
        for lease in self.leases:
            lease.release()


def _counterpart(wrapper: Any) -> Any:
    if not isinstance(wrapper, type):
        return _guarded_function(wrapper)
    try:
        return _guarded_class(wrapper)
    except TypeError:
        return wrapper  # No class may derive from bjoern's. Its bodies are guarded like others.


def _guarded_class(wrapper: type) -> type:
    # gunicorn asks isinstance(body, environ["wsgi.file_wrapper"]), waitress isinstance(body, its
    # class): a subclass answers both.
    is_waitress = wrapper.__module__.partition(".")[0] == "waitress"

    class GuardedFileWrapper(wrapper):  # type: ignore[misc]
        def __init__(self, file: Any, *args: Any, **options: Any) -> None:
            leased = LeasedFile(file, is_handed_over=is_waitress)
            super().__init__(leased, *args, **options)
            _note_sent(self, leased)

    return GuardedFileWrapper


def _guarded_function(wrapper: Callable[..., Any]) -> Callable[..., Any]:
    # uWSGI compares the body with the very object that it was given here.
    def guarded_file_wrapper(file: Any, *args: Any, **options: Any) -> Any:
        leased = LeasedFile(file)
        body = wrapper(leased, *args, **options)
        _note_sent(body, leased)
        return body

    return guarded_file_wrapper


def _note_sent(body: object, file: LeasedFile) -> None:
    environ = current_environ.get()
    if environ is not None:
        with suppress(TypeError):  # Not all objects can be referred to weakly.
            environ[_SENT] = ref(body), ref(file)
