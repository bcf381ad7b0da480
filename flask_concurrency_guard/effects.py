"""Settings that do nothing, or less than they say, beside what else is set."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from typing import NamedTuple

from .core.decisions import DEFAULT
from .settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .settings import Settings

logger = logging.getLogger("flask_concurrency_guard")

_DEFAULTS = {setting.name: setting.default for setting in SETTINGS}


class Idle(NamedTuple):
    """A setting that does nothing."""

    what: str
    to_do: str


def find_idle(settings: Settings) -> Iterator[Idle]:
    """Yield what can hardly be meant like that.

    A setting that waits for another one may well be there for other environments, such as the URL
    of a store where only some have a cluster. Nothing is said of that.
    """
    if settings.status_path is None and (settings.status_token or settings.status_authorize):
        key = "STATUS_TOKEN" if settings.status_token else "STATUS_AUTHORIZE"
        yield Idle(
            f"'CONCURRENCY_GUARD_{key}' is set, and there is no status page.",
            "Say by 'CONCURRENCY_GUARD_STATUS_PATH' where it is to be, such as '/_guard'.",
        )
    # Who has only set a lower age has said all there is to say.
    if settings.max_wait != _DEFAULTS["max_wait"]:
        yield from find_idle_wait(settings)
    for name, named in settings.limits.items():
        # Commands that wait for a place have no age. Only they use a limit that is for no request.
        if "max_wait" in named.settings and (named.match or named.endpoint):
            yield from find_idle_wait(settings.of_limit(named), name)
    target, age = settings.codel_target, settings.max_age
    is_above = target is not None and age is not None and target >= age
    if is_above and target != _DEFAULTS["codel_target"]:
        yield Idle(
            f"'CONCURRENCY_GUARD_CODEL_TARGET' is {target:g} s, and requests are rejected anyway"
            f" that are older than 'CONCURRENCY_GUARD_MAX_AGE', {age:g} s.",
            "Both are in seconds. Set the first well below the second, or to None.",
        )


def find_idle_wait(settings: Settings, name: str = DEFAULT) -> Iterator[Idle]:
    """Yield that a limit lets requests wait for longer than they may.

    :param settings: the limit's.
    """
    wait, age = settings.max_wait, settings.max_age
    if age is None or wait <= age or settings.max_queue == 0:
        return
    is_own = name == DEFAULT
    key = "'CONCURRENCY_GUARD_MAX_WAIT'" if is_own else f"'max_wait' of the limit '{name}'"
    yield Idle(
        f"{key} is {wait:g} s, and requests whose age is known are rejected when they are older"
        f" than 'CONCURRENCY_GUARD_MAX_AGE', {age:g} s.",
        "Set that higher, or to None, if they are to wait for so long.",
    )


def warn_of_idle(settings: Settings) -> None:
    """Log what can hardly be meant like that."""
    for idle in find_idle(settings):
        logger.warning("%s %s", *idle)
