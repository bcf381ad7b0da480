"""What is tried: a limit, and all that goes with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ...core.algorithms.make import make_algorithm
from ...core.codel import INTERVAL
from ...core.codel import TARGET
from ...core.controller import Controller
from ...core.decisions import Mode
from ...core.line import Order
from ...core.shedder import Shedder
from ...core.tuner import Tuner
from ...wsgi.servers import Server
from ...wsgi.servers import line_for
from .driven import DrivenLimiter

ADAPTIVE = "adaptive"
NONE = "none"
"""Limits that are no number: the one that is learned, and none."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What all candidates have in common, as the settings of the same names."""

    max_queue: int | None = None
    max_wait: float = 1.0
    queue_order: str = Order.ADAPTIVE
    max_age: float = 10.0
    threads: int | None = None
    """How many threads each process has; None for as many as it takes."""


def read_limit(text: str) -> int | str:
    """Return a limit.

    :raises ValueError: it is none. The message says what one is.
    """
    if text in {ADAPTIVE, NONE}:
        return text
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise ValueError(f"'{text}' is no limit: write a positive integer, 'adaptive' or 'none'.")


def make_limiter(limit: int | str, settings: Settings, clock: Callable[[], float]) -> DrivenLimiter:
    """Return the limiter of one process."""
    tuner = Tuner(partial(make_algorithm, "guard", {}))
    limiter = DrivenLimiter(
        limit if isinstance(limit, int) else tuner if limit == ADAPTIVE else 1,
        max_queue=settings.max_queue,
        max_wait=settings.max_wait,
        queue_order=settings.queue_order,
        target=TARGET,
        interval=INTERVAL,
        mode=Mode.OFF if limit == NONE else Mode.ENFORCE,
        retry_after=1,
        clock=clock,
    )
    server = None
    if settings.threads is not None:
        server = Server("", settings.threads, "")
        limiter.set_ceiling(settings.threads)
    limiter.least_queue = line_for(limiter.limit, server)
    return limiter


def make_shedder(limiter: DrivenLimiter, settings: Settings, clock: Callable[[], float]) -> Shedder:
    """Return what judges the requests of one process by their age."""
    codel = Controller(
        service_time=lambda: limiter.mean_held, is_rush=lambda: limiter.is_rush, clock=clock
    )
    return Shedder(max_age=settings.max_age, codel=codel, max_wait=settings.max_wait)
