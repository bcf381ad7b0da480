"""What a check finds."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from ...limits import AppLimit
    from ...state import AppState
    from .plan import Plan


class Severity(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Right for some, and a surprise for others."""
    WARNING = "warning"
    """Hardly what is meant."""
    ERROR = "error"
    """The guard can't do its work, or the app is open to strangers."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, and what to do about it."""

    severity: Severity
    what: str
    to_do: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked."""

    app: Flask
    state: AppState
    plan: Plan | None
    """The server that is going to serve the app, if that was said."""
    timeout: float | None
    """After how many seconds somebody in front of the app gives up, if that was said."""

    def differing(self, setting: str) -> list[AppLimit]:
        """Return the app's own limit, and those that have another value of a setting."""
        own = getattr(self.state.settings, setting)
        return [
            limit
            for limit in self.state.limits.values()
            if limit.is_own or getattr(limit.settings, setting) != own
        ]


Check = Callable[[Subject], Iterable[Finding]]


def ok(what: str) -> Finding:
    return Finding(Severity.OK, what)


def note(what: str, to_do: str = "") -> Finding:
    return Finding(Severity.NOTE, what, to_do)


def warning(what: str, to_do: str = "") -> Finding:
    return Finding(Severity.WARNING, what, to_do)


def error(what: str, to_do: str = "") -> Finding:
    return Finding(Severity.ERROR, what, to_do)
