"""What is measured: several ways to let no more than so many in, over several processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import BoundedSemaphore
from pathlib import Path
from uuid import uuid4

import portalocker
import redis
import redis_semaphore

from flask_concurrency_guard.core.algorithms.make import make_algorithm
from flask_concurrency_guard.core.algorithms.protocol import Algorithm
from flask_concurrency_guard.core.cluster.address import read_url
from flask_concurrency_guard.core.cluster.connect import Connector
from flask_concurrency_guard.core.cluster.store import ClusterStore
from flask_concurrency_guard.core.host.store import HostStore
from flask_concurrency_guard.core.host.tuner import HostTuner
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.shared import SharedLimiter
from flask_concurrency_guard.core.store import Store
from flask_concurrency_guard.core.tuner import Tuner

TIMEOUT = 5.0  # Of a call to the server: a busy machine is not what is measured.
LEASE = 10.0
QUEUE = 1000


@dataclass(frozen=True, slots=True)
class Common:
    """What the processes of one run have in common."""

    limit: int
    max_wait: float
    folder: Path
    semaphore: BoundedSemaphore
    tcp: str
    unix: str


Attempt = Callable[[float], bool]
"""Take a place, hold it for so many seconds, give it back; return false where there was none."""


def of_limiter(limiter: Limiter) -> Attempt:
    """Return how a limiter is used."""

    def attempt(held: float) -> bool:
        lease = limiter.acquire()
        if not isinstance(lease, Lease):
            return False
        if held:
            time.sleep(held)
        return lease.release()

    return attempt


def of_store(store: Store, common: Common, tuner: HostTuner | None = None) -> Attempt:
    """Return how a limiter is used whose places are lent to it."""
    return of_limiter(SharedLimiter(store, tuner, max_queue=QUEUE, max_wait=common.max_wait))


def process(common: Common) -> Attempt:
    """Return an attempt at the limiter of one process."""
    return of_limiter(Limiter(common.limit, max_queue=QUEUE, max_wait=common.max_wait))


def host(common: Common) -> Attempt:
    """Return an attempt at the limiter of all processes."""
    return of_store(HostStore(common.folder / "host" / "app", common.limit), common)


def learning(common: Common) -> Callable[[int | None, int | None], Algorithm]:
    """Return what learns a limit that stays as it is, so that only the learning is measured."""
    bounds = dict.fromkeys(("initial", "min_limit", "max_limit"), common.limit)
    return partial(make_algorithm, "guard", bounds)


def process_learned(common: Common) -> Attempt:
    """Return an attempt at the limiter of one process, which learns its limit."""
    tuner = Tuner(learning(common))
    return of_limiter(Limiter(tuner, max_queue=QUEUE, max_wait=common.max_wait))


def host_learned(common: Common) -> Attempt:
    """Return an attempt at the limiter of all processes, which learn its limit."""
    store = HostStore(common.folder / "host" / "app", common.limit, learned=True)
    return of_store(store, common, HostTuner(learning(common), store))


def cluster(common: Common, url: str) -> Attempt:
    """Return an attempt at the limiter of all hosts."""
    connector = Connector(read_url(url), TIMEOUT)
    return of_store(ClusterStore(connector, common.folder.name, common.limit), common)


def semaphore(common: Common) -> Attempt:
    """Return an attempt at Python's own semaphore for processes, which leaks when one dies."""
    shared = common.semaphore

    def attempt(held: float) -> bool:
        if not shared.acquire(timeout=common.max_wait):
            return False
        if held:
            time.sleep(held)
        shared.release()
        return True

    return attempt


def locked_files(common: Common) -> Attempt:
    """Return an attempt at portalocker's semaphore, which locks one of several files."""

    def attempt(held: float) -> bool:
        places = portalocker.NamedBoundedSemaphore(
            common.limit, name="places", directory=str(common.folder), timeout=common.max_wait
        )
        try:
            if places.acquire(fail_when_locked=not common.max_wait) is None:
                return False
        except portalocker.AlreadyLocked:
            return False
        if held:
            time.sleep(held)
        places.release()
        return True

    return attempt


# The semaphore that one finds in most places: who is in, and until when, in a sorted set.
ACQUIRE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
RELEASE = "return redis.call('ZREM', KEYS[1], ARGV[1])"


def sorted_set(common: Common, url: str, poll: float) -> Attempt:
    """Return an attempt at a plain semaphore: one EVALSHA to take a place, one to give it back.

    :param poll: after how many seconds one who waits tries again.
    """
    client = redis.Redis.from_url(url, socket_timeout=TIMEOUT)
    acquire, release = client.register_script(ACQUIRE), client.register_script(RELEASE)
    keys = [common.folder.name]

    def attempt(held: float) -> bool:
        token, end = uuid4().hex, time.monotonic() + common.max_wait
        while not acquire(keys=keys, args=[token, common.limit, int(LEASE * 1000)]):
            if time.monotonic() >= end:
                return False
            time.sleep(poll)
        if held:
            time.sleep(held)
        return bool(release(keys=keys, args=[token]))

    return attempt


def published(common: Common, url: str) -> Attempt:
    """Return an attempt at py-redis-semaphore's, as it comes: a thread renews each place."""
    client = redis.Redis.from_url(url)
    config = redis_semaphore.SemaphoreConfig(
        common.folder.name,
        common.limit,
        lock_timeout=LEASE,
        acquire_timeout=common.max_wait or None,
    )

    def attempt(held: float) -> bool:
        places = redis_semaphore.Semaphore(client, config)
        try:
            if not places.acquire(blocking=bool(common.max_wait)).success:
                return False
        except redis_semaphore.AcquireTimeoutError:
            return False
        if held:
            time.sleep(held)
        places.release()
        return True

    return attempt


SUBJECTS: dict[str, Callable[[Common], Attempt]] = {
    "scope process": process,
    "scope process, learned": process_learned,
    "scope host": host,
    "scope host, learned": host_learned,
    "scope cluster, TCP": lambda common: cluster(common, common.tcp),
    "scope cluster, UNIX socket": lambda common: cluster(common, common.unix),
    "multiprocessing.BoundedSemaphore": semaphore,
    "portalocker.BoundedSemaphore": locked_files,
    "EVALSHA semaphore, TCP": lambda common: sorted_set(common, common.tcp, 0.002),
    "EVALSHA semaphore, UNIX socket": lambda common: sorted_set(common, common.unix, 0.002),
    "py-redis-semaphore, TCP": lambda common: published(common, common.tcp),
}

WAITING = {
    "scope host": host,
    "scope cluster, TCP": SUBJECTS["scope cluster, TCP"],
    "scope cluster, UNIX socket": SUBJECTS["scope cluster, UNIX socket"],
    "EVALSHA, polling every 2 ms": lambda common: sorted_set(common, common.tcp, 0.002),
    "EVALSHA, polling every 10 ms": lambda common: sorted_set(common, common.tcp, 0.010),
    "py-redis-semaphore, TCP": SUBJECTS["py-redis-semaphore, TCP"],
}
