"""What a client gets that was not admitted: RFC 9457 problem details, or a page for people."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from ..core.decisions import Reason
from ..core.decisions import Rejection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment

PROBLEM = "application/problem+json"
PAGE = "text/html; charset=utf-8"

REJECT_STATUSES = (503, 429)

# Not a word on how many are in flight: that would tell an attacker how close the end is.
_DETAILS = {
    Reason.LIMIT: "The server is busy with other requests.",
    Reason.QUEUE_FULL: "The server is busy with other requests, and many are waiting.",
    Reason.QUEUE_TIMEOUT: "The server was busy with other requests for too long.",
    Reason.OVERLOAD: "The server is asked for more than it can do.",
    Reason.TOO_OLD: "The request had waited too long when its turn came.",
    Reason.DEADLINE: "The request had waited for as long as it was to wait at most.",
    Reason.CLIENT_GONE: "The client had left when the request's turn came.",
}

_PROBLEM = (
    '{{"type":"about:blank","title":"{title}","status":{status},"detail":"{detail} '
    'Try again later.","reason":"{reason}"}}\n'
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
<p><small>{status} &middot; {reason}</small>
"""


class ProblemAnswer:
    """Answer rejections, with all that can be made ready beforehand.

    :param status: 503 or 429.
    """

    def __init__(self, status: int = 503) -> None:
        self.status = f"{status} {HTTPStatus(status).phrase}"
        self._problems = {reason: _content(PROBLEM, _PROBLEM, status, reason) for reason in Reason}
        self._pages = {reason: _content(PAGE, _PAGE, status, reason) for reason in Reason}

    def content(
        self, rejection: Rejection, environ: WSGIEnvironment
    ) -> tuple[list[tuple[str, str]], bytes]:
        """Return the headers and the body that the client likes best."""
        pages = _prefers_page(environ.get("HTTP_ACCEPT", ""))
        headers, body = (self._pages if pages else self._problems)[rejection.reason]
        return [*headers, ("Retry-After", str(rejection.retry_after))], body

    def __call__(
        self,
        rejection: Rejection,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        tags: list[tuple[str, str]],
    ) -> Iterable[bytes]:
        headers, body = self.content(rejection, environ)
        if environ["REQUEST_METHOD"] == "HEAD":
            # Without its length, which Werkzeug's linter would hold against the empty body.
            headers = [header for header in headers if header[0] != "Content-Length"]
            body = b""
        start_response(self.status, headers + tags)
        return [body] if body else []


def rejection_headers(rejection: Rejection) -> list[tuple[str, str]]:
    """Return the headers that every rejection has.

    ``Connection: close`` is not among them, though it would free the connection: waitress answers
    500 to it, and gunicorn's gthread and bjoern ignore it.
    """
    return [("Retry-After", str(rejection.retry_after)), ("Cache-Control", "no-store")]


def _content(
    content_type: str, template: str, status: int, reason: Reason
) -> tuple[list[tuple[str, str]], bytes]:
    title = HTTPStatus(status).phrase
    body = template.format(status=status, title=title, reason=reason, detail=_DETAILS[reason])
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(body.encode()))),
        ("Cache-Control", "no-store"),
    ]
    return headers, body.encode()


def _prefers_page(accept: str) -> bool:
    # Neither */* nor nothing at all asks for a page. Clients write what they like into this
    # header, so the parsed ones are few and short.
    return "html" in accept and len(accept) <= 512 and _parses_to_page(accept)


@lru_cache(maxsize=64)
def _parses_to_page(accept: str) -> bool:
    types = parse_accept_header(accept, MIMEAccept)
    return types.best_match((PROBLEM, "application/json", "text/html")) == "text/html"
