"""What became of a request in the end, in the words of logs and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..tags import ADMITTED
from ..tags import EXEMPT
from ..tags import tag_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIEnvironment

    from ..core.decisions import Rejection
    from ..core.lease import Lease

BOUNDARIES = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
"""Of what histograms of times tell apart, in seconds."""

REJECTED = "rejected"
SHADOWED = "shadow"
"""Admitted, although it would have been rejected."""

_DECISION = tag_key("decision")


def outcome_of(environ: WSGIEnvironment, lease: Lease) -> tuple[str, Rejection | None]:
    """Return what became of a request that was served, and how it would have been rejected."""
    if environ[_DECISION] == EXEMPT:
        return EXEMPT, None
    for one in (*lease.companions, lease):
        if one.rejection is not None:
            return SHADOWED, one.rejection
    return ADMITTED, None


def outcomes_by_limiter(environ: WSGIEnvironment, lease: Lease) -> Iterator[tuple[str, str, str]]:
    """Yield the name of each limiter that a served request had to pass, the outcome there, and the
    reason if it would have been rejected. An exempt one had to pass none: its name is empty.
    """
    if environ[_DECISION] == EXEMPT:
        yield "", EXEMPT, ""
        return
    rejections: dict[str, Rejection | None] = {}
    for one in (*lease.companions, lease):
        # The bound on each client has the name of its limiter.
        rejections[one.limiter.name] = one.rejection or rejections.get(one.limiter.name)
    for name, rejection in rejections.items():
        if rejection is None:
            yield name, ADMITTED, ""
        else:
            yield name, SHADOWED, str(rejection.reason)
