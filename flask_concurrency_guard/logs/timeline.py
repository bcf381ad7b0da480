"""How many requests began, ended and were rejected at which time, in bounded memory."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping

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
            self._merge(kind, counts, round(WIDTHS[self._level] / self._fine))
            counts.clear()
        while len(self._pages) > MOST_PAGES and self._level < len(WIDTHS) - 1:
            self._coarsen()

    def _merge(self, kind: int, counts: Mapping[int, int], factor: int) -> None:
        pages = self._pages
        for slot, count in counts.items():
            number, place = divmod(slot // factor, PAGE)
            page = pages.get(number)
            if page is None:
                page = pages[number] = [array("q", bytes(8 * PAGE)) for _ in range(3)]
            page[kind][place] += count

    def _coarsen(self) -> None:
        factor = round(WIDTHS[self._level + 1] / WIDTHS[self._level])
        self._level += 1
        before, self._pages = self._pages, {}
        for number, page in before.items():
            for kind, counts in enumerate(page):
                slots = enumerate(counts, number * PAGE)
                self._merge(kind, {slot: count for slot, count in slots if count}, factor)
