"""One limit for all processes of a host that is learned."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from core_support import Clock
from core_support import Waiter
from core_support import lease_of

from flask_concurrency_guard.core.algorithms.protocol import Algorithm
from flask_concurrency_guard.core.host.notes import RING
from flask_concurrency_guard.core.host.store import HostStore
from flask_concurrency_guard.core.host.tuner import HostTuner
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.shared import SharedLimiter
from flask_concurrency_guard.core.store import StoreError
from flask_concurrency_guard.core.tuner import LONGEST
from flask_concurrency_guard.core.tuner import REMEMBERED

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="host scope needs Linux")


class Learned:
    """Raises the limit by one each time that it is told to, and remembers what it was asked."""

    reason = "as told"

    def __init__(self, limit: int) -> None:
        self.limit = self.first = limit
        self.samples: list[tuple[float, float, int, bool, float]] = []
        self.raises = 0

    def on_sample(
        self, start: float, rtt: float, in_flight: int, dropped: bool = False, waited: float = 0.0
    ) -> int:
        self.samples.append((start, rtt, in_flight, dropped, waited))
        if self.raises:
            self.raises -= 1
            self.limit += 1
        return self.limit


class Host:
    """A host, and its processes."""

    def __init__(self, path: Path, initial: int) -> None:
        self.path = path
        self.initial = initial
        self.clock = Clock(1000.0)
        self.processes: list[Process] = []

    def add(self) -> Process:
        process = Process(self)
        self.processes.append(process)
        return process

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds


class Process:
    """One of them."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.store = HostStore(host.path, host.initial, learned=True, clock=host.clock)
        self.made: list[Learned] = []
        self.tuner = HostTuner(self.make, self.store)
        self.limiter = SharedLimiter(self.store, self.tuner, max_queue=0, clock=host.clock)

    def make(self, ceiling: int | None, initial: int | None) -> Algorithm:
        self.made.append(Learned(initial or self.host.initial))
        return self.made[-1]

    @property
    def algorithm(self) -> Learned:
        """What learns here, if this process does."""
        return self.made[-1]

    def serve(self, seconds: float = 0.25, **settings: object) -> None:
        lease = lease_of(self.limiter)
        for name, value in settings.items():
            setattr(lease, name, value)
        self.host.pass_time(seconds)
        lease.release()

    def die(self) -> None:
        assert self.store.borrower is not None
        self.store.borrower.board.close()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "private" / "app.host", 4)


@pytest.fixture
def two(host: Host) -> tuple[Process, Process]:
    return host.add(), host.add()


def learn(*processes: Process, seconds: float = 0.25) -> None:
    """Serve a request in each; the first is the learner, and looks once more at the end."""
    for process in (*processes, processes[0]):
        process.serve(seconds)


def test_the_requests_of_all_processes_are_learned_from(two: tuple[Process, Process]) -> None:
    one, other = two
    one.serve(0.25)
    other.serve(0.5, age=0.125, dropped=True)
    one.serve(1.0)
    assert one.algorithm.samples == [
        (1000.0, 0.25, 1, False, 0.0),
        (1000.25, 0.5, 1, True, 0.125),
        (1000.75, 1.0, 1, False, 0.0),
    ]
    assert other.algorithm.samples == []


def test_they_come_in_the_order_of_their_ends(host: Host) -> None:
    one, other, third = host.add(), host.add(), host.add()
    one.serve()
    for process in (third, other, third, other, one):
        process.serve(0.001)
        host.pass_time(0.01)
    starts = [sample[0] for sample in one.algorithm.samples]
    assert len(starts) == 6
    assert starts == sorted(starts)


def test_what_is_in_flight_elsewhere_counts(two: tuple[Process, Process]) -> None:
    one, other = two
    leases = [lease_of(other.limiter), lease_of(other.limiter)]
    one.serve()
    leases.append(lease_of(one.limiter))
    one.serve()
    assert [sample[2] for sample in one.algorithm.samples] == [3, 4]
    for lease in leases:
        lease.release()


def test_the_limit_is_that_of_all(two: tuple[Process, Process]) -> None:
    one, other = two
    learn(one, other)
    one.algorithm.raises = 2
    learn(one, other)
    other.serve()
    assert other.limiter.snapshot().limit == 6
    leases = [lease_of(process.limiter) for process in two for _ in range(3)]
    assert not isinstance(other.limiter.acquire(), Lease)
    for lease in leases:
        lease.release()


