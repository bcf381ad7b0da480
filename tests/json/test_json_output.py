"""What JSON's own types are written as, and their keys and layout."""

from __future__ import annotations

import datetime as dt
import enum
import re
import uuid
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from json_support import BACKENDS
from json_support import STYLES
from json_support import dumped
from json_support import nested
from json_support import provider_on
from json_support import read_strictly
from json_support import without_census
from json_support import written

from flask_concurrency_guard.json import JSONTypeError
from flask_concurrency_guard.json import JSONValueError
from flask_concurrency_guard.json import SafeJSONProvider
from flask_concurrency_guard.json.attach import install

NAN = float("nan")
INFINITY = float("inf")

ALL_ASCII = "".join(map(chr, range(127)))
ESCAPES = {
    0x08: r"\b",
    0x09: r"\t",
    0x0A: r"\n",
    0x0C: r"\f",
    0x0D: r"\r",
    0x22: r"\"",
    0x5C: r"\\",
}
ALL_ASCII_WRITTEN = "".join(
    ESCAPES.get(code, rf"\u{code:04x}" if code < 0x20 else chr(code)) for code in range(127)
)


def row(name: str, value: object, flask: str, modern: str | None = None) -> Any:
    return pytest.param(value, {"flask": flask, "modern": modern or flask}, id=name)


PLAIN = [
    row("none", None, "null"),
    row("true", True, "true"),
    row("false", False, "false"),
    row("zero", 0, "0"),
    row("negative", -1, "-1"),
    row("largest exact integer", 2**53 - 1, "9007199254740991"),
    row("beyond it", [2**53, -(2**53)], "[9007199254740992,-9007199254740992]"),
    row("64 bits", [2**63, 2**64 - 1], "[9223372036854775808,18446744073709551615]"),
    row("lowest of 64 bits", -(2**63), "-9223372036854775808"),
    row("beyond 64 bits", [2**64, -(2**63) - 1], "[18446744073709551616,-9223372036854775809]"),
    row("4300 digits", 10**4299, "1" + "0" * 4299),
    row("float", 0.1, "0.1"),
    row("whole float", 5.0, "5.0"),
    row("negative zero", -0.0, "-0.0"),
    row("floats before the exponent", [0.0001, 1e15], "[0.0001,1000000000000000.0]"),
    row("floats with exponent", [1e-05, 1e16, 1.5e300], "[1e-05,1e+16,1.5e+300]"),
    row("smallest float", 5e-324, "5e-324"),
    row("largest float", -1.7976931348623157e308, "-1.7976931348623157e+308"),
    row("nan", NAN, "null"),
    row("infinities", [INFINITY, -INFINITY], "[null,null]"),
    row("empty text", "", '""'),
    row("all of ASCII", ALL_ASCII, f'"{ALL_ASCII_WRITTEN}"'),
    row("delete", "\x7f", r'"\u007f"', '"\x7f"'),
    row("slash and markup", "</script>&'", '"</script>&\'"'),
    row("latin", "é", r'"\u00e9"', '"é"'),
    row("line separators", "\u2028\u2029", r'"\u2028\u2029"', '"\u2028\u2029"'),
    row("emoji", "😀", r'"\ud83d\ude00"', '"😀"'),
    row("noncharacters", "\uffff\ufeff", r'"\uffff\ufeff"', '"\uffff\ufeff"'),
    row("text like a literal", ["NaN", "-Infinity", "null"], '["NaN","-Infinity","null"]'),
    row("text with quotes", '"NaN" \\', r'"\"NaN\" \\"'),
    row("empty containers", [[], (), {}], "[[],[],{}]"),
    row(
        "nested",
        {"b": [1, {"d": (2,), "c": 3}]},
        '{"b":[1,{"c":3,"d":[2]}]}',
        '{"b":[1,{"d":[2],"c":3}]}',
    ),
    row("order", {"b": 1, "a": 2, "": 3}, '{"":3,"a":2,"b":1}', '{"b":1,"a":2,"":3}'),
    row("order is by code point", {"é": 1, "z": 2}, r'{"z":2,"\u00e9":1}', '{"é":1,"z":2}'),
    row("order of numbers in text", {"10": 1, "9": 2}, '{"10":1,"9":2}'),
    row("as deep as allowed", nested(200), "[" * 200 + "]" * 200),
]


