"""Admit nobody any more, so that what is in flight comes to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.decisions import Reason
from ..core.shedder import WELCOME

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIEnvironment

    from ..core.decisions import Rejection
    from ..core.limiter import Limiter
    from ..core.shedder import Verdict
    from ..core.together import Admitting


class Drain:
    """Stands in for what tells which limiters have to admit a request, and says no in their place.

    So nobody pays for it until it is needed.

    :param limiter: counts who is rejected.
    :param match: what it stands in for. What always passes does so still.
    """

    def __init__(
        self,
        limiter: Limiter,
        match: Callable[[WSGIEnvironment], tuple[Admitting, ...] | None] | None,
    ) -> None:
        self.name = limiter.name
        self.match = match
        self._limiter = limiter

    def __call__(self, environ: WSGIEnvironment) -> tuple[Admitting, ...] | None:
        """Return itself, as the limiter that has to admit; None if the request always passes."""
        passes = self.match is not None and self.match(environ) is None
        return None if passes else (self,)

    def acquire(self, holder: object = None, verdict: Verdict = WELCOME) -> Rejection:
        """Return the rejection."""
        rejection = self._limiter.reject(Reason.DRAINING)
        rejection.enforced = True  # Shadow mode is about limits.
        return rejection
