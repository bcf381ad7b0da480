"""What is written: Flask's bytes, and null for what isn't a number."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import uuid
from collections import OrderedDict
from collections import namedtuple
from typing import Any

import pytest
from flask import Flask
from flask.json.provider import DefaultJSONProvider
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from markupsafe import Markup

from flask_concurrency_guard.json import SafeJSONProvider

NAN = float("nan")
INFINITY = float("inf")

APP = Flask("output", static_folder=None)
SAFE = SafeJSONProvider(APP)
PLAIN = DefaultJSONProvider(APP)


class Float(float):
    def __repr__(self) -> str:
        return "a float of its own"


class Number(enum.IntEnum):
    ONE = 1


class Html:
    def __html__(self) -> str:
        return "<b>"


@dataclasses.dataclass
class Row:
    price: float
    when: datetime.date
    _hidden: int = 2


Point = namedtuple("Point", "x y")

VALID = [
    pytest.param(None, id="none"),
    pytest.param({}, id="empty object"),
    pytest.param([[], (), {}], id="empty containers"),
    pytest.param('é\u2028</script>\x00"\\😀', id="text"),
    pytest.param("\ud800", id="lone surrogate"),
    pytest.param(["NaN", "-Infinity", 'a "NaN" \\', "\\"], id="text that looks like a literal"),
    pytest.param([0, -1, 2**70, True, False, Number.ONE], id="integers"),
    pytest.param([0.1, -0.0, 1e22, 5e-324, 1.7976931348623157e308], id="floats"),
    pytest.param(Float(1.5), id="subclass of float"),
    pytest.param({"b": 1, "a": [1, {"d": 2, "c": 3}]}, id="sorted keys"),
    pytest.param({2: "a", 2.5: "b", True: "c", 0: "d"}, id="keys that are numbers"),
    pytest.param({None: 1}, id="key None"),
    pytest.param({NAN: 1}, id="key NaN"),
    pytest.param({INFINITY: 1, -INFINITY: 2}, id="infinite keys"),
    pytest.param({NAN: "NaN", 0.5: ['"']}, id="key NaN among others"),
    pytest.param(datetime.datetime(2024, 1, 2, 3, 4, 5, 6), id="datetime"),
    pytest.param(datetime.date(2024, 1, 2), id="date"),
    pytest.param([decimal.Decimal("1.10"), decimal.Decimal("NaN")], id="decimal"),
    pytest.param(uuid.UUID(int=7), id="uuid"),
    pytest.param(Row(1.5, datetime.date(2024, 1, 2)), id="dataclass"),
    pytest.param(Point(1, [2]), id="namedtuple"),
    pytest.param(OrderedDict(b=1, a=2), id="ordered dict"),
    pytest.param([Markup("<b>"), Html()], id="html"),
]

OPTIONS = [
    pytest.param({}, id="no options"),
    pytest.param({"separators": (",", ":")}, id="compact"),
    pytest.param({"indent": 2}, id="indent"),
    pytest.param({"indent": "\t", "separators": [",", ": "]}, id="indent with tab"),
    pytest.param({"indent": 0}, id="indent 0"),
    pytest.param({"ensure_ascii": False}, id="not ascii"),
    pytest.param({"sort_keys": False}, id="not sorted"),
    pytest.param({"check_circular": False, "skipkeys": True}, id="switches"),
    pytest.param({"default": str}, id="default"),
    pytest.param({"allow_nan": True}, id="allow_nan"),
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("value", VALID)
def test_valid_json_is_that_of_flask(value: Any, options: dict[str, Any]) -> None:
    assert SAFE.dumps(value, **options) == PLAIN.dumps(value, **options)


@pytest.mark.parametrize("debug", [False, True], ids=["not debug", "debug"])
@pytest.mark.parametrize("compact", [None, False, True])
@pytest.mark.parametrize("value", VALID)
def test_response_is_that_of_flask(value: Any, compact: bool | None, debug: bool) -> None:
    app = Flask("response", static_folder=None)
    app.debug = debug
    safe, plain = SafeJSONProvider(app), DefaultJSONProvider(app)
    safe.compact = plain.compact = compact
    safe.mimetype = plain.mimetype = "application/x+json"

    ours, flasks = safe.response(value), plain.response(value)

    assert ours.get_data() == flasks.get_data()
    assert ours.headers.to_wsgi_list() == flasks.headers.to_wsgi_list()


KEYS = st.text() | st.integers()
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["NaN", "Infinity", '"NaN', "\\", '\\"', "[", "}"])
)
PLAIN_VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30
)
VALUES = st.recursive(
    SCALARS
    | st.datetimes()
    | st.uuids()
    | st.decimals()
    | st.builds(Row, st.floats(allow_nan=False, allow_infinity=False), st.dates()),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner)
        | st.dictionaries(st.integers() | st.floats(), inner)
    ),
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


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(value=VALUES, options=DUMP_OPTIONS)
def test_any_valid_json_is_that_of_flask(value: Any, options: dict[str, Any]) -> None:
    assert SAFE.dumps(value, **options) == PLAIN.dumps(value, **options)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(value=PLAIN_VALUES, options=DUMP_OPTIONS)
def test_what_is_written_is_read_back(value: Any, options: dict[str, Any]) -> None:
    text = SAFE.dumps(value, **options)

    assert SAFE.loads(text) == value


def as_json_has_it(value: Any) -> Any:
    """The slow and plain way to do what the provider does to the text."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: as_json_has_it(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json_has_it(inner) for inner in value]
    return value


