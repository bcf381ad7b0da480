"""The rules for what is written, each with each of its values, the same on every backend."""

from __future__ import annotations

import datetime as dt
import enum
import logging
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from json_support import EXACT_BACKENDS
from json_support import STYLES
from json_support import nested
from json_support import provider_on
from json_support import without_census
from json_support import written

from flask_concurrency_guard.errors import ConfigurationError
from flask_concurrency_guard.json import JSONTypeError
from flask_concurrency_guard.json import JSONValueError
from flask_concurrency_guard.json import features
from flask_concurrency_guard.json.attach import install
from flask_concurrency_guard.json.policy import FLASK
from flask_concurrency_guard.json.policy import MODERN
from flask_concurrency_guard.json.policy import Policy

NAN = float("nan")
INFINITY = float("inf")
NAIVE = dt.datetime(2024, 1, 2, 3, 4, 5, 6)
AWARE = NAIVE.replace(tzinfo=dt.timezone(dt.timedelta(hours=2)))
EARLIEST = dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=3)))
LATEST = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
BIG = 2**53


class Color(enum.Enum):
    NAN = float("nan")
    BIG = 2**53
    AMOUNT = Decimal("1.10")
    NO_AMOUNT = Decimal("NaN")
    TOO_MUCH = Decimal("-Infinity")


class Money(Decimal):
    def __str__(self) -> str:
        return f"{super().__str__()} EUR"


def no_number(path: str, value: str) -> tuple[type[Exception], str]:
    return JSONValueError, (
        f"'{path}' is {value}, which JSON can't hold: send None, or set"
        " 'CONCURRENCY_GUARD_JSON_NAN' to 'null'."
    )


def too_big(path: str, value: int) -> tuple[type[Exception], str]:
    return JSONValueError, (
        f"'{path}' is {value}, which a double can't hold exactly: send it as a string, or set"
        " 'CONCURRENCY_GUARD_JSON_BIGINT' to 'string'."
    )


def no_zone(path: str) -> tuple[type[Exception], str]:
    return JSONValueError, (
        f"'{path}' is datetime.datetime(2024, 1, 2, 3, 4, 5, 6) without a time zone: give it one,"
        " or set 'CONCURRENCY_GUARD_JSON_NAIVE' to 'utc' or 'keep'."
    )


def no_utc(path: str, value: dt.datetime) -> tuple[type[Exception], str]:
    return JSONValueError, (
        f"'{path}' is {value!r}, which lies outside of the years 1 to 9999 in UTC, as HTTP dates"
        " are told: send another date, or set 'CONCURRENCY_GUARD_JSON_DATETIME' to 'iso'."
    )


def no_bytes(path: str, type_name: str) -> tuple[type[Exception], str]:
    return JSONTypeError, (
        f"'{path}' is {type_name}, which JSON can't hold: decode it, or set"
        " 'CONCURRENCY_GUARD_JSON_BYTES' to 'base64'."
    )


def too_deep(path: str, limit: int) -> tuple[type[Exception], str]:
    return JSONValueError, (
        f"'{path}' is nested more than {limit} deep: send a flatter value, or raise"
        " 'CONCURRENCY_GUARD_JSON_MAX_DEPTH'."
    )


def row(name: str, rules: dict[str, Any], value: object, expected: object) -> Any:
    return pytest.param(rules, value, expected, id=name)


