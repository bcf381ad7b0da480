"""How many requests began, ended and were rejected at which time, in bounded memory."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from collections.abc import Iterator

WIDTHS = (0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 86400.0)
"""How many seconds a slot may be long. Each is a multiple of the one before."""

PAGE = 1024
"""So many slots are kept together. Where nothing happens, there are none."""

MOST_PAGES = 1024
"""With more, slots get longer: that is from 2.9 hours in a row on."""

PENDING = 200_000

BEGUN, ENDED, REJECTED = range(3)


class Timeline:
    """Counts what happens, slot by slot. It may come in any order."""

    def __init__(self) -> None:
        self._level = 0
        self._pages: dict[int, list[array[int]]] = {}
        self._pending: tuple[Counter[int], ...] = (Counter(), Counter(), Counter())
        #: Of the first slots, whatever has become of them since: what is pending is in these.
        self._fine = WIDTHS[0]

    @property
    def width(self) -> float:
        """How long a slot is, in seconds."""
        self._settle()
        return WIDTHS[self._level]

    def add(self, kind: int, times: Iterable[float]) -> None:
        """Count something that happened at these times, in seconds since 1970.

        :param kind: `BEGUN`, `ENDED` or `REJECTED`.
        """
        scale = 1 / self._fine
        self._pending[kind].update([int(time * scale) for time in times])
        if len(self._pending[kind]) > PENDING:
            self._settle()

    def slots(self) -> Iterator[tuple[int, int, int, int]]:
        """Return the number of each slot in which something may have happened, in order of time,
        and how many have begun, ended and were rejected in it."""
        self._settle()
        for page in sorted(self._pages):
            for place, counts in enumerate(zip(*self._pages[page], strict=True), page * PAGE):
                yield (place, *counts)

    def _settle(self) -> None:
        for kind, counts in enumerate(self._pending):
            factor = round(WIDTHS[self._level] / self._fine)
            for slot, count in counts.items():
                self._count(kind, slot // factor, count)
            counts.clear()
        while len(self._pages) > MOST_PAGES and self._level < len(WIDTHS) - 1:
            self._coarsen()

    def _count(self, kind: int, slot: int, count: int) -> None:
        page, place = divmod(slot, PAGE)
        counts = self._pages.get(page)
        if counts is None:
            counts = self._pages[page] = [array("q", bytes(8 * PAGE)) for _ in range(3)]
        counts[kind][place] += count

    def _coarsen(self) -> None:
        factor = round(WIDTHS[self._level + 1] / WIDTHS[self._level])
        self._level += 1
        pages, self._pages = self._pages, {}
        for page, kinds in pages.items():
            for kind, counts in enumerate(kinds):
                for slot, count in enumerate(counts, page * PAGE):
                    if count:
                        self._count(kind, slot // factor, count)