LITERALS = st.recursive(
    SCALARS | st.floats() | st.sampled_from([NAN, INFINITY, -INFINITY]),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.sampled_from(["NaN", "-Infinity"]), inner)
        | st.dictionaries(st.floats(), inner)
    ),
    max_leaves=30,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(value=LITERALS, options=DUMP_OPTIONS, once=st.booleans())
def test_only_what_is_no_number_becomes_null(
    value: Any, options: dict[str, Any], once: bool
) -> None:
    hook = {"default": str} if once else {}

    assert SAFE.dumps(value, **options, **hook) == PLAIN.dumps(as_json_has_it(value), **options)


def default_to_nan(value: object) -> object:
    return [NAN, {"deep": (INFINITY,)}]


@pytest.mark.parametrize(
    ("value", "options", "expected"),
    [
        pytest.param(NAN, {}, "null", id="nan"),
        pytest.param(INFINITY, {}, "null", id="infinity"),
        pytest.param(-INFINITY, {}, "null", id="negative infinity"),
        pytest.param(Float("nan"), {}, "null", id="subclass of float"),
        pytest.param((1.5, NAN), {}, "[1.5, null]", id="tuple"),
        pytest.param({"a": {"b": [NAN]}}, {}, '{"a": {"b": [null]}}', id="nested"),
        pytest.param({NAN: NAN}, {}, '{"NaN": null}', id="key and value"),
        pytest.param({"NaN": "NaN", "x": NAN}, {}, '{"NaN": "NaN", "x": null}', id="text"),
        pytest.param(['\\"', NAN, "-"], {}, r'["\\\"", null, "-"]', id="escapes"),
        pytest.param([-1, -INFINITY, -2.5], {}, "[-1, null, -2.5]", id="minus"),
        pytest.param([NAN], {"indent": 1}, "[\n null\n]", id="indent"),
        pytest.param([NAN], {"allow_nan": True}, "[null]", id="allow_nan"),
        pytest.param(["é", NAN], {"ensure_ascii": False}, '["é", null]', id="not ascii"),
        pytest.param(
            Row(NAN, datetime.date(2024, 1, 2)),
            {},
            '{"_hidden": 2, "price": null, "when": "Tue, 02 Jan 2024 00:00:00 GMT"}',
            id="dataclass",
        ),
        pytest.param(
            {"a": object()},
            {"default": default_to_nan},
            '{"a": [null, {"deep": [null]}]}',
            id="from default",
        ),
    ],
)
def test_no_literal_is_written(value: Any, options: dict[str, Any], expected: str) -> None:
    assert SAFE.dumps(value, **options) == expected


def test_caller_may_ask_for_an_error_instead_of_null() -> None:
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        SAFE.dumps([NAN], allow_nan=False)


def test_default_is_called_once_for_an_object() -> None:
    """A generator has nothing to give the second time."""
    rows = (number for number in range(3))

    assert SAFE.dumps({"rows": rows, "x": NAN}, default=list) == '{"rows": [0, 1, 2], "x": null}'


@pytest.mark.parametrize("options", [{}, {"default": str}, {"indent": 2}], ids=str)
def test_cycle_is_a_clear_error(options: dict[str, Any]) -> None:
    value: list[object] = [NAN]
    value.append({"again": value})

    with pytest.raises(ValueError, match=r"^Circular reference detected$"):
        SAFE.dumps(value, **options)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(object(), "Object of type object is not JSON serializable", id="object"),
        pytest.param(b"x", "Object of type bytes is not JSON serializable", id="bytes"),
        pytest.param({b"x": 1}, "keys must be str, int, float, bool or None, not bytes", id="key"),
    ],
)
def test_what_flask_refuses_is_refused(value: object, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        SAFE.dumps(value)

    assert str(caught.value) == message
