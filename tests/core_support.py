"""What the tests of the limiter share."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from typing import Generic
from typing import TypeVar

import pytest

from flask_concurrency_guard.complaints import write_notes
from flask_concurrency_guard.core.claims import PLAIN
from flask_concurrency_guard.core.claims import Claim
from flask_concurrency_guard.core.decisions import Rejection
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.shedder import WELCOME
from flask_concurrency_guard.core.shedder import Verdict
from flask_concurrency_guard.core.store import Store

AnyStore = TypeVar("AnyStore", bound=Store)


def records_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what was logged, with what was noted to be logged: as after the next request."""
    write_notes()
    return caplog.records


class Clock:
    """Time that passes when told to."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Waiter(threading.Thread):
    """Acquires in a thread of its own; `queued` is set once it stands in the line."""

    def __init__(
        self,
        limiter: Limiter,
        then: Callable[[Lease], object] = bool,
        verdict: Verdict = WELCOME,
        claim: Claim = PLAIN,
    ) -> None:
        super().__init__(daemon=True)
        self.limiter = limiter
        self.then = then
        self.verdict = verdict
        self.claim = claim
        self.outcome: Lease | Rejection | None = None
        before = limiter.snapshot().queued
        self.start()
        wait_until(lambda: limiter.snapshot().queued > before or not self.is_alive())

    def run(self) -> None:
        self.outcome = self.limiter.acquire(None, self.verdict, self.claim)
        if isinstance(self.outcome, Lease):
            self.then(self.outcome)

    def result(self) -> Lease | Rejection | None:
        self.join(10)
        assert not self.is_alive()
        return self.outcome


class Process(Generic[AnyStore]):
    """A store, and what a limiter would do with it."""

    def __init__(self, store: AnyStore) -> None:
        self.store = store
        self.in_flight = 0

    def acquire(self, *, starving: bool = False) -> bool:
        wanted = self.in_flight + 1
        store = self.store
        if (wanted <= store.places and store.enter(wanted)) or store.take(
            wanted, starving=starving
        ):
            self.in_flight = wanted
            return True
        return False

    def acquire_all(self, most: float = math.inf) -> int:
        while self.in_flight < most and self.acquire():
            pass
        return self.in_flight

    def release(self, queued: int = 0) -> None:
        self.in_flight -= 1
        self.store.leave(self.in_flight, queued)


def wait_until(condition: Callable[[], bool], patience: float = 10.0) -> None:
    """Look until `condition` holds; it must not take more than so many seconds."""
    given_up = threading.Event()
    timer = threading.Timer(patience, given_up.set)
    timer.start()
    try:
        while not condition():
            assert not given_up.is_set(), f"waited for {patience} s"
            given_up.wait(0.0005)
    finally:
        timer.cancel()


def lease_of(limiter: Limiter) -> Lease:
    lease = limiter.acquire()
    assert isinstance(lease, Lease)
    return lease


def rejection_of(limiter: Limiter) -> Rejection:
    rejection = limiter.acquire()
    assert isinstance(rejection, Rejection)
    return rejection
