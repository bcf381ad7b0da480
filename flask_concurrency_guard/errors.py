"""The errors that this package raises.

::

    ConcurrencyGuardError
    ├── ConfigurationError (ValueError)       a setting is wrong or unknown; stops `init_app`
    ├── SetupError (RuntimeError)             used before `init_app`, or set up twice
    ├── StoreUnavailable (RuntimeError)       what processes share can't be changed now
    ├── LimitReached (RuntimeError)           no place came free for `ConcurrencyGuard.lease`
    ├── InvalidJSONError (JSONDecodeError)    a document is not JSON that the provider takes
    ├── JSONTypeError (TypeError)             a value is of a type that JSON has no form for
    ├── JSONValueError (ValueError)           a value breaks a rule for what is written
    └── RequestRejected (HTTPException)       a request was not admitted, answered through Flask
        ├── ServerBusy (ServiceUnavailable)   with status 503
        └── TooManyInFlight (TooManyRequests) with status 429

Those of JSON are in `json`, with what raises them. The HTTP ones are only ever raised with
``CONCURRENCY_GUARD_REJECT_VIA = "flask"``, inside the app, so that its error handlers see them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.exceptions import TooManyRequests

if TYPE_CHECKING:
    from datetime import datetime

    from werkzeug.wrappers import Response

    from .core.decisions import Rejection


class ConcurrencyGuardError(Exception):
    """The root of all errors of this package."""


class ConfigurationError(ConcurrencyGuardError, ValueError):
    """A setting has a wrong value or type, or there is no such setting."""


class SetupError(ConcurrencyGuardError, RuntimeError):
    """The extension was used before `init_app`, set up twice on one app, or can't work here."""


class StoreUnavailable(ConcurrencyGuardError, RuntimeError):
    """What several processes share can't be reached. Only raised by what changes it."""


class LimitReached(ConcurrencyGuardError, RuntimeError):
    """There was no place for what is no request. Raised by `ConcurrencyGuard.lease`.

    :param rejection: says why.
    """

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(
            f"The limit '{rejection.limiter}' has no place ({rejection.reason}, after"
            f" {rejection.queue_time:.3g} s)."
        )
        self.rejection = rejection

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.rejection,), vars(self)


class RequestRejected(ConcurrencyGuardError, HTTPException):
    """A request was not admitted. Catch it with `app.errorhandler`.

    :param rejection: says why, and when to try again.
    :param response: what the client gets where there is no error handler.
    """

    def __init__(self, rejection: Rejection, response: Response | None = None) -> None:
        super().__init__(response=response)
        self.rejection = rejection
        #: Whole seconds, for the error handler. The header is put on its answer in any case.
        self.retry_after: datetime | int | None = rejection.retry_after


class ServerBusy(RequestRejected, ServiceUnavailable):
    """503: the server is at its limit."""


class TooManyInFlight(RequestRejected, TooManyRequests):
    """429: the client has too many requests in flight; or the server has, and is to say it so."""