def test_a_higher_limit_admits_from_the_line(host: Host) -> None:
    one = host.add()
    host.initial = 1
    waiting = SharedLimiter(one.store, one.tuner, max_queue=1, clock=host.clock)
    held = lease_of(waiting)
    others = [lease_of(waiting) for _ in range(3)]
    waiter = Waiter(waiting)
    one.algorithm.raises = 1
    held.release()
    admitted = waiter.result()
    assert isinstance(admitted, Lease)
    for lease in (*others, admitted):
        lease.release()


def test_all_tell_the_changes(two: tuple[Process, Process]) -> None:
    one, other = two
    learn(one, other)
    for _ in range(REMEMBERED):
        one.algorithm.raises = 2
        learn(one, other)
    changes = other.limiter.snapshot().changes
    assert changes == one.limiter.snapshot().changes
    assert [change.after for change in changes] == list(range(15, 25))
    assert str(changes[-1]) == "as told: 23 -> 24"
    assert changes[-1].time <= one.host.clock()


def test_the_changes_of_those_before_are_none_of_those_after(host: Host) -> None:
    before = host.add()
    before.serve()
    before.algorithm.raises = 2
    learn(before)
    assert before.limiter.snapshot().changes
    before.die()
    after = host.add()
    after.serve()
    assert after.limiter.snapshot().changes == ()


def test_a_long_reason_is_cut(two: tuple[Process, Process]) -> None:
    one, _ = two
    one.serve()
    one.algorithm.reason = "ü" * 200
    one.algorithm.raises = 1
    one.serve()
    (change,) = one.limiter.snapshot().changes
    assert 50 < len(change.reason) < 200
    assert set(change.reason) == {"ü"}


@pytest.mark.parametrize("leave", [Process.die, lambda process: process.store.after_fork()])
def test_another_one_learns_when_the_learner_has_gone(
    two: tuple[Process, Process], leave: Callable[[Process], object]
) -> None:
    one, other = two
    one.serve()
    one.algorithm.raises = 1
    learn(one, other)
    leave(one)
    leases = [lease_of(other.limiter) for _ in range(5)]  # Takes back what the other one had.
    for lease in leases:
        other.host.pass_time(0.01)
        lease.release()
    assert other.algorithm.first == 5
    assert other.algorithm.samples
    other.algorithm.raises = 1
    other.serve()
    assert other.limiter.snapshot().limit == 6
    assert [change.after for change in other.limiter.snapshot().changes] == [5, 6]


def test_another_one_learns_when_the_learner_is_silent(two: tuple[Process, Process]) -> None:
    one, other = two
    learn(one, other)
    other.host.pass_time(LONGEST)
    other.serve(0.1)
    assert len(other.algorithm.samples) == 1
    one.serve(0.1)
    other.serve(0.1)
    assert len(other.algorithm.samples) == 3
    assert len(one.algorithm.samples) == 3  # It has seen that it was replaced.


def test_another_one_learns_when_the_learner_does_not_keep_up(two: tuple[Process, Process]) -> None:
    one, other = two
    one.serve()
    count = 0
    while not other.algorithm.samples:
        other.serve(0.01)
        count += 1
    assert RING // 4 < count < RING
    assert len(other.algorithm.samples) == count  # None is lost.


def test_what_nobody_reads_is_written_over(two: tuple[Process, Process]) -> None:
    one, other = two
    one.serve()
    for _ in range(3 * RING):
        other.serve(0.000001)  # Too fast to look whether there is somebody who reads.
    one.serve()
    assert len(one.algorithm.samples) == RING + 2


def test_long_requests_are_not_learned_from(two: tuple[Process, Process]) -> None:
    one, _ = two
    one.serve(LONGEST + 0.5)
    one.serve(0.5)
    assert [sample[1] for sample in one.algorithm.samples] == [0.5]


def test_a_number_ends_it_for_all_until_it_is_resumed(two: tuple[Process, Process]) -> None:
    one, other = two
    learn(one, other)
    other.limiter.set_limit(9)
    one.algorithm.raises = 1
    learn(one, other)
    assert one.limiter.snapshot().limit == 9
    count = len(one.algorithm.samples)
    other.limiter.learn_limit()
    learn(one, other)
    assert one.algorithm.first == 9
    assert (count, len(one.algorithm.samples)) == (3, 3)


def test_who_begins_with_another_limit_than_there_is_says_so(host: Host) -> None:
    """It may not allow as much as was set."""
    one = host.add()
    learn(one)
    one.limiter.set_limit(9)
    make = one.make
    one.tuner._make_algorithm = lambda ceiling, initial: make(ceiling, min(initial or 1, 6))
    one.limiter.learn_limit()
    learn(one)
    assert one.algorithm.limit == one.limiter.snapshot().limit == 6


