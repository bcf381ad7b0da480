"""The variants that are measured side by side: a guard, and how it is set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace

from guards import GUARDS
from guards import PREFIX

from flask_concurrency_guard.errors import ConfigurationError
from flask_concurrency_guard.settings import PREFIX as PREFIX_IN_CONFIG
from flask_concurrency_guard.settings import read_settings

SETTINGS_PREFIX = f"FLASK_{PREFIX_IN_CONFIG}"
"""What the guard's settings begin with in the environment."""

HAVE_SETTINGS = {"semaphore": ("LIMIT",), "age": ("LIMIT", "MAX_AGE")}
"""What can be set of the variants that are the lab's own."""


class VariantError(ValueError):
    """There is no such variant, or it has no such setting."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What stands in front of the app."""

    guard: str
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """What it is called in tables and pictures."""
        return ", ".join([GUARDS[self.guard], *(f"{key}={value}" for key, value in self.settings)])

    def environment(self) -> dict[str, str]:
        """Return what tells the app."""
        prefix = SETTINGS_PREFIX if self.guard == "guard" else PREFIX
        own = {f"{prefix}{key}": value for key, value in self.settings}
        return {f"{PREFIX}GUARD": self.guard, **own}


def read_variant(text: str, settings: Iterable[tuple[str, str]] = ()) -> Variant:
    """Return the variant that a text like ``guard`` or ``guard+LIMIT=8+MAX_WAIT=0`` means.

    :param settings: what to set of this guard, too.
    :raises VariantError: there is none.
    """
    name, *own = text.split("+")
    if name not in GUARDS:
        raise VariantError(f"'{name}' is not a variant. There are: {', '.join(GUARDS)}.")
    variant = Variant(name, tuple(map(read_setting, own)))
    if name == "guard":
        merged = dict(settings) | dict(variant.settings)
        _check_guard(merged)
        return replace(variant, settings=tuple(merged.items()))
    known = HAVE_SETTINGS.get(name, ())
    for key, value in variant.settings:
        if key not in known:
            raise VariantError(
                f"'{name}' has no setting '{key}'. It has: {', '.join(known) or 'none'}."
            )
        if not value.replace(".", "", key != "LIMIT").isdigit() or float(value) <= 0:
            raise VariantError(f"'{key}' of '{name}' must be a positive number, got '{value}'.")
    return variant


def _check_guard(settings: dict[str, str]) -> None:
    """Let the guard itself say what it doesn't know: it may have settings that are new."""
    try:
        read_settings({f"{PREFIX_IN_CONFIG}{key}": value for key, value in settings.items()})
    except ConfigurationError as error:
        raise VariantError(str(error)) from None


def read_setting(text: str) -> tuple[str, str]:
    """Return key and value of a text like ``LIMIT=8``.

    :raises VariantError: it is none.
    """
    key, equals, value = text.partition("=")
    key = key.strip().upper().removeprefix("FLASK_").removeprefix(PREFIX_IN_CONFIG)
    if not equals or not key:
        raise VariantError(f"'{text}' is not a setting. Write KEY=VALUE, such as 'LIMIT=8'.")
    return key, value.strip()
