"""Style flask: byte for byte what Flask's own provider writes, for what it writes validly."""

from __future__ import annotations

import dataclasses
import datetime as dt
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
from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from json_support import BACKENDS
from json_support import dumped
from json_support import provider_on
from json_support import read_strictly
from json_support import without_census
from json_support import written
from markupsafe import Markup
from werkzeug.datastructures import MultiDict

from flask_concurrency_guard.json.attach import install

NAN = float("nan")
INFINITY = float("inf")

FLASK_APP = Flask("flask", static_folder=None)
FLASKS = DefaultJSONProvider(FLASK_APP)


class Real(float):
    def __repr__(self) -> str:
        return "a text of its own"


class Text(str):
    def __str__(self) -> str:
        return "a text of its own"


class Number(enum.IntEnum):
    FIVE = 5


class Word(str, enum.Enum):  # noqa: UP042
    BEE = "bee"


class Html:
    def __html__(self) -> str:
        return "<b>"


class List(list):  # type: ignore[type-arg]
    pass


class Dict(dict):  # type: ignore[type-arg]
    pass


@dataclasses.dataclass
class Row:
    price: object
    when: object
    _hidden: object = 2


Point = namedtuple("Point", "x y")

VALID = [
    pytest.param(None, id="none"),
    pytest.param({}, id="empty object"),
    pytest.param([[], (), {}], id="empty containers"),
    pytest.param('é\u2028</script>\x00"\\😀\x7f', id="text"),
    pytest.param(["NaN", "-Infinity", 'a "NaN" \\', "\\"], id="text that looks like a literal"),
    pytest.param([0, -1, 2**70, True, False, Number.FIVE], id="integers"),
    pytest.param([0.1, -0.0, 1e22, 5e-324, 1.7976931348623157e308], id="floats"),
    pytest.param(Real(1.5), id="subclass of float"),
    pytest.param({"b": 1, "a": [1, {"d": 2, "c": 3}]}, id="sorted keys"),
    pytest.param({2: "a", 2.5: "b", True: "c", 0: "d"}, id="keys that are numbers"),
    pytest.param({None: 1}, id="key None"),
    pytest.param({NAN: 1}, id="key NaN"),
    pytest.param({INFINITY: 1, -INFINITY: 2}, id="infinite keys"),
    pytest.param({NAN: "NaN", 0.5: ['"']}, id="key NaN among others"),
    pytest.param({Word.BEE: 1, "a": 2}, id="keys that are str and more"),
    pytest.param(dt.datetime(2024, 1, 2, 3, 4, 5, 6), id="datetime"),
    pytest.param(dt.date(2024, 1, 2), id="date"),
    pytest.param([decimal.Decimal("1.10"), decimal.Decimal("NaN")], id="decimal"),
    pytest.param(uuid.UUID(int=7), id="uuid"),
    pytest.param(Row(1.5, dt.date(2024, 1, 2)), id="dataclass"),
    pytest.param(Row([Row(1, {})], ()), id="dataclass in dataclass"),
    pytest.param(Point(1, [2]), id="namedtuple"),
    pytest.param(OrderedDict(b=1, a=2), id="ordered dict"),
    pytest.param(MultiDict([("a", "1"), ("a", "2")]), id="multi dict"),
    pytest.param([Markup("<b>"), Html()], id="html"),
]

OPTIONS = [
    pytest.param({}, id="no options"),
    pytest.param({"separators": (",", ":")}, id="compact"),
    pytest.param({"indent": 2}, id="indent"),
    pytest.param({"indent": "\t", "separators": [",", ": "]}, id="indent with tab"),
    pytest.param({"indent": 0}, id="indent 0"),
    pytest.param({"indent": True}, id="indent True"),
    pytest.param({"indent": -1}, id="indent -1"),
    pytest.param({"ensure_ascii": False}, id="not ascii"),
    pytest.param({"sort_keys": False}, id="not sorted"),
    pytest.param({"check_circular": False, "skipkeys": True}, id="switches"),
    pytest.param({"default": str}, id="default"),
    pytest.param({"allow_nan": True}, id="allow_nan"),
]


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("value", VALID)
def test_valid_json_is_that_of_flask(value: Any, options: dict[str, Any]) -> None:
    assert dumped(value, "flask", **options) == FLASKS.dumps(value, **options)


