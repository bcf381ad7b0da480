"""Writing with an encoder class of the caller's own, ``dumps(value, cls=...)``."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from .normalizer import Normalizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..options import Options
    from ..policy import Policy

_MISSING: Options = {
    "allow_nan": True,
    "check_circular": True,
    "default": None,
    "indent": None,
    "separators": None,
    "skipkeys": False,
}


def write_by_class(value: object, options: Options, policy: Policy) -> str:
    """Return the text that the class in ``options`` makes of a plain copy of a value.

    Flask passes its ``default`` to every class. It comes first here as well, but what it doesn't
    know goes on to the ``default`` method of the class.
    """
    options = {**_MISSING, **options}
    first = options.pop("default")
    sort_keys = options.pop("sort_keys")
    encoder = options.pop("cls")(**options, default=None, sort_keys=False)

    if not options["allow_nan"]:
        policy = policy.with_changes({"nan": "error"})
    normalizer = Normalizer(
        # A class knows no decimals.
        policy.with_changes({"decimal": "string"}),
        default=_in_turn(first, encoder.default),
        sort_keys=sort_keys,
        skip_keys=options["skipkeys"],
    )
    text: str = encoder.encode(normalizer.normalize(value))
    return text


def _in_turn(
    first: Callable[[Any], object] | None, second: Callable[[Any], object]
) -> Callable[[Any], object]:
    if first is None:
        return second

    def default(value: Any) -> object:
        try:
            return first(value)
        except TypeError:
            return second(value)

    return default
