"""When a rejected client should come back."""

from __future__ import annotations

import random
from math import ceil

LONGEST = 60
"""No client is sent away for longer than this many seconds, plus the jitter."""


def retry_after(held: float, limit: int, queued: int) -> int:
    """Return when a newcomer would have its turn: whole seconds, at least 1, with jitter.

    By Little's law, `limit` places that are each held for `held` seconds come back at
    ``limit / held`` a second. Unlike a count of releases, that is right from the first one on that
    happens at the limit, also after hours in which next to nothing was asked for.

    The jitter at most doubles the time. Clients that were turned away together must not come back
    together, and a header in whole seconds leaves no finer way to tell them apart.

    :param held: how long a place is held in the mean, in seconds.
    :param limit: how many places there are.
    :param queued: how many wait for one.
    """
    turn = (queued + 1) * held / limit
    seconds = 1 if turn <= 1 else min(ceil(turn), LONGEST)
    return seconds + int(random.random() * (seconds + 1))
