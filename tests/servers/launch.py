"""Start one of the servers that are a Python call rather than a command.

Run as ``python -m servers.launch NAME PORT THREADS``.
"""

from __future__ import annotations

import importlib
import signal
import sys
from typing import Any

HOST = "127.0.0.1"


def dev(app: Any, port: int, threads: int) -> None:
    app.run(HOST, port, threaded=True)


def dev_serial(app: Any, port: int, threads: int) -> None:
    app.run(HOST, port, threaded=False)


def dev_processes(app: Any, port: int, threads: int) -> None:
    app.run(HOST, port, threaded=False, processes=4)


def waitress(app: Any, port: int, threads: int) -> None:
    import waitress

    waitress.serve(app, host=HOST, port=port, threads=threads)


def cheroot(app: Any, port: int, threads: int) -> None:
    from cheroot.wsgi import Server

    server = Server((HOST, port), app, numthreads=threads, request_queue_size=128)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server.safe_start()


def gevent(app: Any, port: int, threads: int) -> None:
    from gevent.pywsgi import WSGIServer

    WSGIServer((HOST, port), app, log=None, spawn=threads or "default").serve_forever()


def eventlet(app: Any, port: int, threads: int) -> None:
    import eventlet
    import eventlet.wsgi

    listener = eventlet.listen((HOST, port), backlog=128)
    eventlet.wsgi.server(listener, app, log_output=False, max_size=threads or None)


if __name__ == "__main__":
    name, port, threads = sys.argv[1:]
    if name == "gevent":
        importlib.import_module("gevent.monkey").patch_all()
    if name == "eventlet":
        importlib.import_module("eventlet").monkey_patch()
    app = importlib.import_module("servers.app").application
    globals()[name](app, int(port), int(threads))