class Color(enum.Enum):
    RED = "red"
    THREE = 3
    DAY = dt.date(2024, 1, 2)
    PAIR = (1, 2)
    NAN = float("nan")


class Word(enum.StrEnum):
    HELLO = "hello"


class Number(enum.IntEnum):
    ONE = 1


class Text(str):
    def __str__(self) -> str:
        return "a text of its own"


class Whole(int):
    def __repr__(self) -> str:
        return "a text of its own"


class Real(float):
    def __repr__(self) -> str:
        return "a text of its own"


WHEN = dt.datetime(2024, 1, 2, 3, 4, 5, 6)

KEYS = [
    row("int", {5: 1}, '{"5":1}'),
    row("big int", {2**70: 1}, '{"1180591620717411303424":1}'),
    row("float", {1e22: 1}, '{"1e+22":1}'),
    row("nan", {NAN: 1}, '{"NaN":1}'),
    row(
        "infinities",
        {INFINITY: 1, -INFINITY: 2},
        '{"-Infinity":2,"Infinity":1}',
        '{"Infinity":1,"-Infinity":2}',
    ),
    row("true", {True: 1}, '{"true":1}'),
    row("false", {False: 1}, '{"false":1}'),
    row("none", {None: 1}, '{"null":1}'),
    row("subclass of str", {Text("text"): 1}, '{"text":1}'),
    row("subclass of int", {Whole(5): 1}, '{"5":1}'),
    row("subclass of float", {Real(0.5): 1}, '{"0.5":1}'),
    row("Enum", {Color.RED: 1}, '{"red":1}'),
    row("Enum of an integer", {Color.THREE: 1}, '{"3":1}'),
    row(
        "Enum of a date", {Color.DAY: 1}, '{"Tue, 02 Jan 2024 00:00:00 GMT":1}', '{"2024-01-02":1}'
    ),
    row("Enum of NaN", {Color.NAN: 1}, '{"NaN":1}'),
    row("StrEnum", {Word.HELLO: 1}, '{"hello":1}'),
    row("IntEnum", {Number.ONE: 1}, '{"1":1}'),
    row("UUID", {uuid.UUID(int=1): 1}, '{"00000000-0000-0000-0000-000000000001":1}'),
    row("Decimal", {Decimal("1.10"): 1}, '{"1.10":1}'),
    row("Decimal NaN", {Decimal("NaN"): 1}, '{"NaN":1}'),
    row("Decimal NaN among numbers", {0: 1, Decimal("NaN"): 2}, '{"0":1,"NaN":2}'),
    row(
        "datetime",
        {WHEN: 1},
        '{"Tue, 02 Jan 2024 03:04:05 GMT":1}',
        '{"2024-01-02T03:04:05.000006Z":1}',
    ),
    row("date", {WHEN.date(): 1}, '{"Tue, 02 Jan 2024 00:00:00 GMT":1}', '{"2024-01-02":1}'),
    row("time", {dt.time(1, 2): 1}, '{"01:02:00":1}'),
    row("timedelta", {dt.timedelta(1): 1}, '{"P1D":1}'),
    row(
        "numbers sort as numbers",
        {10: 1, 9: 2, 9.5: 3},
        '{"9":2,"9.5":3,"10":1}',
        '{"10":1,"9":2,"9.5":3}',
    ),
    row(
        "mixed keys sort by how they are spelled",
        {"b": 1, 10: 2, 9: 3, None: 4, Color.RED: 5, True: 6},
        '{"10":2,"9":3,"b":1,"null":4,"red":5,"true":6}',
        '{"b":1,"10":2,"9":3,"null":4,"red":5,"true":6}',
    ),
    row("no collision", {1: "a", "1.0": "b", "True": "c"}, '{"1":"a","1.0":"b","True":"c"}'),
]


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("value", "expected"), [*PLAIN, *KEYS])
def test_value_has_its_form(value: object, expected: dict[str, str], style: str) -> None:
    assert written(value, style) == expected[style].encode() + b"\n"


