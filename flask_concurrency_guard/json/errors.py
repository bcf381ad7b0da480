"""The errors that the JSON provider raises.

::

    ConcurrencyGuardError
    └── InvalidJSONError (json.JSONDecodeError)   the document is not JSON that this provider takes

A value that can't be written as JSON is a :exc:`TypeError` or a :exc:`ValueError`, as in the
standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConcurrencyGuardError
from .standard_library import SharedDecodeError

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
