"""Requests as columns: what stands in lines of a log, as numbers."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import fields
from enum import StrEnum
from typing import Any
from typing import TypeVar

from .layouts import Batch
from .own_formats import unquoted
from .times import Seconds
from .times import common_seconds
from .times import iso_seconds
from .times import spread

UNKNOWN = "unknown"
"""The outcome where the log doesn't say it."""

REJECTED = "rejected"

REJECTED_BY_STATUS = "rejected_by_status"
"""The outcome where the log doesn't say it, and the status is that of a rejection."""

REJECTIONS = frozenset({"429", "503"})
"""The statuses of what was rejected. The app itself may have answered so, which no log tells."""

ALL_REJECTED = frozenset({REJECTED, REJECTED_BY_STATUS})

SERVED = frozenset({"admitted", "exempt", "shadow", UNKNOWN})
"""The outcomes of requests that the app has answered."""

Value = TypeVar("Value")

_REJECTIONS = frozenset(map(str.encode, REJECTIONS))
_DURATIONS = {"duration": 1.0, "duration_ms": 1e3, "duration_us": 1e6}


class TimeIs(StrEnum):
    """What the time in a server's log is of a request."""

    END = "end"
    """When it was over: gunicorn, nginx."""

    START = "start"
    """When it came: Apache."""


@dataclass(slots=True)
class Requests:
    """Some requests with the same outcome. What the log doesn't have is None."""

    outcome: str
    methods: Sequence[bytes]
    paths: Sequence[bytes]
    """As they stand there, maybe in quotes."""
    statuses: Sequence[bytes] | None
    causes: Sequence[tuple[str, str]] | None
    """The limiter and the reason of a rejection."""
    processes: Sequence[bytes] | None
    threads: Sequence[bytes] | None
    starts: Sequence[float] | None
    """When each came, in seconds since 1970."""
    durations: Sequence[float] | None
    """How long each took, the wait in the guard's line included; seconds, as the waits are."""
    ages: Sequence[bytes] | None
    waits: Sequence[bytes] | None
    in_flight: Sequence[bytes] | None
    limits: Sequence[bytes] | None
    is_precise: bool
    """Whether the times tell fractions of seconds."""

    def __len__(self) -> int:
        return len(self.paths)

    def only(self, places: Sequence[int], outcome: str) -> Requests:
        """Return those at these places, which have this outcome."""
        columns: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            is_column = value is not None and not isinstance(value, str | bool)
            columns[field.name] = [value[place] for place in places] if is_column else value
        return Requests(**columns | {"outcome": outcome})


class Decoder:
    """Makes numbers of what stands in a log.

    :param time_is: what the time is, in a server's log.
    """

    def __init__(self, time_is: TimeIs = TimeIs.END) -> None:
        self._time_is = time_is
        self._iso = Seconds(iso_seconds)
        self._common = Seconds(common_seconds)
        self._number = 0

    def decode(self, batch: Batch) -> Iterator[Requests]:
        """Return the requests of a batch, by their outcomes.

        :raises ValueError: there is a time or a number in it that can't be.
        """
        durations = _durations(batch)
        outcomes, causes = _outcomes(batch)
        size = len(next(iter(batch.values())))
        requests = Requests(
            outcome=UNKNOWN,
            methods=batch.get("method") or [b"-"] * size,
            paths=batch.get("path") or [b"-"] * size,
            statuses=batch.get("status"),
            causes=causes,
            processes=batch.get("process"),
            threads=batch.get("thread"),
            starts=self._starts(batch, durations),
            durations=durations,
            ages=batch.get("age"),
            waits=batch.get("wait"),
            in_flight=batch.get("in_flight"),
            limits=batch.get("limit"),
            is_precise="fraction" in batch or "epoch" in batch,
        )
        self._number += size
        outcomes = _by_status(outcomes or [UNKNOWN] * size, requests.statuses)
        distinct = set(outcomes)
        for outcome in distinct:
            if len(distinct) == 1:
                requests.outcome = outcome
                yield requests
            else:
                places = [place for place, each in enumerate(outcomes) if each == outcome]
                yield requests.only(places, outcome)

    def _starts(self, batch: Batch, durations: Sequence[float] | None) -> list[float] | None:
        if "fraction" in batch:
            seconds = self._iso.read_all(batch["second"])
            fractions = map(float, batch["fraction"])
            return [second + part for second, part in zip(seconds, fractions, strict=True)]
        if "epoch" in batch:
            times = list(map(float, batch["epoch"]))
        elif "second" in batch:
            times = spread(self._common.read_all(batch["second"]), self._number)
        else:
            return None
        if self._time_is is TimeIs.START or durations is None:
            return times
        return [end - took for end, took in zip(times, durations, strict=True)]


def _durations(batch: Batch) -> list[float] | None:
    for field, unit in _DURATIONS.items():
        if field in batch:
            if unit == 1.0:
                return list(map(float, batch[field]))
            return [float(text) / unit for text in batch[field]]
    return None


def _outcomes(
    batch: Batch,
) -> tuple[Sequence[str] | None, Sequence[tuple[str, str]] | None]:
    """Return the outcomes, and the limiters and reasons of those that were rejected."""
    if "decision" in batch:
        decisions = _each(batch["decision"], read_decision)
        return [each[0] for each in decisions], [each[1:] for each in decisions]
    if "outcome" not in batch:
        return None, None
    outcomes = _each(batch["outcome"], text_of)
    if "reason" not in batch:
        return outcomes, None
    reasons = _each(batch["reason"], text_of)
    limiters = _each(batch["limiter"], text_of) if "limiter" in batch else [""] * len(reasons)
    return outcomes, list(zip(limiters, reasons, strict=True))


def _by_status(outcomes: Sequence[str], statuses: Sequence[bytes] | None) -> Sequence[str]:
    """Tell by their statuses what was rejected, where the log doesn't say it otherwise."""
    if statuses is None or UNKNOWN not in outcomes or _REJECTIONS.isdisjoint(statuses):
        return outcomes
    return [
        REJECTED_BY_STATUS if outcome == UNKNOWN and status in _REJECTIONS else outcome
        for outcome, status in zip(outcomes, statuses, strict=True)
    ]


def read_decision(text: bytes) -> tuple[str, str, str]:
    """Return outcome, limiter and reason of the tag `decision`."""
    outcome, *details = text_of(text).split("; ")
    if outcome in {"", "-"}:  # What servers print where there is no tag.
        outcome = UNKNOWN
    said = dict(detail.partition("=")[::2] for detail in details)
    if said.get("mode") == "shadow":
        outcome = "shadow"
    return outcome, said.get("limit", ""), said.get("reason", "")


def text_of(text: bytes) -> str:
    """Return a value as it was before it was written down."""
    return unquoted(text).decode("utf-8", "backslashreplace")


def _each(texts: Sequence[bytes], read: Callable[[bytes], Value]) -> list[Value]:
    known: Mapping[bytes, Value] = {text: read(text) for text in set(texts)}
    if len(known) == 1:
        return [*known.values()] * len(texts)
    return [known[text] for text in texts]
