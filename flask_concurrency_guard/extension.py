"""The Flask extension: all that an app does with the guard."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING
from typing import Literal
from typing import TypeVar
from typing import Unpack
from typing import overload

from .apps import Apps
from .core.decisions import DEFAULT
from .core.decisions import Mode
from .core.decisions import Rejection
from .core.decisions import Snapshot
from .core.shared import SharedLimiter
from .core.shedder import WELCOME
from .core.shedder import Verdict
from .core.store import StoreError
from .effects import warn_of_idle
from .errors import LimitReached
from .errors import SetupError
from .errors import StoreUnavailable
from .matching import mark_cost
from .matching import mark_exempt
from .matching import mark_limited
from .matching import mark_priority
from .settings import read_cost
from .settings import read_limit
from .settings import read_settings
from .state import EXTENSION
from .state import attach
from .state import build

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Blueprint
    from flask import Flask

    from .core.cluster.member import ClusterSnapshot
    from .core.host.process import HostSnapshot
    from .core.lease import Lease
    from .limit_settings import LimitSettings

Marked = TypeVar("Marked", bound="Callable[..., object] | Blueprint")
"""A view function, a view class, one of its methods, or a blueprint."""

POLL = 0.02
"""How often to look whether everything has ended, in seconds."""


class ConcurrencyGuard:
    """Cap the requests that an app has in flight, tag its responses, and make its JSON safe.

    .. code-block:: python

        app = Flask(__name__)
        guard = ConcurrencyGuard(app)

    Everything is set through `app.config`, see the settings page. One guard can serve several
    apps; each has a limit and numbers of its own.

    :param app: the app; or call `init_app` later.
    """

    def __init__(self, app: Flask | None = None) -> None:
        self._apps = Apps()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set up `app`, from its config as it is now.

        :raises ConfigurationError: a setting is wrong or unknown.
        :raises SetupError: the app has a guard already.
        """
        if EXTENSION in app.extensions:
            raise SetupError(
                "This Flask app already has a 'ConcurrencyGuard'. Set it up once, and import that"
                " one where you need it."
            )
        settings = read_settings(app.config)
        state = build(self, app, settings)
        for named in {**self._apps.declared, **settings.limits}.values():
            state.add(app, named)
        attach(app, state)
        warn_of_idle(settings)
        self._apps.add(app)

    def exempt(self, view: Marked) -> Marked:
        """Let all requests to a view function, view class or blueprint pass; use as a decorator.

        A method of a view class works too. The requests are never queued or rejected, and don't
        count as in flight.
        """
        return mark_exempt(view)

    def priority(self, name: str) -> Callable[[Marked], Marked]:
        """Say how important a view function, view class or blueprint is; use as a decorator.

        A method of a view class works too.

        :param name: one of ``CONCURRENCY_GUARD_PRIORITIES``. What ``CONCURRENCY_GUARD_PRIORITY``
            tells of a single request goes before it.
        """
        return partial(mark_priority, name)

    def cost(self, places: int, limit: str = DEFAULT) -> Callable[[Marked], Marked]:
        """Let each request to a view function, view class or blueprint take several places.

        A method of a view class works too. Use it as a decorator.

        :param places: how many, of the limit; all of them, where it has fewer.
        :param limit: the limit's name; the app's own, where not given.
        :raises ConfigurationError: it is no number of places.
        """
        return partial(mark_cost, limit, read_cost(places))

    def limit(
        self,
        name: str,
        limit: int | Literal["adaptive"] | None = None,
        *,
        cost: int = 1,
        **settings: Unpack[LimitSettings],
    ) -> Callable[[Marked], Marked]:
        """Keep a view function, view class or blueprint to a limit of its own; use as a decorator.

        A method of a view class works too.

        .. code-block:: python

            @app.get("/report")
            @guard.limit("reports", 2, max_wait=0.5)
            def report(): ...

        :param name: the limit's name. All that are given the same one share it.
        :param limit: a positive integer or ``"adaptive"``; only for the first of them, and not for
            a limit that is in ``CONCURRENCY_GUARD_LIMITS``, which goes before what is said here.
        :param cost: how many places a request to this view takes.
        :param settings: what else can stand there, such as `max_wait` or `scope`.
        :raises ConfigurationError: a setting is wrong or unknown.
        :raises SetupError: there is no such limit yet, or it is another one.
        """
        cost = read_cost(cost)
        if limit is not None or settings:
            self._apps.declare(read_limit(name, {"limit": limit, **settings}))
        else:
            self._apps.require(name)
        return partial(mark_limited, name, cost)

    def lease(
        self,
        name: str = DEFAULT,
        *,
        wait: float | None = None,
        cost: int = 1,
        priority: str | None = None,
        partition: str = "",
        app: Flask | None = None,
    ) -> Lease:
        """Take a place for what is no request: a command, a task, a thread.

        .. code-block:: python

            with guard.lease("reports", wait=60):
                make_report()

        :param name: the limit's name.
        :param wait: how long to wait for a place, in seconds; as long as requests do, where not
            given.
        :param cost: how many places it takes.
        :param priority: how important it is; like most requests, where not given.
        :param partition: whose share it uses, if anybody's.
        :param app: as for `snapshot`.
        :raises LimitReached: there is none.
        :raises ValueError: no such time can be waited for, or there is no such priority or
            partition.
        :raises SetupError: there is no such limit.
        """
        verdict = WELCOME
        if wait is not None:
            if not wait >= 0:
                raise ValueError(f"'wait' must be a number of seconds of at least 0, got {wait!r}.")
            verdict = Verdict(max_wait=wait, insists=True)
        claim = self._apps.state(app).claim(self._apps.limit(app, name), cost, priority, partition)
        lease = self._apps.limit(app, name).limiter.acquire(None, verdict, claim)
        if isinstance(lease, Rejection):
            raise LimitReached(lease)
        return lease

    @overload
    def snapshot(
        self,
        app: Flask | None = None,
        *,
        scope: Literal["process"] = "process",
        name: str = DEFAULT,
    ) -> Snapshot: ...

    @overload
    def snapshot(
        self, app: Flask | None = None, *, scope: Literal["host"], name: str = DEFAULT
    ) -> HostSnapshot: ...

    @overload
    def snapshot(
        self, app: Flask | None = None, *, scope: Literal["cluster"], name: str = DEFAULT
    ) -> ClusterSnapshot: ...

    def snapshot(
        self, app: Flask | None = None, *, scope: str = "process", name: str = DEFAULT
    ) -> Snapshot | HostSnapshot | ClusterSnapshot:
        """Return the numbers of this process at this instant, or of all that share the limit.

        :param app: the app; the current one, or the only one of this guard, where not given.
        :param scope: ``"process"``, or the scope of the limit.
        :param name: the limit's name; the app's own, where not given.
        :raises SetupError: the scope is something else, or there is no such limit.
        """
        limit = self._apps.limit(app, name)
        if scope == "process":
            if name == DEFAULT:
                return self._apps.state(app).middleware.snapshot()
            return limit.limiter.snapshot()
        if scope != limit.settings.scope or not isinstance(limit.limiter, SharedLimiter):
            own = limit.settings.scope
            allowed = "'process'" if own == "process" else f"'process' or '{own}'"
            raise SetupError(f"'scope' must be {allowed} for the limit '{name}', got {scope!r}.")
        return limit.limiter.snapshot_of_all()

    def set_limit(
        self,
        limit: int | Literal["adaptive"],
        *,
        app: Flask | None = None,
        name: str = DEFAULT,
    ) -> None:
        """Change a limit, at once and without blocking; for all who share it.

        A lower limit takes nothing away from who is in flight.

        :param limit: a positive integer; or ``"adaptive"``, to learn it from now on.
        :param app: as for `snapshot`.
        :param name: the limit's name; the app's own, where not given.
        :raises ValueError: it is no limit.
        :raises StoreUnavailable: the limit is shared, and can't be changed now.
        :raises SetupError: a limit that is shared can't be learned from now on, if it wasn't at the
            start; or there is no such limit.
        """
        changed = self._apps.limit(app, name)
        if isinstance(limit, str) and limit != "adaptive":
            raise ValueError(f"'limit' must be a positive integer or 'adaptive', got {limit!r}.")
        try:
            if limit == "adaptive":
                changed.adapt()
            else:
                changed.limiter.set_limit(limit)
        except StoreError as error:
            raise StoreUnavailable(str(error)) from error

    def set_mode(
        self,
        mode: Mode | Literal["enforce", "shadow", "off"],
        *,
        app: Flask | None = None,
        name: str | None = None,
    ) -> None:
        """Change the mode, at once; of a limit that processes share, for all of them.

        :param mode: ``"enforce"``, ``"shadow"`` or ``"off"``.
        :param app: as for `snapshot`.
        :param name: the name of one limit; all limits of the app, where not given.
        :raises ValueError: it is no mode.
        :raises StoreUnavailable: a limit is shared, and its mode can't be changed now; that of the
            others is.
        :raises SetupError: there is no such limit.
        """
        state = self._apps.state(app)
        names = state.limits if name is None else [name]
        failed: StoreError | None = None
        for limit in [self._apps.limit(app, name) for name in names]:
            try:
                limit.limiter.set_mode(mode)
            except StoreError as error:
                failed = failed or error
        if failed is not None:
            raise StoreUnavailable(str(failed)) from failed

    def drain(self, timeout: float = 30.0, *, app: Flask | None = None) -> int:
        """Admit nobody any more, and wait until what is in flight in this process has ended.

        Who comes from now on is rejected with the reason ``draining``, but for what is exempt. Who
        waits in a line still has a turn. Call it in a thread of its own, and not where a request is
        being served, which it would wait for.

        :param timeout: how long to wait, in seconds.
        :param app: as for `snapshot`.
        :return: how many requests are left, in flight and in lines.
        :raises SetupError: there is no such app, or it has no guard.
        """
        state = self._apps.state(app)
        end = time.monotonic() + timeout  # First, since nothing may drain after a wrong call.
        state.middleware.drain()
        while (left := state.unfinished()) and time.monotonic() < end:
            time.sleep(POLL)
        return left

    def ready(self, *, saturated_for: float | None = None, app: Flask | None = None) -> bool:
        """Return whether this process is to get requests: for the view that a balancer asks.

        :param saturated_for: after how many seconds in which more were rejected than admitted the
            answer is no; not given, only after `drain`.
        :param app: as for `snapshot`.
        :raises SetupError: as for `drain`.
        """
        middleware = self._apps.state(app).middleware
        if middleware.is_draining:
            return False
        return saturated_for is None or middleware.reporter.saturated_for() <= saturated_for
