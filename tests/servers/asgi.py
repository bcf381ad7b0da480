"""The app behind the two adapters from ASGI to WSGI, for uvicorn."""

from __future__ import annotations

import os

from a2wsgi import WSGIMiddleware
from asgiref.wsgi import WsgiToAsgi

from .app import application

a2wsgi = WSGIMiddleware(application, workers=int(os.environ.get("TEST_THREADS", "8")))
asgiref = WsgiToAsgi(application)
