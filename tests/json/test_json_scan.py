"""The fast searches give what slow and plain ones give."""

from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import assume
from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st

from flask_concurrency_guard.json.reading import faults
from flask_concurrency_guard.json.reading import scan

TEXT = st.text(st.sampled_from('[]{}"\\/nuea1é'), max_size=6)
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


def is_deeper(encoded: bytes, limit: int) -> bool:
    return scan.is_deeper(scan.outline(encoded, limit), limit)


@given(
    value=NESTED,
    limit=st.integers(0, 12),
    indent=st.sampled_from([None, 1]),
    ensure_ascii=st.booleans(),
    slash=st.sampled_from(["/", "\\/"]),
)
@example(value=[['"]'], ["["]], limit=1, indent=None, ensure_ascii=True, slash="/")
@example(value=[["\\", "]"], ["\\]"]], limit=1, indent=None, ensure_ascii=True, slash="/")
@example(value=[["\n", "]"], ["/", "]"]], limit=1, indent=None, ensure_ascii=True, slash="\\/")
def test_depth_is_exact(
    value: object, limit: int, indent: int | None, ensure_ascii: bool, slash: str
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ensure_ascii).replace("/", slash)

    assert is_deeper(text.encode(), limit) == (depth(value) > limit)
    assert (faults.find_depth(text, limit) is not None) == (depth(value) > limit)


@given(value=NESTED, end=st.integers(0, 200), limit=st.integers(0, 6))
def test_no_depth_is_missed_in_what_is_cut_off(value: object, end: int, limit: int) -> None:
    text = json.dumps(value)[:end]

    if faults.find_depth(text, limit) is not None:
        assert is_deeper(text.encode(), limit)


PIECES = st.lists(st.sampled_from(["[", "]", "{", "}", '"', "\\", '\\"', "\\x", "n", "é", ","]))


@given(pieces=PIECES, limit=st.integers(0, 6))
@example(pieces=["[", "[", '"', "\\", "\\", '"', "["], limit=2)
def test_no_depth_is_missed_in_what_is_not_json(pieces: list[str], limit: int) -> None:
    text = "".join(pieces)
    # A parser goes no further than to an escape that is none, or a backslash outside of strings.
    parsed = re.match(r'(?:[^"\\]|"(?:[^"\\]|\\["\\/bfnrtu])*(?:"|$))*', text)
    assert parsed is not None

    if faults.find_depth(parsed[0], limit) is not None:
        assert is_deeper(text.encode(), limit)


def test_no_depth_is_missed_around_a_long_text() -> None:
    text = '"' + "a" * 10_000 + '"'

    for opening, closing in ("[]", ('{"a":', "}")):
        nested = opening * 20 + text + closing * 20
        assert is_deeper(nested.encode(), 19)
        assert not is_deeper(nested.encode(), 20)
        assert not is_deeper(f"[{nested}, {text}]".encode(), 40)


WHOLE = ["\\\\", '\\"', "\\n", "\\u00e9", "\\ud7ff", "\\ue000", "\\uD83D\\ude00", "ud800", "é", "d"]
HALVES = ["\\ud800", "\\uDBFF", "\\udc00", "\\uDfFf"]
ESCAPES = st.lists(st.sampled_from(WHOLE) | st.sampled_from(HALVES))


@given(pieces=ESCAPES, rest=st.sampled_from(["", "[[]]" * 9]))
@example(pieces=["\\\\", "ud83d", "\\ude00"], rest="")
@example(pieces=["\\\\", "\\uD83D\\ude00"], rest="")
def test_half_of_a_character_is_found_where_it_stands(pieces: list[str], rest: str) -> None:
    text = f'"{"".join(pieces)}"{rest}'
    encoded = text.encode()
    value = json.loads(text.removesuffix(rest))

    found = scan.find_lone_surrogate(encoded)

    if found is None:
        value.encode()
    else:
        before = json.loads(encoded[:found] + b'"')
        before.encode()
        assert value.startswith(before)
        assert re.match(r"\\u[dD][89a-fA-F]..", encoded[found:].decode())
        with pytest.raises(UnicodeEncodeError):
            value[: len(before) + 1].encode()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (2**64 - 1, True),  # Not by much.
        (2**64, True),
        (-(2**63) - 1, True),
        (-(2**63), True),  # Not by much.
        (10**400, True),
        (2**63, False),
        (10**18, False),
        (-(10**17), False),
        (f"0.{'1' * 150}", False),
        (f"-0.{'1' * 150}", False),
        (f"3.{'5' * 770}e-308", True),
        ('"12345678901234567890"', False),
        ('"/images/12345678901234567890"', False),
    ],
)
@pytest.mark.parametrize("form", ["%s", "[%s]", '{"a":%s}', '{"a": %s}', "[1,%s]", "[\n%s\n]"])
@pytest.mark.parametrize("before", range(6))
def test_inexact_number_is_suspected_where_there_may_be_one(
    form: str, number: object, expected: bool, before: int
) -> None:
    document = " " * before + form % number

    assert scan.may_be_inexact(document.encode()) is expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("1e999", True),
        ("-1.5E+309", True),
        ("1e0000309", True),
        ("9" * 300 + "e10", True),
        ("1e99", False),
        ("1e+99", False),
        ("1e-999", False),
        ('"1e999"', False),
        ('"ab1e999-c"', False),
        ('"5e3891e456"', False),
    ],
)
@pytest.mark.parametrize("form", ["[%s%s]", '[%s{"a":%s}]', "[%s%s ]", "[%s[\n%s\n]]"])
def test_overflow_is_suspected_only_of_numbers(form: str, number: str, expected: bool) -> None:
    floats = "1.5," * 500

    assert scan.may_overflow((form % (floats, number)).encode()) is expected


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

    assert scan.may_overflow(f"[{'1.5,' * 500}{number}{end}".encode())


def test_unusual_numbers_are_found_outside_of_text_only() -> None:
    text = '{"NaN 1e5": [-1, "\\"1e5", 1.25, -1e5], "b": -Infinity, "c": NaN, "d": 0.5E-7}'

    found = list(faults.unusual_numbers(text))

    assert found == [("-1e5", 32), ("-Infinity", 44), ("NaN", 60), ("0.5E-7", 70)]
    assert all(text.startswith(token, position) for token, position in found)


def test_search_takes_linear_time_where_text_is_not_terminated() -> None:
    """With a search from each quote anew this would run for hours."""
    text = '["' + '\\"' * 500_000
    encoded = text.encode()

    assert list(faults.unusual_numbers(text)) == []
    assert faults.find_depth(text, 1) is None
    assert faults.find_duplicate_key(text) is None
    assert not is_deeper(encoded, 1)
    assert scan.find_lone_surrogate(encoded + b"\\u") is None
