"""Which store lends the places of a limit that processes share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .core.decisions import DEFAULT
from .core.store import StoreError
from .errors import SetupError
from .places import place_finder
from .settings import ADAPTIVE
from .signals import emit
from .signals import store_failed
from .signals import store_recovered
from .tuners import make_tuner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

    from .core.cluster.store import ClusterStore
    from .core.host.store import HostStore
    from .settings import Settings

LEAST_CALLS = 10
"""How often a call of the longest duration must fit into a lease."""


def make_store(
    app: Flask, settings: Settings, get_sender: Callable[[], object], limit: str
) -> HostStore | ClusterStore | None:
    """Return what lends the places of a limit, if no process has it for itself.

    :param get_sender: returns the sender of signals.
    :param limit: its name.
    :raises SetupError: it can't be used here.
    """
    if settings.scope == "process":
        return None
    if settings.scope == "cluster" and settings.limit == ADAPTIVE:
        name = "'CONCURRENCY_GUARD_LIMIT'" if limit == DEFAULT else f"The limit '{limit}'"
        raise SetupError(
            f"{name} must be a number where its scope is 'cluster'. 'adaptive' works for a process"
            " or a host."
        )
    try:
        if settings.scope == "host":
            return _make_host_store(app, settings, limit)
        return _make_cluster_store(settings, get_sender, limit)
    except StoreError as error:
        raise SetupError(
            f"'CONCURRENCY_GUARD_SCOPE' is '{settings.scope}', and that doesn't work here. {error}"
        ) from error


def _shared_name(name: str, limit: str) -> str:
    # No name has a colon in it, so no two limits of any two apps have the same one.
    return name if limit == DEFAULT else f"{name}:{limit}"


def _make_host_store(app: Flask, settings: Settings, limit_name: str) -> HostStore:
    # Not for those who don't need it: where there is no ctypes, the rest works all the same.
    try:
        from .core.host.folder import is_left_to_another_user
        from .core.host.store import HostStore
        from .core.host.system import IS_LINUX
    except ModuleNotFoundError as error:
        raise StoreError(f"This Python was built without its module '{error.name}'.") from error
    if not IS_LINUX:
        raise StoreError("One limit for all processes of a host needs Linux.")
    find_place = place_finder(app, settings)

    def find_path() -> Path:
        folder, name = find_place()
        return folder / f"{_shared_name(name, limit_name)}.host"

    learned = settings.limit == ADAPTIVE
    limit = make_tuner(settings).limit if learned else int(settings.limit)
    store = HostStore(
        find_path, limit, learned=learned, mode=settings.mode, on_error=settings.on_store_error
    )
    if not is_left_to_another_user(store.path.parent):
        store.check()
    return store


def _make_cluster_store(
    settings: Settings, get_sender: Callable[[], object], limit_name: str
) -> ClusterStore:
    if settings.store_url is None:
        raise StoreError("Say where the store is: 'CONCURRENCY_GUARD_STORE_URL = \"redis://…\"'.")
    if settings.name is None:
        raise StoreError(
            "Say by 'CONCURRENCY_GUARD_NAME' what all who share the limit call it, and nobody else"
            " who uses the same store."
        )
    if settings.lease_time < LEAST_CALLS * settings.store_timeout:
        raise StoreError(
            f"'CONCURRENCY_GUARD_LEASE_TIME' must be at least {LEAST_CALLS} times"
            f" 'CONCURRENCY_GUARD_STORE_TIMEOUT': a lease of {settings.lease_time:g} s can't be"
            " renewed in time."
        )
    from .core.cluster.connect import Connector
    from .core.cluster.store import ClusterStore

    def on_change(error: Exception | None) -> None:
        if error is None:
            emit(store_recovered, get_sender())
        else:
            emit(store_failed, get_sender(), error=error)

    store = ClusterStore(
        Connector(settings.store_url, settings.store_timeout),
        _shared_name(settings.name, limit_name),
        int(settings.limit),
        lease_time=settings.lease_time,
        mode=settings.mode,
        on_error=settings.on_store_error,
    )
    store.on_change = on_change
    return store
