"""The limits of an app: make from its settings what decides on its requests."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING
from typing import Any

from .core.clients import ClientLimiter
from .core.codel import TARGET
from .core.controller import Controller
from .core.decisions import DEFAULT
from .core.limiter import Limiter
from .core.shared import SharedLimiter
from .core.shedder import Shedder
from .errors import ConfigurationError
from .errors import SetupError
from .settings import ADAPTIVE
from .stores import make_store
from .tuners import algorithm_of
from .tuners import make_host_tuner
from .tuners import make_tuner
from .wsgi.claims import Claims
from .wsgi.servers import line_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from .core.store import Store
    from .settings import NamedLimit
    from .settings import Settings
    from .wsgi.claims import Priorities
    from .wsgi.servers import Server


@dataclass(frozen=True, slots=True)
class AppLimit:
    """One limit of an app: its own, or one for some of its requests."""

    settings: Settings
    limiter: Limiter
    clients: ClientLimiter | None
    """Says how many of them one client may have, if anything does."""
    store: Store | None
    """Lends the places, where processes share them."""
    match: tuple[str, ...] = ()
    """The paths that it is for, if it isn't for all requests: as in `NamedLimit`."""
    endpoint: tuple[str, ...] = ()
    """And the endpoints."""

    @property
    def is_own(self) -> bool:
        """Whether it is the app's own, which all requests have to pass."""
        return self.limiter.name == DEFAULT

    @property
    def width(self) -> tuple[float, str]:
        """How narrow it is among others, the same in all processes."""
        limit = self.settings.limit
        return (inf if limit == ADAPTIVE else float(limit), self.limiter.name)

    def learn_of(self, server: Server | None) -> None:
        """Adjust to the server that calls the app, if that is known."""
        if server is not None and server.can_wait:
            self.limiter.set_ceiling(server.threads)
        self.limiter.least_queue = line_for(self.limiter.limit, server)

    def matters_to(self, server: Server, *, sheds_by_age: bool) -> bool:
        """Return whether enough requests may come at once for the limit to say no.

        :param sheds_by_age: whether the app's own rejects requests before it is reached, too.
        """
        is_shared = self.store is not None
        is_learned = self.limiter.tuner is not None
        may_be_reached = is_shared or is_learned or self.limiter.limit < server.threads
        return may_be_reached or (self.is_own and sheds_by_age)

    def tell_apart(self, priorities: Priorities | None, *, has_costs: bool = False) -> None:
        """Tell requests apart, where there is anything to tell.

        :param priorities: the classes of requests, if there are any.
        :param has_costs: whether some cost several places.
        """
        partitions = self.settings.partitions
        if priorities is None and not has_costs and not partitions:
            return
        paths = {name: part.match for name, part in partitions.items()}
        claims = Claims(self.limiter.name, priorities, paths, self.settings.partition)
        shares = {name: part.share for name, part in partitions.items()}
        self.limiter.tell_apart(claims, shares)

    def adapt(self) -> None:
        """Learn the limit from now on.

        :raises SetupError: it is shared, and wasn't learned at the start.
        """
        if isinstance(self.limiter, SharedLimiter):
            if self.limiter.tuner is None:
                raise SetupError(
                    "Processes share this limit, and all have to learn it: set"
                    " 'CONCURRENCY_GUARD_LIMIT' to 'adaptive' for them, which works for those of"
                    " one host."
                )
            self.limiter.learn_limit()
        else:
            self.limiter.set_limit(make_tuner(self.settings))


def make_limit(
    app: Flask,
    settings: Settings,
    get_sender: Callable[[], object],
    named: NamedLimit | None = None,
) -> AppLimit:
    """Return a limit of an app.

    :param settings: the app's.
    :param get_sender: returns the sender of signals.
    :param named: one for some requests; the app's own, where not given.
    :raises SetupError: the processes can't share it here.
    :raises ConfigurationError: the options are none of the algorithm, or clients or partitions
        can't be told apart.
    """
    match: tuple[str, ...] = ("*",)  # As a prefix: all paths.
    endpoint: tuple[str, ...] = ()
    name = DEFAULT
    if named is not None:
        name, match, endpoint = named.name, named.match, named.endpoint
        settings = settings.of_limit(named)
    _require_partitions(settings, name)
    algorithm_of(settings)  # Even if the limit is a number: it may be learned later on.
    store = make_store(app, settings, get_sender, name)
    limiter = _make_limiter(settings, store, name)
    clients = _make_client_limiter(settings, limiter)
    return AppLimit(settings, limiter, clients, store, match, endpoint)


def _make_client_limiter(settings: Settings, limiter: Limiter) -> ClientLimiter | None:
    if settings.per_key is None:
        return None
    if settings.key is None:
        raise ConfigurationError(
            f"Say by {_where('key', limiter.name)} what tells one client from another, such as"
            " 'remote_addr' or 'header:X-Api-Key'."
        )
    return ClientLimiter(limiter, settings.per_key, settings.key)


def _require_partitions(settings: Settings, name: str) -> None:
    """Require that each partition may have requests."""
    if settings.partition is not None:
        return
    for partition, part in settings.partitions.items():
        if not part.match:
            raise ConfigurationError(
                f"Say which requests use the share '{partition}': by {_where('partition', name)}"
                f" what tells it, such as 'header:X-Tenant', or by {{'share': {part.share:g},"
                f" 'match': '/{partition}/*'}} its paths."
            )


def _where(setting: str, limit: str) -> str:
    named = "" if limit == DEFAULT else f", or by '{setting}' of the limit '{limit}',"
    return f"'CONCURRENCY_GUARD_{setting.upper()}'{named}"


def _make_limiter(settings: Settings, store: Store | None, name: str) -> Limiter:
    options: dict[str, Any] = {
        "max_queue": settings.max_queue,
        "max_wait": settings.max_wait,
        "queue_order": settings.queue_order,
        "target": settings.codel_target or TARGET,
        "interval": settings.codel_interval,
        "mode": settings.mode,
        "retry_after": settings.retry_after,
        "name": name,
    }
    if store is not None:
        return SharedLimiter(store, make_host_tuner(settings, store), **options)
    if settings.limit == ADAPTIVE:
        return Limiter(make_tuner(settings), **options)
    return Limiter(int(settings.limit), **options)


def make_shedder(settings: Settings, limiter: Limiter) -> Shedder:
    """Return what judges requests by their age.

    :param limiter: knows how long they take, and whether it turns many away.
    """
    controller = None
    if settings.codel_target is not None:
        controller = Controller(
            target=settings.codel_target,
            interval=settings.codel_interval,
            service_time=lambda: limiter.mean_held,
            is_rush=lambda: limiter.is_rush,
        )
    return Shedder(
        max_age=settings.max_age,
        codel=controller,
        serve_gone=settings.serve_gone,
        max_wait=settings.max_wait,
    )