NO_KEY = "has a key of type '{}', which has no form in JSON: make it a str."
TWICE = "has two keys that are both written as '{}', {} and {}: rename one of them."


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("value", "type_name"),
    [
        pytest.param({(1, 2): 1}, "tuple", id="tuple"),
        pytest.param({b"x": 1}, "bytes", id="bytes"),
        pytest.param({frozenset(): 1}, "frozenset", id="frozenset"),
        pytest.param({int: 1}, "type", id="class"),
        pytest.param({1j: 1}, "complex", id="complex"),
        pytest.param({Color.PAIR: 1}, "tuple", id="Enum of a tuple"),
        pytest.param({"a": 1, b"x": 2}, "bytes", id="among others"),
    ],
)
def test_other_key_is_refused(value: object, type_name: str, style: str) -> None:
    assert written(value, style) == (JSONTypeError, f"'$' {NO_KEY.format(type_name)}")


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("value", "name", "first", "second"),
    [
        pytest.param({1: 0, "1": 1}, "1", "1", "'1'", id="int"),
        pytest.param({"1": 0, 1: 1}, "1", "'1'", "1", id="int after str"),
        pytest.param({0.5: 0, "0.5": 1}, "0.5", "0.5", "'0.5'", id="float"),
        pytest.param({NAN: 0, float("nan"): 1}, "NaN", "nan", "nan", id="nan"),
        pytest.param({True: 0, "true": 1}, "true", "True", "'true'", id="true"),
        pytest.param({None: 0, "null": 1}, "null", "None", "'null'", id="none"),
        pytest.param({Color.RED: 0, "red": 1}, "red", "<Color.RED: 'red'>", "'red'", id="Enum"),
        pytest.param({Decimal("1.1"): 0, "1.1": 1}, "1.1", "Decimal('1.1')", "'1.1'", id="Decimal"),
        pytest.param(
            {dt.time(1): 0, "01:00:00": 1},
            "01:00:00",
            "datetime.time(1, 0)",
            "'01:00:00'",
            id="time",
        ),
    ],
)
def test_two_keys_that_become_one_are_an_error(
    value: dict[object, object], name: str, first: str, second: str, style: str
) -> None:
    assert written({"x": [value]}, style) == (
        JSONValueError,
        f"'$.x[0]' {TWICE.format(name, first, second)}",
    )


def test_datetimes_that_http_dates_can_not_tell_apart_collide_as_keys() -> None:
    value = {WHEN.replace(microsecond=0): 1, WHEN: 2}

    assert written(value, "flask") == (
        JSONValueError,
        "'$' "
        + TWICE.format(
            "Tue, 02 Jan 2024 03:04:05 GMT",
            "datetime.datetime(2024, 1, 2, 3, 4, 5)",
            "datetime.datetime(2024, 1, 2, 3, 4, 5, 6)",
        ),
    )
    assert written(value, "modern") == (
        b'{"2024-01-02T03:04:05Z":1,"2024-01-02T03:04:05.000006Z":2}\n'
    )


