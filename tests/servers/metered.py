"""The app with its metrics beside it, outside of the guard; and what gunicorn has to do for them.

It is an app for servers and a configuration file for gunicorn at once.
"""

from __future__ import annotations

import os
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client import CollectorRegistry
from prometheus_client import make_wsgi_app
from prometheus_client import multiprocess
from werkzeug.middleware.dispatcher import DispatcherMiddleware


def child_exit(server: Any, worker: Any) -> None:
    multiprocess.mark_process_dead(worker.pid)


def load() -> Any:
    from .app import application

    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    application.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]
        application.wsgi_app, {"/metrics": make_wsgi_app(registry)}
    )
    return application
