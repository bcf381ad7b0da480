"""One limit in a file. Several stores in one process are as good as several processes: their locks
belong to the open file, and each opens its own."""

from __future__ import annotations

import itertools
import logging
import os
import resource
import struct
from collections.abc import Callable
from pathlib import Path

import core_support
import pytest
from core_support import Clock
from core_support import records_of

from flask_concurrency_guard.core.host import board as boards
from flask_concurrency_guard.core.host import store as stores
from flask_concurrency_guard.core.host.board import SHORT
from flask_concurrency_guard.core.host.board import SIZE
from flask_concurrency_guard.core.host.store import HostStore
from flask_concurrency_guard.core.store import StoreError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "private" / "app.host"


class Process(core_support.Process[HostStore]):
    def __init__(self, path: Path, limit: int, **settings: object) -> None:
        super().__init__(HostStore(path, limit, **settings))  # type: ignore[arg-type]

    def die(self) -> None:
        if self.store.borrower is not None:
            self.store.borrower.board.close()


def test_the_limit_is_shared(path: Path) -> None:
    one, other = Process(path, 5), Process(path, 5)
    assert one.acquire()
    assert other.acquire()
    assert one.acquire_all() + other.acquire_all() == 5
    one.release()
    assert other.acquire()
    assert not one.acquire()


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
def test_all_places_can_be_had_by_one(path: Path, limit: int) -> None:
    processes = [Process(path, limit) for _ in range(8)]
    for process in processes:
        assert process.acquire()
        process.release()
    assert processes[3].acquire_all() == limit


def test_what_is_lent_costs_no_system_call(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(path, 100)
    assert process.acquire()

    def refuse(*args: object) -> bool:
        raise AssertionError("the mutex was locked")

    monkeypatch.setattr(boards.Board, "lock", refuse)
    for _ in range(1000):
        process.release()
        assert process.acquire()


def test_what_is_idle_is_taken_back(path: Path) -> None:
    idle, other = Process(path, 10), Process(path, 10)
    idle.acquire_all()
    for _ in range(9):
        idle.release()
    assert other.acquire_all() == 9
    # And who had it notices.
    assert not idle.acquire()
    other.release()
    assert idle.acquire()


def test_who_finds_its_share_revoked_has_nothing_in_flight(path: Path) -> None:
    one, other = Process(path, 2), Process(path, 2)
    assert one.acquire_all() == 2
    one.release()
    one.release()
    assert other.acquire()
    assert not one.store.enter(1)  # Not asking any further, as with a line that has a watcher.
    assert other.acquire()


class Interrupted:
    """A column, and what others do at each access to it."""

    def __init__(self, column: memoryview[int], others: Callable[[], object]) -> None:
        self.column = column
        self.others = others

    def __getitem__(self, slot: int) -> int:
        self.others()
        value = self.column[slot]
        self.others()
        return value

    def __setitem__(self, slot: int, value: int) -> None:
        self.others()
        self.column[slot] = value
        self.others()


@pytest.mark.parametrize("access", range(4))
def test_an_admission_and_a_revocation_at_the_same_time_agree(path: Path, access: int) -> None:
    one, other = Process(path, 2), Process(path, 2)
    assert one.acquire_all() == 2
    one.release()
    one.release()
    accesses = itertools.count()

    def others() -> None:
        if next(accesses) == access:
            other.acquire_all()

    one.store._flights = Interrupted(one.store._flights, others)  # type: ignore[assignment,arg-type]
    one.store._revoked = Interrupted(one.store._revoked, others)  # type: ignore[assignment,arg-type]
    admitted = one.store.enter(1)
    assert next(accesses) >= 4
    assert admitted + other.in_flight == 2 - (not admitted) * (access in (1, 2))


def test_without_the_barrier_nothing_idle_is_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "register_barrier", lambda: None)
    one, other = Process(path, 10), Process(path, 10)
    assert one.acquire()
    assert one.store.places == 1
    one.release()
    assert one.store.places == 0
    assert other.acquire_all() == 10
    assert not one.acquire()
    other.release()
    assert one.acquire()


