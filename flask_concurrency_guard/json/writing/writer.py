"""The ways from a value to its text, from the fast one to the one that always works."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from functools import lru_cache
from functools import partial
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from werkzeug.http import http_date

from .. import features
from ..backends.protocol import SPECIAL
from ..backends.protocol import Encoder
from ..features import BIGINT
from ..features import DECIMAL
from ..features import DEEP
from ..features import INT_KEYS
from ..features import KEY
from ..features import NAN
from ..features import OTHER
from ..features import SURROGATE
from . import kinds
from .normalizer import Normalizer
from .standard import chunk_encoder
from .standard import write_plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..backends.protocol import Backend
    from ..backends.protocol import Layout
    from ..policy import Policy

NEEDS_A_COPY = OTHER | KEY | SURROGATE | DEEP
"""Features that no library treats as the policy does, or at least not all of them."""


class Writer:
    """Writes values by one policy on one backend.

    A value is first looked at in C, in a few nanoseconds for each object in it. If it holds only
    what a library writes as the policy wants, and without ever running Python code, that library
    gets it as it is. Everything else is made a plain copy of first, which costs several times as
    much; so is everything where the module in C could not be built.

    The copy is what keeps a worker alive: libraries in C hold borrowed pointers into the container
    that they write. Python code that runs in the middle, such as `default` or ``Enum.value``, lets
    another thread change the container, and the process may die of it.
    """

    def __init__(self, policy: Policy, backend: Backend) -> None:
        self._policy = policy
        self._plan = lru_cache(maxsize=32)(partial(_make_plan, policy, backend))

    def write(
        self,
        value: object,
        layout: Layout,
        *,
        default: Callable[[Any], object] | None = None,
        skip_keys: bool = False,
        allow_nan: bool = True,
    ) -> str | bytes:
        """Return the text of a value, in UTF-8 if it's bytes.

        :param default: Returns what stands for a value of another type than JSON's, and raises
            :exc:`TypeError` if it doesn't know; the policy's own where not given.
        :param skip_keys: Whether to leave out the keys that Python's own encoder would leave out.
        :param allow_nan: Whether the policy decides on numbers that are none; if not, they are an
            error.
        :raises JSONTypeError: Something in it is of a type that has no form in JSON.
        :raises JSONValueError: Something in it breaks a rule of the policy.
        """
        plan = self._plan(layout, default is not None)
        if allow_nan and not skip_keys:
            text = self._attempt(value, plan.live)
            if text is None and plan.by_copy is not None:
                text = self._attempt_by_copy(value, plan.by_copy)
            if text is not None:
                return text

        policy = self._policy if allow_nan else self._policy.with_changes({"nan": "error"})
        normalizer = Normalizer(
            policy, default=default, sort_keys=layout.sort_keys, skip_keys=skip_keys
        )
        plain = normalizer.normalize(value)
        return self._attempt(plain, plan.plain) or write_plain(plain, layout)

    def _attempt(self, value: object, encoders: tuple[Encoder, ...]) -> str | bytes | None:
        if features.encode is None:
            return None
        for encode, refused in encoders:
            try:
                text: Any = features.encode(value, encode, refused, self._policy.max_depth)
            except Exception:
                # Another way comes to the same end, or finds the words for what is wrong.
                continue
            if isinstance(text, (str, bytes)):
                return text
            if not isinstance(text, int):
                return "".join(text)
        return None

    def _attempt_by_copy(self, value: object, encoder: Encoder) -> str | None:
        if features.snapshot is None:
            return None
        encode, refused = encoder
        copy = features.snapshot(value, refused, self._policy.max_depth)
        if isinstance(copy, int):
            return None
        try:
            return "".join(encode(copy))
        except Exception:
            return None


class _Plan(NamedTuple):
    live: tuple[Encoder, ...]
    """For the value itself, the fastest first."""
    by_copy: Encoder | None
    """For a copy of it without NaN, since it runs Python code."""
    plain: tuple[Encoder, ...]
    """For a plain copy of it."""


def _make_plan(policy: Policy, backend: Backend, layout: Layout, has_default: bool) -> _Plan:
    by_policy = NEEDS_A_COPY
    if policy.bigint != "number":
        by_policy |= BIGINT
    if policy.nan == "error":
        by_policy |= NAN
    if has_default:
        by_policy |= SPECIAL

    live: list[Encoder] = []
    plain: list[Encoder] = []
    if layout.is_compact:
        native = backend.encoder(policy, layout)
        if native is not None:
            live.append(native._replace(refused=native.refused | by_policy | INT_KEYS))
        native = backend.plain_encoder(policy, layout._replace(sort_keys=False))
        if native is not None:
            plain.append(native)

    by_copy = None
    encode = chunk_encoder(layout, _speller(policy))
    if encode is not None:
        live.append(Encoder(encode, by_policy | SPECIAL | NAN))
        numbers = DECIMAL if policy.decimal == "number" else 0
        by_copy = Encoder(encode, by_policy | numbers)
    return _Plan(tuple(live), by_copy, tuple(plain))


def _speller(policy: Policy) -> Callable[[Any], str]:
    """Return what spells the few other types than JSON's that the encoder is given."""
    instant: Callable[[Any], str] = partial(kinds.spell_instant, policy=policy)
    if policy.datetime == "http" and policy.naive != "error":
        # The same, with less on the way.
        instant = http_date
    by_type: dict[type, Callable[[Any], str]]
    by_type = {dt.date: instant, dt.datetime: instant, uuid.UUID: str, decimal.Decimal: str}
    return lambda value: by_type[type(value)](value)
