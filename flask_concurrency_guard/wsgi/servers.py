"""What a server tells of itself, read off the first request."""

from __future__ import annotations

import logging
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from weakref import ref

from ..core.decisions import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Iterator
    from types import FrameType

    from _typeshed.wsgi import WSGIEnvironment

    from ..core.limiter import Limiter

logger = logging.getLogger("flask_concurrency_guard")

LINE = 32
"""How many may wait at most, where nobody has said so."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and how many requests it can have in this process's app at once."""

    name: str
    threads: int
    option: str
    """What to change to have more."""
    can_wait: bool = True
    """Whether a request that waits in its thread keeps none of those in flight from ending."""


def line_for(limit: int, server: Server | None) -> int | None:
    """Return how many may wait at least where nobody has said so; None if nobody should.

    Enough for the chances of a load that can just be served; but half of the threads stay free,
    for those who are turned away.
    """
    if server is None:
        return LINE
    return max(min(LINE, server.threads // 2 - limit), 0) if server.can_wait else None


def warn_of_unreachable(limiters: Iterable[Limiter], server: Server) -> None:
    """Log that the server never brings enough requests at once for some limits to matter."""
    for limiter in limiters:
        is_own = limiter.name == DEFAULT
        limit = "limit" if is_own else f"limit '{limiter.name}'"
        if server.threads == 1:
            logger.warning(
                "%s serves one request at a time in each process, so the %s of %d can never be"
                " reached, and no other one either. Give it more threads than the limit (%s).",
                server.name,
                limit,
                limiter.limit,
                server.option,
            )
            return
        logger.warning(
            "%s serves at most %d requests at once in this process, so the %s of %d can never be"
            " reached. Set %s to %d or less, or give it more threads than the limit (%s).",
            server.name,
            server.threads,
            limit,
            limiter.limit,
            "'CONCURRENCY_GUARD_LIMIT'" if is_own else "it",
            server.threads - 1,
            server.option,
        )


def find_server(environ: WSGIEnvironment) -> Server | None:
    """Return the server that is calling the app; None where it doesn't tell, or has no bound."""
    if "uwsgi" in sys.modules and "uwsgi.version" in environ:
        return _uwsgi(sys.modules["uwsgi"])
    if "mod_wsgi" in sys.modules and "mod_wsgi.version" in environ:
        return _mod_wsgi(sys.modules["mod_wsgi"])
    for frame in _callers():
        module = frame.f_globals.get("__name__", "")
        for prefix, probe in _PROBES.items():
            if module.startswith(prefix):
                # Looked at nowhere else: up to Python 3.12, `f_locals` is a copy that the frame
                # keeps, so all that is in it lives as long as the frame does.
                names = frame.f_locals
                try:
                    return probe(names)
                except (AttributeError, KeyError, TypeError):
                    pass  # One of its inner frames; or a release that keeps these elsewhere.
    # Nothing of Tornado's leads here from an executor. A test client says that there is one thread.
    is_server = environ.get("wsgi.multithread") and environ.get("wsgi.multiprocess")
    is_tornado = "tornado.wsgi" in sys.modules and is_server and _pool_size()
    return _tornado({}) if is_tornado else None


def _callers() -> Iterator[FrameType]:
    """Yield the frames of all that led here, innermost first, and those of the main thread."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back
    # granian calls the app from threads of its own, with its own code only in the main one.
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _gunicorn(names: dict[str, Any]) -> Server | None:
    worker = names["self"]
    kind = type(worker).__module__.rpartition(".")[2].removeprefix("g")
    config = worker.cfg
    if kind == "thread":
        return Server("gunicorn (gthread)", config.threads, "--threads")
    if kind == "sync":
        return Server("gunicorn (sync)", 1, "--threads")
    return Server(f"gunicorn ({kind})", config.worker_connections, "--worker-connections")


def _werkzeug(names: dict[str, Any]) -> Server | None:
    server = names["self"].server
    if server.multithread:
        return None
    if server.multiprocess and server.active_children is not None:
        return None  # It forks for each request; only the first child says something.
    return Server("Flask's development server", 1, "threaded=True")


def _waitress(names: dict[str, Any]) -> Server | None:
    return Server("waitress", names["self"].channel.server.adj.threads, "threads=")


def _cheroot(names: dict[str, Any]) -> Server | None:
    return Server("cheroot", names["self"].req.server.requests.min, "numthreads=")


def _bjoern(names: dict[str, Any]) -> Server | None:
    return Server("bjoern", 1, "it can't; gunicorn and waitress can")


def _uvicorn(names: dict[str, Any]) -> Server | None:
    return Server("uvicorn's own WSGI", names["self"].executor._max_workers, "workers=")


def _wsgiref(names: dict[str, Any]) -> Server | None:
    # As of a ThreadingMixIn, and of a ForkingMixIn.
    if hasattr(names["self"].server, "block_on_close"):
        return None
    return Server("wsgiref", 1, "a ThreadingMixIn; or another server")


def _hypercorn(names: dict[str, Any]) -> Server | None:
    threads = _pool_size()
    option = "a2wsgi has as many as you like"
    return None if threads is None else Server("hypercorn's own WSGI", threads, option)


def _tornado(names: dict[str, Any]) -> Server | None:
    """It calls the app and reads from its response one after the other, in any of its threads."""
    threads = _pool_size() or 1
    return Server("Tornado", threads, "executor= of its WSGIContainer", can_wait=False)


def _pool_size() -> int | None:
    """Return how many threads are in the executor that this one belongs to, if it does."""
    try:
        (pool, *_) = threading.current_thread()._args  # type: ignore[attr-defined]
        executor: Any = pool() if isinstance(pool, ref) else None
        return int(executor._max_workers)
    except (AttributeError, TypeError, ValueError):
        return None


def _a2wsgi(names: dict[str, Any]) -> Server | None:
    return Server("a2wsgi", names["self"].executor._max_workers, "workers=")


def _asgiref(names: dict[str, Any]) -> Server | None:
    # Thread-sensitive, so everything runs in one thread.
    return Server("asgiref's WsgiToAsgi", 1, "a2wsgi does it with as many as you like")


def _gevent(names: dict[str, Any]) -> Server | None:
    size = names["self"].server.pool.size
    return None if size is None else Server("gevent", size, "spawn=")


def _granian(names: dict[str, Any]) -> Server | None:
    return Server("granian", names["blocking_threads"], "--blocking-threads")


def _uwsgi(uwsgi: Any) -> Server | None:
    return Server("uWSGI", uwsgi.cores, "--threads")


def _mod_wsgi(mod_wsgi: Any) -> Server | None:
    in_daemon = bool(mod_wsgi.process_group)
    option = "threads= of WSGIDaemonProcess" if in_daemon else "ThreadsPerChild"
    return Server("mod_wsgi", mod_wsgi.threads_per_process, option)


_PROBES: dict[str, Callable[[dict[str, Any]], Server | None]] = {
    "gunicorn.workers.": _gunicorn,
    "werkzeug.serving": _werkzeug,
    "waitress.task": _waitress,
    "cheroot.": _cheroot,
    "bjoern": _bjoern,
    "wsgiref.simple_server": _wsgiref,
    "hypercorn.app_wrappers": _hypercorn,
    "tornado.wsgi": _tornado,
    "uvicorn.middleware.wsgi": _uvicorn,
    "a2wsgi.wsgi": _a2wsgi,
    "asgiref.wsgi": _asgiref,
    "gevent.pywsgi": _gevent,
    "granian.server": _granian,
}
