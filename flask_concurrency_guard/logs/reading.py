"""Read several logs as one."""

from __future__ import annotations

import gc
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from math import inf

from .errors import LogError
from .layouts import Batch
from .opening import open_log
from .reader import Reader
from .reader import detect
from .requests import Decoder
from .requests import Requests
from .requests import TimeIs
from .times import shown_time

OnBytes = Callable[[int], object]
"""Called with how many bytes were read by now, of all logs."""

FAR = 1 << 20
"""So many bytes of a log may come before what can be read: what a server says at its start."""


@contextmanager
def without_collector() -> Iterator[None]:
    """Run the block without the garbage collector.

    It looks at all the rows of a chunk again and again, and finds no cycle: a sixth of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(slots=True)
class File:
    """What a log was read as."""

    name: str
    format: str = ""
    """Nothing, where there is nothing in it."""
    lines: int = 0
    unread: int = 0
    """How many lines of them were none that can be read."""
    first_unread: int | None = None
    """The number of the first of these."""
    first_unread_text: str = ""
    ends_early: bool = False
    """Whether it is packed, and its end is missing."""


def read_logs(
    names: Iterable[str],
    files: list[File],
    *,
    time_is: TimeIs = TimeIs.END,
    on_bytes: OnBytes | None = None,
) -> Iterator[Requests]:
    """Return the requests of some logs, many at once.

    :param names: paths, or `-`.
    :param files: what each log was read as is added to it.
    :param time_is: what the time is, in a server's log.
    :raises LogError: one of them can't be read, or all are empty.
    """
    before = 0
    decoder = Decoder(time_is)
    for name in names:
        with open_log(name) as source:
            file = File(source.name)
            files.append(file)
            position = 0

            def note(read: int, before: int = before) -> None:
                nonlocal position
                position = read
                if on_bytes is not None:
                    on_bytes(before + read)

            reader = None
            for reader, chunk in _with_reader(source.chunks(note), source.name):
                for batch in reader.read(chunk):
                    yield from _decoded(decoder, batch, reader, chunk)
            if reader is not None:
                file.format = reader.format.name
                file.lines, file.unread = reader.lines, reader.unread
                if reader.first_unread is not None:
                    file.first_unread, file.first_unread_text = reader.first_unread
            file.ends_early = source.ends_early
            before += position
    # One may be empty, as it is right after it was rotated.
    if files and not any(file.lines for file in files):
        raise LogError(f"'{files[0].name}' is empty.")


def between(
    found: Iterable[Requests], since: float | None, until: float | None
) -> Iterator[Requests]:
    """Return those that came at one time or later, and before another one.

    :param since: seconds since 1970, as is `until`.
    :raises LogError: there are none.
    """
    since, until = -inf if since is None else since, inf if until is None else until
    first, last, is_empty = inf, -inf, True
    for requests in found:
        starts = requests.starts
        if starts is None:
            continue
        first, last = min(first, *starts), max(last, *starts)
        places = [place for place, start in enumerate(starts) if since <= start < until]
        if places:
            is_empty = False
            yield requests.only(places, requests.outcome)
    if is_empty and first <= last:
        raise LogError(
            f"No request came in that time: they came from {shown_time(first)} until"
            f" {shown_time(last)} UTC."
        )
    if is_empty:
        raise LogError("No request has a time, so nobody knows which came in that time.")


def _with_reader(chunks: Iterator[bytes], name: str) -> Iterator[tuple[Reader, bytes]]:
    """Return the chunks of a log, each with what reads it."""
    begin: list[bytes] = []
    for chunk in chunks:
        begin.append(chunk)
        found = detect(chunk)
        if found is not None:
            reader = Reader(found)
            for each in chain(begin, chunks):
                yield reader, each
            return
        if sum(map(len, begin)) >= FAR:
            break
    if begin:
        raise LogError(
            f"'{name}' is no access log that can be read: name one that this guard has written"
            ' (CONCURRENCY_GUARD_ACCESS_LOG), or one of a server with "GET /path HTTP/1.1" 200'
            " in its lines."
        )


def _decoded(decoder: Decoder, batch: Batch, reader: Reader, chunk: bytes) -> list[Requests]:
    try:
        return list(decoder.decode(batch))
    except ValueError:
        pass  # A 31st of February. Which line it stands in, only a look at each tells.
    found = []
    for row in zip(*batch.values(), strict=True):
        try:
            single = {field: [text] for field, text in zip(batch, row, strict=True)}
            found += list(decoder.decode(single))
        except ValueError:
            reader.refuse(chunk, row[0])
    return found
