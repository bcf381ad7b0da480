"""Do the app's wrappers stand in the right order?"""

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from ...wsgi.clients import by_address
from .capacity import limit_name
from .finding import Finding
from .finding import Subject
from .finding import error
from .finding import note
from .finding import ok
from .finding import warning
from .wrappers import behind
from .wrappers import in_front
from .wrappers import name_of

OTEL = "opentelemetry.instrumentation."
SENTRY = "sentry_sdk."

_rejections = {
    "wsgi": "lack those that are rejected",
    "flask": "have those that are rejected, but without a status",
}

_transactions = {
    "wsgi": "'generic WSGI request'",
    "flask": "with the name of its view",
}


def check_order(subject: Subject) -> Iterator[Finding]:
    """Say what requests pass, before and after the guard."""
    front, back = _around(subject)
    for where, wrappers in (("before", front), ("after", back)):
        if wrappers:
            names = ", ".join(f"'{name_of(each)}'" for each in wrappers)
            yield ok(f"Requests pass {names} {where} the guard.")
    for mounted in front:
        if isinstance(mounted, DispatcherMiddleware) and mounted.mounts:
            places = ", ".join(f"'{place}'" for place in mounted.mounts)
            yield note(
                f"What is mounted at {places} stands beside the guard: it is never limited or"
                " counted.",
                "That is right for metrics; an app that does work needs a guard of its own.",
            )


def check_proxy(subject: Subject) -> Iterator[Finding]:
    """Is the client's address that of the client?"""
    keyed = [
        limit
        for limit in subject.state.limits.values()
        if limit.clients is not None and limit.settings.key is by_address
    ]
    front, back = _around(subject)
    if any(isinstance(each, ProxyFix) for each in front):
        yield ok("'ProxyFix' stands in front of the guard, which so sees the client's address.")
    elif any(isinstance(each, ProxyFix) for each in back):
        say = error if keyed else note
        what = "all clients are one, since " if keyed else ""
        yield say(
            f"'ProxyFix' stands behind the guard: {what}the guard sees the proxy's address.",
            "Call 'ConcurrencyGuard(app)' first, and then 'app.wsgi_app = ProxyFix(app.wsgi_app)'.",
        )
    elif keyed:
        yield note(
            f"Clients are told apart by their address ({limit_name(keyed[0])}), with no"
            " 'ProxyFix'. Behind a proxy they are all one client.",
            "Behind a proxy: 'app.wsgi_app = ProxyFix(app.wsgi_app)' after"
            " 'ConcurrencyGuard(app)'.",
        )


def check_request_start(subject: Subject) -> Iterator[Finding]:
    """Can anybody but a proxy say how old a request is?"""
    if not subject.state.settings.trust_request_start:
        return
    front, back = _around(subject)
    if not any(isinstance(each, ProxyFix) for each in (*front, *back)):
        yield warning(
            "'CONCURRENCY_GUARD_TRUST_REQUEST_START' is on, and there is no 'ProxyFix', as if"
            " there were no proxy. Then anybody can claim any age for a request.",
            "Turn it off, unless only a proxy can reach the app, and it overwrites"
            " 'X-Request-Start' and 'X-Queue-Start'.",
        )


def check_instrumentation(subject: Subject) -> Iterator[Finding]:
    """What do Sentry and OpenTelemetry see of rejections?"""
    front, back = _around(subject)
    if _is_from(SENTRY, Flask.__call__) or any(_is_from(SENTRY, each) for each in front):
        yield note(
            "Sentry stands in front of the guard: each rejection is a transaction"
            f" {_transactions[subject.state.settings.reject_via]} there.",
            "Drop those in 'before_send_transaction', if they are too many.",
        )
    if any(_is_from(OTEL, each) for each in back):
        yield warning(
            "OpenTelemetry stands behind the guard, and its 'uninstrument_app' would remove the"
            " guard with itself.",
            "Call 'ConcurrencyGuard(app)' first, and instrument the app then.",
        )
    elif any(_is_from(OTEL, each) for each in front):
        yield note(
            "OpenTelemetry stands in front of the guard, as is right. Its durations of requests"
            f" {_rejections[subject.state.settings.reject_via]}.",
            "Count rejections by the guard's own signal 'request_rejected'.",
        )


def _around(subject: Subject) -> tuple[list[object], list[object]]:
    guard = subject.state.middleware
    return in_front(subject.app, guard) or [], behind(subject.app, guard) or []


def _is_from(package: str, wrapper: object) -> bool:
    return name_of(wrapper).startswith(package)
