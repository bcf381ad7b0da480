"""The libraries that can stand behind the provider, each in a module of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Protocol

from ...errors import ConfigurationError
from .stdlib import StandardLibraryBackend

if TYPE_CHECKING:
    from ..options import Options


class Backend(Protocol):
    """One library that writes and reads JSON, and keeps the rules of the policy."""

    def dumps(self, value: object, options: Options, *, once: bool) -> str:
        """Write a value as JSON that has no ``NaN`` and no infinity.

        :param options: Those that were given, and the provider's for the others.
        :param once: Whether ``default`` may be called only once for an object, since a second
            call could return something else.
        """

    def loads(self, text: str, options: Options) -> object:
        """Read a document that the policy has accepted as such.

        :param text: The document.
        :param options: Those that were given.
        :raises InvalidJSONError: It isn't JSON, or has a number that the policy refuses.
        """


_BACKENDS: dict[str, type[Backend]] = {"stdlib": StandardLibraryBackend}


def load_backend(name: str) -> Backend:
    """Return the backend with this name.

    :raises ConfigurationError: There is none with this name.
    """
    try:
        return _BACKENDS[name]()
    except KeyError:
        names = " or ".join(f"'{known}'" for known in sorted(_BACKENDS))
        raise ConfigurationError(
            f"'CONCURRENCY_GUARD_JSON_BACKEND' must be {names} or None, got '{name}'."
        ) from None