VALUE = {"b": ["é", NAN, Decimal("1.10")], "a": {}, "c": []}


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, r'{"a": {}, "b": ["\u00e9", null, "1.10"], "c": []}', id="none"),
        pytest.param(
            {"separators": (",", ":")},
            r'{"a":{},"b":["\u00e9",null,"1.10"],"c":[]}',
            id="compact",
        ),
        pytest.param(
            {"separators": (" , ", " :\t")},
            '{"a" :\t{} , "b" :\t["\\u00e9" , null , "1.10"] , "c" :\t[]}',
            id="separators",
        ),
        pytest.param(
            {"ensure_ascii": False}, '{"a": {}, "b": ["é", null, "1.10"], "c": []}', id="not ascii"
        ),
        pytest.param(
            {"sort_keys": False},
            r'{"b": ["\u00e9", null, "1.10"], "a": {}, "c": []}',
            id="not sorted",
        ),
        pytest.param(
            {"indent": 1},
            '{\n "a": {},\n "b": [\n  "\\u00e9",\n  null,\n  "1.10"\n ],\n "c": []\n}',
            id="indent",
        ),
        pytest.param(
            {"indent": "\t", "separators": (",", ":"), "sort_keys": False, "ensure_ascii": False},
            '{\n\t"b":[\n\t\t"é",\n\t\tnull,\n\t\t"1.10"\n\t],\n\t"a":{},\n\t"c":[]\n}',
            id="indent with tab",
        ),
        pytest.param(
            {"indent": 0},
            '{\n"a": {},\n"b": [\n"\\u00e9",\nnull,\n"1.10"\n],\n"c": []\n}',
            id="indent 0",
        ),
        pytest.param(
            {"indent": True},
            '{\n "a": {},\n "b": [\n  "\\u00e9",\n  null,\n  "1.10"\n ],\n "c": []\n}',
            id="indent True",
        ),
    ],
)
def test_layout(options: dict[str, Any], expected: str) -> None:
    assert dumped(VALUE, "flask", **options) == expected


SEPARATORS = "'separators' must be ',' and ':', with white space around them, got {!r} and {!r}."
INDENT = "'indent' must be a number, or white space, got {!r}."


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"separators": (";", ":")}, SEPARATORS.format(";", ":"), id="items"),
        pytest.param({"separators": (", ", "=")}, SEPARATORS.format(", ", "="), id="keys"),
        pytest.param({"separators": ("", ":")}, SEPARATORS.format("", ":"), id="empty"),
        pytest.param({"separators": (",,", ":")}, SEPARATORS.format(",,", ":"), id="twice"),
        pytest.param(
            {"separators": (",", ":\xa0")},
            SEPARATORS.format(",", ":\xa0"),
            id="white space that JSON doesn't know",
        ),
        pytest.param({"indent": "--"}, INDENT.format("--"), id="indent"),
        pytest.param({"indent": "\v"}, INDENT.format("\v"), id="indent that JSON doesn't know"),
    ],
)
def test_layout_that_is_no_json_is_refused(
    options: dict[str, Any], message: str, style: str
) -> None:
    assert dumped(VALUE, style, **options) == (ValueError, message)


def test_modern_dumps_is_compact() -> None:
    assert dumped(VALUE, "modern") == '{"b":["é",null,"1.10"],"a":{},"c":[]}'


def default_to_nan(value: object) -> object:
    return [NAN, {"deep": (INFINITY,)}]


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize(
    ("value", "options", "expected"),
    [
        pytest.param(Real("nan"), {}, "null", id="subclass of float"),
        pytest.param((1.5, NAN), {}, "[1.5, null]", id="tuple"),
        pytest.param({NAN: NAN}, {}, '{"NaN": null}', id="key and value"),
        pytest.param({"NaN": "NaN", "x": NAN}, {}, '{"NaN": "NaN", "x": null}', id="text"),
        pytest.param(['\\"', NAN, "-"], {}, r'["\\\"", null, "-"]', id="escapes"),
        pytest.param([-1, -INFINITY, -2.5], {}, "[-1, null, -2.5]", id="minus"),
        pytest.param([NAN], {"indent": 1}, "[\n null\n]", id="indent"),
        pytest.param([NAN], {"allow_nan": True}, "[null]", id="allow_nan"),
        pytest.param(
            {"a": object()},
            {"default": default_to_nan},
            '{"a": [null, {"deep": [null]}]}',
            id="from default",
        ),
    ],
)
def test_no_literal_is_written(value: Any, options: dict[str, Any], expected: str) -> None:
    assert dumped(value, "flask", **options) == expected


@pytest.mark.parametrize("name", ["skipkeys", "sort_keys", "check_circular"])
def test_value_is_what_it_was_afterwards(backend: str, name: str) -> None:
    inner = {"b": {2: "x"}, "a": [NAN, (1,)]}
    value = [inner, inner]
    provider_on(backend).dumps(value, **{name: True})

    assert value[0] is value[1]
    assert list(inner) == ["b", "a"]
    assert repr(inner) == "{'b': {2: 'x'}, 'a': [nan, (1,)]}"