def test_a_dead_process_leaves_nothing_behind(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dead, other = Process(path, 10), Process(path, 10)
    dead.acquire_all()
    for _ in range(3):
        dead.release()
    assert dead.store.scoreboard is not None
    now = dead.store._clock()
    dead.store.scoreboard.begin(b"GET /report", now - 134.0, 7)
    dead.store.scoreboard.begin(b"POST /caf\xc3\xa9\n", now - 101.0, 8)
    dead.die()
    assert other.acquire_all() == 10
    told = [record.getMessage() for record in records_of(caplog)]
    assert told == [
        f"Worker {os.getpid()} died with 7 in flight: GET /report begun 134 s ago,"
        " POST /café? begun 101 s ago."
    ]


def test_one_limit_of_several_is_named(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = path.with_name("shop:reports.host")
    dead, other = Process(path, 2), Process(path, 2)
    assert dead.acquire()
    dead.die()
    assert other.acquire_all() == 2
    assert [record.getMessage() for record in records_of(caplog)] == [
        f"Worker {os.getpid()} died with 1 in flight under the limit 'reports'."
    ]


def test_a_process_that_ends_idle_is_not_told_of(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ended, other = Process(path, 2), Process(path, 2)
    ended.acquire()
    ended.release()
    ended.die()
    assert other.acquire_all() == 2
    assert not records_of(caplog)


def test_a_slot_is_used_again(path: Path) -> None:
    for _ in range(boards.SLOTS + 10):
        process = Process(path, 1)
        assert process.acquire()
        process.die()


def test_more_processes_than_slots(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * boards.SLOTS), hard))
    try:
        processes = [Process(path, 512) for _ in range(boards.SLOTS + 1)]
        assert all(process.acquire() for process in processes)
        (record,) = records_of(caplog)
        assert record.getMessage() == (
            f"'{path}' has no room for more than 256 processes."
            f" Until it can be used, this process admits {processes[-1].store.places} at once."
        )
        assert processes[-1].acquire_all() == max(1, 512 // (os.cpu_count() or 1))
    finally:
        for process in processes:
            process.die()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_limit_is_changed_for_all(path: Path) -> None:
    one, other = Process(path, 4), Process(path, 4)
    assert one.acquire()
    assert other.acquire()
    other.store.set_limit(6)
    assert one.acquire_all() == 5
    assert one.store.limit == 6
    one.store.set_limit(3)
    for _ in range(3):
        one.release()
        assert not other.acquire()
    one.release()
    assert other.acquire()
    assert not one.acquire()
    assert other.store.limit == 3


def test_a_lower_limit_holds_at_once_for_who_sets_it(path: Path) -> None:
    process = Process(path, 10)
    assert process.acquire_all() == 10
    for _ in range(10):
        process.release()
    process.store.set_limit(2)
    assert process.acquire_all() == 2


def test_what_is_in_flight_counts_though_the_file_could_not_be_used_for_a_moment(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(board: object) -> bool:
        raise OSError("no locks available")

    clock = Clock()
    one, other = Process(path, 3, clock=clock), Process(path, 3, clock=clock)
    assert one.acquire()
    assert one.acquire()
    with monkeypatch.context() as patch:
        patch.setattr(boards.Board, "lock", fail)
        one.store.exclusively(bool)
    assert one.store.error is not None
    clock.now += 2
    one.store.exclusively(bool)
    assert one.store.error is None
    assert other.acquire_all() == 1


def test_a_file_of_somebody_elses_is_left_alone_where_the_own_one_was_overwritten(
    path: Path,
) -> None:
    clock = Clock()
    process = Process(path, 3, clock=clock)
    assert process.acquire()
    path.write_bytes(b"x" * SIZE)
    path.rename(path.with_name("away"))
    path.write_bytes(b"somebody else's")
    clock.now += 2
    process.acquire()
    assert process.store.error is not None
    assert path.read_bytes() == b"somebody else's"


def test_a_changed_limit_outlives_workers_that_start_again(path: Path) -> None:
    one = Process(path, 4)
    one.acquire()
    one.store.set_limit(2)
    another = Process(path, 4)
    another.acquire()
    assert another.store.limit == 2


def test_another_configured_limit_is_the_limit_of_all(path: Path) -> None:
    old = Process(path, 4)
    assert old.acquire_all() == 4
    new = Process(path, 6)
    assert new.acquire_all() == 2
    assert not old.acquire()
    assert old.store.limit == 6


def test_what_was_changed_is_forgotten_when_all_have_ended(path: Path) -> None:
    old = Process(path, 4)
    old.acquire()
    old.store.set_limit(2)
    old.die()
    assert Process(path, 4).acquire_all() == 4


def test_who_starves_is_given_way_to(path: Path) -> None:
    clock = Clock()
    rich, poor = Process(path, 3, clock=clock), Process(path, 3, clock=clock)
    assert rich.acquire_all() == 3
    assert not poor.acquire(starving=True)
    rich.release(queued=1)  # Gives it back although somebody waits here as well,
    assert not rich.acquire()  # and doesn't take it back.
    assert poor.acquire()
    assert rich.acquire_all() + poor.in_flight == 3


def test_who_starves_no_longer_is_not_given_way_to(path: Path) -> None:
    clock = Clock()
    rich, gone = Process(path, 3, clock=clock), Process(path, 3, clock=clock)
    assert rich.acquire_all() == 3
    assert not gone.acquire(starving=True)
    clock.now += 0.2
    rich.release(queued=1)
    assert rich.store._header[SHORT] == 0
    assert rich.acquire()


def test_the_only_place_is_given_way_when_its_turn_is_over(path: Path) -> None:
    clock = Clock()
    rich, poor = Process(path, 1, clock=clock), Process(path, 1, clock=clock)
    assert rich.acquire()
    assert not poor.acquire(starving=True)
    rich.release(queued=1)
    assert rich.store.places == 1
    assert rich.acquire()
    clock.now += 0.05
    rich.release(queued=1)
    assert rich.store.places == 0
    assert poor.acquire()
    # Who has got one starves no longer.
    assert rich.store._header[SHORT] == 1
    poor.release(queued=1)
    assert poor.store._header[SHORT] == 0


def test_a_file_that_was_removed_is_made_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    process = Process(path, 3, clock=clock)
    assert process.acquire()
    path.unlink()
    new = Process(path, 3, clock=clock)
    assert new.acquire()
    clock.now += 2
    assert process.acquire_all() + new.acquire_all() == 3
    told = [record.getMessage() for record in records_of(caplog)]
    assert told == [f"'{path}' was removed or overwritten. Going on with a new one."]


@pytest.mark.parametrize(
    ("policy", "places", "said"),
    [("local", 4, "4 at once"), ("open", 100, "everything"), ("closed", 0, "nothing")],
)
def test_what_is_done_while_the_file_cannot_be_used(
    path: Path,
    policy: str,
    places: int,
    said: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    path.parent.mkdir(0o700)
    path.mkdir()
    process = Process(path, 8, on_error=policy, clock=clock)
    for _ in range(100):
        process.acquire()
    assert process.in_flight == places
    assert [record.levelno for record in records_of(caplog)] == [logging.ERROR]
    assert records_of(caplog)[0].getMessage() == (
        f"'{path}' can't be opened (Is a directory). Until it can be used, this process admits"
        f" {said}."
    )
    # It is tried again, and said once.
    clock.now += 2
    process.acquire()
    assert len(records_of(caplog)) == 1
    process.in_flight = places
    # And when it can be used again, what is in flight counts.
    path.rmdir()
    clock.now += 2
    assert process.acquire() is (places < 8)
    other = Process(path, 8, clock=clock)
    assert other.acquire_all() == max(0, 8 - process.in_flight)
    assert records_of(caplog)[1].getMessage() == f"'{path}' can be used again."
    assert process.store.error is None


def make_link(path: Path) -> None:
    path.parent.mkdir(0o700)
    path.symlink_to("/etc/passwd")


def make_folder_link(path: Path) -> None:
    path.parent.symlink_to("/tmp")


def make_open_folder(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o777)


def make_open_file(path: Path) -> None:
    path.parent.mkdir(0o700)
    path.write_bytes(b"")
    path.chmod(0o666)


def make_folder_a_file(path: Path) -> None:
    path.parent.write_bytes(b"")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_link, "'{path}' can't be opened (Too many levels of symbolic links)."),
        (
            make_folder_link,
            "'{folder}' is not a folder. A link won't do; name what it leads to.",
        ),
        (
            make_open_folder,
            "Others may write to '{folder}'. Take that right away ('chmod go-w').",
        ),
        (make_open_file, "Others may write to '{path}'. Take that right away ('chmod go-w')."),
        (make_folder_a_file, "The folder '{folder}' can't be made (File exists)."),
    ],
)
def test_what_cannot_be_used_is_said_at_the_start(path: Path, make: object, message: str) -> None:
    make(path)  # type: ignore[operator]
    with pytest.raises(StoreError) as raised:
        HostStore(path, 1).check()
    assert str(raised.value) == message.format(path=path, folder=path.parent)


def test_a_file_that_takes_long_to_fail_is_left_alone_for_a_while(path: Path) -> None:
    clock = Clock()

    def slow() -> float:
        clock.now += 0.75  # As while it waits for a lock that nobody gives back.
        return clock.now

    path.parent.mkdir(0o700)
    path.mkdir()
    process = Process(path, 8, clock=slow)
    process.acquire()
    assert process.store._next_look == clock.now + stores.RETRY


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0", id="one-zero"),
        pytest.param(b"\0" * SIZE, id="zeros"),
        pytest.param(b"\0" * 4096 + b"x" * SIZE, id="made-in-part"),
        pytest.param(boards.SIGNATURE, id="truncated"),
        pytest.param(boards.SIGNATURE[:4], id="truncated-in-the-signature"),
        pytest.param(boards.SIGNATURE + b"\xff" * (SIZE - 8), id="broken"),
        *(
            pytest.param(struct.pack("II", 0x46434731, version) + b"\1" * 3 * SIZE, id=f"{version}")
            for version in (1, 2, 4)
        ),
    ],
)
def test_a_file_that_is_no_board_becomes_one_if_nobody_uses_it(path: Path, content: bytes) -> None:
    path.parent.mkdir(0o700)
    path.write_bytes(content)
    path.chmod(0o600)
    assert Process(path, 3).acquire_all() == 3


