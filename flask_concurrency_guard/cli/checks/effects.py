"""Is there a setting that does nothing beside what else is set?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...effects import find_idle
from ...effects import find_idle_wait
from ...settings import ADAPTIVE
from ...shown import shown_settings
from .finding import Finding
from .finding import Subject
from .finding import note
from .finding import warning

if TYPE_CHECKING:
    from ...matching import Matcher


def check_effects(subject: Subject) -> Iterator[Finding]:
    """Is there anything that does less than it says, or waits for another setting?"""
    settings = subject.state.settings
    matcher = subject.state.matcher(subject.app, lambda: subject.app)
    found = list(find_idle(settings))
    for limit in subject.differing("max_wait"):
        name = limit.limiter.name
        # The others are known from the config.
        if name in matcher.limits_of_views() and not (limit.match or limit.endpoint):
            found += find_idle_wait(limit.settings, name)
    yield from [warning(*idle) for idle in found]
    if settings.max_queue and settings.max_wait == 0:
        yield note(
            f"'CONCURRENCY_GUARD_MAX_QUEUE' is {settings.max_queue}, and nobody may wait, since"
            " 'CONCURRENCY_GUARD_MAX_WAIT' is 0.",
            "Set that to a number of seconds, if there is to be a line.",
        )
    yield from _waiting_for_others(subject, matcher)
    yield from _left_alone(subject)


def _waiting_for_others(subject: Subject, matcher: Matcher) -> Iterator[Finding]:
    settings, limits = subject.state.settings, subject.state.limits.values()
    changed = {each.name for each in shown_settings(settings) if each.is_changed}
    if settings.key is not None and all(limit.clients is None for limit in limits):
        yield note(
            "'CONCURRENCY_GUARD_KEY' tells clients apart, and no limit bounds what one may have.",
            "Say how many: 'CONCURRENCY_GUARD_PER_KEY', or 'per_key' of a limit.",
        )
    if settings.partition is not None and not any(limit.settings.partitions for limit in limits):
        yield note(
            "'CONCURRENCY_GUARD_PARTITION' tells whose share a request uses, and there are none.",
            "Say what they are: 'CONCURRENCY_GUARD_PARTITIONS', or 'partitions' of a limit.",
        )
    if "PRIORITIES" in changed and settings.priority is None and not matcher.priorities:
        yield note(
            "'CONCURRENCY_GUARD_PRIORITIES' names classes, and nothing tells which requests are of"
            " which.",
            "Put '@guard.priority()' on views, or set 'CONCURRENCY_GUARD_PRIORITY'. That is right"
            " if only 'guard.lease()' tells.",
        )
    if all(limit.settings.limit != ADAPTIVE for limit in limits):
        for name in sorted({"ALGORITHM", "ALGORITHM_OPTIONS"} & changed):
            yield note(
                f"'CONCURRENCY_GUARD_{name}' is about a limit that is learned, and none is.",
                "Set 'CONCURRENCY_GUARD_LIMIT' to 'adaptive', unless 'guard.set_limit()' does it.",
            )


def _left_alone(subject: Subject) -> Iterator[Finding]:
    settings = subject.state.settings
    if settings.json_backend is not None:
        return
    idle = [
        f"'{each.name}'"
        for each in shown_settings(settings)
        if each.is_changed and each.name.startswith("JSON_") and each.name != "JSON_BACKEND"
    ]
    if idle:
        yield note(
            f"'CONCURRENCY_GUARD_JSON_BACKEND' is None, so nothing heeds {', '.join(idle)}.",
            "Choose a backend, such as 'stdlib', if these rules are to hold.",
        )