def test_what_is_there_twice_is_written_twice() -> None:
    row_ = {"x": [1]}

    assert written([row_, row_, row_["x"]]) == b'[{"x":[1]},{"x":[1]},[1]]\n'


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize("value", [{"a": "é"}, {"a": NAN}], ids=["as it is", "copied"])
def test_body_goes_to_the_response_as_bytes(backend: str, value: object) -> None:
    class Recorder(Flask.response_class):  # type: ignore[misc, name-defined]
        def __init__(self, response: object, **options: Any) -> None:
            given.append(type(response))
            super().__init__(response, **options)

    given: list[type] = []
    app = Flask("bytes", static_folder=None)
    app.response_class = Recorder
    install(app, backend, style="modern")
    app.json.response(value)

    assert given == [bytes]


def app_with_attributes(backend: str, style: str, **attributes: Any) -> Flask:
    app = Flask("attributes", static_folder=None)
    install(app, backend, style=style)
    for name, value in attributes.items():
        setattr(app.json, name, value)
    return app


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        pytest.param({"sort_keys": True}, '{"a":[1.5],"b":"É"}', id="sort_keys"),
        pytest.param({"sort_keys": False}, '{"b":"É","a":[1.5]}', id="not sort_keys"),
        pytest.param({"ensure_ascii": True}, r'{"a":[1.5],"b":"\u00c9"}', id="ensure_ascii"),
        pytest.param({"ensure_ascii": False}, '{"a":[1.5],"b":"É"}', id="not ensure_ascii"),
        pytest.param({"compact": True}, '{"a":[1.5],"b":"É"}', id="compact"),
        pytest.param({"compact": False}, '{\n  "a": [\n    1.5\n  ],\n  "b": "É"\n}', id="pretty"),
    ],
)
def test_attributes_of_the_provider_work(
    backend: str, style: str, attributes: dict[str, Any], expected: str
) -> None:
    attributes = {"sort_keys": True, "ensure_ascii": False, **attributes}
    app = app_with_attributes(backend, style, **attributes)

    assert app.json.response(b="É", a=[1.5]).get_data() == expected.encode() + b"\n"


@pytest.mark.parametrize("style", STYLES)
def test_default_and_mimetype_of_the_provider_work(backend: str, style: str) -> None:
    app = app_with_attributes(backend, style, default=repr, mimetype="application/vnd.x+json")
    response = app.json.response([Decimal("1.5"), {1}])

    assert response.get_data() == b"""["Decimal('1.5')","{1}"]\n"""
    assert response.mimetype == "application/vnd.x+json"


@pytest.mark.parametrize("debug", [True, False], ids=["debug", "not debug"])
def test_response_is_pretty_in_debug_mode(backend: str, debug: bool) -> None:
    app = app_with_attributes(backend, "modern")
    app.debug = debug

    expected = b'{\n  "a": 1\n}\n' if debug else b'{"a":1}\n'
    assert app.json.response(a=1).get_data() == expected


def test_generator_is_written_by_default_list_once() -> None:
    for backend in BACKENDS:
        rows = (number for number in range(3))
        value = {"rows": rows, "x": NAN}

        assert provider_on(backend).dumps(value, default=list) == '{"rows": [0, 1, 2], "x": null}'


