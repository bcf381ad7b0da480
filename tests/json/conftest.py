from __future__ import annotations

import pytest
from flask import Flask
from flask.json.provider import DefaultJSONProvider
from json_support import BACKENDS

from flask_concurrency_guard.json import SafeJSONProvider
from flask_concurrency_guard.json import features
from flask_concurrency_guard.json import survey
from flask_concurrency_guard.json.attach import install


@pytest.fixture(params=["looked at in C", "not looked at"])
def census(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the package's module in C and without: both ways must come to the same."""
    if request.param == "not looked at":
        monkeypatch.setattr(features, "encode", None)
        monkeypatch.setattr(features, "snapshot", None)
    elif features.encode is None:
        pytest.skip("the package was installed without its module in C")


@pytest.fixture(params=["surveyed in C", "surveyed in Python"])
def document_survey(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the package's other module in C and without, likewise."""
    if request.param == "surveyed in Python":
        monkeypatch.setattr(survey, "survey", None)
    elif survey.survey is None:
        pytest.skip("the package was installed without its module in C")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


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
