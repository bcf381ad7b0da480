"""What the guard keeps for one app, and how it gets in front of it."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from types import MethodType
from typing import TYPE_CHECKING
from weakref import ref

from flask import Flask

from .core.claims import PLAIN
from .core.claims import Claim
from .core.decisions import DEFAULT
from .errors import SetupError
from .first_look import first_look
from .json.attach import install as install_json
from .limits import AppLimit
from .limits import make_limit
from .limits import make_shedder
from .matching import Matcher
from .observe.access_log import AccessLog
from .observe.watchdog import Watchdog
from .settings import NamedLimit
from .settings import Settings
from .settings import read_cost
from .status import Status
from .status import add_page
from .status import make_status
from .through_flask import FlaskAnswer
from .wsgi.arrivals import Arrivals
from .wsgi.claims import Priorities
from .wsgi.display import Display
from .wsgi.middleware import GuardMiddleware
from .wsgi.rejections import ProblemAnswer

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment
    from flask import Config

    from .core.limiter import Limiter
    from .core.store import Store
    from .extension import ConcurrencyGuard
    from .matching import Named
    from .wsgi.reporter import Observer

EXTENSION = "concurrency_guard"


@dataclass(frozen=True, slots=True)
class AppState:
    """What belongs to one app: ``app.extensions["concurrency_guard"]``."""

    guard: ConcurrencyGuard
    """Its guard, for those who have only the app."""
    settings: Settings
    limits: dict[str, AppLimit]
    """By name; the app's own is the first."""
    middleware: GuardMiddleware
    statuses: dict[str, int]
    """The status of rejections, by the limit's name."""
    status: Status | None
    """What the workers are doing, if they tell."""
    priorities: Priorities
    """The classes of requests. They count where there is something that tells them apart."""

    @property
    def limiter(self) -> Limiter:
        """The limiter that all requests have to pass."""
        return self.limits[DEFAULT].limiter

    @property
    def is_open(self) -> bool:
        """Whether limits may still be added: until the first request."""
        return not self.middleware.has_begun

    def unfinished(self) -> int:
        """Return how many requests are in flight, or wait in a line."""
        # Nothing that is locked: a signal may have come in the middle of anything.
        limiters = [limit.limiter for limit in self.limits.values()]
        in_flight = max(limiter.in_flight for limiter in limiters)
        return in_flight + sum(limiter.waiting for limiter in limiters)

    def add(self, app: Flask, named: NamedLimit) -> None:
        """Add a limit.

        :raises SetupError: it comes too late, or can't be shared here.
        """
        if not self.is_open:
            raise SetupError(
                f"The app '{app.name}' has served requests already, so the limit '{named.name}'"
                " comes too late. Declare it where the app is set up."
            )
        get_app: Callable[[], Flask] = ref(app)  # type: ignore[assignment]
        limit = self.limits[named.name] = make_limit(app, self.settings, get_app, named)
        limit.limiter.on_full = _collector(app.config)
        self.statuses[named.name] = limit.settings.reject_status
        self.middleware.add(limit.limiter)
        self.middleware.shedder.max_wait += limit.settings.max_wait
        self.middleware.reporter.bound_clients(limit.limiter, limit.settings.per_key)
        self.tell_apart([limit])

    def tell_apart(self, limits: Iterable[AppLimit], matcher: Matcher | None = None) -> None:
        """Tell requests apart, where limits have parts or requests priorities or costs.

        :param limits: those that are to do it.
        :param matcher: knows what views say, as soon as there are any.
        """
        has_priorities = self.settings.priority is not None or (
            matcher is not None and bool(matcher.priorities)
        )
        costs = () if matcher is None else matcher.costs.values()
        costly = {name for cost in costs for name in cost}
        priorities = self.priorities if has_priorities else None
        for limit in limits:
            limit.tell_apart(priorities, has_costs=limit.limiter.name in costly)
        self.middleware.classify = priorities

    def claim(self, limit: AppLimit, cost: int, priority: str | None, partition: str) -> Claim:
        """Return what somebody claims who is no request.

        :raises ValueError: there is no such priority or partition, or it is no cost.
        """
        cost = read_cost(cost)
        if partition and partition not in limit.settings.partitions:
            raise ValueError(
                f"The limit '{limit.limiter.name}' has no partition {partition!r}."
                f" {_there_are(limit.settings.partitions)}"
            )
        if priority is None and cost == 1 and not partition:
            return PLAIN
        if priority is not None and limit.limiter.claim_of is None:
            limit.tell_apart(self.priorities)
        has_ranks = priority is not None or self.middleware.classify is not None
        rank = self.priorities.named(priority or self.priorities.default) if has_ranks else 0
        return Claim(cost, rank, partition)

    def matcher(self, app: Flask, get_app: Callable[[], Flask]) -> Matcher:
        """Return what tells which limits a request falls under.

        The narrowest are asked first, and in the same order everywhere.
        """
        limits = sorted(self.limits.values(), key=lambda limit: limit.width)
        # Those that let nobody wait go first.
        asked: list[tuple[Named, AppLimit]] = [
            (limit.clients, limit) for limit in limits if limit.clients is not None
        ]
        asked += [(limit.limiter, limit) for limit in limits if not limit.is_own]
        return Matcher(
            app,
            get_app,
            self.settings.exempt,
            [(limiter, limit.match, limit.endpoint) for limiter, limit in asked],
        )


