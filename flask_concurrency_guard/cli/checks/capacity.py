"""Do the limits fit the server that is going to serve the app?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.decisions import DEFAULT
from ...settings import ADAPTIVE
from ..screen import counted
from .finding import Finding
from .finding import Subject
from .finding import error
from .finding import note
from .finding import ok
from .finding import warning

if TYPE_CHECKING:
    from ...limits import AppLimit
    from .plan import Plan

GUNICORN_CONFIG = "gunicorn.conf.py"
"""What gunicorn reads in the current folder, unasked."""

PATIENCE = 30.0
"""After how many seconds the least patient of the usual proxies and platforms give up."""


def check_threads(subject: Subject) -> Iterator[Finding]:
    """Can each limit be reached?"""
    plan = subject.plan
    if plan is not None and plan.name.startswith("gunicorn") and Path(GUNICORN_CONFIG).exists():
        yield note(
            f"'{GUNICORN_CONFIG}' is not read: it is a program.",
            "Say what stands there: --workers, --threads, --worker-class.",
        )
    if plan is None:
        yield note(
            "It isn't known which server is going to serve the app, so its threads were not"
            " compared with the limits.",
            "Say it: --server gunicorn --workers 4 --threads 16.",
        )
        return
    if plan.forks:
        yield error(
            f"{plan.name} with processes serves each request in a process of its own, where no"
            " limit of a process can be reached.",
            "Serve with threads, or with another server.",
        )
        return
    if plan.threads is None:
        yield ok(
            f"{plan.name} has a {plan.unit} for every request; the limits are what bounds them."
        )
        return
    if plan.threads == 1 and plan.workers == 1:
        yield warning(
            f"{plan.name} serves one request at a time, so no limit can be reached. Requests that"
            " are too old are rejected all the same, where the server shows how old they are.",
            f"Give it more {plan.unit}s than the limit ({plan.option}).",
        )
        return
    for limit in subject.state.limits.values():
        yield from _reachable(limit, plan)


def _reachable(limit: AppLimit, plan: Plan) -> Iterator[Finding]:
    name = limit_name(limit)
    if limit.settings.limit == ADAPTIVE or limit.settings.scope == "cluster":
        return
    if plan.threads is None or plan.at_once is None:
        return
    number = int(limit.settings.limit)
    is_shared = limit.settings.scope == "host"
    most = plan.at_once if is_shared else plan.threads
    where = "all its processes" if is_shared else "a process"
    more = f"give the server more {plan.unit}s ({plan.option})."
    if number >= most:
        yield warning(
            f"{plan.name} serves at most {counted(most, 'request')} at once in {where}, so {name}"
            f" of {number} can never be reached.",
            f"Set it {_below(most)}, or {more}" if most > 1 else f"{more[0].upper()}{more[1:]}",
        )
        return
    queue = limit.settings.max_queue if limit.settings.max_wait else 0
    # Where it isn't said, it is as long as the limit.
    say = note if queue is None else warning
    queue = number if queue is None else queue
    if not is_shared and number + queue >= plan.threads:
        yield say(
            f"{name[0].upper()}{name[1:]} of {number} and a line of {queue} can take all"
            f" {plan.threads} {plan.unit}s of a process, so rejections and exempt paths wait as"
            " well.",
            f"Keep 'MAX_QUEUE' {_below(plan.threads - number)}, or {more}",
        )
        return
    name = f"{name[0].upper()}{name[1:]}"
    yield ok(f"{name} of {number} is below the {most} {plan.unit}s of {where}.")


def check_scope(subject: Subject) -> Iterator[Finding]:
    """Does a limit hold for all workers together, or for each?"""
    plan = subject.plan
    if plan is None or plan.workers == 1 or plan.forks:
        return
    for limit in subject.state.limits.values():
        settings = limit.settings
        if settings.scope == "process" and settings.limit == ADAPTIVE:
            yield note(
                f"Each of {plan.workers} workers learns {limit_name(limit)} for itself.",
                "If they use the same database, say, let them learn it together: scope 'host'.",
            )
        elif settings.scope == "process":
            number = int(settings.limit)
            if plan.threads is not None and number >= plan.threads:
                continue  # It is never reached.
            yield note(
                f"{plan.workers} workers with {limit_name(limit)} of {number} each admit up to"
                f" {plan.workers * number}.",
                f"If {number} is meant for all of them, set the scope to 'host' (Linux).",
            )
        if limit.clients is not None:
            yield note(
                f"'PER_KEY' of {limit_name(limit)} holds in each of {plan.workers} workers.",
                "A client whose requests reach all of them may have so many times more.",
            )


def check_wait(subject: Subject) -> Iterator[Finding]:
    """Does anybody wait for longer than who is waiting for the answer?"""
    timeout = PATIENCE if subject.timeout is None else subject.timeout
    who = "many proxies and platforms give up" if subject.timeout is None else "the server gives up"
    for limit in subject.differing("max_wait"):
        wait = limit.settings.max_wait
        if wait >= timeout:
            yield warning(
                f"A request may wait {wait:g} s for {limit_name(limit)}, and {who} after"
                f" {timeout:g} s: it would be served for nobody.",
                f"Set 'MAX_WAIT' well below {timeout:g}.",
            )


def limit_name(limit: AppLimit) -> str:
    """Return what a finding calls a limit."""
    name = limit.limiter.name
    return "the limit" if name == DEFAULT else f"the limit '{name}'"


def _below(number: int) -> str:
    # What can only be one number is easier to follow as that.
    return f"below {number}" if number > 2 else f"to {number - 1}"
