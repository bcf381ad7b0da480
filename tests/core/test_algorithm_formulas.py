"""The algorithms decide what the published formulas do, with any settings and any chance.

The formulas are written down here once more, as plainly as can be, and in nanoseconds.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import NamedTuple

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flask_concurrency_guard.core.algorithms.aimd import AIMD
from flask_concurrency_guard.core.algorithms.gradient import Gradient
from flask_concurrency_guard.core.algorithms.gradient2 import Gradient2
from flask_concurrency_guard.core.algorithms.protocol import Algorithm
from flask_concurrency_guard.core.algorithms.vegas import Vegas
from flask_concurrency_guard.core.algorithms.windowed import Windowed


class Sample(NamedTuple):
    start: int
    rtt: int
    in_flight: int
    dropped: bool


MS = 1_000_000
samples = st.lists(
    st.builds(
        Sample,
        start=st.integers(0, 5000 * MS),
        rtt=st.one_of(
            st.sampled_from([10 * MS, 11 * MS, 20 * MS, 6000 * MS]), st.integers(1, 100 * MS)
        ),
        in_flight=st.one_of(st.just(1000), st.integers(0, 60)),
        dropped=st.sampled_from([False] * 9 + [True]),
    ),
    min_size=20,
    max_size=120,
)
shares = st.sampled_from([0.1, 0.2, 0.5, 1.0])
seeds = st.integers(0, 2**32)


def limits_of(algorithm: Algorithm, samples: list[Sample]) -> list[int]:
    return [
        algorithm.on_sample(start / 1e9, rtt / 1e9, in_flight, dropped)
        for start, rtt, in_flight, dropped in samples
    ]


def log10(limit: float) -> int:
    return max(1, int(math.log10(int(limit))))


def vegas(
    samples: list[Sample],
    limit: float,
    greatest: int,
    smoothing: float,
    step: int,
    multiplier: int,
    chance: random.Random,
) -> Iterator[int]:
    jitter = chance.uniform(0.5, 1)
    probe_count = best = 0
    for _, rtt, in_flight, dropped in samples:
        probe_count += 1
        if jitter * multiplier * limit <= probe_count:
            jitter = chance.uniform(0.5, 1)
            probe_count = 0
            best = rtt
        elif best == 0 or rtt < best:
            best = rtt
        else:
            queue = math.ceil(limit * (1 - best / rtt))
            target = limit
            held = False
            if dropped:
                target = limit - step * log10(limit)
            elif in_flight * 2 < limit:
                held = True
            elif queue <= log10(limit):
                target = limit + 6 * log10(limit)
            elif queue < 3 * log10(limit):
                target = limit + log10(limit)
            elif queue > 6 * log10(limit):
                target = limit - step * log10(limit)
            else:
                held = True
            if not held:
                target = max(1, min(greatest, target))
                limit = (1 - smoothing) * limit + smoothing * target
        yield int(limit)


@settings(deadline=None)
@given(
    samples=samples,
    initial=st.sampled_from([1, 2, 8, 20, 95, 105, 990]),
    smoothing=shares,
    step=st.integers(1, 4),
    multiplier=st.integers(1, 5),
    seed=seeds,
)
def test_vegas(
    samples: list[Sample], initial: int, smoothing: float, step: int, multiplier: int, seed: int
) -> None:
    algorithm = Vegas(
        initial=initial,
        smoothing=smoothing,
        decrease=lambda limit: limit - step * log10(limit),
        probe_multiplier=multiplier,
        randomness=random.Random(seed),
    )
    expected = vegas(samples, initial, 1000, smoothing, step, multiplier, random.Random(seed))
    assert limits_of(algorithm, samples) == list(expected)


def gradient(
    samples: list[Sample],
    limit: float,
    least: int,
    greatest: int,
    smoothing: float,
    tolerance: float,
    interval: int,
    chance: random.Random,
) -> Iterator[int]:
    countdown = interval + int(chance.random() * interval)
    best = 0
    for _, rtt, in_flight, dropped in samples:
        queue = max(4, int(math.sqrt(int(limit))))
        is_over = countdown <= 0
        countdown -= 1
        if is_over:
            countdown = interval + int(chance.random() * interval)
            limit = max(least, queue)
            best = 0
        else:
            best = rtt if best == 0 else min(best, rtt)
            slope = max(0.5, min(1.0, tolerance * best / rtt))
            if dropped or in_flight >= limit / 2:
                target = limit * 0.9 if dropped else limit * slope + queue
                if target < limit:
                    target = max(least, limit * (1 - smoothing) + smoothing * target)
                limit = max(queue, min(greatest, target))
        yield int(limit)


@settings(deadline=None)
@given(
    samples=samples,
    initial=st.sampled_from([5, 20, 50, 400]),
    greatest=st.sampled_from([400, 1000]),
    smoothing=shares,
    tolerance=st.sampled_from([1.0, 1.5, 2.0]),
    interval=st.integers(1, 40),
    seed=seeds,
)
def test_gradient(
    samples: list[Sample],
    initial: int,
    greatest: int,
    smoothing: float,
    tolerance: float,
    interval: int,
    seed: int,
) -> None:
    algorithm = Gradient(
        initial=initial,
        min_limit=5,
        max_limit=greatest,
        smoothing=smoothing,
        tolerance=tolerance,
        probe_interval=interval,
        randomness=random.Random(seed),
    )
    expected = gradient(
        samples, initial, 5, greatest, smoothing, tolerance, interval, random.Random(seed)
    )
    assert limits_of(algorithm, samples) == list(expected)


def gradient2(
    samples: list[Sample],
    limit: float,
    smoothing: float,
    queue: int,
    window: int,
    warm_up: int,
    tolerance: float,
) -> Iterator[int]:
    mean = 0.0
    first: list[int] = []
    factor = 2 / (window + 1)
    for _, rtt, in_flight, _ in samples:
        if len(first) < warm_up:
            first.append(rtt)
            mean = sum(first) / len(first)
        else:
            mean = mean * (1 - factor) + rtt * factor
        long = mean
        if long / rtt > 2:
            mean *= 0.95
        if in_flight >= limit / 2:
            slope = max(0.5, min(1.0, tolerance * long / rtt))
            target = limit * slope + queue
            target = limit * (1 - smoothing) + target * smoothing
            limit = max(10, min(100, target))
        yield int(limit)


@settings(deadline=None)
@given(
    samples=samples,
    initial=st.integers(10, 100),
    smoothing=shares,
    queue=st.integers(1, 8),
    window=st.integers(1, 100),
    warm_up=st.integers(1, 20),
    tolerance=st.sampled_from([1.0, 1.5, 2.0]),
)
def test_gradient2(
    samples: list[Sample],
    initial: int,
    smoothing: float,
    queue: int,
    window: int,
    warm_up: int,
    tolerance: float,
) -> None:
    algorithm = Gradient2(
        initial=initial,
        min_limit=10,
        max_limit=100,
        smoothing=smoothing,
        queue=queue,
        long_window=window,
        warm_up=warm_up,
        tolerance=tolerance,
    )
    expected = gradient2(samples, initial, smoothing, queue, window, warm_up, tolerance)
    assert limits_of(algorithm, samples) == list(expected)


def aimd(samples: list[Sample], limit: int, backoff: float, timeout: int) -> Iterator[int]:
    for _, rtt, in_flight, dropped in samples:
        if dropped or rtt > timeout:
            limit = int(limit * backoff)
        elif in_flight * 2 >= limit:
            limit += 1
        limit = max(5, min(40, limit))
        yield limit


@settings(deadline=None)
@given(
    samples=samples,
    initial=st.integers(1, 40),
    backoff=st.sampled_from([0.5, 0.9, 0.99]),
    timeout=st.sampled_from([10 * MS, 20 * MS, 6000 * MS]),
)
def test_aimd(samples: list[Sample], initial: int, backoff: float, timeout: int) -> None:
    algorithm = AIMD(
        initial=initial, min_limit=5, max_limit=40, backoff=backoff, timeout=timeout / 1e9
    )
    assert limits_of(algorithm, samples) == list(aimd(samples, initial, backoff, timeout))


class Recorder:
    """An algorithm that writes down what it gets."""

    def __init__(self) -> None:
        self.limit = 1
        self.samples: list[Sample] = []

    def on_sample(
        self, start: float, rtt: float, in_flight: int, dropped: bool = False, waited: float = 0.0
    ) -> int:
        self.samples.append(Sample(round(start * 1e9), round(rtt * 1e9), in_flight, dropped))
        self.limit += 1
        return self.limit

    @property
    def reason(self) -> str:
        return "as told"


def windowed(
    samples: list[Sample], shortest: int, longest: int, size: int, percentile: float | None
) -> Iterator[Sample]:
    over = 0
    window: list[Sample] = []
    for sample in samples:
        if sample.rtt < 100_000:
            continue
        if percentile is None or len(window) < size + 2:
            window.append(sample)
        end = sample.start + sample.rtt
        if end <= over:
            continue
        rtts = sorted(each.rtt for each in window)
        over = end + min(max(2 * rtts[0], shortest), longest)
        if len(window) >= size:
            if percentile is None:
                rtt = sum(rtts) // len(rtts)
            else:
                rtt = rtts[math.floor(len(rtts) * percentile + 0.5) - 1]
            most = max(each.in_flight for each in window)
            yield Sample(sample.start, rtt, most, any(each.dropped for each in window))
        window = []


@settings(deadline=None)
@given(
    samples=samples,
    gaps=st.lists(st.integers(0, 30 * MS), min_size=120, max_size=120),
    shortest=st.sampled_from([15 * MS, 40 * MS]),
    longest=st.sampled_from([40 * MS, 100 * MS]),
    size=st.integers(1, 5),
    percentile=st.sampled_from([None, 0.5, 0.9, 0.999]),
)
def test_windowed(
    samples: list[Sample],
    gaps: list[int],
    shortest: int,
    longest: int,
    size: int,
    percentile: float | None,
) -> None:
    starts = [sum(gaps[:place]) for place in range(1, len(samples) + 1)]
    samples = [
        sample._replace(start=start, rtt=sample.rtt % (50 * MS) + 1)
        for sample, start in zip(samples, starts, strict=True)
    ]
    recorder = Recorder()
    algorithm = Windowed(
        recorder,
        min_window=shortest / 1e9,
        max_window=longest / 1e9,
        size=size,
        tracked="average" if percentile is None else percentile,
        most=size + 2,
    )
    limits = limits_of(algorithm, samples)
    expected = list(windowed(samples, shortest, longest, size, percentile))
    assert recorder.samples == expected
    assert limits == sorted(limits)
    assert algorithm.limit == limits[-1] == recorder.limit