NULL = {"nan": "null"}
NAN_ERROR = {"nan": "error"}
ROWS = [
    row("nan null", NULL, [NAN, INFINITY], "[null,null]"),
    row("nan null, key", NULL, {NAN: NAN}, '{"NaN":null}'),
    row("nan error", NAN_ERROR, [0.5, NAN], no_number("$[1]", "nan")),
    row("nan error, infinity", NAN_ERROR, {"a": INFINITY}, no_number("$.a", "inf")),
    row("nan error, negative", NAN_ERROR, (-INFINITY,), no_number("$[0]", "-inf")),
    row("nan error, Decimal", NAN_ERROR, [Decimal("NaN")], no_number("$[0]", "NaN")),
    row("nan error, signaling", NAN_ERROR, [Decimal("sNaN")], no_number("$[0]", "sNaN")),
    row("nan error, Enum", NAN_ERROR, [Color.NAN], no_number("$[0]", "nan")),
    row("nan error, key", NAN_ERROR, [{NAN: 1}], no_number("$[0]", "nan")),
    row("nan error, none there", NAN_ERROR, [0.5, "NaN", None], '[0.5,"NaN",null]'),
    row("bigint number", {"bigint": "number"}, [BIG, -BIG, 2**64], f"[{BIG},-{BIG},{2**64}]"),
    row("bigint string", {"bigint": "string"}, [BIG, -BIG, 2**64], f'["{BIG}","-{BIG}","{2**64}"]'),
    row(
        "bigint string, small",
        {"bigint": "string"},
        [BIG - 1, 1 - BIG, True, 1e300],
        f"[{BIG - 1},{1 - BIG},true,1e+300]",
    ),
    row("bigint string, Enum", {"bigint": "string"}, [Color.BIG], f'["{BIG}"]'),
    row("bigint error", {"bigint": "error"}, [1, BIG], too_big("$[1]", BIG)),
    row("bigint error, negative", {"bigint": "error"}, {"n": -BIG}, too_big("$.n", -BIG)),
    row("bigint error, 64 bits", {"bigint": "error"}, 2**64, too_big("$", 2**64)),
    row("bigint error, small", {"bigint": "error"}, [BIG - 1, 1 - BIG], f"[{BIG - 1},{1 - BIG}]"),
    row("bigint error, key", {"bigint": "error"}, {BIG: "a str"}, f'{{"{BIG}":"a str"}}'),
    row("bigint error, Decimal", {"bigint": "error"}, Decimal(BIG), f'"{BIG}"'),
    row("decimal string", {"decimal": "string"}, [Decimal("1.10")], '["1.10"]'),
    row(
        "decimal number",
        {"decimal": "number"},
        [Decimal("1.10"), Decimal("0.1234567890123456789012"), Decimal("-0"), Decimal("0E-10")],
        "[1.10,0.1234567890123456789012,-0,0E-10]",
    ),
    row(
        "decimal number, exponent",
        {"decimal": "number"},
        {"a": (Decimal("1E+5"), {"b": Decimal("-1.5E-400")})},
        '{"a":[1E+5,{"b":-1.5E-400}]}',
    ),
    row("decimal number, subclass", {"decimal": "number"}, [Money("1.10")], "[1.10]"),
    row(
        "decimal number, subclass, none", {"decimal": "number"}, [Money("NaN"), NAN], "[null,null]"
    ),
    row("decimal number, Enum", {"decimal": "number"}, [Color.AMOUNT], "[1.10]"),
    row(
        "decimal number, Enum, none",
        {"decimal": "number"},
        [Color.NO_AMOUNT, {"a": Color.TOO_MUCH}],
        '[null,{"a":null}]',
    ),
    row(
        "decimal number, Enum, nan error",
        {"decimal": "number", "nan": "error"},
        [Color.AMOUNT, Color.TOO_MUCH],
        no_number("$[1]", "-Infinity"),
    ),
    row("decimal number, alone", {"decimal": "number"}, Decimal("2.50"), "2.50"),
    row("decimal number, key", {"decimal": "number"}, {Decimal("1.10"): 1}, '{"1.10":1}'),
    row(
        "decimal number, none",
        {"decimal": "number"},
        [Decimal("NaN"), Decimal("-Infinity"), Decimal("sNaN")],
        "[null,null,null]",
    ),
    row(
        "decimal number, nan error",
        {"decimal": "number", "nan": "error"},
        [Decimal("1.5"), Decimal("NaN")],
        no_number("$[1]", "NaN"),
    ),
    row(
        "http",
        {"datetime": "http"},
        [NAIVE, AWARE, NAIVE.date(), {NAIVE: 1}],
        '["Tue, 02 Jan 2024 03:04:05 GMT","Tue, 02 Jan 2024 01:04:05 GMT",'
        '"Tue, 02 Jan 2024 00:00:00 GMT",{"Tue, 02 Jan 2024 03:04:05 GMT":1}]',
    ),
    row(
        "iso",
        {"datetime": "iso"},
        [NAIVE, AWARE, NAIVE.date(), {AWARE: 1}],
        '["2024-01-02T03:04:05.000006Z","2024-01-02T03:04:05.000006+02:00","2024-01-02",'
        '{"2024-01-02T03:04:05.000006+02:00":1}]',
    ),
    row(
        "iso, utc",
        {"datetime": "iso", "naive": "utc"},
        [NAIVE, AWARE, {NAIVE: 1}],
        '["2024-01-02T03:04:05.000006Z","2024-01-02T03:04:05.000006+02:00",'
        '{"2024-01-02T03:04:05.000006Z":1}]',
    ),
    row(
        "iso, keep",
        {"datetime": "iso", "naive": "keep"},
        [NAIVE, AWARE, {NAIVE: 1}],
        '["2024-01-02T03:04:05.000006","2024-01-02T03:04:05.000006+02:00",'
        '{"2024-01-02T03:04:05.000006":1}]',
    ),
    row(
        "http, keep: there is no other way",
        {"datetime": "http", "naive": "keep"},
        [NAIVE],
        '["Tue, 02 Jan 2024 03:04:05 GMT"]',
    ),
    row("http, too early", {"datetime": "http"}, {"at": [EARLIEST]}, no_utc("$.at[0]", EARLIEST)),
    row("http, too late", {"datetime": "http"}, [LATEST], no_utc("$[0]", LATEST)),
    row(
        "iso, where HTTP has none",
        {"datetime": "iso"},
        [EARLIEST, LATEST],
        '["0001-01-01T00:00:00+03:00","9999-12-31T23:59:59-05:00"]',
    ),
    row("iso, error", {"datetime": "iso", "naive": "error"}, [AWARE, NAIVE], no_zone("$[1]")),
    row("http, error", {"datetime": "http", "naive": "error"}, {"at": NAIVE}, no_zone("$.at")),
    row(
        "error is not about what has a zone, or can't have one",
        {"datetime": "iso", "naive": "error"},
        [AWARE, NAIVE.date(), NAIVE.time()],
        '["2024-01-02T03:04:05.000006+02:00","2024-01-02","03:04:05.000006"]',
    ),
    row("bytes error", {"bytes": "error"}, [b"text"], no_bytes("$[0]", "bytes")),
    row("bytes error, empty", {"bytes": "error"}, {"b": b""}, no_bytes("$.b", "bytes")),
    row("bytearray error", {"bytes": "error"}, bytearray(b"x"), no_bytes("$", "bytearray")),
    row("memoryview error", {"bytes": "error"}, [memoryview(b"x")], no_bytes("$[0]", "memoryview")),
    row(
        "base64",
        {"bytes": "base64"},
        [b"", b"\xff\x00", bytearray(b"a"), memoryview(b"abc")],
        '["","/wA=","YQ==","YWJj"]',
    ),
    row("sorted", {"sort_keys": True}, {"b": 1, "a": {2: 0, "1": 0}}, '{"a":{"1":0,"2":0},"b":1}'),
    row(
        "unsorted", {"sort_keys": False}, {"b": 1, "a": {2: 0, "1": 0}}, '{"b":1,"a":{"2":0,"1":0}}'
    ),
    row("ascii", {"ensure_ascii": True}, {"é": "😀\x7f"}, r'{"\u00e9":"\ud83d\ude00\u007f"}'),
    row("not ascii", {"ensure_ascii": False}, {"é": "😀\x7f"}, '{"é":"😀\x7f"}'),
    row("depth 1", {"max_depth": 1}, ["a"], '["a"]'),
    row("deeper than 1", {"max_depth": 1}, ["a", []], too_deep("$[1]", 1)),
    row("depth 3", {"max_depth": 3}, {"a": ({"b": 1},)}, '{"a":[{"b":1}]}'),
    row("deeper than 3", {"max_depth": 3}, {"a": ({"b": {}},)}, too_deep("$.a[0].b", 3)),
    row("depth of a set", {"max_depth": 1}, [{1}], too_deep("$[0]", 1)),
    row("depth 300", {"max_depth": 300}, nested(300), "[" * 300 + "]" * 300),
]


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("rules", "value", "expected"), ROWS)
def test_rule_is_kept(rules: dict[str, Any], value: object, expected: Any, style: str) -> None:
    if isinstance(expected, str):
        expected = expected.encode() + b"\n"

    assert written(value, style, **rules) == expected


