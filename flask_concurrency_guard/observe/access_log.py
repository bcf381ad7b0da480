"""One log line for each request: what was decided on it, who served it, and how long it took.

Paths and methods are whatever clients send. They are written as in a URL, with everything
percent-encoded that could end a line or mean something to a terminal: here, and in the record's
attributes, which others may print as they are.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from typing import TYPE_CHECKING
from typing import Any
from typing import TextIO
from urllib.parse import quote

from .. import standard_json
from ..tags import DECIDED_AT_KEY
from ..tags import PREFIX
from ..tags import STATUS_KEY
from ..tags import tag_key
from .current import current_environ
from .outcomes import REJECTED
from .outcomes import outcome_of
from .requests import LONGEST_METHOD
from .requests import path_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from ..core.decisions import Rejection
    from ..core.lease import Lease

logger = logging.getLogger("flask_concurrency_guard.access")

LONGEST_PATH = 500
"""In bytes. Even if each of them has to be encoded, a line stays below the 4,096 that nobody else
who writes into the same pipe can tear apart (`PIPE_BUF`)."""

_PROCESS_ID = tag_key("process_id")
_THREAD_ID = tag_key("thread_id")
_QUEUE_AGE = tag_key("queue_age")
_QUEUE_TIME = tag_key("queue_time")
_IN_FLIGHT = tag_key("in_flight")
_LIMIT = tag_key("limit")

_PLAIN = re.compile(r"[A-Za-z0-9_./:*+-]+")
Fields = dict[str, Any]


class AccessLog:
    """Log each request when its response has ended, or its rejection was answered.

    The record's message is the line, and its attributes are the fields.

    :param form: ``"logfmt"`` or ``"json"``.
    """

    sees_exempt = True

    def __init__(self, form: str) -> None:
        self._write = FORMS[form]
        self._is_set_up = False
        # An app that is mounted in this one may have a log of its own.
        self._came = f"{PREFIX}came.{id(self)}"

    def begin(self, environ: WSGIEnvironment, lease: Lease) -> None:
        """Note what the request was when it came. What is inside the guard may rewrite it."""
        came = time.time() - environ[_QUEUE_TIME]
        environ[self._came] = came, _method_of(environ), path_of(environ)

    def end(self, environ: WSGIEnvironment, lease: Lease) -> None:
        """Log a request that was admitted, or exempt."""
        outcome, rejection = outcome_of(environ, lease)
        self._log(environ, outcome, rejection, lease.held + environ[_QUEUE_TIME])

    def rejected(self, environ: WSGIEnvironment, rejection: Rejection) -> None:
        """Log a request that was rejected; not one that would have been, which has an end."""
        if not rejection.enforced:
            return
        duration = rejection.queue_time + time.monotonic() - environ[DECIDED_AT_KEY]
        environ[self._came] = time.time() - duration, _method_of(environ), path_of(environ)
        self._log(environ, REJECTED, rejection, duration)

    def _log(
        self,
        environ: WSGIEnvironment,
        outcome: str,
        rejection: Rejection | None,
        duration: float,
    ) -> None:
        if not self._is_set_up:
            set_up_logger()
            self._is_set_up = True
        if not logger.isEnabledFor(logging.INFO):
            return
        fields = _fields(environ, environ[self._came], outcome, rejection, duration)
        # For filters that look at the tags of the request that is being served.
        token = current_environ.set(environ)
        try:
            logger.handle(_record(self._write(fields), fields))
        finally:
            current_environ.reset(token)


def set_up_logger() -> None:
    """See to it that the lines come out, if nobody has said what is to be done with them.

    Who switches them on wants to see them. So the level becomes INFO if it isn't set, and they go
    to standard error if nobody handles them, as Flask does with `app.logger`.
    """
    # That the root's level is WARNING was nobody's decision.
    if not logger.level and not logging.getLogger("flask_concurrency_guard").level:
        logger.setLevel(logging.INFO)
    if not _is_handled():
        # The same one, however many come here at once: a logger takes it only once.
        logger.addHandler(default_handler)


def _is_handled() -> bool:
    current: logging.Logger | None = logger
    while current is not None:
        if any(handler.level <= logging.INFO for handler in current.handlers):
            return True
        current = current.parent if current.propagate else None
    return False


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what is standard error at that time."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


default_handler = _StderrHandler()
"""Writes the lines where nobody else does."""


def _record(line: str, fields: Fields) -> logging.LogRecord:
    # A quarter less than `logger.info`, which looks for its caller and at each name in `extra`.
    record = logger.makeRecord(logger.name, logging.INFO, __file__, 0, line, (), None)
    record.__dict__.update(fields)
    return record


def _fields(
    environ: WSGIEnvironment,
    request: tuple[float, str, str],
    outcome: str,
    rejection: Rejection | None,
    duration: float,
) -> Fields:
    came, method, path = request
    moment = datetime.fromtimestamp(came, UTC).isoformat(timespec="microseconds")
    fields: Fields = {
        "time": f"{moment[:26]}Z",
        "method": _text(method, LONGEST_METHOD),
        "path": _text(path, LONGEST_PATH),
    }
    status = environ.get(STATUS_KEY, "")
    if status.isascii() and status.isdigit():
        fields["status"] = int(status)
    fields["outcome"] = outcome
    if rejection is not None:
        fields["reason"] = str(rejection.reason)
        fields["limiter"] = rejection.limiter
    fields["process_id"] = environ[_PROCESS_ID]
    fields["thread_id"] = environ[_THREAD_ID]
    if _QUEUE_AGE in environ:
        fields["queue_age"] = environ[_QUEUE_AGE]
    fields["queue_time"] = round(environ[_QUEUE_TIME], 6)
    fields["duration"] = round(duration, 6)
    fields["in_flight"] = environ[_IN_FLIGHT]
    fields["limit"] = environ[_LIMIT]
    return fields


def _text(text: str, longest: int) -> str:
    if len(text) > longest:
        return f"{_text(text[:longest], longest)}..."
    # The strings of a WSGI environment are bytes, read as Latin-1 (PEP 3333).
    return text if _PLAIN.fullmatch(text) else quote(text, encoding="latin-1", errors="replace")


def _logfmt(fields: Fields) -> str:
    shown = fields | {
        "method": _quoted(fields["method"]),
        "path": _quoted(fields["path"]),
        "queue_time": f"{fields['queue_time']:.6f}",
        "duration": f"{fields['duration']:.6f}",
    }
    if "queue_age" in fields:
        shown["queue_age"] = f"{fields['queue_age']:.3f}"
    return " ".join([f"{name}={value}" for name, value in shown.items()])


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else standard_json.dumps(text)


FORMS: dict[str, Callable[[Fields], str]] = {
    "logfmt": _logfmt,
    "json": standard_json.Encoder(separators=(",", ":")).encode,
}
"""How the fields become a line, by its name in the setting."""


def _method_of(environ: WSGIEnvironment) -> str:
    method: str = environ.get("REQUEST_METHOD", "")  # uWSGI passes on what is no HTTP, without one.
    return method
