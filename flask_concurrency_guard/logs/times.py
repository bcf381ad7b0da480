"""What the clocks of logs say."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FIRST = datetime.min.replace(tzinfo=UTC).timestamp()
LAST = datetime.max.replace(tzinfo=UTC, microsecond=999_000).timestamp()
"""Between these are the times that can be shown."""

GOLDEN = 0.6180339887498949
"""Multiples of it, less their whole parts, are spread evenly, however many they are."""


def iso_seconds(text: bytes) -> float:
    """Return the seconds since 1970 of such as ``2026-11-29T13:20:00``, which is UTC."""
    return datetime.fromisoformat(text.decode()).replace(tzinfo=UTC).timestamp()


def common_seconds(text: bytes) -> float:
    """Return the seconds since 1970 of such as ``29/Nov/2026:13:20:00 +0000``.

    Without a zone it is that of this machine.
    """
    # Not by strptime: the names of the months are English, whatever the locale says.
    day, month, rest = text.decode().split("/", 2)
    clock, zone = rest[5:13], rest[14:]
    moment = f"{rest[:4]}-{MONTHS.index(month) + 1:02d}-{day}T{clock}"
    if zone:
        moment += f"{zone[:3]}:{zone[3:]}"
    return datetime.fromisoformat(moment).timestamp()


def written_seconds(text: str) -> float:
    """Return the seconds since 1970 of a time that somebody has written, which is UTC if there is
    no zone with it: ``2026-11-29 13:20``.

    :raises ValueError: it is none.
    """
    moment = datetime.fromisoformat(text.strip())
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


class Seconds:
    """Reads times down to the second. Many lines have the same one."""

    MOST = 100_000
    """So many are remembered."""

    def __init__(self, read: Callable[[bytes], float]) -> None:
        self._read = read
        self._known: dict[bytes, float] = {}

    def read_all(self, texts: Sequence[bytes]) -> list[float]:
        """Return the seconds since 1970 of each.

        :raises ValueError: there is no such time, such as a 31st of February.
        """
        known = self._known
        if len(known) > self.MOST:
            known.clear()
        for text in set(texts).difference(known):
            known[text] = self._read(text)
        return [known[text] for text in texts]


def spread(seconds: Sequence[float], first: int) -> list[float]:
    """Return times that are only known to the second, spread over theirs.

    :param first: the number of the first one in the log, so that the spreading goes on.
    """
    return [second + (number * GOLDEN) % 1.0 for number, second in enumerate(seconds, start=first)]


def shown_time(seconds: float, *, milliseconds: bool = False) -> str:
    """Return a time for people, in UTC."""
    # A request that came in the last second of the year 9999 may be over later.
    moment = datetime.fromtimestamp(min(max(seconds, FIRST), LAST), UTC)
    text = moment.isoformat(" ", "milliseconds" if milliseconds else "seconds")
    return text.removesuffix("+00:00")
