"""The fast searches give what slow and plain ones give."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import assume
from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st

from flask_concurrency_guard.json import scan

TEXT = st.text(st.sampled_from('[]{}"\\ea1é'), max_size=6)
NESTED = st.recursive(
    st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=40,
)


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@given(value=NESTED, limit=st.integers(0, 12), indent=st.sampled_from([None, 1]))
@example(value=[['"]'], ["["]], limit=1, indent=None)
@example(value=[["\\", "]"], ["\\]"]], limit=1, indent=None)
def test_depth_is_exact(value: object, limit: int, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)

    assert scan.is_deeper(text.encode(), limit) == (depth(value) > limit)
    assert (scan.find_depth(text, limit) is not None) == (depth(value) > limit)


@given(value=NESTED, end=st.integers(0, 200), limit=st.integers(0, 6))
def test_no_depth_is_missed_in_what_is_cut_off(value: object, end: int, limit: int) -> None:
    text = json.dumps(value)[:end]

    if scan.find_depth(text, limit) is not None:
        assert scan.is_deeper(text.encode(), limit)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("1e999", True),
        ("-1.5E+309", True),
        ("1e0000309", True),
        ("9" * 300 + "e10", True),
        ("1e99", False),
        ("1e-999", False),
        ('"1e999"', False),
        ('"ab1e999-c"', False),
        ('"5e3891e456"', False),
    ],
)
@pytest.mark.parametrize("form", ["[%s%s]", '[%s{"a":%s}]', "[%s%s ]", "[%s[\n%s\n]]"])
def test_overflow_is_suspected_only_of_numbers(form: str, number: str, expected: bool) -> None:
    floats = "1.5," * 500

    assert scan.may_overflow(form % (floats, number)) is expected


NUMBERS = st.from_regex(r"-?[1-9][0-9]*(\.[0-9]+)?[eE]\+?0?[0-9]{2,4}", fullmatch=True)
LONG_NUMBERS = st.builds(
    "{}{}{}".format,
    st.integers(180, 330).map("9".__mul__),
    st.sampled_from(["", ".5"]),
    st.sampled_from(["", "e5", "E+99", "e-20"]),
)


@given(number=NUMBERS | LONG_NUMBERS, end=st.sampled_from(["]", ",1]", " ]", "\r\n]", ""]))
def test_overflow_is_never_missed(number: str, end: str) -> None:
    assume(math.isinf(float(number)))

    assert scan.may_overflow(f"[{'1.5,' * 500}{number}{end}")


def test_unusual_numbers_are_found_outside_of_text_only() -> None:
    text = '{"NaN 1e5": [-1, "\\"1e5", 1.25, -1e5], "b": -Infinity, "c": NaN, "d": 0.5E-7}'

    found = list(scan.unusual_numbers(text))

    assert found == [("-1e5", 32), ("-Infinity", 44), ("NaN", 60), ("0.5E-7", 70)]
    assert all(text.startswith(token, position) for token, position in found)


def test_search_takes_linear_time_where_text_is_not_terminated() -> None:
    """With a search from each quote anew this would run for hours."""
    text = '["' + '\\"' * 500_000

    assert list(scan.unusual_numbers(text)) == []
    assert scan.find_depth(text, 1) is None
