"""nst/JSONTestSuite: what must be accepted is, and what must be refused is.

It isn't part of this project. It is read from the folder that ``JSON_TEST_SUITE`` names, or from
``shared/data`` beside the checkout.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from flask import Flask

from flask_concurrency_guard.json import InvalidJSONError
from flask_concurrency_guard.json import SafeJSONProvider

BESIDE = Path(__file__).parents[3] / "shared" / "data" / "JSONTestSuite" / "test_parsing"
FOLDER = Path(os.environ.get("JSON_TEST_SUITE") or BESIDE)
PROVIDER = SafeJSONProvider(Flask("suite", static_folder=None))

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason=f"no nst/JSONTestSuite in '{FOLDER}', set JSON_TEST_SUITE to its test_parsing folder",
)


def documents(kind: str) -> list[Path]:
    return sorted(FOLDER.glob(f"{kind}_*.json"))


def test_suite_is_complete() -> None:
    assert len(documents("y")) >= 90
    assert len(documents("n")) >= 180


@pytest.mark.parametrize("path", documents("y"), ids=lambda path: path.stem)
def test_json_is_accepted(path: Path) -> None:
    value = PROVIDER.loads(path.read_bytes())

    assert PROVIDER.loads(PROVIDER.dumps(value, allow_nan=False)) == value


@pytest.mark.parametrize("path", documents("n"), ids=lambda path: path.stem)
def test_what_is_not_json_is_refused(path: Path) -> None:
    with pytest.raises(InvalidJSONError):
        PROVIDER.loads(path.read_bytes())


@pytest.mark.parametrize("path", documents("i"), ids=lambda path: path.stem)
def test_what_may_be_either_is_read_or_refused(path: Path) -> None:
    try:
        value = PROVIDER.loads(path.read_bytes())
    except InvalidJSONError:
        return

    assert PROVIDER.loads(PROVIDER.dumps(value, allow_nan=False)) == value
