"""One limit for all processes of a host, learned from the requests of all.

Each process writes down what it has served. One of them, the *learner*, reads that every few
milliseconds as long as requests end in it, and says the limit. Nobody elects it: whoever finds that
there is none, or that it has stopped reading, is the learner from then on. It begins with the limit
as it is.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ...complaints import complain
from ..tuner import LONGEST
from ..tuner import Change
from ..tuner import Tuner
from .board import CHANGED
from .board import LEARNED
from .board import LEARNED_AT
from .board import LEARNER
from .board import LIMIT
from .board import TOP
from .borrower import MILLISECONDS
from .notes import RING
from .notes import Sample
from .notes import read_changes
from .notes import read_samples
from .notes import write_change
from .notes import write_sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..algorithms.protocol import Algorithm
    from ..lease import Lease
    from .borrower import Borrower
    from .store import HostStore

logger = logging.getLogger(__name__)

PERIOD = 0.005
"""How often a process looks whether there is something to learn, in seconds."""

SILENCE = int(LONGEST * 1000)
"""After how many milliseconds without a lesson a learner has stopped. One in which no request ends
that says anything has nothing to do with learning."""

NUMBERS = 2**32


class HostTuner(Tuner):
    """See `Tuner`, and above. What it learns itself matters only where it is the learner.

    :param make_algorithm: see `Tuner`.
    :param store: where the limit is.
    """

    def __init__(
        self,
        make_algorithm: Callable[[int | None, int | None], Algorithm],
        store: HostStore,
    ) -> None:
        self._store = store
        self._next_look = 0.0
        self._borrower: Borrower | None = None
        self._ring: memoryview
        super().__init__(make_algorithm)

    def learn(self, lease: Lease, now: float) -> int:
        """Write down what is to be learned from a lease that comes back; see `Tuner.learn`."""
        borrower = self._store.borrower
        if borrower is not self._borrower:
            self._borrower, self._is_broken = borrower, False
            if borrower is not None:
                self._ring = borrower.board.ring(borrower.slot)
        if borrower is not None and not self._is_broken and lease.held <= LONGEST:
            try:
                self._note(borrower, lease, now)
            except Exception:
                # Whatever stands in the file: no request may suffer from that.
                self._is_broken = True
                complain(logger, "This process learns no limit any more.", later=True)
        return self._store.limit

    def _note(self, borrower: Borrower, lease: Lease, now: float) -> None:
        board, slot = borrower.board, borrower.slot
        header, flights, written = board.header, board.flights, board.written
        self._store.limit = header[LIMIT]
        if not header[LEARNED]:
            return
        # As many leave others behind as find others when they come.
        in_flight = sum(flights[: header[TOP]]) - flights[slot] + lease.in_flight
        waited = lease.age + lease.queue_time
        number = written[slot]
        write_sample(self._ring, number, (now, lease.held, waited, in_flight, lease.dropped))
        written[slot] = (number + 1) % NUMBERS
        if now >= self._next_look:
            self._next_look = now + PERIOD
            if self._is_learner(borrower, now):
                self._teach(borrower, now)

    def last_changes(self) -> tuple[Change, ...]:
        """See `Tuner.last_changes`. Those of all processes."""
        borrower = self._store.borrower
        if borrower is None:
            return ()
        board = borrower.board
        return tuple(read_changes(board.changes, board.header[CHANGED]))

    def resume(self) -> None:
        """Learn the limit again, after a number was set.

        :raises StoreError: it can't be changed now.
        """

        def begin(borrower: Borrower) -> None:
            header = borrower.board.header
            header[LEARNED], header[LEARNER] = 1, 0

        self._store.change(begin)

    def _is_learner(self, borrower: Borrower, now: float) -> bool:
        """Return whether it is this process that learns. Become the learner if there is none."""
        if borrower.board.header[LEARNER] == borrower.slot + 1:
            return True
        if not _is_vacant(borrower, now):
            return False

        def take_over(borrower: Borrower) -> bool:
            if not _is_vacant(borrower, now):
                return False  # Another process was faster.
            borrower.board.header[LEARNER] = borrower.slot + 1
            self.begin(borrower.limit)
            return True

        return bool(self._store.exclusively(take_over))

    def _teach(self, borrower: Borrower, now: float) -> None:
        board = borrower.board
        header, written, read = board.header, board.written, board.read
        header[LEARNED_AT] = _milliseconds(now)
        samples: list[Sample] = []
        for slot in range(header[TOP]):
            stop = written[slot]
            samples.extend(read_samples(board.ring(slot), read[slot], stop))
            read[slot] = stop
        samples.sort()
        change = None
        for ended, held, waited, in_flight, dropped in samples:
            before = self.limit
            if self.add(ended - held, held, in_flight, dropped, waited, ended) != before:
                change = self.changes[-1]
                break  # The others ended before anybody knew of it.
        # It may be another one where this one has just begun, or could not say the last one.
        if change is not None or header[LIMIT] != self.limit:
            self._store.exclusively(lambda borrower: self._tell(borrower, change))

    def _tell(self, borrower: Borrower, change: Change | None) -> None:
        header = borrower.board.header
        if header[LEARNER] != borrower.slot + 1 or not header[LEARNED]:
            return
        if change is not None:
            write_change(borrower.board.changes, header[CHANGED], change)
            header[CHANGED] = (header[CHANGED] + 1) % NUMBERS
        borrower.set_limit(self.limit)


def _is_vacant(borrower: Borrower, now: float) -> bool:
    """Return whether nobody learns; as far as can be seen from here."""
    board, slot = borrower.board, borrower.slot
    if not board.header[LEARNER]:
        return True
    unread = (board.written[slot] - board.read[slot]) % NUMBERS
    silence = (_milliseconds(now) - board.header[LEARNED_AT]) % MILLISECONDS
    return unread > RING // 2 or silence > SILENCE


def _milliseconds(now: float) -> int:
    return int(now * 1000) % MILLISECONDS
