"""The errors that the JSON provider raises.

::

    ConcurrencyGuardError
    ├── InvalidJSONError (json.JSONDecodeError)   the document is not JSON that this provider takes
    ├── JSONTypeError (TypeError)                 a value is of a type that JSON has no form for
    └── JSONValueError (ValueError)               a value breaks a rule for what is written
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from ..errors import ConcurrencyGuardError
from ..standard_json import SharedDecodeError

if TYPE_CHECKING:
    from json import JSONDecodeError
else:
    # The class that `except json.JSONDecodeError` means in the rest of the program. It can't be
    # imported by name: another library may stand in `sys.modules["json"]`.
    JSONDecodeError = SharedDecodeError


class InvalidJSONError(ConcurrencyGuardError, JSONDecodeError):
    """A document was refused, because it isn't JSON or breaks one of the provider's rules.

    It is a :exc:`json.JSONDecodeError` and so a :exc:`ValueError`, which Flask's
    ``request.get_json()`` answers with 400.

    :param msg: What is wrong, without the position.
    :param doc: The whole document.
    :param pos: The index in ``doc`` where it went wrong.
    """


class JSONTypeError(ConcurrencyGuardError, TypeError):
    """A value, or the key of one, is of a type that has no form in JSON.

    :param message: What is wrong, where, and what to do.
    :param path: Where in what was to be written, such as ``$.rows[1].price``.
    """

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.path), vars(self)


class JSONValueError(ConcurrencyGuardError, ValueError):
    """A value breaks one of the rules for what is written.

    :param message: What is wrong, where, and what to do.
    :param path: Where in what was to be written, such as ``$.rows[1].price``.
    """

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.path), vars(self)
