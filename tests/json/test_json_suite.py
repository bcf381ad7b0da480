"""nst/JSONTestSuite: what must be accepted is, and what must be refused is, on every backend.

It isn't part of this project. It is read from the folder that ``JSON_TEST_SUITE`` names, or from
``shared/data`` beside the checkout.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from json_support import BACKENDS
from json_support import outcome
from json_support import provider_on
from json_support import the_one

from flask_concurrency_guard.json import InvalidJSONError

BESIDE = Path(__file__).parents[3] / "shared" / "data" / "JSONTestSuite" / "test_parsing"
FOLDER = Path(os.environ.get("JSON_TEST_SUITE") or BESIDE)

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason=f"no nst/JSONTestSuite in '{FOLDER}', set JSON_TEST_SUITE to its test_parsing folder",
)


def documents(kind: str) -> list[Path]:
    return sorted(FOLDER.glob(f"{kind}_*.json"))


def read(path: Path, **rules: Any) -> Any:
    """Return what is read of a document, or the error: the same on every backend."""
    document = path.read_bytes()
    return the_one(
        {
            # `repr` tells 1 from 1.0, and 0.0 from -0.0.
            backend: outcome(lambda: repr(provider_on(backend, **rules).loads(document)))  # noqa: B023
            for backend in BACKENDS
        }
    )


def test_suite_is_complete() -> None:
    assert len(documents("y")) >= 90
    assert len(documents("n")) >= 180


@pytest.mark.parametrize("path", documents("y"), ids=lambda path: path.stem)
def test_json_is_accepted(path: Path) -> None:
    assert isinstance(read(path), str)


@pytest.mark.parametrize("path", documents("n"), ids=lambda path: path.stem)
def test_what_is_not_json_is_refused(path: Path) -> None:
    error, message = read(path)

    assert error is InvalidJSONError
    assert ": line " in message


@pytest.mark.parametrize("path", documents("i"), ids=lambda path: path.stem)
def test_what_may_be_either_is_the_same_on_every_backend(path: Path) -> None:
    found = read(path)

    assert isinstance(found, str) or found[0] is InvalidJSONError


@pytest.mark.parametrize("kind", ["y", "n", "i"])
def test_stricter_rules_are_the_same_on_every_backend(kind: str) -> None:
    for path in documents(kind):
        read(path, duplicate_keys="error", max_depth=2)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("path", documents("y") + documents("i"), ids=lambda path: path.stem)
def test_what_is_read_is_written_and_read_again(path: Path, backend: str) -> None:
    provider = provider_on(backend)
    try:
        value = provider.loads(path.read_bytes())
    except InvalidJSONError:
        return

    assert provider.loads(provider.dumps(value, allow_nan=False)) == value
