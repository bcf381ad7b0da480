"""Times in request headers: when a proxy saw the request, and how long the client will wait."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from ..core.fork import reset_after_fork

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_AGE = 3600.0
"""Nobody waits for longer, in seconds: a proxy that says so has a wrong clock."""

_START = re.compile(r"(?:t=)?([0-9]{9,19}(?:\.[0-9]{1,9})?)")
_TIMEOUT = re.compile(r"([0-9]{1,8}(?:\.[0-9]{1,9})?) ?([a-zA-Z]{0,2})")

# The first that is not less than the value tells the unit. In seconds, we are at 10 digits until
# the year 2286; in the next finer unit that many would be some day in January 1970.
_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6))
_NANOSECONDS = 1e9

# As in gRPC (PROTOCOL-HTTP2, "Timeout"), and as people write them. So a lone m is no minute.
_SECONDS = {
    "": 1.0, "s": 1.0, "S": 1.0, "ms": 1e-3, "m": 1e-3, "us": 1e-6, "u": 1e-6, "ns": 1e-9,
    "n": 1e-9, "M": 60.0, "H": 3600.0,
}  # fmt: skip


class OddHeaders:
    """How many values were not taken as they were, by what was wrong with them."""

    def __init__(self) -> None:
        self.after_fork()
        reset_after_fork(self)

    def after_fork(self) -> None:
        """Forget what the parent has counted."""
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def count(self, what: str) -> int:
        """Count one, and return how many there are. Rare enough for a lock, unless something is set
        up wrong."""
        with self._lock:
            self._counts[what] = count = self._counts.get(what, 0) + 1
        return count

    def counts(self) -> Mapping[str, int]:
        """Return the counts of this instant."""
        with self._lock:
            return dict(self._counts)


def read_age(value: str, now: float, odd: OddHeaders) -> float | None:
    """Return how long ago a proxy saw the request, in seconds.

    A proxy whose clock is ahead makes every request look new, and one whose clock is behind makes
    it look old. The first is clamped to 0. The second can only be told when it is absurd, and
    then the header says nothing at all: every request would be rejected otherwise.

    :param value: as in ``X-Request-Start``: seconds, milliseconds, microseconds or nanoseconds
        since 1970, with or without ``t=`` in front.
    :param now: the time, in seconds since 1970.
    :param odd: counts what is wrong with it.
    """
    match = _START.fullmatch(value.strip())
    if match is None:
        odd.count("request_start_malformed")
        return None
    number = float(match[1])
    age = now - number / next((per for end, per in _UNITS if number < end), _NANOSECONDS)
    if age < 0:
        odd.count("request_start_in_future")
        return 0.0
    if age > LONGEST_AGE:
        odd.count("request_start_absurd")
        return None
    return age


def read_patience(value: str, unit: str, odd: OddHeaders) -> float | None:
    """Return how long a client is willing to wait, in seconds.

    :param value: a number, and maybe a unit: ``1.5``, ``1500ms``, or ``1500m`` as in gRPC.
    :param unit: the unit where none is given.
    :param odd: counts what is wrong with it. That includes 0, by which some mean for ever.
    """
    match = _TIMEOUT.fullmatch(value.strip())
    seconds = None if match is None else _SECONDS.get(match[2] or unit)
    patience = 0.0 if match is None or seconds is None else float(match[1]) * seconds
    if patience <= 0:
        odd.count("deadline_malformed")
        return None
    return patience
