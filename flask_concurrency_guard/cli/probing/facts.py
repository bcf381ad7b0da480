"""What the answers of a probe say by themselves, before anything is made of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .answers import Answer
from .answers import Worker

PART = 0.7
"""Which part of the time that a request takes alone it was surely being served for, before its
end: so that what came one after the other doesn't seem to overlap, where one was a bit faster."""

SHORTEST = 0.02
"""In seconds: what takes less is over before threads of this and that side have got going."""

SPREAD = 2.0
"""How many times longer than it takes to send them all a request must take."""

SLOWER = 1.6
"""How many times longer than alone the fastest takes, where all compete for something."""

IN_TURN = 0.5
"""Which part of the time that they take in turn all of them take then, at least."""

RETRIED = 0.9
"""Clients try again after a second, when there was no place for their connection. In seconds."""

GREENLETS_ABOVE = 2**32
"""Greenlets have addresses for ids; those of the kernel's threads are small."""

DEV_SERVER = "werkzeug/"
POOLS = ("gunicorn", "waitress", "cheroot", "granian", "uvicorn", "hypercorn", "uwsgi")


@dataclass(frozen=True, slots=True)
class Tags:
    """The names of the response headers that tell who served a request, in lower case."""

    process: str
    thread: str

    def worker(self, answer: Answer) -> Worker | None:
        """Return who served it, if the answer says so.

        Half of it is no help: of one process, nobody knows how many threads those were.
        """
        process, thread = answer.headers.get(self.process), answer.headers.get(self.thread)
        return None if process is None or thread is None else Worker((process, thread))


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen.

    :param before: the answers to requests that were sent one after the other; the first has warmed
        the server up.
    :param burst: those to requests that were sent at once.
    :param after: as `before`.
    :param at_once: how many were sent at once.
    :param tags: which headers tell who served a request.
    """

    before: Sequence[Answer]
    burst: Sequence[Answer]
    after: Sequence[Answer]
    at_once: int
    tags: Tags

    @property
    def served(self) -> list[Answer]:
        """Those of the burst that were served, and neither rejected nor lost."""
        return [answer for answer in self.burst if answer.is_served]

    @property
    def rejected(self) -> list[Answer]:
        """Those of the burst that were turned away."""
        return [answer for answer in self.burst if answer.is_rejection]

    @property
    def lost(self) -> list[Answer]:
        """Those of the burst that were not answered."""
        return [answer for answer in self.burst if answer.failure]

    @property
    def alone(self) -> float:
        """How long a request takes when there is no other one, in seconds."""
        return min(answer.took for answer in self.before if answer.is_served)

    @property
    def fastest(self) -> float:
        """How long the fastest of the burst took, in seconds: no less than one alone."""
        return max(self.alone, min((answer.took for answer in self.served), default=0.0))

    @property
    def compete(self) -> bool:
        """Whether each took longer because of the others, and all of them as long as in turn.

        Where requests wait for a thread, the first of them to get one is as fast as one alone.
        """
        number = len(self.served)
        if number < 2 or self.is_too_fast:
            return False
        return self.fastest > SLOWER * self.alone and self.whole > IN_TURN * self.alone * number

    @property
    def takes(self) -> float:
        """How long one was served for, among the others: in seconds."""
        return self.fastest if self.compete else self.alone

    @property
    def whole(self) -> float:
        """How long all of the burst took, in seconds."""
        return max(a.ended for a in self.burst) - min(a.sent for a in self.burst)

    @property
    def is_too_fast(self) -> bool:
        """Whether a request was over before enough others had come."""
        first = sorted(answer.sent for answer in self.burst)[: self.at_once]
        return self.alone < max(SHORTEST, SPREAD * (first[-1] - first[0]))

    @property
    def workers(self) -> list[Worker]:
        """Who answered, once each; empty where that isn't told."""
        return list(dict.fromkeys(self._workers(self.burst)))

    @property
    def processes(self) -> Counter[str]:
        """How many threads of each process answered."""
        return Counter(worker.process for worker in self.workers)

    @property
    def are_all_busy(self) -> bool:
        """Whether each process had more requests than it has threads, as far as they were seen."""
        requests = Counter(worker.process for worker in self._workers(self.served))
        return all(requests[process] > threads for process, threads in self.processes.items())

    @property
    def is_fresh_each(self) -> bool:
        """Whether each request had a worker that served no other one, before or after."""
        every = self._workers([*self.before, *self.burst, *self.after])
        return len(every) > self.at_once and len(set(every)) == len(every)

    @property
    def has_greenlets(self) -> bool:
        """Whether the ids are those of greenlets."""
        threads = [worker.thread for worker in self.workers]
        return bool(threads) and all(
            thread.isdecimal() and int(thread) > GREENLETS_ABOVE for thread in threads
        )

    @property
    def peak(self) -> int:
        """How many were being served at once, by when their answers came.

        An answer was surely in the works for most of the time, before it came, that one takes. No
        two are at once that the same thread gave, or began before they were sent.
        """
        if not self.served:
            return 0
        part = PART * self.takes
        spans: list[tuple[float, float]] = []
        last: dict[Worker, float] = {}
        for answer in sorted(self.served, key=lambda answer: answer.ended):
            worker = self.tags.worker(answer)
            begin = max(answer.sent, answer.ended - part, last.get(worker, 0) if worker else 0)
            spans.append((begin, answer.ended))
            if worker is not None and not self.has_greenlets:
                last[worker] = answer.ended
        return max(sum(b <= begin < end for b, end in spans) for begin, _ in spans)

    @property
    def waves(self) -> list[tuple[int, float]]:
        """How many answers came close to each other, and when: in seconds since the start."""
        start = min(answer.sent for answer in self.burst)
        waves: list[list[float]] = []
        for ended in sorted(answer.ended - start for answer in self.served):
            if waves and ended - waves[-1][0] < PART * self.takes:
                waves[-1].append(ended)
            else:
                waves.append([ended])
        return [(len(wave), wave[-1]) for wave in waves]

    @property
    def were_connections_lost(self) -> bool:
        """Whether some came so late as connections do that find the kernel's backlog full."""
        waves = [at for _, at in self.waves]
        gap = max(RETRIED, 2 * self.takes)
        return any(later - at > gap for at, later in pairwise(waves))

    @property
    def server(self) -> str:
        """What the server calls itself; nothing where it doesn't."""
        return next((a.headers["server"] for a in self.before if "server" in a.headers), "")

    @property
    def is_dev_server(self) -> bool:
        """Whether it is Flask's development server, by what it calls itself."""
        return self.server.lower().startswith(DEV_SERVER)

    @property
    def has_pool(self) -> bool:
        """Whether it is known to have a fixed number of threads, by what it calls itself."""
        return self.server.lower().startswith(POOLS)

    def latency(self, part: float) -> float:
        """Return how long requests took at most, but for the slowest: in seconds.

        :param part: of all that were served, by nearest rank; 1 for all.
        """
        took = sorted(answer.took for answer in self.served)
        return took[max(0, math.ceil(part * len(took)) - 1)]

    def _workers(self, answers: Sequence[Answer]) -> list[Worker]:
        found = [self.tags.worker(answer) for answer in answers]
        return [worker for worker in found if worker is not None]
