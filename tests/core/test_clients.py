from __future__ import annotations

import gc
import os
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flask_concurrency_guard.core.clients import ClientLimiter
from flask_concurrency_guard.core.decisions import Rejection
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.together import acquire_all


def make(most: int = 2, limit: int = 8, **settings: Any) -> tuple[ClientLimiter, Limiter]:
    limiter = Limiter(limit, **{"max_wait": 0, **settings})
    return ClientLimiter(limiter, most, lambda holder: holder), limiter


def lease_for(clients: ClientLimiter, limiter: Limiter, client: object) -> Lease:
    lease = acquire_all([clients], limiter, client)
    assert isinstance(lease, Lease)
    return lease


def test_each_client_has_so_many_and_no_more() -> None:
    clients, limiter = make()
    leases = [lease_for(clients, limiter, "a") for _ in range(2)]
    rejection = acquire_all([clients], limiter, "a")
    assert isinstance(rejection, Rejection)
    assert (rejection.reason, rejection.limiter, rejection.enforced) == ("client", "default", True)
    assert limiter.snapshot().rejected["client"] == 1
    leases.append(lease_for(clients, limiter, "b"))
    assert limiter.in_flight == 3
    leases.pop(0).release()
    lease_for(clients, limiter, "a").release()
    for lease in leases:
        lease.release()
    assert (clients.clients(), limiter.in_flight) == (0, 0)


def test_who_is_not_let_in_does_not_count() -> None:
    clients, limiter = make(most=1, limit=1)
    held = lease_for(clients, limiter, "a")
    rejection = acquire_all([clients], limiter, "b")
    assert isinstance(rejection, Rejection)
    assert rejection.reason == "limit"
    assert clients.clients() == 1
    held.release()
    lease_for(clients, limiter, "b").release()


def test_one_that_nobody_knows_may_pass() -> None:
    clients, limiter = make(most=1)
    leases = [lease_for(clients, limiter, None) for _ in range(3)]
    assert clients.clients() == 0
    for lease in leases:
        lease.release()


@pytest.mark.parametrize("key", [lambda holder: 1 / 0, lambda holder: []], ids=["raises", "list"])
def test_a_key_that_cannot_be_found_out_is_none(key: Any, caplog: pytest.LogCaptureFixture) -> None:
    limiter = Limiter(8)
    clients = ClientLimiter(limiter, 1, key)
    leases = [lease_for(clients, limiter, "a") for _ in range(2)]
    message = "Who the client is could not be found out; going on without."
    assert caplog.messages == [message]  # Not twice a second.
    for lease in leases:
        lease.release()


def test_shadow_mode_counts_and_admits() -> None:
    clients, limiter = make(most=1, mode="shadow")
    leases = [lease_for(clients, limiter, "a") for _ in range(3)]
    told = [lease.companions[0].rejection for lease in leases]
    assert [rejection and rejection.enforced for rejection in told] == [None, False, False]
    assert limiter.snapshot().rejected["client"] == 2
    for lease in leases:
        lease.release()
    assert clients.clients() == 0


def test_off_does_not_say_no() -> None:
    clients, limiter = make(most=1, mode="off")
    leases = [lease_for(clients, limiter, "a") for _ in range(3)]
    limiter.set_mode("enforce")
    assert isinstance(acquire_all([clients], limiter, "a"), Rejection)
    for lease in leases:
        lease.release()
    lease_for(clients, limiter, "a").release()


def test_a_lease_that_is_dropped_comes_back() -> None:
    clients, limiter = make(most=1)
    lease_for(clients, limiter, "a")
    gc.collect()
    assert clients.clients() == 0
    lease_for(clients, limiter, "a").release()


def test_a_lease_that_is_collected_by_who_holds_the_lock_comes_back_later() -> None:
    clients, limiter = make(most=1)
    lease = lease_for(clients, limiter, "a")
    lease.may_be_dropped = True
    with clients._lock:
        del lease
        gc.collect()
        assert clients._held == {"a": 1}
    assert clients.clients() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_clients_of_its_own() -> None:
    clients, limiter = make(most=1)
    held = lease_for(clients, limiter, "a")
    clients._lock.acquire()  # As another thread may, at the fork.
    child = os.fork()
    if not child:
        status = 1
        try:
            lease = lease_for(clients, limiter, "a")
            held.release()
            status = int(clients.clients() != 1)
            lease.release()
        finally:
            os._exit(status)
    clients._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert clients.clients() == 1
    held.release()


def test_a_key_whose_hash_was_interrupted_loses_no_place() -> None:
    class Key:
        is_interrupted = False

        def __hash__(self) -> int:
            if self.is_interrupted:
                raise KeyboardInterrupt
            return 1

    key = Key()
    clients, limiter = make(most=2)
    lease = acquire_all([clients], limiter, key)
    assert isinstance(lease, Lease)
    (counted,) = lease.companions
    key.is_interrupted = True
    with pytest.raises(KeyboardInterrupt):
        counted.release()
    key.is_interrupted = False
    assert lease.release()
    assert clients.clients() == 0


def test_many_threads_never_go_beyond_and_leave_nothing_behind() -> None:
    clients, limiter = make(most=2, limit=6, max_wait=0.002)

    def worker(seed: int) -> int:
        chance, most = random.Random(seed), 0
        held: list[Lease] = []
        for _ in range(500):
            lease = acquire_all([clients], limiter, chance.choice("abc"))
            if isinstance(lease, Lease):
                held.append(lease)
                most = max(most, *clients._held.copy().values())
            while len(held) > chance.randrange(3):
                held.pop().release()
        for lease in held:
            lease.release()
        return most

    with ThreadPoolExecutor(8) as pool:
        most = max(pool.map(worker, range(8)))
    assert most == 2
    assert (clients.clients(), limiter.in_flight) == (0, 0)
