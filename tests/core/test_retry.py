from __future__ import annotations

import pytest

from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.core.retry import retry_after


@pytest.mark.parametrize(
    ("held", "limit", "queued", "least"),
    [
        (0.0, 8, 0, 1),
        (0.02, 8, 8, 1),
        (5.0, 2, 2, 8),
        (1.0, 10, 10, 2),
        (300.0, 1, 5, 60),
    ],
    ids=["nothing known", "fast views", "slow views", "a line", "no longer than a minute"],
)
def test_is_when_the_line_is_through_and_at_most_twice_that(
    held: float, limit: int, queued: int, least: int
) -> None:
    seen = {retry_after(held, limit, queued) for _ in range(2000)}
    assert seen == set(range(least, 2 * least + 1))


def test_is_measured_from_how_long_leases_are_held() -> None:
    now = 0.0
    limiter = Limiter(1, max_wait=0, clock=lambda: now)
    for _ in range(50):
        lease = limiter.acquire()
        now += 4.0
        lease.release()  # type: ignore[union-attr]
    last = limiter.acquire()
    assert limiter.in_flight == 1
    seen = {limiter.acquire().retry_after for _ in range(500)}  # type: ignore[union-attr]
    assert seen == {4, 5, 6, 7, 8}
    last.release()  # type: ignore[union-attr]


def test_can_be_fixed() -> None:
    limiter = Limiter(1, max_wait=0, retry_after=7)
    lease = limiter.acquire()
    assert {limiter.acquire().retry_after for _ in range(20)} == {7}  # type: ignore[union-attr]
    lease.release()  # type: ignore[union-attr]
