"""What the status page and the app both have at one path, where only one of the two is served."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from werkzeug.security import safe_join

from .page import NAME

if TYPE_CHECKING:
    from collections.abc import Iterable
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

    Of two equal routes the first one is served. A route with a variable part, such as that of
    static files, has what no other one is for.
    """
    rules = list(app.url_map.iter_rules())
    first: dict[tuple[str, str | None, str | None], Rule] = {}
    for rule in rules:
        before = first.setdefault((rule.rule, rule.host, rule.subdomain), rule)
        if _is_own(before) and not _is_own(rule):
            yield f"'{rule.endpoint}' isn't reached at '{rule.rule}': the status page is there."
        elif _is_own(rule) and not _is_own(before) and "GET" in (before.methods or ()):
            yield f"The status page isn't reached at '{rule.rule}': '{before.endpoint}' is there."
    pages = [rule.rule for rule in rules if _is_own(rule)]
    for rule in rules:
        if rule.endpoint.rpartition(".")[2] == "static" and rule.arguments == {"filename"}:
            yield from _hidden_files(app, rule, pages)


def _hidden_files(app: Flask, rule: Rule, pages: Iterable[str]) -> Iterator[str]:
    blueprint = app.blueprints.get(rule.endpoint.rpartition(".")[0])
    folder = (blueprint or app).static_folder
    prefix = rule.rule.partition("<")[0]
    for page in pages:
        if folder is None or not page.startswith(prefix):
            continue
        path = safe_join(folder, page.removeprefix(prefix))
        if path is not None and Path(path).is_file():
            yield f"The static file '{path}' isn't reached at '{page}': the status page is there."


def _is_own(rule: Rule) -> bool:
    return str(rule.endpoint).startswith(f"{NAME}.")
