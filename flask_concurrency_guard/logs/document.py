"""What is shown, whatever it is shown on: sections of sentences, tables and charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts. The first `left` columns hold words, the others figures."""

    columns: Sequence[str]
    """Their titles; none for rows of a name and a value each."""
    rows: Sequence[Sequence[str]]
    left: int = 1


@dataclass(frozen=True, slots=True)
class Chart:
    """Values over time, or over something else."""

    title: str
    values: Sequence[float]
    begin: str
    """What stands at the left end of its axis."""
    end: str
    peaks: Sequence[float] = ()
    """The highest of each value, where that is the mean of a time."""
    is_bad: bool = False
    """Whether it is better to have less of it."""


@dataclass(slots=True)
class Section:
    """A title, and what stands below it."""

    title: str
    parts: list[str | Table | Chart] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Document:
    """All of it."""

    title: str
    sections: Sequence[Section]
