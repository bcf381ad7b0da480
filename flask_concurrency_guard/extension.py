"""The Flask extension: read the settings, build the limiter, wrap the app."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING
from typing import Literal
from typing import TypeVar
from typing import overload
from weakref import WeakSet
from weakref import ref

from flask import current_app
from flask import has_app_context

from . import json
from .core.decisions import Snapshot
from .core.limiter import Limiter
from .core.shared import SharedLimiter
from .core.store import StoreError
from .errors import SetupError
from .errors import StoreUnavailable
from .exemptions import find_exemptions
from .exemptions import mark_exempt
from .limits import make_limiter
from .limits import make_shedder
from .limits import make_store
from .limits import make_tuner
from .settings import Settings
from .settings import read_settings
from .through_flask import FlaskAnswer
from .wsgi.arrivals import Arrivals
from .wsgi.display import Display
from .wsgi.middleware import GuardMiddleware
from .wsgi.rejections import ProblemAnswer
from .wsgi.servers import find_server
from .wsgi.servers import line_for
from .wsgi.servers import warn_if_unreachable

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIApplication
    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask

    from .core.cluster.member import ClusterSnapshot
    from .core.host.process import HostSnapshot

T = TypeVar("T")

EXTENSION = "concurrency_guard"


@dataclass(frozen=True, slots=True)
class AppState:
    """What belongs to one app: ``app.extensions["concurrency_guard"]``."""

    guard: ConcurrencyGuard
    settings: Settings
    limiter: Limiter
    middleware: GuardMiddleware

    def adapt(self) -> None:
        """Learn the limit from now on."""
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
        self._apps: WeakSet[Flask] = WeakSet()
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
        state = _build(self, app, settings)
        _attach(app, state)
        self._apps.add(app)

    def exempt(self, view: T) -> T:
        """Let all requests to a view function, view class or blueprint pass; use as a decorator.

        They are never queued or rejected, and don't count as in flight.
        """
        return mark_exempt(view)

    @overload
    def snapshot(
        self, app: Flask | None = None, *, scope: Literal["process"] = "process"
    ) -> Snapshot: ...

    @overload
    def snapshot(self, app: Flask | None = None, *, scope: Literal["host"]) -> HostSnapshot: ...

    @overload
    def snapshot(
        self, app: Flask | None = None, *, scope: Literal["cluster"]
    ) -> ClusterSnapshot: ...

    def snapshot(
        self, app: Flask | None = None, *, scope: str = "process"
    ) -> Snapshot | HostSnapshot | ClusterSnapshot:
        """Return the numbers of this process at this instant, or of all that share the limit.

        :param app: the app; the current one, or the only one of this guard, where not given.
        :param scope: ``"process"``, or what ``CONCURRENCY_GUARD_SCOPE`` is.
        :raises SetupError: it is something else.
        """
        state = self._state(app)
        if scope == "process":
            return state.middleware.snapshot()
        if scope != state.settings.scope or not isinstance(state.limiter, SharedLimiter):
            raise SetupError(
                f"'scope' must be 'process' here, or what 'CONCURRENCY_GUARD_SCOPE' is:"
                f" '{state.settings.scope}'. Got {scope!r}."
            )
        return state.limiter.snapshot_of_all()

    def set_limit(self, limit: int | Literal["adaptive"], app: Flask | None = None) -> None:
        """Change the limit, at once and without blocking; for all who share it.

        A lower limit takes nothing away from who is in flight.

        :param limit: a positive integer; or ``"adaptive"``, to learn it from now on.
        :param app: as for `snapshot`.
        :raises ValueError: it is none.
        :raises StoreUnavailable: the limit is shared, and can't be changed now.
        :raises SetupError: a limit that is shared can't be learned from now on, if it wasn't at the
            start.
        """
        state = self._state(app)
        try:
            if limit == "adaptive":
                state.adapt()
            else:
                state.limiter.set_limit(limit)
        except StoreError as error:
            raise StoreUnavailable(str(error)) from error

    def set_mode(self, mode: str, app: Flask | None = None) -> None:
        """Change the mode of this process, at once.

        :param mode: ``"enforce"``, ``"shadow"`` or ``"off"``.
        :param app: as for `snapshot`.
        :raises ValueError: it is none of these.
        """
        self._state(app).limiter.set_mode(mode)

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


class _WeakApplication:
    """An app's own `wsgi_app`, without keeping the app alive.

    The app keeps the middleware, which keeps this. A strong reference would close the circle, and
    an app that nobody needs any more would live until the garbage collector comes by.
    """

    def __init__(self, app: Flask) -> None:
        self._get_app = ref(app)
        self._wsgi_app = type(app).wsgi_app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        app = self._get_app()
        assert app is not None, "the app is being called, so somebody has it"
        return self._wsgi_app(app, environ, start_response)


def _build(guard: ConcurrencyGuard, app: Flask, settings: Settings) -> AppState:
    get_app: Callable[[], Flask] = ref(app)  # type: ignore[assignment]
    store = make_store(app, settings, get_app)
    limiter = make_limiter(settings, store)
    limiter.on_full = lambda: _collect_in_tests(get_app())
    wsgi_app: WSGIApplication = app.wsgi_app
    if getattr(wsgi_app, "__self__", None) is app:
        wsgi_app = _WeakApplication(app)
    middleware = GuardMiddleware(
        wsgi_app,
        limiter,
        shedder=make_shedder(settings, limiter),
        arrivals=Arrivals(
            trust_request_start=settings.trust_request_start,
            deadline_header=settings.deadline_header,
        ),
        headers=settings.headers,
        answer=(
            FlaskAnswer(app, wsgi_app, settings.reject_status)
            if settings.reject_via == "flask"
            else ProblemAnswer(settings.reject_status)
        ),
        sender=get_app,
        display=None if store is None else Display(store, show_query=settings.show_query),
    )

    warning = Lock()

    def on_first(environ: WSGIEnvironment) -> None:
        middleware.is_exempt = find_exemptions(get_app(), get_app, settings.exempt)
        # Several may come first. None of them waits: this lock may be older than a monkeypatch.
        if warning.acquire(blocking=False):
            server = find_server(environ)
            if server is not None:
                limiter.set_ceiling(server.threads)
            limiter.least_queue = line_for(limiter.limit, server)
            if store is None and limiter.tuner is None and not middleware.sheds_by_age(environ):
                warn_if_unreachable(limiter, server)
            if settings.json_backend is not None:
                json.report_patches()

    middleware.on_first = on_first
    return AppState(guard, settings, limiter, middleware)


def _attach(app: Flask, state: AppState) -> None:
    if state.settings.json_backend is not None:
        json.install(
            app,
            state.settings.json_backend,
            style=state.settings.json_style,
            rules=state.settings.json_rules(),
        )
    app.extensions[EXTENSION] = state
    app.wsgi_app = state.middleware  # type: ignore[method-assign]


def _collect_in_tests(app: Flask) -> None:
    """Free the leases of responses that a test has dropped.

    The traceback of a 404 or 500 keeps an unread response of Flask's test client alive, lease
    and all, until the garbage collector runs.
    """
    if app.testing:
        gc.collect()