@pytest.mark.parametrize("style", STYLES)
def test_number_of_numpy_that_is_none_is_an_error_too(style: str) -> None:
    np = pytest.importorskip("numpy")

    assert written([np.array([1, NAN])], style, nan="error") == no_number("$[0][1]", "nan")


@pytest.mark.parametrize("layout", [{}, {"indent": 1}, {"separators": (",", ": ")}], ids=str)
def test_exact_number_has_its_digits_in_every_layout(layout: dict[str, Any]) -> None:
    number = "0.1234567890123456789012"
    texts = {
        provider_on(backend, decimal="number").dumps([Decimal(number), "é"], **layout)
        for backend in EXACT_BACKENDS
    }

    assert texts == {
        provider_on("stdlib").dumps([0.5, "é"], **layout).replace("0.5", number),
    }


@pytest.mark.parametrize("name", ["stdlib", "ujson"])
def test_exact_numbers_are_refused_where_they_can_not_be_written(name: str) -> None:
    app = Flask("refused", static_folder=None)
    before, request_class = app.json, app.request_class
    with pytest.raises(ConfigurationError) as caught:
        install(app, name, style="modern", rules={"decimal": "number"})

    assert (app.json, app.request_class) == (before, request_class)
    assert str(caught.value) == (
        f"'CONCURRENCY_GUARD_JSON_DECIMAL' is 'number', which backend '{name}' can't write with"
        " all digits: choose 'msgspec', 'orjson' or 'simplejson', or 'string'."
    )


