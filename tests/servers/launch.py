"""Start one of the servers that are a Python call rather than a command.

Run as ``python -m servers.launch NAME PORT THREADS``.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"

APACHE = """
ServerName localhost
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/pid
ErrorLog /dev/stderr
Mutex file:{folder} default
Listen {host}:{port}
# For those who are root, as whom it would not run.
User #65534
Group #65534
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
WSGISocketPrefix {folder}/
WSGIDaemonProcess app threads={threads} python-home={home} python-path={path}
WSGIProcessGroup app
WSGIApplicationGroup %{{GLOBAL}}
WSGIScriptAlias / {folder}/app.wsgi
<Directory {folder}>
    Require all granted
</Directory>
"""
APACHE_MODULES = Path("/usr/lib/apache2/modules")

# Apache gives its own environment to nobody.
WSGI_SCRIPT = """
import json
import os

os.environ.update(json.loads({environ!r}))

from servers.app import application
"""


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


def tornado(app: Any, port: int, threads: int) -> None:
    from tornado.httpserver import HTTPServer
    from tornado.wsgi import WSGIContainer

    async def serve() -> None:
        executor = ThreadPoolExecutor(threads) if threads else None
        HTTPServer(WSGIContainer(app, executor)).listen(port, HOST)
        await asyncio.Event().wait()

    asyncio.run(serve())


def wsgiref(app: Any, port: int, threads: int) -> None:
    from wsgiref.simple_server import make_server

    make_server(HOST, port, app).serve_forever()


def mod_wsgi(port: int, threads: int) -> None:
    folder = Path.cwd()
    folder.chmod(0o755)
    script = WSGI_SCRIPT.format(environ=json.dumps(dict(os.environ)))
    (folder / "app.wsgi").write_text(script)
    config = folder / "apache.conf"
    config.write_text(
        APACHE.format(
            folder=folder, host=HOST, port=port, threads=threads, modules=APACHE_MODULES,
            home=sys.prefix, path=os.environ["PYTHONPATH"],
        )
    )  # fmt: skip
    os.execlp("apache2", "apache2", "-f", str(config), "-D", "FOREGROUND")


if __name__ == "__main__":
    name, port, threads = sys.argv[1:]
    if name == "mod_wsgi":
        mod_wsgi(int(port), int(threads))
    if name == "gevent":
        importlib.import_module("gevent.monkey").patch_all()
    if name == "eventlet":
        importlib.import_module("eventlet").monkey_patch()
    app = importlib.import_module("servers.app").application
    globals()[name](app, int(port), int(threads))
