"""How long requests took and how many were rejected, for a bounded number of paths."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence

from .histogram import Histogram
from .histogram import seconds_of

MOST_PATHS = 200
"""With more, numbers in paths are folded; and with as many after that, all others are one."""

REMEMBERED = 50_000
"""So many paths are remembered, as they stand in the log."""

OTHERS = (b"*", b"(other paths)")

TURNED_AWAY = -1
"""The bucket of those that were rejected."""

_ZEROS = bytes.maketrans(b"0123456789", b"0000000000")
# Those of an escaped byte or character are no number; in its place, so that it goes first.
_NUMBER = re.compile(rb"(%[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4})|[0-9]+")
# UUIDs, hashes, tokens.
_ID = re.compile(rb"(?<=/)(?=[a-f-]*[0-9])[0-9a-f-]{8,}(?=[/\"]|$)")

Route = tuple[bytes, bytes]
"""A method and a path."""


class Paths:
    """Keeps apart how long what took."""

    def __init__(self) -> None:
        self.is_folded = False
        """Whether numbers in the paths are stars by now."""
        self._numbers: dict[Route, int] = {}
        self._counts: Counter[tuple[int, int]] = Counter()  # By the number of a route, and bucket.
        #: The numbers of what came lately, as it stands in the log.
        self._found: dict[Route, int] = {}

    def add(self, methods: Iterable[bytes], paths: Sequence[bytes], buckets: Iterable[int]) -> None:
        """Add in which bucket of a histogram which request was, or that it was `TURNED_AWAY`."""
        if self.is_folded:
            # With the same digit for all of them there are few paths, which are soon looked up.
            paths = _with_zeros(paths)
        if len(self._found) > REMEMBERED:
            self._found.clear()
        routes = list(zip(methods, paths, strict=True))
        for route in set(routes).difference(self._found):
            self._found[route] = self._number(route)
        # Looked up after all of them are there: the last new one may have folded the others.
        numbers = map(self._found.__getitem__, routes)
        self._counts.update(zip(numbers, buckets, strict=True))

    def histograms(self, longest: float) -> dict[Route, Histogram]:
        """Return the histogram of each method and path that was served.

        :param longest: how long the longest of all took, in seconds.
        """
        routes = {number: route for route, number in self._numbers.items()}
        found: dict[Route, Histogram] = {}
        for (number, bucket), count in self._counts.items():
            if bucket != TURNED_AWAY:
                histogram = found.setdefault(routes[number], Histogram())
                histogram.add({bucket: count}, min(seconds_of(bucket), longest))
        return found

    def rejections(self) -> Counter[Route]:
        """Return how many were rejected of each method and path."""
        found = {
            route: self._counts[number, TURNED_AWAY] for route, number in self._numbers.items()
        }
        return Counter({route: count for route, count in found.items() if count})

    def _number(self, route: Route) -> int:
        if self.is_folded:
            route = folded(route)
        if len(self._numbers) >= MOST_PATHS and route not in self._numbers:
            if not self.is_folded:
                self._fold()
                return self._number(route)
            route = OTHERS
        return self._numbers.setdefault(route, len(self._numbers))

    def _fold(self) -> None:
        self.is_folded = True
        before, self._numbers = self._numbers, {}
        numbers = {number: self._number(route) for route, number in before.items()}
        counts, self._counts = self._counts, Counter()
        for (number, bucket), count in counts.items():
            self._counts[numbers[number], bucket] += count
        self._found = {route: self._number(route) for route in self._found}


def folded(route: Route) -> Route:
    """Return the path with stars where there are numbers, and ids that have numbers in them."""
    method, path = route
    return method, _NUMBER.sub(lambda found: found[1] or b"*", _ID.sub(b"*", path))


def _with_zeros(paths: Sequence[bytes]) -> list[bytes]:
    joined = b"\n".join(paths)
    if b"%" not in joined and b"\\" not in joined:
        return joined.translate(_ZEROS).split(b"\n")
    # There, another digit makes another character.
    return [path if b"%" in path or b"\\" in path else path.translate(_ZEROS) for path in paths]