@pytest.mark.parametrize("debug", [False, True], ids=["not debug", "debug"])
@pytest.mark.parametrize("compact", [None, False, True])
@pytest.mark.parametrize("value", VALID)
def test_response_is_that_of_flask(
    backend: str, value: Any, compact: bool | None, debug: bool
) -> None:
    app = Flask("response", static_folder=None)
    app.debug = debug
    flasks = app.json
    assert isinstance(flasks, DefaultJSONProvider)
    flasks.compact = compact
    flasks.mimetype = "application/x+json"
    install(app, backend)

    theirs, ours = flasks.response(value), app.json.response(value)

    assert ours.get_data() == theirs.get_data()
    assert ours.headers.to_wsgi_list() == theirs.headers.to_wsgi_list()


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1, 2), {}), (([1],), {}), ((), {"b": 1, "a": 2}), (({},), {})],
    ids=str,
)
def test_arguments_of_response_are_those_of_flask(
    backend: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    ours = provider_on(backend).response(*args, **kwargs)

    assert ours.get_data() == FLASKS.response(*args, **kwargs).get_data()


def test_response_takes_no_mixed_arguments(backend: str) -> None:
    with pytest.raises(TypeError) as theirs:
        FLASKS.response(1, a=2)
    with pytest.raises(TypeError) as ours:
        provider_on(backend).response(1, a=2)

    assert str(ours.value) == str(theirs.value)


ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text()
    | st.text(st.characters(codec="ascii"))
    | st.text(st.characters(categories=["Cs", "Lu"]))
    | st.decimals()
    | st.uuids()
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.timezones())
    | st.sampled_from([Number.FIVE, Word.BEE, Text("x\x7f"), Real(1.5), Real("nan"), Html()])
)
KEYS = (
    st.text()
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
    | st.sampled_from([Number.FIVE, Word.BEE, Text("q"), "5", "NaN", NAN, Real("nan")])
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.lists(inner).map(List)
        | st.dictionaries(st.text(), inner)
        | st.dictionaries(KEYS, inner)
        | st.dictionaries(st.text(), inner).map(Dict)
        | st.builds(Row, inner, inner)
        | st.builds(Point, inner, inner)
    ),
    max_leaves=25,
)
DUMP_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "indent": st.sampled_from([None, 0, 2, "\t"]),
        "ensure_ascii": st.booleans(),
        "sort_keys": st.booleans(),
        "separators": st.sampled_from([(",", ":"), (", ", ": "), [" ,", " : "]]),
    },
)


def valid_json_of_flask(value: object, options: dict[str, Any]) -> str | None:
    try:
        text = FLASKS.dumps(value, **options)
        read_strictly(text)
        # Two surrogates in a str are lone ones, though the escapes of some pairs say one character.
        FLASKS.dumps(value, ensure_ascii=False).encode()
    except (ValueError, TypeError, OverflowError):
        return None
    return text


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(value=VALUES, options=DUMP_OPTIONS)
@example(value={"b": "é", "a": Row(1, 2)}, options={})
def test_any_valid_json_is_that_of_flask(value: Any, options: dict[str, Any]) -> None:
    flasks = valid_json_of_flask(value, options)
    ours = dumped(value, "flask", **options)

    with without_census():
        assert dumped(value, "flask", **options) == ours
    if flasks is not None:
        assert ours == flasks


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(value=VALUES)
def test_any_valid_body_is_that_of_flask(value: Any) -> None:
    if valid_json_of_flask(value, {}) is None:
        return
    body = FLASKS.response(value).get_data()

    assert written(value, "flask") == body
    with without_census():
        assert written(value, "flask") == body


def test_most_of_the_values_above_are_valid() -> None:
    """The tests above compare nothing where Flask writes no valid JSON."""
    valid = []

    @settings(deadline=None, database=None, derandomize=True, max_examples=200)
    @given(value=VALUES)
    def collect(value: Any) -> None:
        valid.append(valid_json_of_flask(value, {}) is not None)

    collect()

    assert sum(valid) > len(valid) / 2


def test_all_backends_are_compared() -> None:
    assert BACKENDS == ("stdlib", "msgspec", "orjson", "simplejson", "ujson")