class Opaque:
    pass


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text()
    | st.text(st.characters())
    | st.decimals()
    | st.uuids()
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.timezones())
    | st.times()
    | st.timedeltas()
    | st.binary(max_size=3)
    | st.sampled_from([Color.RED, Color.PAIR, Word.HELLO, Number.ONE, Text("x\x7f"), Real("nan")])
)
ANY_KEYS = (
    st.text(max_size=3)
    | st.sampled_from(
        ["1", "null", "NaN", "\ud800", 1, 1.0, None, True, NAN, Color.RED, Word.HELLO]
    )
    | st.integers()
    | st.floats()
    # A signaling NaN has no hash.
    | st.decimals().filter(lambda number: not number.is_snan())
)
ANYTHING = st.recursive(
    SCALARS | st.builds(Opaque) | st.text(st.characters(categories=["Cs", "Lu"])),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.frozensets(st.integers() | st.text())
        | st.dictionaries(st.text(max_size=3), inner)
        | st.dictionaries(ANY_KEYS, inner)
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(value=ANYTHING, style=st.sampled_from(STYLES))
def test_outcome_is_the_same_everywhere_and_valid(value: Any, style: str) -> None:
    body = written(value, style)

    with without_census():
        assert written(value, style) == body
    if isinstance(body, bytes):
        read_strictly(body)
    else:
        assert body[0] in (JSONTypeError, JSONValueError)


EXACT = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["NaN", "Infinity", '"NaN', "\\", '\\"', "[", "}", "\x7f", "\u2028"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)
DUMP_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "indent": st.sampled_from([None, 0, 2, "\t"]),
        "ensure_ascii": st.booleans(),
        "sort_keys": st.booleans(),
        "separators": st.sampled_from([(",", ":"), (", ", ": ")]),
    },
)


def exactly(value: object) -> str:
    """Tell 1 from 1.0 and True, and 0.0 from -0.0."""
    if isinstance(value, dict):
        return repr(sorted((key, exactly(inner)) for key, inner in value.items()))
    return repr([*map(exactly, value)]) if isinstance(value, list) else repr(value)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=EXACT, options=DUMP_OPTIONS, style=st.sampled_from(STYLES))
def test_what_is_written_is_read_back(value: Any, options: dict[str, Any], style: str) -> None:
    text = dumped(value, style, **options)

    for backend in BACKENDS:
        assert exactly(provider_on(backend, style).loads(text)) == exactly(value)


DOCUMENTED_FORMS = [
    (st.datetimes(timezones=st.timezones()), dt.datetime.fromisoformat),
    (st.datetimes(), lambda text: dt.datetime.fromisoformat(text).replace(tzinfo=None)),
    (st.dates(), dt.date.fromisoformat),
    (st.times(), dt.time.fromisoformat),
    (st.uuids(), uuid.UUID),
    (st.decimals(allow_nan=False, allow_infinity=False), Decimal),
    (st.sampled_from(Word), Word),
    (st.frozensets(st.integers()), frozenset),
    (st.tuples(st.integers(), st.text()), tuple),
]


@settings(deadline=None, max_examples=300)
@given(data=st.data(), form=st.sampled_from(DOCUMENTED_FORMS))
def test_form_of_style_modern_gives_the_value_back(data: st.DataObject, form: Any) -> None:
    values, parse = form
    value = data.draw(values)
    body = written({"x": value}, "modern")

    for backend in BACKENDS:
        read = parse(provider_on(backend, "modern").loads(body)["x"])
        assert without_zone(read) == without_zone(value)


def without_zone(value: Any) -> Any:
    """Return what a datetime says. In the hour that clocks repeat none equals that of a zone."""
    if not isinstance(value, dt.datetime):
        return value
    return value.replace(tzinfo=None, fold=0), value.utcoffset()


DURATION = re.compile(r"(-?)P(?:(\d+)D)?(?:T(\d+)(?:\.(\d+))?S)?")


@settings(deadline=None)
@given(value=st.timedeltas())
def test_duration_gives_the_timedelta_back(value: dt.timedelta) -> None:
    match = DURATION.fullmatch(provider_on("stdlib").loads(written(value, "modern")))
    assert match is not None
    sign, days, seconds, fraction = match.groups(default="0")
    read = dt.timedelta(int(days), int(seconds), int(fraction.ljust(6, "0")))

    assert (-read if sign == "-" else read) == value


@pytest.mark.parametrize("attribute", ["dumps", "response"])
def test_subclass_may_override(backend: str, attribute: str) -> None:
    class Provider(SafeJSONProvider):
        pass

    def own(self: SafeJSONProvider, *args: Any, **options: Any) -> Any:
        return getattr(super(Provider, self), attribute)(["own", *args], **options)

    setattr(Provider, attribute, own)
    app = Flask("subclass", static_folder=None)
    app.json = Provider(app)
    install(app, backend)

    assert app.json.response(NAN).get_data() == b'["own",null]\n'