@pytest.mark.parametrize(
    "content", [b"x", b"precious" * 10000, b"\xff" * 3 * SIZE], ids=["short", "other", "long"]
)
def test_a_file_of_somebody_else_is_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir(0o700)
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StoreError) as raised:
        HostStore(path, 3).check()
    assert str(raised.value) == (
        f"'{path}' is no file of this package, so it is left alone. Move it away, or choose another"
        " 'CONCURRENCY_GUARD_NAME' or 'CONCURRENCY_GUARD_DIR'."
    )
    assert path.read_bytes() == content


def test_a_file_of_somebody_else_that_takes_the_place_is_left_alone(path: Path) -> None:
    clock = Clock()
    process = Process(path, 3, clock=clock)
    assert process.acquire()
    path.rename(path.with_suffix(".old"))
    path.write_bytes(b"precious")
    path.chmod(0o600)
    for _ in range(2):
        clock.now += 2
        with pytest.raises(StoreError):
            process.store.set_limit(4)
    assert path.read_bytes() == b"precious"


def test_a_file_that_is_broken_tells_of_few_dead_processes(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir(0o700)
    path.write_bytes(boards.SIGNATURE + b"\xff" * (SIZE - len(boards.SIGNATURE)))
    path.chmod(0o600)
    one, other = Process(path, 4), Process(path, 4)
    assert one.acquire_all() == 4
    for _ in range(4):
        one.release()
    # What is idle is taken back, so all of the file can be used.
    assert other.acquire_all() == 4
    told = [record.getMessage() for record in records_of(caplog)]
    assert len(told) == 9
    assert told[-1] == f"And {boards.SLOTS - 8} more died with something in flight."


def test_folders_are_private_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        HostStore(path.parent / "a" / "b" / path.name, 3).check()
    finally:
        os.umask(before)
    folders = [path.parent, path.parent / "a", path.parent / "a" / "b"]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 3


@pytest.mark.parametrize("begin", [b"", boards.SIGNATURE], ids=["all", "but the signature"])
def test_what_stands_in_an_overwritten_file_counts_for_nothing(path: Path, begin: bytes) -> None:
    clock = Clock()
    one, other = Process(path, 8, clock=clock), Process(path, 8, clock=clock)
    assert one.acquire()
    assert other.acquire()
    path.write_bytes(begin + b"\xff" * (SIZE - len(begin)))
    one.release()
    with pytest.raises(StoreError):
        one.store.set_limit(8)
    clock.now += 2
    assert 1 <= one.acquire_all(100) <= 8
    assert one.store.limit == 8


def test_a_board_of_another_version_is_left_alone_as_long_as_it_is_used(path: Path) -> None:
    old = Process(path, 3)
    assert old.acquire()
    with path.open("r+b") as file:
        file.write(struct.pack("II", 0x46434731, 2))
    with pytest.raises(StoreError) as raised:
        HostStore(path, 3).check()
    assert str(raised.value) == (
        f"'{path}' is in use by another version of this package. Stop those processes, or choose"
        " another 'CONCURRENCY_GUARD_NAME'."
    )
    old.die()
    HostStore(path, 3).check()
    assert Process(path, 3).acquire_all() == 3


def test_a_full_disk_is_said_at_the_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fail)
    with pytest.raises(StoreError) as raised:
        HostStore(path, 1).check()
    assert str(raised.value) == (
        f"'{path}' can't be used (No space left on device). It needs 2.4 MB, as each limit does, in"
        " a file system with locks: name a folder in another one by 'CONCURRENCY_GUARD_DIR'."
    )


