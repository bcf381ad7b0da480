"""Whatever a few processes do, in whatever order: never more in flight than the limit, and no
place that nobody can have."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from core_support import Clock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import initialize
from hypothesis.stateful import invariant
from hypothesis.stateful import precondition
from hypothesis.stateful import rule

from flask_concurrency_guard.core.host import store as stores
from flask_concurrency_guard.core.host.board import Board
from flask_concurrency_guard.core.host.borrower import FRESH
from flask_concurrency_guard.core.host.store import HostStore
from flask_concurrency_guard.core.host.system import register_barrier

MOST = 5
NUMBERS = st.integers(0, MOST - 1)
COSTS = st.sampled_from((1, 1, 1, 2, 3))


class Processes(RuleBasedStateMachine):
    """A few stores on one file, and the leases that each has."""

    @initialize(limit=st.integers(1, 12), lends=st.booleans())
    def begin(self, limit: int, lends: bool) -> None:
        stores.register_barrier = register_barrier if lends else lambda: None
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "private" / "app.host"
        self.clock = Clock()
        self.limit = self.configured = limit
        self.stores: list[HostStore] = []
        self.in_flight: list[int] = []

    @precondition(lambda self: len(self.stores) < MOST)
    @rule()
    def start(self) -> None:
        self.stores.append(HostStore(self.path, self.configured, clock=self.clock))
        self.in_flight.append(0)

    @precondition(lambda self: self.stores)
    @rule(number=NUMBERS, starving=st.booleans(), cost=COSTS)
    def acquire(self, number: int, starving: bool, cost: int) -> None:
        number %= len(self.stores)
        store, wanted = self.stores[number], self.in_flight[number] + cost
        rivals = self.starving_others(number)
        is_free = sum(self.in_flight) + cost <= self.limit
        if (wanted <= store.places and store.enter(wanted, cost)) or store.take(
            wanted, cost, starving=starving
        ):
            assert is_free
            self.in_flight[number] = wanted
        elif is_free:
            assert rivals, "places were free, and nobody else wanted them"

    @precondition(lambda self: any(self.in_flight))
    @rule(number=NUMBERS, queued=st.booleans())
    def release(self, number: int, queued: bool) -> None:
        """With somebody in the line, who is admitted if the place stays here."""
        holders = [number for number, count in enumerate(self.in_flight) if count]
        number = holders[number % len(holders)]
        store = self.stores[number]
        self.in_flight[number] -= 1
        store.leave(self.in_flight[number], int(queued))
        wanted = self.in_flight[number] + 1
        if queued and wanted <= store.places and store.enter(wanted):
            self.in_flight[number] = wanted

    @precondition(lambda self: self.stores)
    @rule(number=NUMBERS)
    def die(self, number: int) -> None:
        number %= len(self.stores)
        store = self.stores.pop(number)
        self.in_flight.pop(number)
        if store.borrower is not None:
            store.borrower.board.close()
        if not any(store.borrower for store in self.stores):
            self.limit = self.configured

    @precondition(lambda self: self.stores)
    @rule(number=NUMBERS, limit=st.integers(1, 12))
    def change_limit(self, number: int, limit: int) -> None:
        self.stores[number % len(self.stores)].set_limit(limit)
        self.limit = limit

    @rule(seconds=st.floats(0, 0.3))
    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds

    def starving_others(self, number: int) -> bool:
        store = self.stores[number]
        board = self.board()
        if board is None:
            return False
        slot = store._slot if store.borrower else -1
        now = int(self.clock() * 1000)
        return any(
            since and other != slot and now - since < FRESH
            for other, since in enumerate(board.waiting)
        )

    def board(self) -> Board | None:
        for store in getattr(self, "stores", ()):
            if store.borrower:
                return store.borrower.board
        return None

    @invariant()
    def no_more_is_lent_than_there_is(self) -> None:
        if board := self.board():
            assert board.lent() <= max(self.limit, sum(self.in_flight)) or board.header[5]

    def teardown(self) -> None:
        stores.register_barrier = register_barrier
        for store in getattr(self, "stores", ()):
            if store.borrower is not None:
                store.borrower.board.close()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


Processes.TestCase.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
TestProcesses = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")(
    Processes.TestCase
)
