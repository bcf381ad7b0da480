"""The Flask extension: all that an app does with the guard."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal
from typing import TypeVar
from typing import overload
from weakref import WeakKeyDictionary

from flask import current_app
from flask import has_app_context

from .core.decisions import DEFAULT
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
    from .limits import AppLimit
    from .settings import NamedLimit
    from .state import AppState

T = TypeVar("T")

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
        #: And what was declared for each.
        self._apps: WeakKeyDictionary[Flask, dict[str, NamedLimit]] = WeakKeyDictionary()
        self._declared: dict[str, NamedLimit] = {}
        self._had_app = False
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
        for named in {**self._declared, **settings.limits}.values():
            state.add(app, named)
        attach(app, state)
        warn_of_idle(settings)
        self._apps[app] = {}
        self._had_app = True

    def exempt(self, view: T) -> T:
        """Let all requests to a view function, view class or blueprint pass; use as a decorator.

        They are never queued or rejected, and don't count as in flight.
        """
        return mark_exempt(view)

    def priority(self, name: str) -> Callable[[T], T]:
        """Say how important a view function, view class or blueprint is; use as a decorator.

        :param name: one of ``CONCURRENCY_GUARD_PRIORITIES``. What ``CONCURRENCY_GUARD_PRIORITY``
            tells of a single request goes before it.
        """
        return partial(mark_priority, name)

    def cost(self, places: int, limit: str = DEFAULT) -> Callable[[T], T]:
        """Let each request to a view function, view class or blueprint take several places.

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
        **settings: Any,
    ) -> Callable[[T], T]:
        """Keep a view function, view class or blueprint to a limit of its own; use as a decorator.

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
            self._declare(read_limit(name, {"limit": limit, **settings}))
        elif name not in self._declared:
            for app in self._apps:
                self._limit(app, name)
        return partial(mark_limited, name, cost)

    def limit_blueprint(
        self,
        blueprint: Blueprint,
        name: str,
        limit: int | Literal["adaptive"] | None = None,
        **settings: Any,
    ) -> None:
        """Keep all views of a blueprint to a limit that they share. See `limit`."""
        self.limit(name, limit, **settings)(blueprint)

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
        """
        verdict = WELCOME
        if wait is not None:
            if not wait >= 0:
                raise ValueError(f"'wait' must be a number of seconds of at least 0, got {wait!r}.")
            verdict = Verdict(max_wait=wait, insists=True)
        claim = self._state(app).claim(self._limit(app, name), cost, priority, partition)
        lease = self._limit(app, name).limiter.acquire(None, verdict, claim)
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
        limit = self._limit(app, name)
        if scope == "process":
            if name == DEFAULT:
                return self._state(app).middleware.snapshot()
            return limit.limiter.snapshot()
        if scope != limit.settings.scope or not isinstance(limit.limiter, SharedLimiter):
            raise SetupError(
                f"'scope' must be 'process' here, or what 'CONCURRENCY_GUARD_SCOPE' is:"
                f" '{limit.settings.scope}'. Got {scope!r}."
            )
        return limit.limiter.snapshot_of_all()

    def set_limit(
        self,
        limit: int | Literal["adaptive"],
        app: Flask | None = None,
        *,
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
        changed = self._limit(app, name)
        if isinstance(limit, str) and limit != "adaptive":
            raise ValueError(f"'limit' must be a positive integer or 'adaptive', got {limit!r}.")
        try:
            if limit == "adaptive":
                changed.adapt()
            else:
                changed.limiter.set_limit(limit)
        except StoreError as error:
            raise StoreUnavailable(str(error)) from error

    def set_mode(self, mode: str, app: Flask | None = None, *, name: str | None = None) -> None:
        """Change the mode, at once; of a limit that processes share, for all of them.

        :param mode: ``"enforce"``, ``"shadow"`` or ``"off"``.
        :param app: as for `snapshot`.
        :param name: the name of one limit; all limits of the app, where not given.
        :raises ValueError: it is no mode.
        :raises StoreUnavailable: the limit is shared, and its mode can't be changed now.
        :raises SetupError: there is no such limit.
        """
        state = self._state(app)
        names = state.limits if name is None else [name]
        for limit in [self._limit(app, name) for name in names]:
            try:
                limit.limiter.set_mode(mode)
            except StoreError as error:
                raise StoreUnavailable(str(error)) from error

    def drain(self, timeout: float = 30.0, app: Flask | None = None) -> int:
        """Admit nobody any more, and wait until what is in flight in this process has ended.

        Who comes from now on is rejected with the reason ``draining``, but for what is exempt. Who
        waits in a line still has a turn. Call it in a thread of its own, and not where a request is
        being served, which it would wait for.

        :param timeout: how long to wait, in seconds.
        :param app: as for `snapshot`.
        :return: how many requests are left, in flight and in lines.
        """
        state = self._state(app)
        state.middleware.drain()
        end = time.monotonic() + timeout
        while (left := state.unfinished()) and time.monotonic() < end:
            time.sleep(POLL)
        return left

    def ready(self, *, saturated_for: float | None = None, app: Flask | None = None) -> bool:
        """Return whether this process is to get requests: for the view that a balancer asks.

        :param saturated_for: after how many seconds in which more were rejected than admitted the
            answer is no; not given, only after `drain`.
        :param app: as for `snapshot`.
        """
        middleware = self._state(app).middleware
        if middleware.is_draining:
            return False
        return saturated_for is None or middleware.reporter.saturated_for() <= saturated_for

    def _declare(self, named: NamedLimit) -> None:
        """Add a limit to the apps that can still take it. It is also for those that come later."""
        name, before = named.name, self._declared.get(named.name)
        states = {app: self._state(app) for app in self._apps}
        takers = [app for app, state in states.items() if state.is_open]
        # What is said after an app has begun to serve is about another one, of the same factory.
        said = [self._apps[app] for app in takers] if self._had_app else [self._declared]
        if any(each.get(name, named) != named for each in said):
            raise SetupError(
                f"The limit '{name}' is there already, with other settings. Say what it is once,"
                f" and '@guard.limit(\"{name}\")' from then on."
            )
        self._declared[name] = named
        for app in takers or [app for app in states if name not in states[app].limits]:
            state = states[app]
            # It may have come with one that was declared for an earlier app.
            is_another = before != named and name not in state.settings.limits
            if name not in state.limits or is_another:
                state.add(app, named)
            self._apps[app][name] = named

    def _limit(self, app: Flask | None, name: str) -> AppLimit:
        limits = self._state(app).limits
        if name not in limits:
            raise SetupError(
                f"There is no limit {name!r}. Declare it in 'CONCURRENCY_GUARD_LIMITS' or by"
                f" '@guard.limit({name!r}, 2)'. There are: {', '.join(limits)}."
            )
        return limits[name]

    def _state(self, app: Flask | None) -> AppState:
        if app is None:
            app = self._only_app()
        state: AppState | None = app.extensions.get(EXTENSION)
        if state is None or state.guard is not self:
            raise SetupError(
                f"The Flask app '{app.name}' is not set up with this 'ConcurrencyGuard'. Call"
                " 'guard.init_app(app)' first, and use the same guard everywhere."
            )
        return state

    def _only_app(self) -> Flask:
        if has_app_context():
            return current_app._get_current_object()  # type: ignore[attr-defined,no-any-return]
        apps = list(self._apps)
        if len(apps) != 1:
            raise SetupError(
                "This 'ConcurrencyGuard' is not set up with any Flask app. Call"
                " 'guard.init_app(app)' first."
                if not apps
                else f"This 'ConcurrencyGuard' serves {len(apps)} Flask apps. Say which one with"
                " 'app=', or call this inside 'with app.app_context():'."
            )
        return apps[0]
