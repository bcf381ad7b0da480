"""Is there what limits and exemptions are for, and does what should always pass?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import RequestRedirect
from werkzeug.test import create_environ

from ...web.overlaps import TO_DO
from ...web.overlaps import find_overlaps
from .finding import Finding
from .finding import Subject
from .finding import note
from .finding import ok
from .finding import warning
from .wrappers import behind

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.routing import Rule

HEALTH = re.compile(
    r"/(?:.*/)?_?(?:health(?:[-_]?check)?z?|healthz|ping|ready|readyz|readiness|live|livez"
    r"|liveness|alive|heartbeat|up)/?",
    re.IGNORECASE,
)
"""The paths that balancers and probes ask, by custom."""


def check_limits(subject: Subject) -> Iterator[Finding]:
    """Is there what each named limit is for?"""
    matcher = subject.state.matcher(subject.app, lambda: subject.app)
    for name, endpoint in sorted(matcher.without_view):
        yield warning(
            f"The limit '{name}' is for the endpoint '{endpoint}', which the app doesn't have.",
            "'flask routes' lists those that it has.",
        )
    marked = matcher.limits_of_views()
    for name in sorted(marked - subject.state.limits.keys()):
        yield warning(
            f"A view is to have the limit '{name}', which isn't declared.",
            f"Declare it in 'CONCURRENCY_GUARD_LIMITS', or by '@guard.limit(\"{name}\", 2)'.",
        )
    for name, limit in subject.state.limits.items():
        if limit.is_own:
            continue
        if not (limit.match or limit.endpoint or name in marked):
            yield note(
                f"The limit '{name}' is for no request.",
                "That is right if only 'guard.lease()' takes places of it.",
            )
        yield from _unused(subject, limit.match, f"which the limit '{name}' is for")


def check_exemptions(subject: Subject) -> Iterator[Finding]:
    """Is there what is exempt?"""
    yield from _unused(subject, subject.state.settings.exempt, "which is exempt")


def check_health(subject: Subject) -> Iterator[Finding]:
    """Are health checks answered when the app is full?"""
    matcher = subject.state.matcher(subject.app, lambda: subject.app)
    for rule in subject.app.url_map.iter_rules():
        if rule.arguments or not HEALTH.fullmatch(rule.rule) or "GET" not in (rule.methods or ()):
            continue
        host = ".".join(filter(None, reversed(_place(subject.app, rule))))
        if matcher(create_environ(rule.rule, f"http://{host}")) is None:
            yield ok(f"'{rule.rule}' always passes.")
        else:
            yield warning(
                f"'{rule.rule}' looks like a health check, and is rejected when the app is full:"
                " who asks may restart it then.",
                f"Add it to 'CONCURRENCY_GUARD_EXEMPT', or put '@guard.exempt' on"
                f" '{rule.endpoint}'.",
            )


def check_page(subject: Subject) -> Iterator[Finding]:
    """Is the status page where nothing else is?"""
    for what in find_overlaps(subject.app):
        yield warning(what, TO_DO)


def _unused(subject: Subject, paths: tuple[str, ...], what: str) -> Iterator[Finding]:
    # What else stands behind the guard may answer paths that Flask doesn't know.
    say = note if behind(subject.app, subject.state.middleware) else warning
    for path in paths:
        if path.endswith("*"):
            if not any(_begins(rule, path[:-1]) for rule in subject.app.url_map.iter_rules()):
                yield say(f"'{path}', {what}, is like no route of the app.", _ROUTES)
            continue
        redirect = _redirect(subject.app, path)
        if redirect is None:
            yield say(f"'{path}', {what}, is no route of the app.", _ROUTES)
        elif redirect:
            yield warning(
                f"'{path}', {what}, only redirects to '{redirect}'.",
                f"Write '{redirect}' as well.",
            )


_ROUTES = "'flask routes' lists them. A path here is exact, or has a '*' at its end."


def _begins(rule: Rule, prefix: str) -> bool:
    """Return whether a path that begins with `prefix` may be one of a rule's."""
    fixed = rule.rule.partition("<")[0]
    return fixed.startswith(prefix) or ("<" in rule.rule and prefix.startswith(fixed))


def _redirect(app: Flask, path: str) -> str | None:
    """Return the path that `path` redirects to; nothing if it has a view; None if it has none."""
    for rule in app.url_map.iter_rules():
        server, subdomain = _place(app, rule)
        scheme = "ws" if rule.websocket else "http"
        adapter = app.url_map.bind(server, subdomain=subdomain, url_scheme=scheme)
        try:
            adapter.match(path, method=next(iter(rule.methods or {"GET"})))
        except RequestRedirect as redirect:
            return "/" + redirect.new_url.partition("://")[2].partition("/")[2]
        except MethodNotAllowed:
            pass
        except HTTPException:
            continue
        return ""
    return None


def _place(app: Flask, rule: Rule) -> tuple[str, str | None]:
    """Return a host at which a rule is found, and the subdomain of it."""
    if app.url_map.host_matching:
        return rule.host or "localhost", None
    server = app.config["SERVER_NAME"]
    # As Flask does: without the two, it knows no subdomains.
    if app.subdomain_matching and server:
        return server, rule.subdomain
    return "localhost", app.url_map.default_subdomain
