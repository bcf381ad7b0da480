"""The mode of a limit that processes share is switched for all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from core_support import lease_of
from core_support import wait_until
from valkey_server import Valkey
from valkey_server import new_name

from flask_concurrency_guard.core.decisions import Mode
from flask_concurrency_guard.core.decisions import Rejection
from flask_concurrency_guard.core.host.store import HostStore
from flask_concurrency_guard.core.shared import SharedLimiter

Make = Callable[..., SharedLimiter]


class Interrupted(HostStore):
    """A store that tells the mode, and then something happens before that is followed."""

    then: Callable[[], object] | None = None

    @property
    def mode(self) -> Mode | None:
        mode, then = super().mode, self.then
        if then is not None and mode is not None:
            self.then = None
            then()
        return mode


def test_who_follows_an_older_mode_is_not_the_last(tmp_path: Path) -> None:
    path = tmp_path / "private" / "app.host"
    store = Interrupted(path, 4)
    here, there = SharedLimiter(store), SharedLimiter(HostStore(path, 4))
    for limiter in (here, there):
        lease_of(limiter).release()

    def change() -> None:
        there.set_mode("enforce")
        here.settle()  # In another thread, that is.

    there.set_mode("off")
    store.then = change
    here.settle()
    assert here.mode is Mode.ENFORCE


@pytest.fixture(params=["host", "cluster"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Return what makes the limiter of one process after the other."""
    name = new_name()

    def make(limit: int = 4, mode: str = "enforce") -> SharedLimiter:
        if request.param == "host":
            store = HostStore(tmp_path / "private" / name, limit, mode=mode)
            return SharedLimiter(store, mode=mode, max_wait=0)
        valkey: Valkey = request.getfixturevalue("valkey")
        return SharedLimiter(valkey.store(name, limit, mode=mode), mode=mode, max_wait=0)

    return make


def use(*limiters: SharedLimiter) -> None:
    """Let each of them serve a request, as processes do that take part."""
    for limiter in limiters:
        lease_of(limiter).release()


def follows(limiter: SharedLimiter, mode: Mode) -> Callable[[], bool]:
    def follows() -> bool:
        outcome = limiter.acquire()
        if not isinstance(outcome, Rejection):
            outcome.release()
        return limiter.mode is mode

    return follows


def test_all_processes_follow(make: Make) -> None:
    one, two = make(), make()
    use(one, two)
    for mode in (Mode.SHADOW, Mode.ENFORCE):
        one.set_mode(mode)
        assert one.mode is mode
        wait_until(follows(two, mode))


def test_all_processes_are_off_and_on_again(make: Make) -> None:
    one, two = make(), make()
    use(one, two)
    one.set_mode("off")
    wait_until(follows(two, Mode.OFF))
    two.set_mode("enforce")

    def is_on() -> bool:
        one.settle()  # As the middleware does with each request, while it is off.
        return one.mode is Mode.ENFORCE

    wait_until(is_on)


def test_who_comes_later_follows_as_well(make: Make) -> None:
    one = make()
    use(one)
    one.set_mode("shadow")
    wait_until(follows(make(), Mode.SHADOW))


def test_another_configuration_counts_from_then_on(make: Make) -> None:
    one = make()
    use(one)
    one.set_mode("shadow")
    two = make(mode="off")
    lease = two.acquire()
    assert not isinstance(lease, Rejection)
    lease.release()
    assert two.mode is Mode.OFF
    # What was set while serving has gone, and each goes by what it is configured with.
    one.set_mode_here("enforce")
    wait_until(follows(one, Mode.ENFORCE))


def test_nothing_is_lost_in_between(make: Make) -> None:
    one, two = make(limit=2), make(limit=2)
    held = lease_of(two)
    for mode in ("shadow", "enforce", "shadow"):
        one.set_mode(mode)
        wait_until(follows(two, Mode(mode)))
    held.release()
    assert one.in_flight == two.in_flight == 0
    one.set_mode("enforce")
    wait_until(follows(two, Mode.ENFORCE))
    leases = [lease_of(two) for _ in range(2)]
    assert isinstance(one.acquire(), Rejection)
    for lease in leases:
        lease.release()
