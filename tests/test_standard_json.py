from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flask_concurrency_guard import standard_json

DOCUMENT = '{"a": [1, 2.5, null, "é"]}'


@pytest.mark.parametrize("text", [DOCUMENT, DOCUMENT.encode()], ids=["text", "bytes"])
def test_what_is_read_is_what_json_reads(text: str | bytes) -> None:
    assert standard_json.loads(text) == json.loads(text)


@pytest.mark.parametrize(
    "options", [{}, {"indent": 2}, {"separators": (",", ":")}, {"sort_keys": True}], ids=repr
)
def test_what_is_written_is_what_json_writes(options: dict[str, Any]) -> None:
    value = {"b": [1, 2.5, None, "é"], "a": {}}
    assert standard_json.dumps(value, **options) == json.dumps(value, **options)


@pytest.mark.parametrize("text", ["{", "[1,]", "[" * 100_000, b"\xff"], ids=range(4))
@pytest.mark.parametrize("patched", [json.JSONDecodeError, None, int], ids=["real", "none", "int"])
def test_what_is_not_json_is_a_value_error(
    monkeypatch: pytest.MonkeyPatch, text: str | bytes, patched: object
) -> None:
    monkeypatch.setattr("json.decoder.JSONDecodeError", patched)
    with pytest.raises(ValueError) as error:  # noqa: PT011
        standard_json.loads(text)
    assert str(error.value)


NOWHERE = """
import os
import flask
del os.__file__  # As in a program that has Python inside.
from flask_concurrency_guard import standard_json
print(standard_json.loads("[1]"))
"""


def test_a_library_that_is_nowhere_is_not_looked_for(tmp_path: Path) -> None:
    package = tmp_path / "json"
    package.mkdir()
    for name in ("__init__", "scanner", "decoder", "encoder"):
        (package / f"{name}.py").write_text("raise SystemExit('not the standard library')")
    told = subprocess.run(
        [sys.executable, "-P", "-c", NOWHERE], cwd=tmp_path, capture_output=True, text=True
    )
    assert (told.stdout, told.stderr) == ("[1]\n", "")
