"""Who served a request, and how: into the WSGI environment, and into response headers."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING
from typing import Any

from ..core.fork import reset_after_fork
from ..tags import ADMITTED
from ..tags import PREFIX
from ..tags import REQUEST_TAGS
from ..tags import TAGS
from ..tags import tag_key

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


# To the microsecond; to the millisecond, finer than which the kernel doesn't tell.
_DIGITS = {"queue_time": 6, "queue_age": 3}
_KEYS = [tag_key(tag) for tag in TAGS]

OUTER_TAGS_KEY = PREFIX + "outer_tags"
"""Where the tags are in the WSGI environment that guards around this one have put there, and which
were overwritten: those of the outermost first."""


class _Identity:
    """The tags of one thread or greenlet, ready for use."""

    __slots__ = ("environ", "headers")

    def __init__(self, tags: Mapping[str, int | str], header_names: Mapping[str, str]) -> None:
        self.environ = {tag_key(tag): value for tag, value in tags.items()}
        # That of nearly all requests, and set with the rest at next to no cost.
        self.environ[tag_key("decision")] = ADMITTED
        self.headers = [
            (name, header_value(tags[tag])) for tag, name in header_names.items() if tag in tags
        ]


class Tagger:
    """Put the tags of this thread and request where servers, logs and clients find them.

    :param header_names: which tag goes into the response header of which name.
    """

    def __init__(self, header_names: Mapping[str, str]) -> None:
        self._header_names = dict(header_names)
        self._request_headers = [
            (tag_key(tag), name, _DIGITS.get(tag, 0))
            for tag, name in header_names.items()
            if tag in REQUEST_TAGS
        ]
        self.after_fork()
        reset_after_fork(self)

    def after_fork(self) -> None:
        """Forget the parent's ids."""
        self._numbers = count(1)
        self._known = threading.local()
        self._process: dict[str, int | str] = {}  # Its tags, from the first request on.
        self._get_greenlet: Callable[[], Any] | None = None
        self._looked_for_greenlets = False

    def tag(
        self,
        environ: WSGIEnvironment,
        in_flight: int,
        limit: int,
        queue_time: float,
        queue_age: float | None,
        decision: str = ADMITTED,
    ) -> list[tuple[str, str]]:
        """Put the tags into `environ`; return the response headers."""
        try:
            identity = self._known.identity
        except AttributeError:
            identity = self._identify()
        if "flask_concurrency_guard.request_number" in environ:
            environ.setdefault(OUTER_TAGS_KEY, []).append(tags_in(environ))
        environ |= identity.environ
        if decision is not ADMITTED:
            environ["flask_concurrency_guard.decision"] = decision
        environ["flask_concurrency_guard.in_flight"] = in_flight
        environ["flask_concurrency_guard.limit"] = limit
        if queue_age is not None:
            environ["flask_concurrency_guard.queue_age"] = queue_age
        environ["flask_concurrency_guard.queue_time"] = queue_time
        environ["flask_concurrency_guard.request_number"] = next(self._numbers)
        headers: list[tuple[str, str]] = identity.headers
        if self._request_headers:
            return headers + [
                (name, header_value(environ[key], digits))
                for key, name, digits in self._request_headers
                if key in environ
            ]
        return headers

    def _identify(self) -> _Identity:
        if not self._process:
            self._process = _process_tags()
        greenlet = self._current_greenlet()
        if greenlet is not None:
            # Never kept: the `local` may be older than the monkeypatch, one for all greenlets.
            return _Identity(self._process | _greenlet_tags(greenlet), self._header_names)
        tags = self._process | _thread_tags()
        identity = self._known.identity = _Identity(tags, self._header_names)
        return identity

    def _current_greenlet(self) -> Any:
        """Return the greenlet that serves this request; None in an ordinary thread."""
        if not self._looked_for_greenlets:
            # A server that serves in greenlets has long imported this when the first request
            # comes; nothing else needs it.
            greenlet = sys.modules.get("greenlet")
            self._get_greenlet = greenlet.getcurrent if greenlet is not None else None
            self._looked_for_greenlets = True
        if self._get_greenlet is None:
            return None
        current = self._get_greenlet()
        return None if current.parent is None else current


def tags_in(environ: WSGIEnvironment) -> dict[str, Any]:
    """Return the tags that are in `environ`, by their keys."""
    return {key: environ[key] for key in _KEYS if key in environ}


def header_value(value: float | str, digits: int = 0) -> str:
    """Return `value` as a header shows it: seconds with so many digits, names in Latin-1."""
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() and ord(c) < 256 else "?" for c in text)


def _thread_tags() -> dict[str, int | str]:
    thread = threading.current_thread()
    return {
        "thread_id": threading.get_native_id(),
        "thread_ident": threading.get_ident(),
        "thread_name": thread.name,
    }


def _greenlet_tags(greenlet: Any) -> dict[str, int | str]:
    # The native id is that of the one thread in which all greenlets run.
    ident = id(greenlet)
    return {
        "thread_id": ident,
        "thread_ident": ident,
        "thread_name": str(getattr(greenlet, "name", f"greenlet-{ident}")),
    }


def _process_tags() -> dict[str, int | str]:
    process_id = os.getpid()
    return {
        "process_id": process_id,
        "parent_process_id": os.getppid(),
        # After a fork that Python was not told of, `threading` still has the parent's.
        "main_thread_id": (
            process_id if sys.platform == "linux" else threading.main_thread().native_id or 0
        ),
    }
