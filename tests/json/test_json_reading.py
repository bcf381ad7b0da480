"""The reader has one answer to a document, whatever library is asked first."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from json_support import BACKENDS
from json_support import outcome
from json_support import the_one

from flask_concurrency_guard.json import InvalidJSONError
from flask_concurrency_guard.json.backends import load_backend
from flask_concurrency_guard.json.reading import NativeDecoder
from flask_concurrency_guard.json.reading import Reader

pytestmark = pytest.mark.usefixtures("document_survey")


@dataclass(frozen=True)
class Rules:
    duplicate_keys: str = "last"
    max_depth: int = 200


def reader_on(backend: str, **rules: Any) -> Reader:
    return Reader(Rules(**rules), load_backend(backend).decoder)


def spelled(value: object) -> object:
    """Return what tells 1 from 1.0 and from True, 0.0 from -0.0, and one order from another."""
    if isinstance(value, dict):
        return [(key, spelled(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [list, *map(spelled, value)]
    return type(value), repr(value)


def read(document: str | bytes, *, options: dict[str, Any] | None = None, **rules: Any) -> Any:
    """Return what is read, or the class and message of the error: the same on every backend."""
    return the_one(
        {
            backend: outcome(
                lambda: spelled(reader_on(backend, **rules).loads(document, {**(options or {})}))  # noqa: B023
            )
            for backend in BACKENDS
        }
    )


def refused(message: str, place: str) -> tuple[type[Exception], str]:
    return InvalidJSONError, f"{message}: {place}"


NUMBERS = [
    "0",
    "-0",
    "1",
    "-1",
    "1.0",
    "-0.0",
    "0e0",
    "-0e5",
    "0e99999999999999999999",
    "1E2",
    "1e+2",
    "123e-2",
    "1e22",
    "1e-400",
    "-1e-400",
    "1e-99999999999999999999",
    "5e-324",
    "2.4703282292062327e-324",
    "2.4703282292062328e-324",
    "1.7976931348623158e308",
    "179769313486231580" + "0" * 291 + ".0",
    "9007199254740993",
    "9007199254740993.0",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "-18446744073709551616",
    "1" + "0" * 308,
    "1" + "0" * 309,
    "9" * 4300,
    "-" + "9" * 4300,
    "123456789012345678901234567890.5",
    "0." + "1" * 500,
    "0." + "0" * 400 + "1e401",
]


@pytest.mark.parametrize(
    "form",
    ["{}", " {}\n", "[{}]", "[1.5, {}, 2]", '{{"a":{}}}', '{{"a": {}, "b": 1}}', "[\n{}\n]"],
)
@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:30])
def test_number_is_read_exactly(number: str, form: str) -> None:
    document = form.format(number)
    expected = spelled(json.loads(document))

    assert read(document) == read(document.encode()) == expected


def test_float_is_rounded_right_whatever_its_length() -> None:
    """Halfway between two floats but for the last digit, of hundreds."""
    below, above = 3.594748680343385e-308, 3.5947486803433856e-308
    digits, exponent = _between(below, above).split("e")
    assert len(digits) > 700

    assert read(f"[{digits}1e{exponent}]") == spelled([above])
    assert read(f"[{digits[:-1]}4e{exponent}]") == spelled([below])


def _between(low: float, high: float) -> str:
    a, b = low.as_integer_ratio(), high.as_integer_ratio()
    numerator, denominator = a[0] * b[1] + b[0] * a[1], 2 * a[1] * b[1]
    shift = (denominator & -denominator).bit_length() - 1
    assert denominator == 1 << shift
    # A fraction of powers of two is one of powers of ten, of as many digits.
    digits = str(numerator * 5**shift)
    return f"{digits[0]}.{digits[1:].rstrip('0')}e{len(digits) - 1 - shift}"


@pytest.mark.parametrize("digits", [640, 641, 5000], ids=["at the limit", "one more", "many more"])
def test_limit_on_digits_is_that_of_the_interpreter(digits: int) -> None:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        found = read("[" + "9" * digits + "]")
        expected: Any = refused(
            f"'{'9' * 37}...' has more than 640 digits, send it as a string",
            "line 1 column 2 (char 1)",
        )
        assert found == (spelled([10**digits - 1]) if digits == 640 else expected)
    finally:
        sys.set_int_max_str_digits(limit)


HALF = "is half of a surrogate pair, send the whole pair"


@pytest.mark.parametrize(
    ("document", "shown", "place"),
    [
        (r'"\ud800"', r"\ud800", "line 1 column 2 (char 1)"),
        (r'"a\uDC00"', r"\uDC00", "line 1 column 3 (char 2)"),
        (r'{"\uD83D": 1}', r"\uD83D", "line 1 column 3 (char 2)"),
        (r'["\ud83d\ude00",' + "\n" + r'"\ud83d"]', r"\ud83d", "line 2 column 2 (char 18)"),
        (r'"\ude00\ud83d"', r"\ude00", "line 1 column 2 (char 1)"),
        (r'"\ud83d\ud83d\ude00"', r"\ud83d", "line 1 column 2 (char 1)"),
        (r'"\ud83d\u0041"', r"\ud83d", "line 1 column 2 (char 1)"),
        (r'"\ud83d\\ude00"', r"\ud83d", "line 1 column 2 (char 1)"),
        (r'"\\ud83d\ude00"', r"\ude00", "line 1 column 9 (char 8)"),
        ('"日本\\ud800"', r"\ud800", "line 1 column 4 (char 3)"),
        (r'["\udfff", "' + "a" * 5000 + '"]', r"\udfff", "line 1 column 3 (char 2)"),
        ("[" + "[]," * 500 + r'"\udfff"]', r"\udfff", "line 1 column 1503 (char 1502)"),
    ],
)
def test_half_of_a_character_is_refused(document: str, shown: str, place: str) -> None:
    expected = refused(f"'{shown}' {HALF}", place)

    assert read(document) == read(document.encode()) == expected


@pytest.mark.parametrize(
    ("text", "half", "position"),
    [("\ud800", r"\ud800", 2), ("a\udc00", r"\udc00", 3), ("\ud83d\ude00", r"\ud83d", 2)],
    ids=ascii,
)
def test_half_of_a_character_that_is_in_the_text_itself_is_refused(
    text: str, half: str, position: int
) -> None:
    expected = refused(f"'{half}' {HALF}", f"line 1 column {position + 1} (char {position})")

    assert read(f'["{text}"]') == expected
    assert read(f'{{"{text}":1}}') == expected


@pytest.mark.parametrize(
    "text",
    [r"\ud83d\ude00", r"\uD83D\uDE00", r"\\ud800", r"\\\\ud800", r"ud800", r"\ud7ff\ue000"],
)
def test_what_only_looks_like_half_of_a_character_is_read(text: str) -> None:
    document = f'["{text}", {{"{text}": 1}}, "\\"{text}\\n"]'

    assert read(document) == read(document.encode()) == spelled(json.loads(document))


@pytest.mark.parametrize(
    ("document", "key", "place"),
    [
        ('{"a": 1, "a": 2}', "a", "line 1 column 10 (char 9)"),
        ('{"a": 1, "\\u0061": 2}', "\\u0061", "line 1 column 10 (char 9)"),
        ('[{"b": {"a": 1,\n"a": 1}}]', "a", "line 2 column 1 (char 16)"),
        ('{"a": {"a": 1}, "b": ["a", "a"], "a" : 1}', "a", "line 1 column 34 (char 33)"),
        ('{"": 1, "": 2}', "", "line 1 column 9 (char 8)"),
        ('{"\\"{": 1, "\\"{": 2}', '\\"{', "line 1 column 12 (char 11)"),
        (f'{{"{"k" * 50}": 1, "{"k" * 50}": 2}}', "k" * 37 + "...", "line 1 column 59 (char 58)"),
    ],
)
def test_key_that_comes_twice_is_refused_where_the_rules_say_so(
    document: str, key: str, place: str
) -> None:
    expected = refused(f"'{key}' is a key twice in the same object, send each key once", place)

    assert read(document, duplicate_keys="error") == expected
    assert read(document, duplicate_keys="error", options={"object_pairs_hook": list}) == expected
    assert read(document, duplicate_keys="error", options={"object_hook": list}) == expected
    assert read(document, duplicate_keys="error", options={"cls": json.JSONDecoder}) == expected
    assert read(document, duplicate_keys="error", options={"cls": OwnDecoder}) == expected
    assert read(document) == spelled(json.loads(document))


class OwnDecoder(json.JSONDecoder):
    """Takes no options, as a class may."""

    def __init__(self) -> None:
        super().__init__()


def test_keys_that_come_once_are_read_where_each_must() -> None:
    document = '[{"a": {"a": 1}, "A": [{"a": 2}, {"a": 3}]}, {"a": "a"}, {}]'

    assert read(document, duplicate_keys="error") == spelled(json.loads(document))


def test_hooks_get_what_they_get_without_the_check() -> None:
    document = '{"b": {"a": 1}, "c": 2}'

    for name in ("object_hook", "object_pairs_hook"):
        seen: list[Any] = []
        read(document, options={name: seen.append}, duplicate_keys="error")
        first = 2 * len(BACKENDS)
        assert len(seen) == first
        expected: list[Any] = []
        json.loads(document, **{name: expected.append})
        assert seen == expected * len(BACKENDS)


ARRAYS, OBJECTS = ("[", "]"), ('{"a":', "}")
DECOYS = ('["]", "\\"}", ', "]"), (' {"[": "]}", "\\\\": 1, "a" : ', "}\n")


def nested(levels: Sequence[tuple[str, str]], depth: int) -> str:
    chosen = [levels[level % len(levels)] for level in range(depth)]
    opening = "".join(level[0] for level in chosen)
    return f"{opening}null{''.join(level[1] for level in reversed(chosen))}"


@pytest.mark.parametrize("limit", [2, 3, 7, 199, 200, 201, 300])
@pytest.mark.parametrize(
    "levels", [[ARRAYS], [OBJECTS], [ARRAYS, OBJECTS], DECOYS], ids=["[", "{", "both", "decoys"]
)
def test_depth_is_limited_as_the_rules_say(levels: Sequence[tuple[str, str]], limit: int) -> None:
    allowed = nested(levels, limit)
    message = re.compile(rf"'[\[{{]' is nested more than {limit} deep, send a flatter document: ")

    assert read(allowed, max_depth=limit) == spelled(json.loads(allowed))
    for deep in (nested(levels, limit + 1), nested(levels, 3 * limit)):
        for document in (deep, deep[: deep.index("null")]):
            error, said = read(document, max_depth=limit)
            assert error is InvalidJSONError
            assert message.match(said)


OPTIONS: list[tuple[str, dict[str, Any], Callable[[], Any]]] = [
    ('{"a": 1.10}', {"parse_float": Decimal}, lambda: {"a": Decimal("1.10")}),
    ("[1, 18446744073709551616]", {"parse_int": str}, lambda: ["1", "18446744073709551616"]),
    ("[" + "9" * 5000 + "]", {"parse_int": len}, lambda: [5000]),
    ('"a\tb"', {"strict": False}, lambda: "a\tb"),
    ('{"a": {"b": 1}}', {"object_hook": len}, lambda: 1),
    ('{"a": 1, "a": 2}', {"object_pairs_hook": len}, lambda: 2),
    ("[NaN, -Infinity]", {"parse_constant": str.lower}, lambda: ["nan", "-infinity"]),
    ("[1e999]", {"parse_float": Decimal}, lambda: [Decimal("1e999")]),
    ("[1.5]", {"cls": json.JSONDecoder}, lambda: [1.5]),
    ("[1.5]", {"cls": OwnDecoder}, lambda: [1.5]),
]


@pytest.mark.parametrize(
    ("document", "options", "expected"), OPTIONS, ids=[str(option[1])[:40] for option in OPTIONS]
)
@pytest.mark.parametrize("encode", [str, str.encode], ids=["str", "bytes"])
def test_options_mean_what_they_mean_in_the_standard_library(
    document: str, options: dict[str, Any], expected: Callable[[], Any], encode: Any
) -> None:
    assert read(encode(document), options=options) == spelled(expected())


@pytest.mark.parametrize(
    "options",
    [
        {"strict": False},
        {"object_hook": dict},
        {"parse_float": float},
        {"cls": json.JSONDecoder},
        {"cls": OwnDecoder},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "document",
    [
        "[NaN]",
        "[1e999]",
        "[" * 201 + "]" * 201,
        r'["\ud800"]',
        b'["\xff"]',
        "[" + "9" * 4301 + "]",
        "\ufeff1",
        "[1] 2",
    ],
    ids=ascii,
)
def test_what_is_refused_is_refused_with_options(
    document: str | bytes, options: dict[str, Any]
) -> None:
    assert read(document, options=options) == read(document)
    assert read(document)[0] is InvalidJSONError


def test_error_of_a_hook_is_left_as_it_is() -> None:
    def fail(found: object) -> object:
        raise KeyError("missing")

    assert read("{}", options={"object_hook": fail}) == (KeyError, "'missing'")
    found = read("{}", options={"object_hook": fail}, duplicate_keys="error")
    assert found == (KeyError, "'missing'")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda document: document, id="as it is"),
        pytest.param(lambda document: document.decode(), id="as text"),
        pytest.param(lambda document: document.decode()[:-1], id="text cut off"),
        pytest.param(lambda document: document[:-1], id="cut off"),
        pytest.param(lambda document: document + b"]", id="more at the end"),
        pytest.param(lambda document: document + b"\0", id="zero at the end"),
        pytest.param(lambda document: b"\xef\xbb\xbf" + document, id="byte order mark"),
        pytest.param(lambda document: document.replace(b"\xe6", b"\xff"), id="not utf-8"),
        pytest.param(lambda document: document.replace(b"1.5", b"1e400", 1), id="overflow"),
        pytest.param(lambda document: document.replace(b"1.5", b"NaN", 1), id="nan"),
        pytest.param(lambda document: document.replace(b"1.5", b"2e19", 1), id="exponent"),
        pytest.param(lambda document: document.replace(b"1.5", b"9" * 20, 1), id="large"),
        pytest.param(lambda document: document.replace(b"1.5", b'"a\nb"', 1), id="control"),
        pytest.param(lambda document: document.replace(b"1.5", b"[" * 199, 1), id="deep"),
    ],
)
def test_long_document_is_read_as_by_the_standard_library(change: Any) -> None:
    rows = [
        {"id": number, "name": '日本 "x" \\ /', "tags": ["[", "]"], "score": 1.5, "n": None}
        for number in range(2000)
    ]
    document = change(json.dumps(rows, ensure_ascii=False).encode())
    text = document if isinstance(document, str) else document.decode("utf-8-sig", "replace")

    try:
        expected = spelled(json.loads(text, parse_constant=lambda name: float("nan")))
    except ValueError:
        expected = None
    found = read(document)

    if found != expected:
        assert found[0] is InvalidJSONError
        assert expected is None or any(bad in text for bad in ("�", "1e400", "NaN"))


def test_library_is_asked_first_and_has_no_last_word() -> None:
    asked: list[bytes] = []

    def decode(document: bytes) -> object:
        asked.append(document)
        if len(asked) == 1:
            return "its answer"
        raise LookupError if len(asked) == 2 else RecursionError

    reader = Reader(Rules(), NativeDecoder(decode, (LookupError,)))

    assert reader.loads("[1]", {}) == "its answer"
    assert reader.loads(b"[2]", {}) == [2]
    assert reader.loads(bytearray(b"[3]"), {}) == [3]
    assert asked == [b"[1]", b"[2]", b"[3]"]


@pytest.mark.parametrize(
    ("document", "options", "rules"),
    [
        pytest.param(b"[1]", {"strict": True}, Rules(), id="option"),
        pytest.param(b"[1]", {}, Rules(duplicate_keys="error"), id="unique keys"),
        pytest.param(b"[" * 201, {}, Rules(max_depth=1000), id="deep, and allowed"),
        pytest.param(b"[[[", {}, Rules(max_depth=2), id="deep, and not allowed"),
        pytest.param(b"[18446744073709551616]", {}, Rules(), id="large"),
        pytest.param(b"[-9223372036854775809]", {}, Rules(), id="large and negative"),
        pytest.param(b"0." + b"1" * 400, {}, Rules(), id="many digits"),
        pytest.param("\ufeff1", {}, Rules(), id="byte order mark in text"),
        pytest.param("\ud800", {}, Rules(), id="half of a character in text"),
    ],
)
def test_library_is_not_asked_what_it_may_get_wrong(
    document: Any, options: dict[str, Any], rules: Rules
) -> None:
    asked: list[bytes] = []
    reader = Reader(rules, NativeDecoder(asked.append, (), exact_integers=False))

    found = outcome(lambda: reader.loads(document, options))

    assert not asked
    assert found == outcome(lambda: Reader(rules, None).loads(document, options))


@pytest.mark.parametrize("backend", ["msgspec", "orjson"])
def test_fast_library_reads_what_is_plain(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they are there for: none of this may fall back on the standard library."""
    reader = reader_on(backend)
    monkeypatch.setattr(reader, "_standard", None)
    value = [{"id": 10**17, "path": 'C:\\x"', "at": "/12345678901234567890", "x": 0.1234567890123}]
    for document in (json.dumps(value * 1000), json.dumps(value, indent=1)):
        assert reader.loads(document, {}) == json.loads(document)
        assert reader.loads(document.encode(), {}) == json.loads(document)
