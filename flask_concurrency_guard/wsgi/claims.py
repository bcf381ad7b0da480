"""What a request claims: how important it is, whose share it uses, how many places it takes."""

from __future__ import annotations

import logging
from reprlib import repr as shortened
from typing import TYPE_CHECKING

from ..complaints import complain
from ..core.claims import Claim
from ..tags import PREFIX
from ..tags import tag_key
from .clients import ByHeader
from .paths import raw_path
from .paths import routed_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Hashable
    from collections.abc import Iterable
    from collections.abc import Mapping
    from collections.abc import Sequence

    from _typeshed.wsgi import WSGIEnvironment

    Find = Callable[[WSGIEnvironment], Hashable | None]

logger = logging.getLogger(__name__)

VIEW_COSTS = PREFIX + "view_costs"
"""Where the environment has what its view costs: how many places of which limit."""

VIEW_PRIORITY = PREFIX + "view_priority"
"""Where it has the priority of its view."""

_PRIORITY = tag_key("priority")

DEFAULT_PRIORITY = "default"

MORE = 4.0
LESS = 0.5
"""How much more patience there is in overload with each class above that of most requests, and how
much less below. Then those below are turned away first; and those above only when that isn't
enough, and the queue gets longer still."""


class Priorities:
    """Find out which of several classes a request is of.

    :param names: the classes, the most important first.
    :param find: returns the name of a request's class, or what is none; then its view's counts.
    """

    def __init__(self, names: Sequence[str], find: Find | None = None) -> None:
        self.ranks = {name: rank for rank, name in enumerate(names)}
        default = DEFAULT_PRIORITY if DEFAULT_PRIORITY in names else names[len(names) // 2]
        self.default = default
        """The class of a request that nobody says anything of."""
        self._find = find
        middle = self.ranks[default]
        self._patience = {
            name: MORE ** (middle - rank) if rank < middle else LESS ** (rank - middle)
            for name, rank in self.ranks.items()
        }

    def __call__(self, environ: WSGIEnvironment) -> float:
        """Put the class into the tags. Return how much patience there is with it in overload."""
        name = None if self._find is None else _try("priority", self._find, environ)
        if name not in self.ranks:
            # Who sends a header may write anything there, and it is nothing for a log.
            if name is not None and not isinstance(self._find, ByHeader):
                self._complain_of(name)
            name = environ.get(VIEW_PRIORITY)
        if name not in self.ranks:
            name = self.default
        environ[_PRIORITY] = name
        return self._patience[str(name)]

    def rank(self, environ: WSGIEnvironment | None) -> int:
        """Return the rank of the class that is in the tags, or of most requests if none is."""
        return self.ranks[self.default if environ is None else environ.get(_PRIORITY, self.default)]

    def named(self, name: Hashable) -> int:
        """Return the rank of a class.

        :raises ValueError: there is no such class.
        """
        if name not in self.ranks:
            raise ValueError(
                f"There is no priority {shortened(name)}. There are: {', '.join(self.ranks)}."
            )
        return self.ranks[name]

    def _complain_of(self, name: Hashable) -> None:
        try:
            if name != "":  # Which says nothing, as None does.
                self.named(name)
        except Exception:
            complain(logger, "'CONCURRENCY_GUARD_PRIORITY' has returned no priority; going on.")


class Claims:
    """Find out what requests claim of one limit.

    :param limit: the limit's name.
    :param priorities: the classes, if there are any.
    :param partitions: the paths of each partition: exact, or with a ``*`` at the end.
    :param find: returns the name of a request's partition, or what is none; then its path counts.
    """

    def __init__(
        self,
        limit: str,
        priorities: Priorities | None,
        partitions: Mapping[str, Iterable[str]],
        find: Find | None = None,
    ) -> None:
        self._limit = limit
        self._priorities = priorities
        self._partitions = frozenset(partitions)
        self._find = find
        paths = [
            (raw_path(path), name) for name, patterns in partitions.items() for path in patterns
        ]
        self._exact = {path: name for path, name in paths if not path.endswith("*")}
        self._prefixes = [(path[:-1], name) for path, name in paths if path.endswith("*")]

    def __call__(self, environ: WSGIEnvironment | None) -> Claim:
        """Return what a request claims; or what is none."""
        rank = 0 if self._priorities is None else self._priorities.rank(environ)
        if environ is None:
            return Claim(rank=rank)
        costs = environ.get(VIEW_COSTS)
        cost = 1 if costs is None else costs.get(self._limit, 1)
        return Claim(cost, rank, self._partition(environ) if self._partitions else "")

    def _partition(self, environ: WSGIEnvironment) -> str:
        name = None if self._find is None else _try("partition", self._find, environ)
        if name in self._partitions:
            return str(name)
        path = routed_path(environ)
        if path in self._exact:
            return self._exact[path]
        return next((name for prefix, name in self._prefixes if path.startswith(prefix)), "")


def _try(what: str, find: Find, environ: WSGIEnvironment) -> Hashable | None:
    try:
        found = find(environ)
        hash(found)
    except Exception:
        complain(logger, "The %s of a request could not be found out; going on without.", what)
        return None
    return found