def test_nobody_waits_for_who_stopped_with_the_mutex_held(path: Path) -> None:
    clock = Clock()
    stopped, other = Process(path, 4, clock=clock), Process(path, 4, clock=clock)
    assert stopped.acquire()
    assert other.acquire()
    assert stopped.store.borrower is not None
    assert stopped.store.borrower.board.lock()
    assert other.acquire_all() == other.store.places
    stopped.store.borrower.board.unlock()
    assert other.acquire_all() == other.store.places  # Not asked again at once.
    clock.now += 0.1
    assert other.acquire_all() == 3


def test_the_snapshot_sees_all(path: Path) -> None:
    one, other = Process(path, 5), Process(path, 5)
    assert one.acquire()
    assert other.acquire()
    assert other.acquire()
    assert one.store.scoreboard is not None
    row = one.store.scoreboard.begin(b"GET /" + b"x" * 200, one.store._clock(), 12)
    assert row is not None
    snapshot = other.store.snapshot("default")
    assert (snapshot.name, snapshot.limit, snapshot.in_flight) == ("default", 5, 3)
    assert [process.in_flight for process in snapshot.processes] == [1, 2]
    (served,) = snapshot.processes[0].serving
    assert served.what == "GET /" + "x" * 107
    assert served.thread_id == 12
    assert 0 <= served.seconds < 60
    one.store.scoreboard.end(row)
    assert other.store.snapshot("default").processes[0].serving == ()


def test_no_more_is_shown_than_there_is_room_for(path: Path) -> None:
    process = Process(path, 100)
    assert process.acquire()
    scoreboard = process.store.scoreboard
    assert scoreboard is not None
    rows = [scoreboard.begin(b"GET /", 0.0, 1) for _ in range(40)]
    assert rows.count(None) == 8
    for row in rows[:32]:
        assert row is not None
        scoreboard.end(row)
    assert scoreboard.begin(b"GET /", 0.0, 1) is not None
