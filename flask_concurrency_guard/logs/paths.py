"""How long requests took by method and path, for a bounded number of paths."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from .histogram import Histogram

MOST_PATHS = 200
"""With more, numbers in paths are folded; and with as many after that, all others are one."""

REMEMBERED = 50_000
"""So many paths are remembered, as they stand in the log."""

OTHERS = (b"*", b"(other paths)")

_NUMBER = re.compile(rb"[0-9]+")
# UUIDs, hashes, tokens.
_ID = re.compile(rb"(?<=/)(?=[a-f-]*[0-9])[0-9a-f-]{8,}(?=[/\"]|$)")

Route = tuple[bytes, bytes]
"""A method and a path."""


class Paths:
    """Keeps apart how long what took."""

    def __init__(self) -> None:
        self.histograms: dict[Route, Histogram] = {}
        self.is_folded = False
        """Whether numbers in the paths are stars by now."""
        #: Where the requests of a route are counted, for those that came lately.
        self._found: dict[Route, Histogram] = {}

    def add(self, methods: Iterable[bytes], paths: Iterable[bytes], buckets: Iterable[int]) -> None:
        """Add in which bucket of a histogram which request was."""
        if len(self._found) > REMEMBERED:
            self._found.clear()
        routes = list(zip(methods, paths, strict=True))
        for route in set(routes).difference(self._found):
            self._found[route] = self._find(route)
        # Looked up after all of them are there: the last new one may have folded the others.
        histograms = [self._found[route] for route in routes]
        for (histogram, bucket), count in Counter(zip(histograms, buckets, strict=True)).items():
            histogram.counts[bucket] = histogram.counts.get(bucket, 0) + count

    def _find(self, route: Route) -> Histogram:
        if self.is_folded:
            route = folded(route)
        found = self.histograms.get(route)
        if found is not None:
            return found
        if len(self.histograms) >= MOST_PATHS and not self.is_folded:
            self._fold()
            return self._find(route)
        if len(self.histograms) >= MOST_PATHS:
            route = OTHERS
        return self.histograms.setdefault(route, Histogram())

    def _fold(self) -> None:
        self.is_folded = True
        before, self.histograms = self.histograms, {}
        for route, histogram in before.items():
            self._find(route).add(histogram.counts, histogram.longest)
        self._found = {route: self._find(route) for route in self._found}


def folded(route: Route) -> Route:
    """Return the path with stars where there are numbers, and ids that have numbers in them."""
    method, path = route
    return method, _NUMBER.sub(b"*", _ID.sub(b"*", path))
