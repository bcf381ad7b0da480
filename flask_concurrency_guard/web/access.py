"""Who may see the status page."""

from __future__ import annotations

import logging
from hmac import compare_digest
from typing import TYPE_CHECKING

from flask import request

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("flask_concurrency_guard.status")


class Access:
    """Tells whether the current request may see the page. Each of the two is enough.

    :param token: the password of HTTP Basic authentication, for browsers, with any user name; or a
        bearer token. In a URL it would stand in logs and histories, so there it counts nothing.
    :param authorize: returns whether the current request may.
    """

    def __init__(self, token: str | None, authorize: Callable[[], object] | None) -> None:
        self._token = None if token is None else token.encode()
        self._authorize = authorize

    @property
    def asks(self) -> bool:
        """Whether there is a password that a browser can ask for."""
        return self._token is not None

    def allows(self) -> bool:
        """Return whether it may. An error counts as a no."""
        return self._has_token() or self._is_authorized()

    def _has_token(self) -> bool:
        given = request.authorization
        if self._token is None or given is None:
            return False
        secret = given.token if given.type == "bearer" else given.password
        return secret is not None and compare_digest(secret.encode(), self._token)

    def _is_authorized(self) -> bool:
        if self._authorize is None:
            return False
        try:
            return bool(self._authorize())
        except Exception:
            logger.exception("'CONCURRENCY_GUARD_STATUS_AUTHORIZE' has failed: nobody may.")
            return False
