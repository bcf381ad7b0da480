"""Make from the settings of an app what decides on its requests."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from .core.codel import TARGET
from .core.controller import Controller
from .core.limiter import Limiter
from .core.shared import SharedLimiter
from .core.shedder import Shedder
from .core.store import StoreError
from .errors import SetupError

if TYPE_CHECKING:
    from flask import Flask

    from .core.host.store import HostStore
    from .settings import Settings


def make_limiter(settings: Settings, store: HostStore | None) -> Limiter:
    """Return the limiter of an app.

    :param store: lends its places, where processes share them.
    """
    options: dict[str, Any] = {
        "max_queue": settings.max_queue,
        "max_wait": settings.max_wait,
        "queue_order": settings.queue_order,
        "target": settings.codel_target or TARGET,
        "interval": settings.codel_interval,
        "mode": settings.mode,
        "retry_after": settings.retry_after,
    }
    if store is None:
        return Limiter(settings.limit, **options)
    return SharedLimiter(store, **options)


def make_host_store(app: Flask, settings: Settings) -> HostStore:
    """Return what lends the places of an app to its processes.

    :raises SetupError: it can't be used here.
    """
    # Not for those who don't need it: where there is no ctypes, the rest works all the same.
    from .core.host.folder import default_folder
    from .core.host.folder import default_name
    from .core.host.store import HostStore

    folder = settings.dir or default_folder()
    name = settings.name or default_name(app.import_name, app.root_path)
    store = HostStore(folder / f"{name}.host", settings.limit, on_error=settings.on_store_error)
    try:
        store.check()
    except StoreError as error:
        raise SetupError(
            f"'CONCURRENCY_GUARD_SCOPE' is 'host', and that doesn't work here. {error}"
        ) from error
    return store


def make_shedder(settings: Settings, limiter: Limiter) -> Shedder:
    """Return what judges requests by their age.

    :param limiter: knows how long they take.
    """
    controller = None
    if settings.codel_target is not None:
        controller = Controller(
            target=settings.codel_target,
            interval=settings.codel_interval,
            service_time=lambda: limiter.mean_held,
        )
    return Shedder(
        max_age=settings.max_age,
        codel=controller,
        serve_gone=settings.serve_gone,
        max_wait=settings.max_wait,
    )
