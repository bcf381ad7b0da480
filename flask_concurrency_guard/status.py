"""What an app's status is put together from, and where it is told."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING
from typing import Any
from weakref import ref

from .complaints import one_line
from .core.shared import SharedLimiter
from .core.store import admitted_without
from .errors import SetupError
from .matching import mark_exempt
from .observe.postings import CAN_POST
from .observe.publisher import Publisher
from .observe.workers import Worker
from .observe.workers import read_workers
from .places import place_finder
from .shown import in_words
from .shown import shown_settings
from .web.access import Access
from .web.overlaps import warn_of_overlaps
from .web.page import Sources
from .web.page import make_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from .core.decisions import Snapshot
    from .limits import AppLimit
    from .settings import Settings
    from .wsgi.middleware import GuardMiddleware
    from .wsgi.servers import Server


class Source:
    """What a worker tells of its limits; what it serves, the publisher knows."""

    def __init__(self) -> None:
        self.server: Server | None = None
        """Which one calls the app, if that is known."""
        self._get_middleware: Any = lambda: None
        self._limits: dict[str, AppLimit] = {}

    def connect(self, middleware: GuardMiddleware, limits: dict[str, AppLimit]) -> None:
        """Begin to know the limits, which may still become more."""
        # Weakly: it keeps the publisher, which keeps this.
        self._get_middleware = ref(middleware)
        self._limits = limits

    def __call__(self) -> dict[str, Any] | None:
        """Return all that; None when the app is gone."""
        middleware: GuardMiddleware | None = self._get_middleware()
        if middleware is None:
            return None
        own = middleware.snapshot()
        server = self.server
        return {
            "server": None if server is None else server.name,
            "threads": None if server is None else server.threads,
            "is_draining": middleware.is_draining,
            "queue_age": own.queue_age,
            "limits": [_describe(limit, own) for limit in tuple(self._limits.values())],
        }


def _describe(limit: AppLimit, own: Snapshot) -> dict[str, Any]:
    limiter, settings = limit.limiter, limit.settings
    snapshot = own if limit.is_own else limiter.snapshot()
    ago = time.time() - time.monotonic()
    all_in_flight, store_error = _of_all(limit)
    return {
        "name": snapshot.name,
        "scope": settings.scope,
        "mode": str(snapshot.mode),
        "is_learned": limiter.tuner is not None,
        "limit": snapshot.limit,
        "in_flight": snapshot.in_flight,
        "all_in_flight": all_in_flight,
        "queued": snapshot.queued,
        "max_queue": limiter.max_queue if settings.max_wait else 0,
        "admitted": snapshot.admitted,
        "rejected": {reason: count for reason, count in snapshot.rejected.items() if count},
        "peak": snapshot.peak,
        "partitions": {name: asdict(part) for name, part in snapshot.partitions.items()},
        "changes": [
            {**asdict(change), "time": round(change.time + ago, 3)} for change in snapshot.changes
        ],
        "store_error": store_error,
        "admits": None if store_error is None else _admitted_alone(limit),
    }


def _of_all(limit: AppLimit) -> tuple[int | None, str | None]:
    """Return how many all processes have in flight, if that is known, and what is wrong."""
    if not isinstance(limit.limiter, SharedLimiter):
        return None, None
    in_flight = None
    if limit.settings.scope == "host":
        # Not of a cluster: its store would have to be asked, and it takes a while to answer.
        in_flight = limit.limiter.snapshot_of_all().in_flight
    assert limit.store is not None
    error = limit.store.error
    return (in_flight, None) if error is None else (None, one_line(error))


def _admitted_alone(limit: AppLimit) -> str:
    places = 0 if limit.store is None else limit.store.places
    return admitted_without(limit.settings.on_store_error, places)


class Status:
    """Tells what this worker does, and reads what all workers of the app tell.

    :param app: the app.
    :raises SetupError: it can't be told here.
    """

    def __init__(self, app: Flask, settings: Settings) -> None:
        if not CAN_POST:
            raise SetupError(
                "'CONCURRENCY_GUARD_STATUS' and 'CONCURRENCY_GUARD_STATUS_PATH' need file locks as"
                " Linux and macOS have them (the module 'fcntl'). Leave them out here."
            )
        self._source = Source()
        self.find_place = place_finder(app, settings)
        self.publisher = Publisher(self._source, self.find_place, show_query=settings.show_query)
        """Tells of the requests that it observes."""
        self._get_app: Callable[[], Flask | None] = ref(app)
        self._has_begun = False

    def connect(self, middleware: GuardMiddleware, limits: dict[str, AppLimit]) -> None:
        """Begin to know the limits, which may still become more."""
        self._source.connect(middleware, limits)

    def begin(self, server: Server | None) -> None:
        """Begin to tell: this is the first request, or the first one of a server."""
        self._source.server = server
        self.publisher.start()
        app = None if self._has_begun else self._get_app()
        self._has_begun = True
        if app is not None:
            warn_of_overlaps(app)  # All routes are there by now.

    def read(self) -> list[Worker]:
        """Return what the workers tell, the oldest first.

        :raises OSError: it can't be read.
        :raises StoreError: somebody else can write there.
        """
        return read_workers(*self.find_place())


def make_status(app: Flask, settings: Settings) -> Status | None:
    """Return what tells the status of an app, if anybody wants to know.

    :raises SetupError: it can't be told here.
    """
    is_on = settings.status or settings.status_path is not None
    return Status(app, settings) if is_on else None


def add_page(app: Flask, status: Status, settings: Settings) -> None:
    """Add the status page to an app, if it is to have one."""
    if settings.status_path is None:
        return
    access = Access(settings.status_token, settings.status_authorize)
    shown = [
        {"key": each.key, "value": in_words(each.value), "default": not each.is_changed}
        for each in shown_settings(settings)
    ]
    sources = Sources(status.read, status.publisher.start, lambda: shown)
    page = make_page(settings.status_path, access, sources)
    app.register_blueprint(mark_exempt(page))
