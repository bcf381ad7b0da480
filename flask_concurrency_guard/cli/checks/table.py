"""All checks, in the order in which they are made."""

from __future__ import annotations

from .capacity import check_scope
from .capacity import check_threads
from .capacity import check_wait
from .documents import check_json
from .effects import check_effects
from .exposure import check_headers
from .finding import Check
from .finding import Finding
from .finding import Severity
from .finding import Subject
from .finding import warning
from .order import check_instrumentation
from .order import check_order
from .order import check_proxy
from .order import check_request_start
from .routes import check_exemptions
from .routes import check_health
from .routes import check_limits
from .routes import check_page
from .setup import check_config
from .setup import check_environment
from .setup import check_mode
from .setup import check_place
from .stores import check_cluster
from .stores import check_host

CHECKS: dict[str, Check] = {
    "place": check_place,
    "mode": check_mode,
    "config": check_config,
    "environment": check_environment,
    "effects": check_effects,
    "threads": check_threads,
    "scope": check_scope,
    "wait": check_wait,
    "host": check_host,
    "cluster": check_cluster,
    "order": check_order,
    "proxy": check_proxy,
    "request-start": check_request_start,
    "instrumentation": check_instrumentation,
    "limits": check_limits,
    "exemptions": check_exemptions,
    "health": check_health,
    "page": check_page,
    "headers": check_headers,
    "json": check_json,
}


def run_checks(subject: Subject) -> list[tuple[str, Finding]]:
    """Return what all checks find, each finding with its check's name; the worst first.

    A check that fails is a finding, too.
    """
    worst_first = [*Severity][::-1]
    found = []
    for name, check in CHECKS.items():
        try:
            found += [(name, finding) for finding in check(subject)]
        except Exception as failure:
            what = f"This could not be checked: {type(failure).__name__}: {failure}"
            found.append((name, warning(what, "Please tell us of it.")))
    return sorted(found, key=lambda named: worst_first.index(named[1].severity))
