"""What is written as JSON and what is taken for it: the rules, whatever the backend."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one provider. The settings ``CONCURRENCY_GUARD_JSON_*`` have the same names."""

    style: str = "flask"
    """Where the other rules come from: ``"flask"``, or ``"modern"``."""
    nan: str = "null"
    """For numbers that are none: ``"null"``, or ``"error"``."""
    decimal: str = "string"
    """``"string"``, or ``"number"`` with exactly its digits."""
    bigint: str = "number"
    """For integers that a double can't hold: ``"number"``, ``"string"``, or ``"error"``."""
    datetime: str = "http"
    """``"http"`` dates, or ``"iso"``."""
    naive: str = "utc"
    """For a datetime without a zone: it is in ``"utc"``, ``"keep"`` it so, or ``"error"``."""
    bytes: str = "error"
    """``"error"``, or ``"base64"``."""
    sort_keys: bool = True
    ensure_ascii: bool = True
    duplicate_keys: str = "last"
    """Of two equal keys in an object that is read, the ``"last"`` counts, or ``"error"``."""
    max_depth: int = 200
    """How many arrays and objects may stand within each other, read or written.

    Parsers recurse. Python 3.11 stops them at its recursion limit (1,000 by default, less the
    frames in use), later versions at some thousands, which is too late for a thread with a small
    stack: that ends the process. 200 is safe in a stack of 128 KiB, and several times what
    documents written by programs for programs need.
    """
    max_bytes: int | None = None
    """How large a body ``request.get_json()`` takes, `None` for any."""

    def with_changes(self, changes: dict[str, Any]) -> Policy:
        """Return these rules with others in place of some of them."""
        return replace(self, **changes)


FLASK = Policy()
"""Byte for byte what Flask's own provider writes, for every value that it writes validly."""

MODERN = Policy(
    style="modern",
    datetime="iso",
    sort_keys=False,
    ensure_ascii=False,
    max_bytes=1024 * 1024,
)
"""What one would choose today."""

STYLES = {"flask": FLASK, "modern": MODERN}

LARGEST_EXACT = 2**53 - 1
"""The largest integer that all readers of JSON hold exactly (:rfc:`8259#section-6`)."""
