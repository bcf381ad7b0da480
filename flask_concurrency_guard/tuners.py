"""What learns the limit of an app, as its settings say."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .core.algorithms.make import make_algorithm
from .core.tuner import Tuner
from .errors import ConfigurationError
from .settings import ADAPTIVE

if TYPE_CHECKING:
    from collections.abc import Callable

    from .core.algorithms.protocol import Algorithm
    from .core.host.tuner import HostTuner
    from .core.store import Store
    from .settings import Settings


def make_tuner(settings: Settings) -> Tuner:
    """Return what learns the limit of an app.

    :raises ConfigurationError: the options are none of this algorithm.
    """
    return Tuner(algorithm_of(settings))


def make_host_tuner(settings: Settings, store: Store) -> HostTuner | None:
    """Return what learns a limit that processes share, if it is to be learned."""
    if settings.limit != ADAPTIVE:
        return None
    from .core.host.store import HostStore
    from .core.host.tuner import HostTuner

    assert isinstance(store, HostStore)
    return HostTuner(algorithm_of(settings), store)


def algorithm_of(settings: Settings) -> Callable[[int | None, int | None], Algorithm]:
    """Return what makes the algorithm that learns a limit, each time anew.

    :raises ConfigurationError: the options are none of it.
    """
    make = partial(make_algorithm, settings.algorithm, settings.algorithm_options)
    try:
        make()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            "'CONCURRENCY_GUARD_ALGORITHM_OPTIONS' must be options of the algorithm"
            f" {settings.algorithm!r}, got {dict(settings.algorithm_options)!r} ({error})."
        ) from error
    return make
