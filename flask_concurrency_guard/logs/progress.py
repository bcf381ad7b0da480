"""Tell how far something is that takes a while, on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

BIG = 30_000_000
"""What has fewer bytes is read in a moment."""

OFTEN = 0.1
"""Seconds between two changes on the screen."""

OnDone = Callable[[int], object]


@contextmanager
def showing(
    total: int | None,
    stream: TextIO | None = None,
    *,
    what: str = "reading",
    least: int = BIG,
) -> Iterator[OnDone | None]:
    """Show a bar while the block runs, by rich if it is there. Yields what to call meanwhile, with
    how much is done, such as how many bytes were read; None if there is nothing to show.

    :param total: how much there is to do; None where nobody knows.
    :param stream: where to; by default, the standard error.
    :param what: what is done.
    :param least: what is less is done in a moment.
    """
    stream = sys.stderr if stream is None else stream
    if total is None or total < least or not stream.isatty():
        yield None
        return
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        yield _Percentage(what, total, stream)
        stream.write("\r\x1b[K")
        stream.flush()
        return
    with Progress(console=Console(file=stream), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


class _Percentage:
    def __init__(self, what: str, total: int, stream: TextIO) -> None:
        self._what = what
        self._total = total
        self._stream = stream
        self._next = 0.0

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + OFTEN
            self._stream.write(f"\r{self._what}: {min(done / self._total, 1):4.0%}")
            self._stream.flush()
