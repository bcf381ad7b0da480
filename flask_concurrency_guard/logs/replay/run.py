"""Let a workload happen to a limit, event by event."""

from __future__ import annotations

from collections import Counter
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop
from heapq import heappush

from ...core.decisions import Reason
from ...core.decisions import Rejection
from ...core.lease import Lease
from ...core.shedder import WELCOME
from ...core.shedder import Arrival
from .candidates import NONE
from .candidates import Settings
from .candidates import make_limiter
from .candidates import make_shedder
from .contention import Contention
from .outcome import Outcome
from .outcome import summarise
from .workload import EXEMPT
from .workload import Workload

OFTEN = 1000
"""After so many requests it is told how far it is."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is the same for all candidates."""

    workload: Workload
    settings: Settings
    deadline: float
    """How long a client waits, in seconds. Then it hangs up, which the guard notices."""
    per_process: bool
    """Whether each process has a limit of its own; or all have one together."""
    speed: float = 1.0
    """How many times as dense requests come as they did."""
    contention: Contention | None = None
    """How requests stand in each other's way; None if each takes as long as it did."""
    bases: list[float] | None = None
    """How long each would take by itself, in seconds; if there is contention."""


class Clock:
    """The time of what happens again, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(scene: Scene, limit: int | str, on_come: Callable[[int], object] | None = None) -> Outcome:
    """Return what becomes of a workload under a limit.

    :param limit: a number, `adaptive` or `none`.
    :param on_come: called now and then, with how many requests have come by now.
    """
    return _Replay(scene, limit, on_come).run()


class _Site:
    """A process: its limiter, its threads, and who waits for one of them."""

    def __init__(self, scene: Scene, limit: int | str, clock: Clock) -> None:
        self.limiter = make_limiter(limit, scene.settings, clock)
        self.shedder = None
        if scene.settings.threads is not None and limit != NONE:
            self.shedder = make_shedder(self.limiter, scene.settings, clock)
        self.free = scene.settings.threads
        self.queue: deque[int] = deque()
        self.is_filling = False
        self.at_work = 0
        self.limit_seconds = 0.0
        self._since = 0.0

    def note_limit(self, now: float) -> None:
        self.limit_seconds += self.limiter.limit * (now - self._since)
        self._since = now


class _Replay:
    def __init__(
        self, scene: Scene, limit: int | str, on_come: Callable[[int], object] | None
    ) -> None:
        self._scene = scene
        self._limit = limit
        self._on_come = on_come
        self._clock = Clock()
        self._sites: dict[int, _Site] = {}
        #: When what ends: who is served (with a lease, unless exempt), or a wait in the line.
        self._events: list[tuple[float, int, int, Lease | None, bool]] = []
        self._number = 0
        self._arrivals = [arrival / scene.speed for arrival in scene.workload.arrivals]
        self._latencies: list[float] = []
        self._reasons: Counter[str] = Counter()
        self._in_flight = self._most_in_flight = 0

    def run(self) -> Outcome:
        for place, arrival in enumerate(self._arrivals):
            self._pass_until(arrival)
            self._arrive(place)
            if self._on_come is not None and not place % OFTEN:
                self._on_come(place)
        seconds = self._clock.now
        for site in self._sites.values():
            site.note_limit(seconds)
        limit = None
        if self._limit != NONE and seconds:
            whole = sum(site.limit_seconds for site in self._sites.values())
            limit = whole / seconds / len(self._sites)
        self._pass_until(float("inf"))
        return summarise(
            str(self._limit),
            self._latencies,
            dict(self._reasons.most_common()),
            offered=len(self._arrivals),
            seconds=seconds,
            deadline=self._scene.deadline,
            most_in_flight=self._most_in_flight,
            limit=limit,
        )

    def _pass_until(self, end: float) -> None:
        events = self._events
        while events and events[0][0] <= end:
            self._clock.now, _, place, lease, is_wait = heappop(events)
            if is_wait:
                self._give_up(place, lease)
            else:
                self._finish(place, lease)
        if end < float("inf"):
            self._clock.now = end

    def _arrive(self, place: int) -> None:
        site = self._site(place)
        if site.free is None:
            self._begin(place, site)
        else:
            site.queue.append(place)
            self._fill(site)

    def _fill(self, site: _Site) -> None:
        """Give the threads that are free to those who wait for one."""
        if site.is_filling:
            return  # Whoever is at it goes on: most of a long queue may be rejected in a row.
        site.is_filling = True
        while site.queue and site.free:
            site.free -= 1
            self._begin(site.queue.popleft(), site)
        site.is_filling = False

    def _begin(self, place: int, site: _Site) -> None:
        """A thread takes a request."""
        if self._scene.workload.kinds[place] == EXEMPT:
            self._serve(place, site, None)
            return
        verdict = WELCOME
        if site.shedder is not None:
            age = self._clock.now - self._arrivals[place]
            verdict = site.shedder.judge(Arrival(age, None, age >= self._scene.deadline))
        site.note_limit(self._clock.now)
        lease = site.limiter.acquire(place, verdict)
        if isinstance(lease, Rejection):
            self._reject(lease, site)
        elif lease in site.limiter.in_line:
            self._plan(site.limiter.longest_wait(lease), place, lease, is_wait=True)
        else:
            self._serve(place, site, lease)
        self._wake(site)

    def _serve(self, place: int, site: _Site, lease: Lease | None) -> None:
        site.at_work += 1
        self._in_flight += 1
        self._most_in_flight = max(self._most_in_flight, self._in_flight)
        scene = self._scene
        if scene.contention is None or scene.bases is None:
            seconds = scene.workload.services[place]
        else:
            seconds = scene.bases[place] * scene.contention.factor(site.at_work)
        if lease is not None:
            lease.age = max(0.0, self._clock.now - self._arrivals[place] - lease.queue_time)
        self._plan(seconds, place, lease)

    def _finish(self, place: int, lease: Lease | None) -> None:
        site = self._site(place)
        site.at_work -= 1
        self._in_flight -= 1
        self._latencies.append(self._clock.now - self._arrivals[place])
        if lease is not None:
            site.note_limit(self._clock.now)
            lease.dropped = self._scene.workload.dropped[place]
            lease.release()
            self._wake(site)
        self._leave(site)

    def _give_up(self, place: int, lease: Lease | None) -> None:
        site = self._site(place)
        if lease is not None and lease in site.limiter.in_line:
            self._end_wait(lease, site, is_woken=False)
            self._wake(site)

    def _wake(self, site: _Site) -> None:
        """Go on with those whose turn has come."""
        while site.limiter.woken:
            self._end_wait(site.limiter.woken.pop(0), site, is_woken=True)

    def _end_wait(self, lease: Lease, site: _Site, *, is_woken: bool) -> None:
        outcome = site.limiter.end_wait(lease, is_woken=is_woken)
        if isinstance(outcome, Rejection):
            self._reject(outcome, site)
        else:
            self._serve(lease.holder, site, lease)

    def _reject(self, rejection: Rejection, site: _Site) -> None:
        self._reasons[str(rejection.reason)] += 1
        self._leave(site)

    def _leave(self, site: _Site) -> None:
        """A thread is free for the next one."""
        if site.free is not None:
            site.free += 1
            self._fill(site)

    def _plan(
        self, seconds: float, place: int, lease: Lease | None, *, is_wait: bool = False
    ) -> None:
        self._number += 1
        event = (self._clock.now + seconds, self._number, place, lease, is_wait)
        heappush(self._events, event)

    def _site(self, place: int) -> _Site:
        number = self._scene.workload.processes[place] if self._scene.per_process else 0
        site = self._sites.get(number)
        if site is None:
            site = self._sites[number] = _Site(self._scene, self._limit, self._clock)
            site.limiter.on_turn = self._has_left
        return site

    def _has_left(self, lease: Lease) -> Reason | None:
        waited = self._clock.now - self._arrivals[lease.holder]
        return Reason.CLIENT_GONE if waited >= self._scene.deadline else None
