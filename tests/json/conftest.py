from __future__ import annotations

import pytest
from flask import Flask
from flask.json.provider import DefaultJSONProvider

from flask_concurrency_guard.json import SafeJSONProvider
from flask_concurrency_guard.json import install


@pytest.fixture
def app() -> Flask:
    app = Flask("json", static_folder=None)
    app.secret_key = "secret"
    install(app, "stdlib")
    return app


@pytest.fixture
def safe(app: Flask) -> SafeJSONProvider:
    assert isinstance(app.json, SafeJSONProvider)
    return app.json


@pytest.fixture
def plain(app: Flask) -> DefaultJSONProvider:
    """What Flask would use."""
    return DefaultJSONProvider(app)
