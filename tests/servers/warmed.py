"""The app, warmed up in the master before it forks."""

from __future__ import annotations

from .app import application

client = application.test_client()
for path in ("/ping", "/exempt/ping"):
    assert client.get(path).status_code == 200
