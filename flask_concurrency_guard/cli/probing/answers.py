"""What came back of one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from http import HTTPStatus

from ... import standard_json

LONGEST_REASON = 40


class Worker(tuple[str, str]):
    """Who served a request: the process and the thread, as the response says it."""

    __slots__ = ()

    @property
    def process(self) -> str:
        return self[0]

    @property
    def thread(self) -> str:
        return self[1]


@dataclass(frozen=True, slots=True)
class Answer:
    """One request and what came of it. Times are by one monotonic clock, in seconds."""

    sent: float
    ended: float
    status: int = 0
    """0 where there was no response."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By their names in lower case."""
    reason: str | None = None
    """Why the guard rejected it."""
    failure: str = ""
    """Why there was no response: ``"timeout"``, ``"refused"``, ``"tls"``, ``"broken"``."""
    details: str = ""
    """The failure in the words of the operating system."""

    @property
    def took(self) -> float:
        return self.ended - self.sent

    @property
    def is_rejection(self) -> bool:
        """Whether it was turned away, and so tells nothing of how views are served."""
        return self.status in (503, 429)

    @property
    def is_served(self) -> bool:
        return self.status != 0 and not self.is_rejection

    @property
    def status_text(self) -> str:
        """The status, and what it is called."""
        try:
            return f"{self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            return str(self.status)


def rejection_reason(content_type: str, body: bytes) -> str | None:
    """Return the reason that the guard gives in its problem details (RFC 9457), if it is those."""
    if not content_type.startswith("application/problem+json"):
        return None
    try:
        problem = standard_json.loads(body)
    except ValueError:
        return None
    reason = problem.get("reason") if isinstance(problem, dict) else None
    return reason[:LONGEST_REASON] if isinstance(reason, str) else None
