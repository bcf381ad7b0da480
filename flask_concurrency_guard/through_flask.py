"""Answer rejections inside the app, where its error handlers and CORS headers are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import current_app
from flask import request

from .core.decisions import Reason
from .errors import RequestRejected
from .errors import ServerBusy
from .errors import TooManyInFlight
from .tags import PREFIX
from .wsgi.middleware import serve_unleased
from .wsgi.rejections import rejection_headers

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable

    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask

    from .core.decisions import Rejection
    from .wsgi.rejections import ProblemAnswer

KEY = PREFIX + "rejected"

_ERRORS: dict[int, type[RequestRejected]] = {503: ServerBusy, 429: TooManyInFlight}


class FlaskAnswer:
    """Send a rejected request into the app, where the first of all `before_request` raises.

    That is the one way in that is public and the same in all versions of Flask: the methods that
    dispatch a request or handle its errors changed their parameters in Flask 3.2.

    :param wsgi_app: Flask's own. What else stands in front of it is left out: it may have another
        app behind it, which would serve the request.
    :param default: what the client gets where the app makes nothing else of it.
    """

    def __init__(self, app: Flask, wsgi_app: WSGIApplication, default: ProblemAnswer) -> None:
        self._wsgi_app = wsgi_app
        self._default = default
        app.before_request_funcs.setdefault(None, []).insert(0, self._raise_if_rejected)

    def _raise_if_rejected(self) -> None:
        rejection: Rejection | None = request.environ.get(KEY)
        if rejection is not None:
            headers, body = self._default.content(rejection, request.environ)
            error = _ERRORS[self._default.status(rejection)]
            raise error(rejection, current_app.response_class(body, error.code, headers))

    def __call__(
        self,
        rejection: Rejection,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        tags: list[tuple[str, str]],
    ) -> Iterable[bytes]:
        if rejection.reason is Reason.CLIENT_GONE:
            # Nobody is there to see what the app would make of it.
            return self._default(rejection, environ, start_response, tags)
        environ[KEY] = rejection
        wanted = rejection_headers(rejection)

        def start(
            status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            # An error handler that makes its own response leaves these out.
            present = {name.lower() for name, _ in headers}
            missing = [header for header in wanted if header[0].lower() not in present]
            return start_response(status, [*headers, *missing, *tags], exc_info)

        return serve_unleased(self._wsgi_app, environ, start)