def test_a_number_that_is_set_meanwhile_stays(two: tuple[Process, Process]) -> None:
    """The learner has read all, and somebody sets a number before it says what follows."""
    one, other = two
    one.serve()
    algorithm = one.algorithm
    learned = algorithm.on_sample

    def on_sample(*sample: object) -> int:
        other.limiter.set_limit(9)
        algorithm.raises = 1
        return learned(*sample)  # type: ignore[arg-type]

    algorithm.on_sample = on_sample  # type: ignore[method-assign]
    one.serve()
    assert algorithm.limit == 5
    assert one.limiter.snapshot_of_all().limit == 9


def test_who_comes_later_changes_nothing(two: tuple[Process, Process], host: Host) -> None:
    one, other = two
    learn(one, other)
    one.algorithm.raises = 3
    for _ in range(3):
        learn(one, other)
    late = host.add()
    late.serve()
    assert late.limiter.snapshot().limit == 7
    assert len(late.limiter.snapshot().changes) == 3


def test_another_setting_is_the_last_word(two: tuple[Process, Process], host: Host) -> None:
    one, other = two
    learn(one, other)
    fixed = SharedLimiter(HostStore(host.path, 3, clock=host.clock), clock=host.clock)
    lease_of(fixed).release()
    one.algorithm.raises = 1
    learn(one, other)
    assert one.limiter.snapshot().limit == 3
    again = host.add()
    again.serve()
    assert again.limiter.snapshot().limit == 4
    again.algorithm.raises = 1
    learn(again, one)
    assert one.limiter.snapshot().limit == 5


def test_a_limit_that_was_not_set_up_to_be_learned(host: Host) -> None:
    fixed = SharedLimiter(HostStore(host.path, 3, clock=host.clock), clock=host.clock)
    with pytest.raises(ValueError, match="Only a limit that was set up to be learned"):
        fixed.learn_limit()


def test_a_file_that_was_removed_is_begun_anew(two: tuple[Process, Process], host: Host) -> None:
    one, other = two
    learn(one, other)
    one.algorithm.raises = 1
    learn(one, other)
    host.path.unlink()
    host.pass_time(2)
    leases = [lease_of(one.limiter) for _ in range(4)]  # More than it has of the old one.
    host.pass_time(0.25)
    for lease in leases:
        lease.release()
    assert len(one.algorithm.samples) == 1
    assert one.algorithm.first == 4
    assert one.limiter.snapshot().limit == 4


def test_a_file_that_cannot_be_used_is_no_trouble(
    two: tuple[Process, Process], host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = two
    one.serve()
    monkeypatch.setattr(
        "flask_concurrency_guard.core.host.store.open_board",
        lambda *which: (_ for _ in ()).throw(StoreError("It is gone.")),
    )
    host.path.unlink()
    host.pass_time(2)
    # Its share of the limit is there all the same, and it asks for nothing else.
    leases = [lease_of(one.limiter) for _ in range(4)]
    for lease in leases:
        lease.release()
    assert one.limiter.snapshot().changes == ()
    with pytest.raises(StoreError, match="so the limit is what it was"):
        one.limiter.learn_limit()


def test_what_fails_to_learn_harms_nobody(
    two: tuple[Process, Process], caplog: pytest.LogCaptureFixture
) -> None:
    one, other = two
    one.serve()
    one.algorithm.on_sample = lambda *sample: 1 // 0  # type: ignore[method-assign]
    learn(one, other)
    learn(one, other)
    assert one.limiter.snapshot().limit == 4
    assert [record.message for record in caplog.records] == [
        "The limit stays at 4: what learns it has failed."
    ]


def test_a_file_that_was_overwritten_harms_nobody(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    process = host.add()
    process.serve()
    host.path.write_bytes(b"\xff" * host.path.stat().st_size)
    process.serve(0.01)
    assert [record.message for record in caplog.records] == [
        "This process learns no limit any more."
    ]
    host.pass_time(2)
    leases = [lease_of(process.limiter) for _ in range(4)]
    for lease in leases:
        host.pass_time(0.1)
        lease.release()
    assert process.limiter.snapshot().limit == 4
    assert len(process.algorithm.samples) == 4
    assert len(caplog.records) == 2
    assert "was removed or overwritten. Going on with a new one." in caplog.text


def test_shadow_mode_shows_how_many_there_would_be(host: Host) -> None:
    process = host.add()
    process.limiter.set_mode("shadow")
    leases = [lease_of(process.limiter) for _ in range(9)]
    for lease in leases:
        host.pass_time(0.01)
        lease.release()
    assert max(sample[2] for sample in process.algorithm.samples) > 4
