from __future__ import annotations

import pytest

from flask_concurrency_guard.complaints import LONGEST_TEXT
from flask_concurrency_guard.complaints import one_line


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(OSError("It is\n full."), "It is full", id="several-lines"),
        pytest.param(ValueError("x" * 999), "x" * LONGEST_TEXT, id="long"),
        pytest.param(TimeoutError(), "TimeoutError", id="nothing-to-say"),
    ],
)
def test_what_an_error_says_fits_into_a_sentence(error: Exception, text: str) -> None:
    assert one_line(error) == text
