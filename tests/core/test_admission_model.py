"""Requests of all ranks, costs and partitions, in any order: what must hold whatever happens."""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
from core_support import Clock
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import initialize
from hypothesis.stateful import invariant
from hypothesis.stateful import precondition
from hypothesis.stateful import rule

from flask_concurrency_guard.core.admission import Admission
from flask_concurrency_guard.core.claims import Claim
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.shares import HOLD
from flask_concurrency_guard.core.shedder import WELCOME

SHARES = {"live": 0.5, "batch": 0.25}


class Grantor:
    name = "model"
    mode = "enforce"

    def release(self, lease: Lease) -> bool:
        return False

    withdraw = reclaim = release


class Model(RuleBasedStateMachine):
    @initialize(limit=st.integers(1, 12), order=st.sampled_from(["fifo", "lifo", "adaptive"]))
    def begin(self, limit: int, order: str) -> None:
        self.clock = Clock()
        self.admission = Admission(limit, queue_order=order, max_queue=6, clock=self.clock)
        self.admission._tell_apart(lambda claim: claim, SHARES)
        self.inside: list[Lease] = []
        self.waiting: list[Lease] = []
        self.came = self.turned_away = 0

    @rule(
        partition=st.sampled_from(["live", "batch", "other"]),
        rank=st.integers(0, 2),
        cost=st.integers(1, 3),
    )
    def arrive(self, partition: str, rank: int, cost: int) -> None:
        self.came += 1
        before = self.admission.in_flight
        claim = Claim(cost, rank, partition)
        outcome = self.admission._decide(Grantor(), None, WELCOME, claim)  # type: ignore[arg-type]
        if not isinstance(outcome, Lease):
            self.turned_away += 1
            self.look()
            return
        outcome.may_be_dropped = True
        if outcome._wakeup is None:
            self.inside.append(outcome)
            assert self.admission.in_flight > before
        else:
            self.waiting.append(outcome)
            self.admission._queue(outcome, WELCOME)
        self.look()
        assert self.admission.in_flight <= max(before, self.admission.limit)

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.inside))
        self.inside.remove(lease)
        self.admission._take_back(lease)
        left, waiting = self.left_of_shares(), self.waiting
        granted = self.look()
        # What comes free goes first to who uses less than is guaranteed. Whoever wants no more than
        # that can't be held up by what is kept for others, so there is one then.
        cost = self.admission._cost
        if granted and any(cost(one.claim) <= left[one.claim.partition] for one in waiting):
            assert left[granted[0].claim.partition] > 0

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(lease)
        self.admission._leave_line(lease)
        self.turned_away += 1
        self.look()

    @rule(limit=st.integers(1, 12))
    def change_limit(self, limit: int) -> None:
        before = self.admission.in_flight
        self.admission.limit = self.admission._places = limit
        self.admission._advance_line()
        self.look()
        assert self.admission.in_flight <= max(before, limit)

    @rule(seconds=st.sampled_from([0.01, 0.3, HOLD + 0.1]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.admission._advance_line()
        self.look()

    def look(self) -> list[Lease]:
        """Note who was granted a place, and who was pushed out."""
        granted = [lease for lease in self.waiting if lease._wakeup is None]
        granted.sort(key=lambda lease: lease.in_flight)  # In the order of their turns.
        pushed_out = [lease for lease in self.waiting if lease._released]
        self.inside += granted
        self.turned_away += len(pushed_out)
        self.waiting = [
            lease for lease in self.waiting if lease not in granted and lease not in pushed_out
        ]
        return granted

    def left_of_shares(self) -> Counter[str]:
        """Return how many places each partition may use that it is guaranteed."""
        assert self.admission._shares is not None
        left = Counter(self.admission._shares.guaranteed(self.admission.limit))
        for lease in self.inside:
            left[lease.claim.partition] -= lease.cost
        return left

    @invariant()
    def nothing_is_lost(self) -> None:
        admission = self.admission
        assert admission.in_flight == sum(lease.cost for lease in self.inside)
        assert sorted(map(id, admission._line)) == sorted(map(id, self.waiting))
        assert self.came == len(self.inside) + len(self.waiting) + self.turned_away + self.gone()
        assert admission._shares is not None
        for name in ("live", "batch", "other"):
            used = sum(lease.cost for lease in self.inside if lease.claim.partition == name)
            assert admission._shares.used[name] == used

    @invariant()
    def nobody_waits_for_what_is_there(self) -> None:
        admission = self.admission
        turn = admission._line.peek(admission.in_flight, admission.limit)
        assert turn is None or admission.in_flight + admission._cost(turn.claim) > admission.limit

    def gone(self) -> int:
        return self.admission._admitted - len(self.inside)

    def teardown(self) -> None:
        """All end in their turn, and nobody is left."""
        if not hasattr(self, "admission"):
            return
        for _ in range(100):
            if not self.inside and not self.waiting:
                break
            while self.inside:
                self.admission._take_back(self.inside.pop())
                self.look()
            self.clock.now += HOLD + 0.1
            self.admission._advance_line()
            self.look()
        assert not self.inside
        assert not self.waiting
        assert self.admission.in_flight == 0


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
