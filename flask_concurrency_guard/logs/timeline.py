"""How many requests began, ended and were rejected at which time, in bounded memory."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from collections.abc import Iterator

WIDTHS = (0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 86400.0)
"""How many seconds a slot may be long. Each is a multiple of the one before."""

SCALE = 1 / WIDTHS[0]

PAGE = 1024
"""So many slots are kept together. Where nothing happens, there are none."""

MOST_PAGES = 1024
"""With more, slots get longer: that is from 2.9 hours in a row on."""

BEGUN, ENDED, REJECTED = range(3)


class Timeline:
    """Counts what happens, slot by slot. It may come in any order."""

    def __init__(self) -> None:
        self._level = 0
        self._pages: dict[int, list[array[int]]] = {}
        #: How many times as long slots are by now as they were at first.
        self._factor = 1

    @property
    def width(self) -> float:
        """How long a slot is, in seconds."""
        return WIDTHS[self._level]

    def slot_of(self, time: float) -> int:
        """Return the number of the slot of a time. Another division may round to another one."""
        return int(time * SCALE) // self._factor

    def add(self, kind: int, times: Iterable[float]) -> None:
        """Count something that happened at these times, in seconds since 1970.

        :param kind: `BEGUN`, `ENDED` or `REJECTED`.
        """
        for slot, count in Counter([int(time * SCALE) for time in times]).items():
            # Divided each time: with one page too many, slots get longer.
            page, place = self._find(slot // self._factor)
            page[kind][place] += count

    def slots(self) -> Iterator[tuple[int, int, int, int]]:
        """Return the number of each slot in which something may have happened, in order of time,
        and how many have begun, ended and were rejected in it."""
        for page in sorted(self._pages):
            for place, counts in enumerate(zip(*self._pages[page], strict=True), page * PAGE):
                yield (place, *counts)

    def _find(self, slot: int) -> tuple[list[array[int]], int]:
        """Return the page of a slot, and its place there."""
        number, place = divmod(slot, PAGE)
        page = self._pages.get(number)
        if page is not None:
            return page, place
        if len(self._pages) >= MOST_PAGES and self._level < len(WIDTHS) - 1:
            return self._find(slot // self._coarsen())
        page = self._pages[number] = [array("q", bytes(8 * PAGE)) for _ in range(3)]
        return page, place

    def _coarsen(self) -> int:
        """Make slots longer. Return how many times as long they are."""
        factor = round(WIDTHS[self._level + 1] / WIDTHS[self._level])
        self._level += 1
        self._factor *= factor
        before, self._pages = self._pages, {}
        for number, kinds in before.items():
            for kind, counts in enumerate(kinds):
                for slot, count in enumerate(counts, number * PAGE):
                    if count:
                        page, place = self._find(slot // factor)
                        page[kind][place] += count
        return factor
