"""`flask guard check`: is the guard set up well?"""

from __future__ import annotations

from collections import Counter

import click

from .. import standard_json
from ..errors import ConcurrencyGuardError
from .checks.finding import Finding
from .checks.finding import Severity
from .checks.finding import Subject
from .checks.finding import error
from .checks.plan import SERVERS
from .checks.plan import BadPlan
from .checks.plan import Options
from .checks.plan import Plan
from .checks.plan import make_plan
from .checks.table import run_checks
from .loading import find_state
from .loading import load_app
from .screen import json_option
from .screen import make_screen
from .screen import writing

Found = list[tuple[str, Finding]]


@click.command()
@click.option(
    "--server", type=click.Choice(list(SERVERS)), help="The server that is going to serve the app."
)
@click.option("--workers", type=click.IntRange(1), help="How many processes it has.")
@click.option("--threads", type=click.IntRange(1), help="How many threads each of them has.")
@click.option("--worker-class", help="gunicorn's, such as gevent.")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True),
    help="After how many seconds the server, or a proxy, gives up a request.",
)  # fmt: skip
@click.option("--strict", is_flag=True, help="Fail for warnings as well.")
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    server: str | None,
    workers: int | None,
    threads: int | None,
    worker_class: str | None,
    timeout: float | None,
    strict: bool,
    wants_json: bool,
) -> None:
    """Look for what is wrong, or may be a surprise, and say what to do.

    Exits with 1 if there is an error. How many workers and threads gunicorn has is read from
    GUNICORN_CMD_ARGS and WEB_CONCURRENCY, too; its config file is not read.
    """
    try:
        plan = make_plan(server, Options(workers, threads, worker_class))
    except BadPlan as problem:
        raise click.UsageError(str(problem)) from problem
    found = _find(ctx, plan, timeout)
    with writing():
        if wants_json:
            findings = [_as_json(name, finding) for name, finding in found]
            click.echo(standard_json.dumps(findings, indent=2))
        else:
            _show(found, plan)
    worst = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    if any(finding.severity in worst for _, finding in found):
        ctx.exit(1)


def _find(ctx: click.Context, plan: Plan | None, timeout: float | None) -> Found:
    try:
        app = load_app(ctx)
    except ConcurrencyGuardError as problem:
        return [("setup", error(f"The app doesn't start: {problem}", "Correct that first."))]
    state = find_state(app)
    if state is None:
        what = f"The app '{app.name}' has no guard."
        return [("setup", error(what, "Set it up with 'ConcurrencyGuard(app)'."))]
    with app.app_context():
        return run_checks(Subject(app, state, plan, timeout))


def _as_json(name: str, finding: Finding) -> dict[str, str]:
    return {
        "check": name,
        "severity": str(finding.severity),
        "what": finding.what,
        "to_do": finding.to_do,
    }


def _show(found: Found, plan: Plan | None) -> None:
    screen = make_screen()
    if plan is not None and plan.source:
        screen.text(
            f"What isn't given here is as {plan.source} in the environment says: {plan.name}"
            f" {plan.described}."
        )
        screen.line()
    for _, finding in found:
        screen.marked(str(finding.severity), finding.what)
        if finding.to_do:
            screen.marked("", finding.to_do)
    counts = Counter(finding.severity for _, finding in found)
    screen.line()
    screen.text(
        ", ".join(f"{severity}: {counts[severity]}" for severity in reversed(list(Severity)))
    )
