"""Writing with an encoder class of the caller's own, ``dumps(value, cls=...)``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from typing import Any

from . import kinds
from .normalizer import Normalizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..options import Options
    from ..policy import Policy

_MISSING: Options = {
    "allow_nan": True,
    "check_circular": True,
    "indent": None,
    "separators": None,
    "skipkeys": False,
}


def write_by_class(value: object, options: Options, policy: Policy) -> str:
    """Return the text that the class in ``options`` makes of a plain copy of a value.

    Flask passes its ``default`` to every class, so it comes before the class's own method. It does
    so here as well, in Flask's style; but what it knows is written as the policy says.
    """
    options = {**_MISSING, **options}
    first = options.pop("default")
    sort_keys = options.pop("sort_keys")
    encoder = options.pop("cls")(**options, default=None, sort_keys=False)

    if not options["allow_nan"]:
        policy = policy.with_changes({"nan": "error"})
    policy = policy.with_changes({"decimal": "string"})  # A class knows no decimals.
    if first is None and policy.style == "flask":
        first = partial(_flasks, policy)
    normalizer = Normalizer(
        policy,
        default=_in_turn(first, encoder.default),
        sort_keys=sort_keys,
        skip_keys=options["skipkeys"],
    )
    text: str = encoder.encode(normalizer.normalize(value))
    return text


def _flasks(policy: Policy, value: Any) -> object:
    if not kinds.is_flasks(value):
        raise TypeError
    return kinds.simpler(value, policy)


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
