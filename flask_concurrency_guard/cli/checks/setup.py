"""Is the guard there, in the way of requests, and set up as the config says?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...core.decisions import Mode
from ...settings import PREFIX
from ...settings import SETTINGS
from ...shown import shown_settings
from .capacity import limit_name
from .finding import Finding
from .finding import Subject
from .finding import error
from .finding import note
from .finding import ok
from .finding import warning
from .wrappers import in_front

if TYPE_CHECKING:
    from ...settings import Setting


def check_place(subject: Subject) -> Iterator[Finding]:
    """Do requests pass the guard?"""
    if in_front(subject.app, subject.state.middleware) is None:
        yield error(
            "The app has a guard, but requests don't pass it: something has replaced"
            " 'app.wsgi_app', and not wrapped it.",
            "Write 'app.wsgi_app = Middleware(app.wsgi_app)'. OpenTelemetry's 'uninstrument_app'"
            " does it, too, where the app was instrumented before it got its guard.",
        )
    else:
        yield ok("Requests pass the guard.")


def check_mode(subject: Subject) -> Iterator[Finding]:
    """Does it say no?"""
    for limit in subject.differing("mode"):
        if limit.settings.mode is Mode.OFF:
            yield warning(
                f"The mode of {limit_name(limit)} is 'off': it bounds nothing.",
                "Set 'CONCURRENCY_GUARD_MODE' to 'enforce'.",
            )
        elif limit.settings.mode is Mode.SHADOW:
            yield note(
                f"The mode of {limit_name(limit)} is 'shadow': it admits everybody, and only logs"
                " who it would have rejected.",
                "Set 'CONCURRENCY_GUARD_MODE' to 'enforce' when that looks right.",
            )


def check_config(subject: Subject) -> Iterator[Finding]:
    """Was the config as it is now when the guard read it?"""
    changed = [setting.key for setting in SETTINGS if _differs(subject, setting)]
    known = {setting.key for setting in SETTINGS}
    changed += [k for k in subject.app.config if str(k).startswith(PREFIX) and k not in known]
    if changed:
        yield error(
            f"In 'app.config' {_listed(changed)} changed after the guard had read it, so that"
            " isn't used.",
            "Set everything before 'ConcurrencyGuard(app)', or call 'guard.init_app(app)' later.",
        )


def _differs(subject: Subject, setting: Setting) -> bool:
    try:
        now = setting.parse(subject.app.config[setting.key])
    except (KeyError, ValueError, TypeError):
        return True
    return bool(now != getattr(subject.state.settings, setting.name))


def check_environment(subject: Subject) -> Iterator[Finding]:
    """Does the environment say something that the app doesn't hear?"""
    unread = [each.unread for each in shown_settings(subject.state.settings) if each.unread]
    if unread:
        yield warning(
            f"The environment variable {_listed(unread)} says something else than what is used.",
            "Call 'app.config.from_prefixed_env()' before 'ConcurrencyGuard(app)', and set"
            " nothing over it; or remove the variable.",
        )


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