def build(guard: ConcurrencyGuard, app: Flask, settings: Settings) -> AppState:
    """Return what the guard is to keep for an app.

    :raises ConfigurationError: the options are none of the algorithm.
    :raises SetupError: the processes can't share a limit here.
    """
    get_app: Callable[[], Flask] = ref(app)  # type: ignore[assignment]
    limit = make_limit(app, settings, get_app)
    limiter, store = limit.limiter, limit.store
    limiter.on_full = _collector(app.config)
    wsgi_app: WSGIApplication = app.wsgi_app
    # What tracers put around the method is an instance of it as well, and more.
    if type(wsgi_app) is MethodType and wsgi_app.__self__ is app:
        # The method, since to call an object takes longer.
        wsgi_app = WeakApplication(app, wsgi_app.__func__).__call__
    method: object = type(app).wsgi_app
    # Where a class has made a property of it, that of Flask has to do.
    flask = WeakApplication(app, method if callable(method) else Flask.wsgi_app)
    statuses: dict[str, int] = {}
    answer = ProblemAnswer(settings.reject_status, statuses)
    status = make_status(app, settings)
    middleware = GuardMiddleware(
        wsgi_app,
        limiter,
        shedder=make_shedder(settings, limiter),
        arrivals=Arrivals(
            trust_request_start=settings.trust_request_start,
            deadline_header=settings.deadline_header,
        ),
        headers=settings.headers,
        answer=(FlaskAnswer(app, flask, answer) if settings.reject_via == "flask" else answer),
        sender=get_app,
        observers=_make_observers(settings, store, status, get_app),
    )
    middleware.reporter.bound_clients(limiter, settings.per_key)
    priorities = Priorities(settings.priorities, settings.priority)
    state = AppState(guard, settings, {DEFAULT: limit}, middleware, statuses, status, priorities)
    if status is not None:
        status.connect(middleware, state.limits)
    state.tell_apart([limit])
    middleware.on_first = first_look(state, get_app)
    return state


def _there_are(names: Iterable[str]) -> str:
    found = ", ".join(names)
    return f"There are: {found}." if found else "There are none."


def _make_observers(
    settings: Settings, store: Store | None, status: Status | None, get_app: Callable[[], Flask]
) -> list[Observer]:
    observers: list[Observer] = [] if status is None else [status.publisher]
    if store is not None:
        observers.append(Display(store, show_query=settings.show_query))
    if settings.slow_after is not None:
        observers.append(Watchdog(settings.slow_after))
    if settings.access_log is not None:
        observers.append(AccessLog(settings.access_log))
    observers.extend(_make_metrics(name, get_app) for name in settings.metrics)
    return observers


def _make_metrics(name: str, get_app: Callable[[], Flask]) -> Observer:
    # Imported only where they are wanted: what they need is optional.
    if name == "prometheus":
        from .observe.prometheus import PrometheusMetrics

        return PrometheusMetrics(get_app)
    from .observe.otel import OpenTelemetryMetrics

    return OpenTelemetryMetrics(get_app)


def attach(app: Flask, state: AppState) -> None:
    """Put the guard in front of an app."""
    if state.settings.json_backend is not None:
        install_json(
            app,
            state.settings.json_backend,
            style=state.settings.json_style,
            rules=state.settings.json_rules(),
        )
    if state.status is not None:
        add_page(app, state.status, state.settings)
    app.extensions[EXTENSION] = state
    app.wsgi_app = state.middleware  # type: ignore[method-assign]


class WeakApplication:
    """A method of an app's that is a WSGI app, without keeping the app alive.

    The app keeps the middleware, which keeps this. A strong reference would close the circle, and
    an app that nobody needs any more would live until the garbage collector comes by.
    """

    def __init__(self, app: Flask, method: Callable[..., Iterable[bytes]]) -> None:
        self._name = app.name
        self._get_app = ref(app)
        self._method = method

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        app = self._get_app()
        if app is None:
            raise SetupError(
                f"Nobody has kept the Flask app '{self._name}', only its 'wsgi_app'. Keep the app:"
                " 'app = create_app()', and then 'app.wsgi_app = ProxyFix(app.wsgi_app)'."
            )
        return self._method(app, environ, start_response)


def _collector(config: Config) -> Callable[[], None]:
    """Return what frees the leases of responses that a test has dropped.

    The traceback of a 404 or 500 keeps an unread response of Flask's test client alive, lease
    and all, until the garbage collector runs.

    :param config: that of the app, and not the app, since each rejection asks.
    """

    def collect() -> None:
        if config["TESTING"]:
            gc.collect()

    return collect
