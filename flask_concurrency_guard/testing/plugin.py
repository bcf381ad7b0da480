"""Fixtures for pytest. In a `conftest.py`:

.. code-block:: python

    pytest_plugins = ["flask_concurrency_guard.testing.plugin"]

They are for the app that the fixture `app` returns, which is yours or that of pytest-flask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import disabled
from . import full
from . import in_flight

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask


@pytest.fixture
def guard_disabled(app: Flask) -> Iterator[None]:
    """Let everything pass."""
    with disabled(app):
        yield


@pytest.fixture
def guard_full(app: Flask) -> Iterator[None]:
    """Reject every request."""
    with full(app):
        yield


@pytest.fixture
def no_lease_left(app: Flask) -> Iterator[None]:
    """Fail a test after which something is still in flight."""
    yield
    left = in_flight(app)
    if left:
        pytest.fail(
            f"{left} in flight after the test: a response was neither read nor closed.",
            pytrace=False,
        )
