"""The names of the tags: what is told of a request, and who served it."""

from __future__ import annotations

PREFIX = "flask_concurrency_guard."
"""What the keys in the WSGI environment begin with."""

THREAD_TAGS = (
    "process_id",
    "parent_process_id",
    "thread_id",
    "thread_ident",
    "thread_name",
    "main_thread_id",
)
"""Stay the same from one request of a thread to its next."""

REQUEST_TAGS = (
    "decision",
    "in_flight",
    "limit",
    "priority",
    "queue_age",
    "queue_time",
    "request_number",
)
"""Differ from one request to the next. The queue age is there only where it is known, the priority
where there are any."""

TAGS = THREAD_TAGS + REQUEST_TAGS

ADMITTED = "admitted"
EXEMPT = "exempt"
SHADOW = "; mode=shadow"
"""What is decided on a request: it is admitted, or exempt; or it says why it was rejected, with the
last one behind that if it was admitted all the same."""

STATUS_KEY = PREFIX + "status"
"""Where observers find the status of the response in the WSGI environment, as three digits."""

DECIDED_AT_KEY = PREFIX + "decided_at"
"""Where observers find when a request was rejected, on the monotonic clock, before its answer."""

DEFAULT_HEADERS = {"process_id": "X-Process-Id", "thread_id": "X-Thread-Id"}


def tag_key(tag: str) -> str:
    """Return the key of `tag` in the WSGI environment."""
    return PREFIX + tag
