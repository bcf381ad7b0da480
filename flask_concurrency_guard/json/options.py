"""The options that ``dumps`` and ``loads`` take: those of the standard library, by name."""

from __future__ import annotations

from typing import Any
from typing import TypeAlias

Options: TypeAlias = dict[str, Any]
"""Options by name, none of them `None`."""

ENCODE_OPTIONS = frozenset(
    {
        "allow_nan",
        "check_circular",
        "cls",
        "default",
        "ensure_ascii",
        "indent",
        "separators",
        "skipkeys",
        "sort_keys",
    }
)

DECODE_OPTIONS = frozenset(
    {
        "cls",
        "object_hook",
        "object_pairs_hook",
        "parse_constant",
        "parse_float",
        "parse_int",
        "strict",
    }
)


def given_options(function: str, known: frozenset[str], options: dict[str, object]) -> Options:
    """Return the options that were given, which those set to `None` are not.

    :param function: The name for the error message, ``"dumps"`` or ``"loads"``.
    :raises TypeError: An option is unknown. One that goes with ``cls`` is left to that class.
    """
    if not options:
        return {}

    given = {name: value for name, value in options.items() if value is not None}

    if "cls" not in given and not known.issuperset(options):
        unknown = sorted(options.keys() - known)
        names = ", ".join(f"'{name}'" for name in unknown)
        are = "is not an option" if len(unknown) == 1 else "are not options"
        raise TypeError(f"{names} {are} of {function}, use {_choices(known)}.")

    return given


def _choices(names: frozenset[str]) -> str:
    *rest, last = (f"'{name}'" for name in sorted(names))
    return f"{', '.join(rest)} or {last}"
