"""The algorithms by name."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from inspect import signature
from typing import TYPE_CHECKING
from typing import Any

from .aimd import AIMD
from .gradient import Gradient
from .gradient2 import Gradient2
from .guard import Guard
from .vegas import Vegas
from .windowed import Windowed

if TYPE_CHECKING:
    from .protocol import Algorithm

ALGORITHMS: Mapping[str, Callable[..., Algorithm]] = {
    "guard": Guard,
    "gradient2": Gradient2,
    "gradient": Gradient,
    "vegas": Vegas,
    "aimd": AIMD,
}


WINDOW = "window"
"""The option of the published ones that makes a sample of many requests, see `Windowed`."""


def make_algorithm(
    name: str,
    options: Mapping[str, Any],
    ceiling: int | None = None,
    initial: int | None = None,
) -> Algorithm:
    """Return a new algorithm.

    :param name: a key of `ALGORITHMS`.
    :param options: those of its constructor; and ``window``, which is ``"average"`` or a percentile
        such as 0.9, for all but ``"guard"``.
    :param ceiling: the highest limit that makes sense, if that is known.
    :param initial: the limit to begin with in place of that of the options, as far as they allow.
    :raises ValueError: there is no such option, or its value can't be.
    """
    kind = ALGORITHMS[name]
    known = signature(kind).parameters
    allowed = [*known] if kind is Guard else [*known, WINDOW]
    for option in options:
        if option not in allowed:
            raise ValueError(f"{option!r} is not an option of {name!r}: {', '.join(allowed)}")
    own = {option: value for option, value in options.items() if option != WINDOW}
    most = own.get("max_limit")
    if "initial" not in own and isinstance(most, int) and 1 <= most < known["initial"].default:
        own["initial"] = most  # Nobody has asked for more.
    if initial is not None:
        lowest, highest = (
            own.get(option, known[option].default) for option in ("min_limit", "max_limit")
        )
        own["initial"] = max(lowest, min(highest, initial))
    if ceiling is not None:
        for option in ("initial", "min_limit", "max_limit"):
            if option in known and own.get(option, known[option].default) > ceiling:
                own[option] = ceiling
    algorithm = kind(**own)
    return Windowed(algorithm, tracked=options[WINDOW]) if WINDOW in options else algorithm
