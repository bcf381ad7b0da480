"""The server that is going to serve an app: how many requests at once, as it is started."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass

from ..screen import counted


@dataclass(frozen=True, slots=True)
class Plan:
    """A server as it is to be started."""

    name: str
    workers: int
    threads: int | None
    """How many requests at once in each process; None for any number."""
    option: str
    """What gives it more of them."""
    unit: str = "thread"
    """What serves one request at a time."""
    forks: bool = False
    """Whether each request has a process of its own."""
    source: str = ""
    """Where this was read, besides the command's own options."""

    @property
    def described(self) -> str:
        """How many of what it has, in words."""
        unbounded = f"any number of {self.unit}s"
        threads = unbounded if self.threads is None else counted(self.threads, self.unit)
        each = "" if self.workers == 1 else " each"
        return f"with {counted(self.workers, 'worker')} and {threads}{each}"

    @property
    def at_once(self) -> int | None:
        """How many requests at once in all processes; None for any number."""
        return None if self.threads is None else self.workers * self.threads


@dataclass(frozen=True, slots=True)
class Options:
    """What was said of the server."""

    workers: int | None = None
    threads: int | None = None
    worker_class: str | None = None


GREENLET = "greenlet"
GREEN = ("gevent", "eventlet")
"""The workers of gunicorn that have greenlets for threads."""


class BadPlan(Exception):
    """No such server can be. The message says what to write instead."""


def make_plan(
    server: str | None, options: Options, environ: Mapping[str, str] = os.environ
) -> Plan | None:
    """Return the server by what was said of it, or by what the environment says to gunicorn.

    :raises BadPlan: it isn't said which one, or it can't be like that.
    """
    if server is None and "GUNICORN_CMD_ARGS" in environ:
        server = "gunicorn"
    if server is None:
        if options != Options():
            raise BadPlan("Say which server that is, such as '--server gunicorn'.")
        return None
    if options.worker_class is not None and server != "gunicorn":
        raise BadPlan(f"'--worker-class' is for gunicorn, and the server is '{server}'.")
    return SERVERS[server](options, environ)


def _gunicorn(options: Options, environ: Mapping[str, str]) -> Plan:
    given = _gunicorn_arguments(environ.get("GUNICORN_CMD_ARGS", ""))
    sources = ["GUNICORN_CMD_ARGS"] if "GUNICORN_CMD_ARGS" in environ else []
    workers, concurrency = options.workers or given.workers, environ.get("WEB_CONCURRENCY", "")
    if workers is None and concurrency.isdecimal():
        workers = int(concurrency)
        sources.append("WEB_CONCURRENCY")
    threads = options.threads or given.threads or 1
    kind = options.worker_class or given.worker_class or "sync"
    if kind == "sync" and threads > 1:
        kind = "gthread"  # As gunicorn itself does.
    option, unit = "--threads", "thread"
    if kind in GREEN:
        threads, option, unit = given.worker_connections or 1000, "--worker-connections", GREENLET
    elif kind not in ("sync", "gthread"):
        raise BadPlan(f"'{kind}' must be 'sync', 'gthread' or 'gevent'.")
    name = f"gunicorn ({kind})"
    source = " and ".join(sources)
    return Plan(name, workers or 1, threads, option, unit, source=source)


def _gunicorn_arguments(text: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("-w", "--workers", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("-k", "--worker-class")
    parser.add_argument("--worker-connections", type=int)
    try:
        return parser.parse_known_args(shlex.split(text))[0]
    except (argparse.ArgumentError, ValueError, SystemExit):
        raise BadPlan(f"'GUNICORN_CMD_ARGS' can't be read: '{text}'.") from None


def _dev(options: Options, environ: Mapping[str, str]) -> Plan:
    workers, threads = options.workers or 1, options.threads
    name = "Flask's development server"
    if workers > 1:
        return Plan(name, workers, 1, "threaded=True", forks=True)
    if threads not in (None, 1):
        raise BadPlan("Flask's development server has one thread, or one for each request.")
    return Plan(name, 1, threads, "threaded=True")


def _pool(
    name: str, threads: int | None, option: str, unit: str = "thread"
) -> Callable[[Options, Mapping[str, str]], Plan]:
    def plan(options: Options, environ: Mapping[str, str]) -> Plan:
        return Plan(name, options.workers or 1, options.threads or threads, option, unit)

    return plan


SERVERS: dict[str, Callable[[Options, Mapping[str, str]], Plan]] = {
    "gunicorn": _gunicorn,
    "dev": _dev,
    "waitress": _pool("waitress", 4, "threads="),
    "uwsgi": _pool("uWSGI", 1, "--threads"),
    "mod_wsgi": _pool("mod_wsgi", 15, "threads= of WSGIDaemonProcess"),
    "granian": _pool("granian", 512, "--blocking-threads"),
    "cheroot": _pool("cheroot", 10, "numthreads="),
    "gevent": _pool("gevent.pywsgi", None, "spawn=", GREENLET),
    "eventlet": _pool("eventlet", 1024, "max_size=", GREENLET),
    "a2wsgi": _pool("a2wsgi", 10, "workers="),
    "asgiref": _pool("asgiref's WsgiToAsgi", 1, "a2wsgi instead"),
}
"""By the names that `--server` takes. How many threads each has by itself was measured."""
