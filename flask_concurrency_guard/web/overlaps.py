"""What the status page and the app both have at one path, where only one of the two is served."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .page import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from werkzeug.routing import Rule

logger = logging.getLogger("flask_concurrency_guard.status")

TO_DO = "Set 'CONCURRENCY_GUARD_STATUS_PATH' to a path that the app doesn't have."


def warn_of_overlaps(app: Flask) -> None:
    """Log what can't be reached."""
    for what in find_overlaps(app):
        logger.warning("%s %s", what, TO_DO)


def find_overlaps(app: Flask) -> Iterator[str]:
    """Yield what can't be reached, of the page or of the app.

    Of two equal routes the first one is served.
    """
    first: dict[tuple[str, str | None, str | None], Rule] = {}
    for rule in app.url_map.iter_rules():
        before = first.setdefault((rule.rule, rule.host, rule.subdomain), rule)
        if _is_own(before) and not _is_own(rule):
            yield f"'{rule.endpoint}' isn't reached at '{rule.rule}': the status page is there."
        elif _is_own(rule) and not _is_own(before) and "GET" in (before.methods or ()):
            yield f"The status page isn't reached at '{rule.rule}': '{before.endpoint}' is there."


def _is_own(rule: Rule) -> bool:
    return str(rule.endpoint).startswith(f"{NAME}.")
