"""What came, and how long it took: the part of a log that happens again."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from math import nan

from ...wsgi.middleware import NOT_SERVED
from ..errors import LogError
from ..paths import folded
from ..requests import ALL_REJECTED
from ..requests import Requests

_DROPPED = frozenset(status.encode() for status in NOT_SERVED)

SERVED, REJECTED, EXEMPT = range(3)


@dataclass(slots=True)
class Workload:
    """Requests in the order in which they came. The columns are as long as each other."""

    arrivals: Sequence[float]
    """When each came, in seconds since the first one."""
    services: Sequence[float]
    """How long each took to be served, without any wait, in seconds."""
    latencies: Sequence[float]
    """How long each had taken when it was answered, all waits included, in seconds."""
    kinds: Sequence[int]
    """What became of each: `SERVED`, `REJECTED` or `EXEMPT`."""
    dropped: Sequence[bool]
    """Whether the app has answered that something has too much to do."""
    processes: Sequence[int]
    """Which process each came to, numbered from 0."""
    of: int = 0
    """How many requests the logs have."""
    made_up: int = 0
    """For how many the time to serve them was drawn, since they were rejected."""
    untold: int = 0
    """How many were left out, since the log has no time or no duration of them."""

    def __len__(self) -> int:
        return len(self.arrivals)

    @property
    def seconds(self) -> float:
        """How long it took until all had come."""
        return self.arrivals[-1]


class Collector:
    """Takes in the requests of logs, to make a workload of them."""

    def __init__(self) -> None:
        self._arrivals = array("d")
        self._services = array("d")
        self._latencies = array("d")
        self._kinds = array("b")
        self._dropped = array("b")
        self._processes = array("l")
        self._routes = array("l")
        self._process_numbers: dict[bytes, int] = {}
        self._route_numbers: dict[tuple[bytes, bytes], int] = {}
        self._untold = 0

    def add(self, requests: Requests) -> None:
        """Take in some requests with the same outcome."""
        size = len(requests)
        starts, durations = requests.starts, requests.durations
        if starts is None or (durations is None and requests.outcome not in ALL_REJECTED):
            self._untold += size
            return
        ages = [0.0] * size if requests.ages is None else list(map(float, requests.ages))
        waits = [0.0] * size if requests.waits is None else list(map(float, requests.waits))
        kind = _kind(requests.outcome)
        took = [0.0] * size if durations is None else durations
        self._kinds.extend([kind] * size)
        self._arrivals.extend(start - age for start, age in zip(starts, ages, strict=True))
        self._latencies.extend(age + each for age, each in zip(ages, took, strict=True))
        self._services.extend(
            nan if kind == REJECTED else max(0.0, each - waited)
            for each, waited in zip(took, waits, strict=True)
        )
        self._dropped.extend(_flags(requests.statuses, size))
        self._processes.extend(self._number_processes(requests.processes, size))
        self._routes.extend(self._number_routes(requests))

    def workload(self, most: int, seed: int) -> Workload:
        """Return what happens again.

        :param most: how many requests at most; where there are more, the densest part of them.
        :param seed: what chance depends on.
        :raises LogError: there is nothing to serve.
        """
        order = sorted(range(len(self._arrivals)), key=self._arrivals.__getitem__)
        if not order or all(kind == REJECTED for kind in self._kinds):
            raise LogError(
                "There is nothing to let happen again: that needs requests that were served, with"
                " the times at which they came, and durations."
            )
        begin = _densest(self._arrivals, order, most)
        chosen = order[begin : begin + most]
        first = self._arrivals[chosen[0]]
        services = self._complete(chosen, random.Random(seed))
        return Workload(
            arrivals=[self._arrivals[place] - first for place in chosen],
            services=services,
            latencies=[self._latencies[place] for place in chosen],
            kinds=[self._kinds[place] for place in chosen],
            dropped=[bool(self._dropped[place]) for place in chosen],
            processes=[self._processes[place] for place in chosen],
            of=len(order),
            made_up=sum(isnan(self._services[place]) for place in chosen),
            untold=self._untold,
        )

    def _complete(self, chosen: list[int], chance: random.Random) -> list[float]:
        """Draw for what was rejected how long it would have taken, from the same path if it can."""
        by_route: dict[int, list[float]] = {}
        known = []
        for route, service in zip(self._routes, self._services, strict=True):
            if not isnan(service):
                by_route.setdefault(route, []).append(service)
                known.append(service)
        return [
            chance.choice(by_route.get(self._routes[place], known)) if isnan(service) else service
            for place, service in ((place, self._services[place]) for place in chosen)
        ]

    def _number_processes(self, processes: Sequence[bytes] | None, size: int) -> Iterable[int]:
        if processes is None:
            return [0] * size
        numbers = self._process_numbers
        return [numbers.setdefault(process, len(numbers)) for process in processes]

    def _number_routes(self, requests: Requests) -> Iterable[int]:
        numbers = self._route_numbers
        known: dict[tuple[bytes, bytes], int] = {}
        for route in set(zip(requests.methods, requests.paths, strict=True)):
            known[route] = numbers.setdefault(folded(route), len(numbers))
        return [known[route] for route in zip(requests.methods, requests.paths, strict=True)]


def _kind(outcome: str) -> int:
    if outcome in ALL_REJECTED:
        return REJECTED
    return EXEMPT if outcome == "exempt" else SERVED


def _flags(statuses: Sequence[bytes] | None, size: int) -> Iterable[int]:
    return [status in _DROPPED for status in statuses] if statuses else [0] * size


def _densest(arrivals: Sequence[float], order: list[int], most: int) -> int:
    """Return where the shortest stretch with so many requests begins."""
    if len(order) <= most:
        return 0
    return min(
        range(len(order) - most + 1),
        key=lambda place: arrivals[order[place + most - 1]] - arrivals[order[place]],
    )
