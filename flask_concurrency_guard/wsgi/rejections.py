"""What a client gets that was not admitted: RFC 9457 problem details, or a page for people."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from typing import NamedTuple

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from ..core.decisions import DEFAULT
from ..core.decisions import Reason
from ..core.decisions import Rejection

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping

    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment

PROBLEM = "application/problem+json"
PAGE = "text/html; charset=utf-8"

MOST_PARTS = 24
"""How many types and parameters an `Accept` header may have, for which a page is sent."""

_PROBLEM = (
    '{{"type":"about:blank","title":"{title}","status":{status},"detail":"{detail} '
    'Try again later.","reason":"{reason}","limit":"{limit}"}}\n'
)

_PAGE = """<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content="width=device-width">
<title>{status} {title}</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem;\
color-scheme:light dark}}</style>
<h1>{title}</h1>
<p>{detail} Please try again in a moment.
<p><small>{status} &middot; {reason} &middot; {limit}</small>
"""


Content = tuple[list[tuple[str, str]], bytes]
"""Headers, and a body."""


class _Answer(NamedTuple):
    """What is ready for one reason of one limiter."""

    status: str
    problem: Content
    page: Content


class ProblemAnswer:
    """Answer rejections, with all that can be made ready beforehand.

    :param status: 503 or 429.
    :param statuses: the status for a limiter by its name, where it is the other one.
    """

    def __init__(self, status: int = 503, statuses: Mapping[str, int] | None = None) -> None:
        self._status = status
        self._statuses = {} if statuses is None else statuses
        self._answers: dict[str, dict[Reason, _Answer]] = {}
        self._prepare(DEFAULT)

    def status(self, rejection: Rejection) -> int:
        """Return the status of the response to a rejected request."""
        if rejection.reason is Reason.CLIENT:
            return 429  # It is the client that has too many.
        return self._statuses.get(rejection.limiter, self._status)

    def content(self, rejection: Rejection, environ: WSGIEnvironment) -> Content:
        """Return the headers and the body that the client likes best."""
        _, headers, body = self._choose(rejection, environ)
        return headers, body

    def __call__(
        self,
        rejection: Rejection,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        tags: list[tuple[str, str]],
    ) -> Iterable[bytes]:
        status, headers, body = self._choose(rejection, environ)
        if environ.get("REQUEST_METHOD", "").upper() == "HEAD":
            # Without its length, which Werkzeug's linter would hold against the empty body.
            headers = [header for header in headers if header[0] != "Content-Length"]
            body = b""
        start_response(status, headers + tags)
        return [body] if body else []

    def _choose(
        self, rejection: Rejection, environ: WSGIEnvironment
    ) -> tuple[str, list[tuple[str, str]], bytes]:
        answers = self._answers.get(rejection.limiter) or self._prepare(rejection.limiter)
        status, problem, page = answers[rejection.reason]
        headers, body = page if _prefers_page(environ.get("HTTP_ACCEPT", "")) else problem
        return status, [*headers, ("Retry-After", str(rejection.retry_after))], body

    def _prepare(self, limiter: str) -> dict[Reason, _Answer]:
        answers = {}
        for reason in Reason:
            rejection = Rejection(reason, 1, limiter=limiter)
            status = HTTPStatus(self.status(rejection))
            answers[reason] = _Answer(
                f"{status} {status.phrase}",
                _content(PROBLEM, _PROBLEM, status, rejection),
                _content(PAGE, _PAGE, status, rejection),
            )
        self._answers[limiter] = answers
        return answers


def rejection_headers(rejection: Rejection) -> list[tuple[str, str]]:
    """Return the headers that every rejection has.

    ``Connection: close`` is not among them, though it would free the connection: waitress answers
    500 to it, and gunicorn's gthread and bjoern ignore it.
    """
    return [("Retry-After", str(rejection.retry_after)), ("Cache-Control", "no-store")]


def _content(content_type: str, template: str, status: HTTPStatus, rejection: Rejection) -> Content:
    body = template.format(
        status=int(status),
        title=status.phrase,
        detail=rejection.text,
        reason=rejection.reason,
        limit=rejection.limiter,
    ).encode()
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    return headers, body


def _prefers_page(accept: str) -> bool:
    # Neither */* nor nothing at all asks for a page. Clients write what they like into this
    # header, so the parsed ones are few and short: browsers send some eight types.
    return (
        "html" in accept
        and len(accept) <= 512
        and accept.count(",") + accept.count(";") < MOST_PARTS
        and _parses_to_page(accept)
    )


@lru_cache(maxsize=64)
def _parses_to_page(accept: str) -> bool:
    types = parse_accept_header(accept, MIMEAccept)
    return types.best_match((PROBLEM, "application/json", "text/html")) == "text/html"
