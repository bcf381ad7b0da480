"""Turn any value into one that every JSON library writes the same way."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeAlias

from ..errors import JSONTypeError
from ..policy import LARGEST_EXACT
from . import keys
from . import kinds
from . import numbers
from .problems import Problem
from .problems import raise_error
from .spelling import encodable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..policy import Policy

_Members: TypeAlias = Iterator[tuple[Any, Any]]
_Level: TypeAlias = tuple[object, Any, Any, _Members]
"""A container, the key at which the way leads on, the copy of it, and the rest of its members."""

_ATOMS = frozenset({bool, type(None)})
_LOW, _HIGH = -LARGEST_EXACT, LARGEST_EXACT
_MOST_STAND_INS = 100


class Normalizer:
    """Makes plain copies of values: exact dicts with str keys, lists, and JSON's simple types.

    A finite :class:`~decimal.Decimal` is left as it is where the policy wants it as a number.

    Each container is copied by a single call into C before anything in it is looked at. So it
    doesn't matter what other threads do to it, nor what a method of a value does. What isn't plain
    in a copy is then replaced in its place.

    :param policy: The rules.
    :param default: Is asked first for what stands for a value of another type than JSON's; it
        raises :exc:`TypeError` if it doesn't know.
    :param sort_keys: Whether to sort objects by their keys.
    :param skip_keys: Whether to leave out keys of other types than Python's own encoder takes,
        which are an error otherwise.
    """

    __slots__ = ("_default", "_policy", "_skip_keys", "_sort_keys")

    def __init__(
        self,
        policy: Policy,
        *,
        default: Callable[[Any], object] | None,
        sort_keys: bool,
        skip_keys: bool = False,
    ) -> None:
        self._policy = policy
        self._default = default
        self._sort_keys = sort_keys
        self._skip_keys = skip_keys

    def normalize(self, value: object) -> object:
        """Return a plain copy of a value.

        :raises JSONTypeError: Something in it is of a type that has no form in JSON.
        :raises JSONValueError: Something in it breaks a rule of the policy.
        """
        # Not by recursion: that would be over at the depth of the stack that happens to be left.
        enclosing: list[_Level] = []
        root = [value]
        container: object = None
        copy: Any = root
        members: _Members = iter(enumerate(root))
        key: Any = None
        try:
            while True:
                for key, member in members:
                    kind = type(member)
                    if kind is str:
                        if member.isascii():
                            continue
                    elif kind is int:
                        if _LOW <= member <= _HIGH:
                            continue
                    elif kind is float:
                        # Only of a finite number is the difference zero.
                        if not member - member:
                            continue
                    elif kind in _ATOMS:
                        continue
                    copy[key] = plain = self._plain(member)
                    kind = type(plain)
                    if kind is dict or kind is list:
                        if len(enclosing) == self._policy.max_depth:
                            raise self._too_deep()
                        enclosing.append((container, key, copy, members))
                        container, copy = member, plain
                        members = iter(plain.items() if kind is dict else enumerate(plain))
                        break
                else:
                    if not enclosing:
                        return root[0]
                    container, _, copy, members = enclosing.pop()
        except Problem as problem:
            # The root stands in a list of our own.
            steps = [level[:2] for level in enclosing[1:]]
            if enclosing:
                steps.append((container, key))
            raise_error(problem, steps)

    def _plain(self, value: Any) -> Any:
        """Return the plain form of a value, or a copy of a container whose members aren't yet."""
        stand_ins = 0
        while True:
            kind = type(value)
            if kind is str:
                return encodable(value)
            if kind in _ATOMS:
                return value
            if kind is int:
                return value if _LOW <= value <= _HIGH else numbers.spell_big(value, self._policy)
            if kind is float:
                # Only of a finite number is the difference zero.
                return numbers.check_not_a_number(value, self._policy) if value - value else value
            if kind is dict:
                return self._object(value)
            if kind is list or kind is tuple:
                return list(value)

            value = self._stand_in(value)
            if type(value) is _Items:
                return self._spelled(value)
            if type(value) is Decimal and self._policy.decimal == "number" and value.is_finite():
                return value
            stand_ins += 1
            if stand_ins > _MOST_STAND_INS:
                raise Problem(
                    "What stands for '{path}' always stands for something else: let 'default'"
                    " return a value of another type than it is given."
                )

    def _object(self, value: dict[Any, Any]) -> dict[str, Any]:
        copy = keys.in_order(value) if self._sort_keys else value.copy()
        try:
            # All at once, which is much faster than one by one.
            "".join(copy).encode()
        except (TypeError, UnicodeEncodeError):
            return self._spelled(_Items(copy.items()))
        return copy

    def _spelled(self, items: _Items) -> dict[str, Any]:
        """Return an object of items whose keys may be of any type."""
        if self._skip_keys:
            items = _Items(keys.without_unknown(items))
        if self._sort_keys:
            items = _Items(keys.sorted_items(items, self._policy))
        result = {keys.spell_key(key, self._policy): member for key, member in items}
        if len(result) != len(items):
            raise keys.collision(items, self._policy)
        return result

    def _stand_in(self, value: Any) -> object:
        """Return what stands for a value of another type than JSON's.

        Where the type derives from one of JSON's, what its methods would say doesn't count, as in
        Python's own encoder, except for ``items`` of a dict.
        """
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int.__pos__(value)
        if isinstance(value, float):
            return float.__pos__(value)
        if isinstance(value, (list, tuple)):
            return list(value)
        try:
            if isinstance(value, dict):
                return self._items_of_dict(value)
            return self._other(value)
        except Problem:
            raise
        except Exception as error:
            raise Problem("", error) from None

    def _items_of_dict(self, value: dict[Any, Any]) -> _Items:
        # Flask's encoder doesn't ask for the items of one that is empty underneath.
        is_empty = self._policy.style == "flask" and not dict.__len__(value)
        return _Items(() if is_empty else value.items())

    def _other(self, value: Any) -> object:
        unknown = None
        if self._default is not None:
            try:
                return self._default(value)
            except TypeError as error:
                unknown = error

        simpler = kinds.simpler(value, self._policy)
        if simpler is not kinds.NOTHING:
            return simpler
        items = kinds.items_of(value)
        if items is not None:
            return _Items(items)
        members = kinds.members_of(value)
        if members is not None:
            return members
        raise Problem(
            f"'{{path}}' is of type '{type(value).__qualname__}', which has no form in JSON:"
            " convert it, or let 'app.json.default' return what stands for it.",
            JSONTypeError,
        ) from unknown

    def _too_deep(self) -> Problem:
        return Problem(
            f"'{{path}}' is nested more than {self._policy.max_depth} deep: send a flatter value,"
            " or raise 'CONCURRENCY_GUARD_JSON_MAX_DEPTH'.",
            may_be_circular=True,
        )


class _Items(list[tuple[Any, Any]]):
    """Keys and values that are to become an object."""

    __slots__ = ()
