"""What a conclusion means, in a sentence, and what to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .asking import MOST_AT_ONCE
from .asking import MOST_REQUESTS
from .model import Conclusion
from .model import Model

if TYPE_CHECKING:
    from .facts import Facts

POOLED = (Model.THREADS, Model.PROCESSES, Model.BOTH)
"""The models in which there is a fixed number of processes and threads."""

DEV_ADVICE = (
    "This is Flask's development server. Serve with gunicorn ('gunicorn --threads 16 app:app') or"
    " waitress, which have a fixed number of threads, and set 'CONCURRENCY_GUARD_LIMIT' below that"
    " number."
)
UNBOUNDED_ADVICE = (
    "Under load nothing bounds them, so all requests get slow together. Cap them with"
    " 'CONCURRENCY_GUARD_LIMIT'."
)
SERIAL_ADVICE = (
    "One slow request holds up all others. Give it threads (gunicorn: '--threads 16'; Flask's"
    " development server: 'threaded=True'), or more processes."
)
FAST_ADVICE = "Ask for a URL that takes 0.2 s or longer, such as a view that sleeps."
NO_TAGS_ADVICE = (
    "Nothing in the response tells who served it, so this is from timing alone. Under a"
    " 'ConcurrencyGuard' with its headers on ('X-Process-Id', 'X-Thread-Id'; other names by"
    " --process-header and --thread-header) processes and threads are told apart."
)
POOL_ADVICE = (
    "More requests than that wait in front of the app, where it can't see them. A limit"
    " ('CONCURRENCY_GUARD_LIMIT') can only be reached where it is below the {threads} of a process."
)
COMPETE_ADVICE = (
    "At once they take as long as one after the other: they compete for a processor, or for a"
    " lock. More threads won't help; more processes may, and a limit near the number of processors."
)
PROCESS_ADVICE = (
    "A slow request holds up those that its process gets next, and no limit within a process can"
    " be reached. Give them threads (gunicorn: '--threads 16')."
)
WAITS_ADVICE = (
    "More threads had a request than were serving at once. The others waited in the app: in the"
    " guard's line, or for a lock or a pool of connections."
)
BACKLOG_ADVICE = (
    "Some answers came a second or more after the others. That is what connections take that find"
    " the server's backlog full, and are tried again."
)
GREENLET_ADVICE = (
    "A view that computes, or calls what doesn't give way, holds up all others. Cap the requests"
    " in flight with 'CONCURRENCY_GUARD_LIMIT'."
)


def verdict(facts: Facts, conclusion: Conclusion) -> str:
    """Return how the server serves, in one sentence."""
    if conclusion.model is Model.REJECTS:
        return "It rejected all of them, so nothing can be said of how it serves."
    if conclusion.model is Model.UNKNOWN:
        return _too_fast(facts)
    sentence = _how(facts, conclusion)
    if conclusion.compete:
        sentence += ", and no faster than one after the other"
    if facts.rejected:
        sentence += f"; {len(facts.rejected)} of {len(facts.burst)} requests rejected"
    if facts.lost:
        sentence += f"; {len(facts.lost)} of {len(facts.burst)} not answered"
    return f"{sentence}."


def advice(facts: Facts, conclusion: Conclusion) -> list[str]:
    """Return what to do about it, most important first."""
    found = _about_the_answer(facts)
    if facts.is_dev_server:
        found.append(DEV_ADVICE)
    found += _about_the_model(facts, conclusion.model, all_seen=conclusion.all_seen)
    if conclusion.waits:
        found.append(WAITS_ADVICE)
    if conclusion.compete:
        found.append(COMPETE_ADVICE)
    else:
        found += _to_know_more(facts, conclusion)
    if facts.were_connections_lost:
        found.append(BACKLOG_ADVICE)
    if not facts.workers and conclusion.model is not Model.REJECTS:
        found.append(NO_TAGS_ADVICE)
    return found


def _about_the_answer(facts: Facts) -> list[str]:
    first = facts.before[0]
    if 300 <= first.status < 400:
        where = first.headers.get("location", "nowhere")
        return [f"It redirects to '{where}', which was not followed. Ask there, if you mean that."]
    if first.status >= 400:
        return [f"It answers {first.status_text}. Ask for a URL that is answered by a view."]
    return []


def _about_the_model(facts: Facts, model: Model, *, all_seen: bool) -> list[str]:
    if model is Model.SERIAL:
        return [SERIAL_ADVICE]
    if model is Model.GREENLETS:
        return [GREENLET_ADVICE]
    if model is Model.PROCESSES:
        return [PROCESS_ADVICE]
    if model in (Model.UNBOUNDED, Model.FORKS):
        return [] if facts.is_dev_server else [UNBOUNDED_ADVICE]
    if model in (Model.THREADS, Model.BOTH) and all_seen:
        threads = max(facts.processes.values())
        return [POOL_ADVICE.format(threads=f"{threads} threads")]
    return []


def _to_know_more(facts: Facts, conclusion: Conclusion) -> list[str]:
    model = conclusion.model
    if not conclusion.at_once:
        return [] if model is Model.REJECTS else [FAST_ADVICE]
    requests = min(4 * len(facts.burst), MOST_REQUESTS)
    more = f"-n {requests} -c {min(requests, MOST_AT_ONCE)}."
    if facts.at_once == MOST_AT_ONCE:
        return []
    if conclusion.at_least and model is not Model.UNBOUNDED:
        return [
            f"No more than {facts.at_once} were sent at once, so it may serve more. To find out:"
            f" {more}"
        ]
    if model in POOLED and not (conclusion.all_seen or facts.rejected):
        return [
            "Some processes had too few requests for all of their threads to be seen. To see them:"
            f" {more}"
        ]
    return []


def _how(facts: Facts, conclusion: Conclusion) -> str:
    model = conclusion.model
    number = f"{conclusion.at_once}" + (" or more" if conclusion.at_least else "")
    served = f": {number} at once" if conclusion.at_once else ""
    threads = _count(facts.workers, "thread")
    processes = _count(facts.processes, "process", "processes")
    if model is Model.SERIAL:
        return "It serves one request at a time"
    if model is Model.UNBOUNDED:
        doubt = "without bound" if facts.is_dev_server else f"or has more than {threads}"
        return f"It starts a thread for each request, {doubt}{served}"
    if model is Model.FORKS:
        doubt = "" if facts.is_dev_server else f", or has more than {processes}"
        return f"It starts a process for each request{doubt}{served}"
    if model is Model.GREENLETS:
        return f"It serves in greenlets of {processes}{served}"
    if model is Model.THREADS:
        return f"It serves with {_more(conclusion)}{threads} of {processes}{served}"
    if model is Model.PROCESSES:
        return f"It serves with {_more(conclusion)}{processes}, one request each{served}"
    if model is Model.BOTH:
        return f"It serves with {_more(conclusion)}{processes} of {_spread(facts)}{served}"
    if model is Model.ALL:
        return f"It serves all that were sent{served}"
    return f"It serves {number} at once"


def _too_fast(facts: Facts) -> str:
    if len(facts.workers) > 1:
        threads = _count(facts.workers, "thread")
        processes = _count(facts.processes, "process", "processes")
        seen = f"; there are {threads} of {processes} at least"
    else:
        seen = ""
    return (
        f"A request takes only {1000 * facts.alone:.1f} ms, and is over before enough others have"
        f" come, so it can't be told how many are served at once{seen}."
    )


def _more(conclusion: Conclusion) -> str:
    return "" if conclusion.all_seen else "at least "


def _spread(facts: Facts) -> str:
    counts = sorted(set(facts.processes.values()))
    if len(counts) == 1:
        return f"{counts[0]} threads each"
    return f"{counts[0]} to {counts[-1]} threads each"


def _count(things: object, one: str, many: str = "") -> str:
    number = len(things)  # type: ignore[arg-type]
    return f"{number} {one if number == 1 else many or one + 's'}"
