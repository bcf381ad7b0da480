"""What do strangers learn of the app?"""

from __future__ import annotations

from collections.abc import Iterator

from ...tags import THREAD_TAGS
from .finding import Finding
from .finding import Subject
from .finding import note
from .finding import ok

LOAD = {"limit", "in_flight", "queue_age", "queue_time", "request_number"}
"""The tags that tell how near the app is to its limit."""


def check_headers(subject: Subject) -> Iterator[Finding]:
    """Is every response tagged?"""
    headers = subject.state.settings.headers
    if not headers:
        yield ok("No tags are in the responses; the log has them, with 'TagFilter'.")
        return
    told = {tag: name for tag, name in headers.items() if tag in THREAD_TAGS or tag in LOAD}
    if not told:
        yield ok("The tags that are in the responses tell strangers nothing of the workers.")
        return
    names = ", ".join(f"'{name}'" for name in told.values())
    telling = "how busy the app is" if LOAD & told.keys() else "how many workers there are"
    yield note(
        f"Each response has the headers {names}, which tell strangers {telling}.",
        "On a public site: 'CONCURRENCY_GUARD_HEADERS = False', and log the tags instead.",
    )
