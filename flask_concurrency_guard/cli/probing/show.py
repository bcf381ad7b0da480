"""Show what a probe has seen: on the screen, or as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from typing import Any

from . import words

if TYPE_CHECKING:
    from ..screen import Screen
    from .facts import Facts
    from .model import Conclusion
    from .target import Target

MOST_WAVES = 3
MOST_PROCESSES = 8

FAILURES = {"timeout": "no answer in time", "refused": "refused", "tls": "TLS error"}


def show(screen: Screen, target: Target, facts: Facts, conclusion: Conclusion) -> None:
    """Write what was seen, the conclusion first."""
    screen.title(
        f"{target.url}: {len(facts.burst)} requests, {facts.at_once} of them at the same time"
    )
    screen.line()
    screen.text(words.verdict(facts, conclusion))
    screen.line()
    screen.table(_rows(facts, conclusion))
    advice = words.advice(facts, conclusion)
    if advice:
        screen.line()
        screen.title("What to do")
        for text in advice:
            screen.text(text, indent=2)


def as_json(target: Target, facts: Facts, conclusion: Conclusion) -> dict[str, Any]:
    """Return the same for programs. All times are in seconds."""
    served = bool(facts.served)
    return {
        "url": target.url,
        "requests": len(facts.burst),
        "concurrency": facts.at_once,
        "model": str(conclusion.model),
        "verdict": words.verdict(facts, conclusion),
        "advice": words.advice(facts, conclusion),
        "peak": conclusion.at_once or None,
        "peak_is_lower_bound": conclusion.at_least,
        "peak_source": _peak_source(facts, conclusion),
        "processes": dict(facts.processes),
        "server": facts.server or None,
        "alone": round(facts.alone, 6),
        "duration": round(facts.whole, 6),
        "latency": {
            name: round(facts.latency(part), 6)
            for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
            if served
        },
        "waves": [{"answers": n, "after": round(at, 6)} for n, at in facts.waves],
        "statuses": dict(Counter(str(a.status) for a in facts.burst if a.status)),
        "failures": dict(Counter(a.failure for a in facts.burst if a.failure)),
        "rejections": dict(_reasons(facts)),
        "retry_after": _retry_after(facts),
    }


def _rows(facts: Facts, conclusion: Conclusion) -> list[tuple[str, str]]:
    rows = [
        ("one alone", f"{facts.alone:.3f} s{_choice(facts)}"),
        ("all of them", f"{facts.whole:.3f} s"),
    ]
    if facts.served:
        latency = ", ".join(
            f"{name} {facts.latency(part):.3f} s"
            for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
        )
        rows.append(("latency", latency))
        rows.append(("came in", _waves(facts)))
    rows.append(("statuses", _statuses(facts)))
    if facts.rejected:
        rows.append(("rejected", _rejections(facts)))
    if facts.workers:
        rows.append(("answered by", _workers(facts)))
    if conclusion.at_once:
        more = " or more" if conclusion.at_least else ""
        rows.append(("at once", f"{conclusion.at_once}{more} ({_peak_words(facts, conclusion)})"))
    if facts.server:
        rows.append(("server", f"{facts.server} (by its own word)"))
    return rows


def _choice(facts: Facts) -> str:
    number = len(facts.before)
    return f" (the fastest of {number}, in turn)" if number > 1 else ""


def _waves(facts: Facts) -> str:
    waves = facts.waves
    if len(waves) <= MOST_WAVES:
        return ", ".join(f"{number} after {at:.3f} s" for number, at in waves)
    most = max(number for number, _ in waves)
    each = "one at a time" if most == 1 else f"up to {most} at a time"
    return f"{each}, the first after {waves[0][1]:.3f} s and the last after {waves[-1][1]:.3f} s"


def _statuses(facts: Facts) -> str:
    statuses = Counter(answer.status_text for answer in facts.burst if answer.status)
    failures = Counter(FAILURES.get(a.failure, a.details) for a in facts.burst if a.failure)
    return ", ".join(f"{what}: {number}" for what, number in [*statuses.items(), *failures.items()])


def _reasons(facts: Facts) -> Counter[str]:
    return Counter(answer.reason or "no reason given" for answer in facts.rejected)


def _retry_after(facts: Facts) -> list[str]:
    found = {answer.headers.get("retry-after", "") for answer in facts.rejected}
    return sorted(found - {""}, key=lambda text: (len(text), text))


def _rejections(facts: Facts) -> str:
    text = ", ".join(f"{reason}: {number}" for reason, number in _reasons(facts).most_common())
    after = _retry_after(facts)
    if not after:
        return f"{text}; without Retry-After"
    return f"{text}; Retry-After {after[0]}" + (f" to {after[-1]}" if after[1:] else "")


def _workers(facts: Facts) -> str:
    kind = "greenlet" if facts.has_greenlets else "thread"
    processes = facts.processes
    shown = [
        f"process {process} with {number} {kind}{'s' if number > 1 else ''}"
        for process, number in processes.most_common(MOST_PROCESSES)
    ]
    rest = len(processes) - len(shown)
    return ", ".join(shown) + (f", and {rest} more" if rest > 0 else "") + " (measured)"


def _peak_source(facts: Facts, conclusion: Conclusion) -> str | None:
    if not conclusion.at_once:
        return None
    if conclusion.compete:
        return "workers" if facts.workers else "guess"
    return "timing-and-workers" if facts.workers else "timing"


def _peak_words(facts: Facts, conclusion: Conclusion) -> str:
    return {
        "workers": "inferred: so many have answered",
        "guess": "inferred: the first was slower than one alone",
        "timing": "inferred from when the answers came",
        "timing-and-workers": "inferred from when the answers came, and from whom",
    }[_peak_source(facts, conclusion) or "guess"]
