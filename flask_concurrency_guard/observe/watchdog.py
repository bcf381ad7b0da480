"""Tell which requests take long, and what they are at."""

from __future__ import annotations

import logging
import math
import re
import sys
import threading
import time
import traceback
from contextlib import suppress
from itertools import dropwhile
from typing import TYPE_CHECKING
from typing import Any
from weakref import ref

from ..complaints import complain
from ..core.fork import reset_after_fork
from .current import current_environ
from .requests import name_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from _typeshed.wsgi import WSGIEnvironment

    from ..core.decisions import Rejection
    from ..core.lease import Lease

logger = logging.getLogger("flask_concurrency_guard.watchdog")

OUTERMOST, INNERMOST = 8, 12
"""How many frames of a stack to show, from its beginning and from its end."""

LONGEST_LINE = 200
"""Of source, in characters."""

MACHINERY = re.compile(
    r"flask_concurrency_guard\.|flask\.(app|views)$|werkzeug\.(middleware\.|wsgi$)"
)
"""The modules that stand between the guard and what the app has written itself."""

RETRY = 1.0
"""After how many seconds to try again, where no thread could be started."""

LOOKS = 4
"""How often to look while a request takes as long as it may."""

LONGEST_PAUSE = 3600.0
"""In seconds. Longer than some centuries no thread can sleep."""


class Watchdog:
    """Log each request that takes too long, with its stack, and again when it takes twice as long.

    A thread looks at all that are in flight now and then. It begins with the first request. It
    ends nobody's work; but it gives the lease back of a request whose thread has ended, since
    nobody else will.

    :param after: how long a request may take, in seconds.
    :param clock: a monotonic clock, in seconds.
    """

    sees_exempt = False

    def __init__(self, after: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._after = after
        self._clock = clock
        self.after_fork()
        reset_after_fork(self)

    def after_fork(self) -> None:
        """Forget the parent's requests, and its thread, which isn't here."""
        self._watched: dict[int, _Watched] = {}
        self._thread: threading.Thread | None = None
        self._next_start = -math.inf

    def begin(self, environ: WSGIEnvironment, lease: Lease) -> None:
        """Watch a request."""
        self._watched[id(lease)] = _Watched(environ, lease, self._clock(), self._after)
        if self._thread is None:
            self._start()

    def end(self, environ: WSGIEnvironment, lease: Lease) -> None:
        """Watch a request no longer."""
        self._watched.pop(id(lease), None)

    def rejected(self, environ: WSGIEnvironment, rejection: Rejection) -> None:
        """Do nothing: it is not in flight."""

    def look(self) -> None:
        """Log who takes too long by now."""
        now = self._clock()
        for watched in list(self._watched.values()):
            age = now - watched.began
            if age >= watched.due:
                while watched.due <= age:
                    watched.due *= 2
                self._tell(watched, age)

    def pause(self) -> float | None:
        """Return for how long not to look, in seconds; None if another thread does."""
        is_mine = self._thread is threading.current_thread()
        return min(self._after / LOOKS, LONGEST_PAUSE) if is_mine else None

    def _start(self) -> None:
        if self._clock() < self._next_start:
            return
        # Two requests that come first may both do it: then one of the threads ends.
        name = "flask_concurrency_guard.watchdog"
        self._thread = thread = threading.Thread(
            target=_run, args=(ref(self),), name=name, daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            self._thread, self._next_start = None, self._clock() + RETRY
            complain(logger, "Nobody looks for slow requests: there can be no more threads.")

    def _tell(self, watched: _Watched, age: float) -> None:
        environ = watched.environ
        what = name_of(environ)
        frame, is_lost = watched.find_frame()
        token = current_environ.set(environ)
        try:
            if frame is not None:
                logger.warning(
                    "%s has been in flight for %.3g s, and is at:\n%s", what, age, _stack(frame)
                )
            elif is_lost and (lease := watched.lease()) is not None and lease.release():
                logger.warning(
                    "%s has been in flight for %.3g s, and its thread has ended: its response was"
                    " neither read to its end nor closed. Its place is free again.",
                    what,
                    age,
                )
        finally:
            current_environ.reset(token)


class _Watched:
    """A request, and who serves it."""

    __slots__ = ("began", "due", "environ", "greenlet", "lease", "thread")

    def __init__(self, environ: WSGIEnvironment, lease: Lease, now: float, after: float) -> None:
        self.environ = environ
        self.lease = ref(lease)
        self.began = now
        self.due = after
        # By its number another one could be meant that was started since.
        self.thread = threading.current_thread()
        self.greenlet = _current_greenlet()

    def find_frame(self) -> tuple[FrameType | None, bool]:
        """Return where it is; and whether nobody serves it any more."""
        if self.greenlet is None:
            if not self.thread.is_alive():
                return None, True
            return sys._current_frames().get(self.thread.ident or 0), False
        greenlet = self.greenlet()
        if greenlet is None or greenlet.dead:
            return None, True
        return greenlet.gr_frame, False


def _stack(frame: FrameType) -> str:
    """Return where a frame is, as tracebacks have it, without what is the same for all requests."""
    frames = [each for each, _ in traceback.walk_stack(frame)][::-1]
    entry = next((n for n, each in enumerate(frames) if _is_guard(each)), 0)
    inside = frames[entry:]
    inside = list(dropwhile(_is_machinery, inside)) or inside
    left_out = len(inside) - OUTERMOST - INNERMOST
    if left_out <= 0:
        return "\n".join(_lines(inside))
    begin, end = _lines(inside[:OUTERMOST]), _lines(inside[-INNERMOST:])
    return "\n".join([*begin, f"  ... {left_out} more ...", *end])


def _is_guard(frame: FrameType) -> bool:
    """Return whether it is the guard that has called the app, or asks it for the next chunk."""
    return _module(frame).startswith("flask_concurrency_guard.wsgi.")


def _is_machinery(frame: FrameType) -> bool:
    return MACHINERY.match(_module(frame)) is not None


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _lines(frames: list[FrameType]) -> list[str]:
    summary = traceback.StackSummary.extract((each, each.f_lineno) for each in frames)
    lines = [line for entry in summary.format() for line in entry.splitlines()]
    # The first one of each frame is its file, which is nothing without the number of the line.
    return [line if line.startswith("  File ") else line[:LONGEST_LINE] for line in lines]


def _current_greenlet() -> Any:
    # Whoever serves in greenlets has imported it long before.
    module = sys.modules.get("greenlet")
    greenlet = None if module is None else module.getcurrent()
    return None if greenlet is None or greenlet.parent is None else ref(greenlet)


def _run(get_watchdog: Callable[[], Watchdog | None]) -> None:
    # Without keeping it alive: it goes with its app, and then the thread does.
    while True:
        watchdog = get_watchdog()
        pause = None if watchdog is None else watchdog.pause()
        if watchdog is None or pause is None:
            return
        with suppress(Exception):  # Of a log handler, say.
            watchdog.look()
        del watchdog
        time.sleep(pause)
