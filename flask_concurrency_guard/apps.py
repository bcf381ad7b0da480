"""The apps that a guard serves, and the limits that were declared for them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from flask import current_app
from flask import has_app_context

from .errors import SetupError
from .state import EXTENSION

if TYPE_CHECKING:
    from flask import Flask

    from .limits import AppLimit
    from .settings import NamedLimit
    from .state import AppState


class Apps:
    """The apps of one guard. It keeps none of them alive."""

    def __init__(self) -> None:
        self.declared: dict[str, NamedLimit] = {}
        """The limits that were declared in code, by their names. Apps that come later have them."""
        # With the limits that were declared for each since it was set up.
        self._apps: WeakKeyDictionary[Flask, dict[str, NamedLimit]] = WeakKeyDictionary()
        self._had_app = False

    def add(self, app: Flask) -> None:
        """Add one that was set up."""
        self._apps[app] = {}
        self._had_app = True

    def require(self, name: str) -> None:
        """Require that a limit is there in all apps, or will be.

        :raises SetupError: it isn't.
        """
        if name not in self.declared:
            for app in self._apps:
                self.limit(app, name)

    def declare(self, named: NamedLimit) -> None:
        """Add a limit to the apps that can still take it. It is also for those that come later.

        :raises SetupError: it is there already, and is another one.
        """
        name, before = named.name, self.declared.get(named.name)
        states = {app: self.state(app) for app in self._apps}
        takers = [app for app, state in states.items() if state.is_open]
        # What is said after an app has begun to serve is about another one, of the same factory.
        said = [self._apps[app] for app in takers] if self._had_app else [self.declared]
        if any(each.get(name, named) != named for each in said):
            raise SetupError(
                f"The limit '{name}' is there already, with other settings. Say what it is once,"
                f" and '@guard.limit(\"{name}\")' from then on."
            )
        self.declared[name] = named
        for app in takers or [app for app in states if name not in states[app].limits]:
            state = states[app]
            # It may have come with one that was declared for an earlier app.
            is_another = before != named and name not in state.settings.limits
            if name not in state.limits or is_another:
                state.add(app, named)
            self._apps[app][name] = named

    def limit(self, app: Flask | None, name: str) -> AppLimit:
        """Return a limit of an app.

        :param app: as for `state`.
        :raises SetupError: there is no such limit, or no such app.
        """
        limits = self.state(app).limits
        if name not in limits:
            raise SetupError(
                f"There is no limit {name!r}. Declare it in 'CONCURRENCY_GUARD_LIMITS' or by"
                f" '@guard.limit({name!r}, 2)'. There are: {', '.join(limits)}."
            )
        return limits[name]

    def state(self, app: Flask | None) -> AppState:
        """Return what is kept for an app.

        :param app: the current one, or the only one, where not given.
        :raises SetupError: it is none of these apps, or nobody knows which one is meant.
        """
        if app is None:
            app = self._only()
        if app not in self._apps:
            raise SetupError(
                f"The Flask app '{app.name}' is not set up with this 'ConcurrencyGuard'. Call"
                " 'guard.init_app(app)' first, and use the same guard everywhere."
            )
        state: AppState = app.extensions[EXTENSION]
        return state

    def _only(self) -> Flask:
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