def test_styles_differ_in_what_is_documented() -> None:
    assert (
        Policy()
        == FLASK
        == Policy(
            style="flask",
            nan="null",
            decimal="string",
            bigint="number",
            datetime="http",
            naive="utc",
            bytes="error",
            sort_keys=True,
            ensure_ascii=True,
            duplicate_keys="last",
            max_depth=200,
            max_bytes=None,
        )
    )
    assert (
        FLASK.with_changes(
            {
                "style": "modern",
                "datetime": "iso",
                "sort_keys": False,
                "ensure_ascii": False,
                "max_bytes": 2**20,
            }
        )
        == MODERN
    )


def no_module_in_c(name: str) -> str:
    return (
        f"'{name}' can't be used to write JSON, since this package was installed without its"
        " module in C: install it again where there is a C compiler. The standard library writes."
    )


@pytest.mark.parametrize("name", ["msgspec", "orjson", "ujson"])
def test_missing_module_in_c_is_logged(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(features, "encode", None)
    monkeypatch.setattr(features, "HAS_NO_GIL", False)
    install(Flask("no module in C", static_folder=None), name)

    assert caplog.record_tuples == [
        ("flask_concurrency_guard.json", logging.WARNING, no_module_in_c(name))
    ]


@pytest.mark.parametrize("name", ["msgspec", "orjson", "ujson"])
def test_missing_module_in_c_is_no_fault_where_there_is_no_gil(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(features, "encode", None)
    monkeypatch.setattr(features, "HAS_NO_GIL", True)
    install(Flask("no GIL", static_folder=None), name)

    assert caplog.messages == [
        f"'{name}' can't be used to write JSON, since this Python is built to do without the GIL,"
        " and nothing else keeps other threads from a value that is being written. The standard"
        " library writes."
    ]


@pytest.mark.parametrize("name", ["stdlib", "simplejson"])
def test_missing_module_in_c_does_not_matter_where_python_writes(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(features, "encode", None)
    install(Flask("no module in C", static_folder=None), name)

    assert caplog.record_tuples == []


@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("backend", EXACT_BACKENDS)
def test_decimal_of_default_is_no_literal(backend: str, number: str) -> None:
    def default(value: object) -> object:
        if isinstance(value, complex):
            return Decimal(number)
        raise TypeError

    provider = provider_on(backend, "modern", decimal="number")
    assert provider.dumps([1j], default=default) == "[null]"


def test_error_of_an_infinite_decimal_says_so() -> None:
    assert written([Decimal("-Infinity")], nan="error") == no_number("$[0]", "-Infinity")


def test_key_that_is_decimal_nan_is_an_error_too() -> None:
    assert written({Decimal("NaN"): 1}, nan="error")[0] is JSONValueError


def test_path_to_a_key_is_the_same_in_both_styles() -> None:
    value = [{NAIVE: 1}]

    assert written(value, "flask", naive="error") == written(value, "modern", naive="error")


def test_memory_that_is_not_contiguous_is_written() -> None:
    assert written(memoryview(b"abcd")[::2], bytes="base64") == b'"YWM="\n'


def test_largest_depth_that_can_be_set_can_be_written() -> None:
    with without_census():
        assert written(nested(500), max_depth=500) == b"[" * 500 + b"]" * 500 + b"\n"
