"""What each type is written as: the same bytes on every backend, with the module in C or without.

``flask`` is the style that writes what Flask does, ``modern`` the other one.
"""

from __future__ import annotations

import array
import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import ipaddress
import json
import pathlib
import re
import time
import types
import typing
import uuid
from collections import ChainMap
from collections import Counter
from collections import OrderedDict
from collections import UserDict
from collections import UserList
from collections import UserString
from collections import defaultdict
from collections import deque
from collections import namedtuple
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
from json_support import STYLES
from json_support import dumped
from json_support import written
from markupsafe import Markup
from werkzeug.datastructures import CombinedMultiDict
from werkzeug.datastructures import Headers
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.datastructures import MultiDict

from flask_concurrency_guard.json import JSONTypeError

pytestmark = pytest.mark.usefixtures("census")

NAN = float("nan")
INFINITY = float("inf")


def row(name: str, value: object, flask: str, modern: str | None = None) -> Any:
    """Return a row of a table. Where there is no text for style modern it is the same."""
    return pytest.param(value, {"flask": flask, "modern": modern or flask}, id=name)


def zone(**offset: float) -> dt.timezone:
    return dt.timezone(dt.timedelta(**offset))


class HourAhead(dt.tzinfo):
    """A zone written in Python, like those of pytz and dateutil."""

    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(hours=1)

    def dst(self, when: dt.datetime | None) -> None:
        return None


class Nowhere(dt.tzinfo):
    """A zone that doesn't say its offset, so that a datetime in it is naive."""

    def utcoffset(self, when: dt.datetime | None) -> None:
        return None


class Moment(dt.datetime):
    def isoformat(self, *args: Any, **options: Any) -> str:
        return "a text of its own"


class Day(dt.date):
    def isoformat(self) -> str:
        return "a text of its own"


BERLIN = ZoneInfo("Europe/Berlin")

DATES = [
    row(
        "naive",
        dt.datetime(2024, 1, 2, 3, 4, 5, 6),
        '"Tue, 02 Jan 2024 03:04:05 GMT"',
        '"2024-01-02T03:04:05.000006Z"',
    ),
    row(
        "naive, whole seconds",
        dt.datetime(2024, 1, 2, 3, 4),
        '"Tue, 02 Jan 2024 03:04:00 GMT"',
        '"2024-01-02T03:04:00Z"',
    ),
    row(
        "UTC",
        dt.datetime(2024, 1, 2, 3, 4, 5, 600_000, dt.UTC),
        '"Tue, 02 Jan 2024 03:04:05 GMT"',
        '"2024-01-02T03:04:05.600000Z"',
    ),
    row(
        "+02:00",
        dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=zone(hours=2)),
        '"Tue, 02 Jan 2024 01:04:05 GMT"',
        '"2024-01-02T03:04:05+02:00"',
    ),
    row(
        "-03:30",
        dt.datetime(2024, 1, 2, 3, 4, 5, 120, zone(hours=-3, minutes=-30)),
        '"Tue, 02 Jan 2024 06:34:05 GMT"',
        '"2024-01-02T03:04:05.000120-03:30"',
    ),
    row(
        "+23:59",
        dt.datetime(2024, 1, 2, tzinfo=zone(hours=23, minutes=59)),
        '"Mon, 01 Jan 2024 00:01:00 GMT"',
        '"2024-01-02T00:00:00+23:59"',
    ),
    row(
        "offset with seconds",
        dt.datetime(2024, 1, 2, 3, 4, 5, 6, zone(seconds=30)),
        '"Tue, 02 Jan 2024 03:03:35 GMT"',
        '"2024-01-02T03:04:05.000006+00:00:30"',
    ),
    row(
        "offset with microseconds",
        dt.datetime(2024, 1, 2, tzinfo=zone(microseconds=-30)),
        '"Tue, 02 Jan 2024 00:00:00 GMT"',
        '"2024-01-02T00:00:00-00:00:00.000030"',
    ),
    row(
        "ZoneInfo in summer",
        dt.datetime(2024, 7, 2, tzinfo=BERLIN),
        '"Mon, 01 Jul 2024 22:00:00 GMT"',
        '"2024-07-02T00:00:00+02:00"',
    ),
    row(
        "ZoneInfo, local mean time",
        dt.datetime(1800, 1, 1, tzinfo=BERLIN),
        '"Tue, 31 Dec 1799 23:06:32 GMT"',
        '"1800-01-01T00:00:00+00:53:28"',
    ),
    row(
        "ZoneInfo, the hour that is there twice",
        dt.datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
        '"Sun, 27 Oct 2024 01:30:00 GMT"',
        '"2024-10-27T02:30:00+01:00"',
    ),
    row(
        "ZoneInfo at UTC",
        dt.datetime(2024, 1, 2, tzinfo=ZoneInfo("Europe/London")),
        '"Tue, 02 Jan 2024 00:00:00 GMT"',
        '"2024-01-02T00:00:00Z"',
    ),
    row(
        "zone written in Python",
        dt.datetime(2024, 1, 2, tzinfo=HourAhead()),
        '"Mon, 01 Jan 2024 23:00:00 GMT"',
        '"2024-01-02T00:00:00+01:00"',
    ),
    row(
        "zone without offset",
        dt.datetime(2024, 1, 2, tzinfo=Nowhere()),
        '"Tue, 02 Jan 2024 00:00:00 GMT"',
        '"2024-01-02T00:00:00Z"',
    ),
    row(
        "first",
        dt.datetime.min,
        '"Mon, 01 Jan 0001 00:00:00 GMT"',
        '"0001-01-01T00:00:00Z"',
    ),
    row(
        "last",
        dt.datetime.max,
        '"Fri, 31 Dec 9999 23:59:59 GMT"',
        '"9999-12-31T23:59:59.999999Z"',
    ),
    row(
        "subclass of datetime",
        Moment(2024, 1, 2),
        '"Tue, 02 Jan 2024 00:00:00 GMT"',
        '"2024-01-02T00:00:00Z"',
    ),
    row("date", dt.date(2024, 1, 2), '"Tue, 02 Jan 2024 00:00:00 GMT"', '"2024-01-02"'),
    row("year 5", dt.date(5, 1, 2), '"Sun, 02 Jan 0005 00:00:00 GMT"', '"0005-01-02"'),
    row("subclass of date", Day(2024, 1, 2), '"Tue, 02 Jan 2024 00:00:00 GMT"', '"2024-01-02"'),
    row("time", dt.time(1, 2, 3), '"01:02:03"'),
    row("time, microseconds", dt.time(1, 2, 3, 400), '"01:02:03.000400"'),
    row("time, offset", dt.time(1, 2, tzinfo=zone(hours=2)), '"01:02:00+02:00"'),
    row("time, UTC", dt.time(1, 2, tzinfo=dt.UTC), '"01:02:00Z"'),
    row("time, offset unknown", dt.time(1, 2, tzinfo=BERLIN), '"01:02:00"'),
    row("timedelta", dt.timedelta(days=1, seconds=2.5), '"P1DT2.5S"'),
    row("timedelta, only days", dt.timedelta(days=2), '"P2D"'),
    row("timedelta, only seconds", dt.timedelta(hours=1, seconds=1), '"PT3601S"'),
    row("timedelta, negative", dt.timedelta(days=-1, seconds=5), '"-PT86395S"'),
    row("timedelta, zero", dt.timedelta(), '"P0D"'),
    row("timedelta, microseconds", dt.timedelta(microseconds=-5), '"-PT0.000005S"'),
    row("timedelta, longest", dt.timedelta.max, '"P999999999DT86399.999999S"'),
    row("timedelta, most negative", dt.timedelta.min, '"-P999999999D"'),
]


class Price(Decimal):
    def __str__(self) -> str:
        return "a text of its own"


class Id(uuid.UUID):
    pass


NUMBERS_AND_IDS = [
    row("UUID", uuid.UUID(int=5), '"00000000-0000-0000-0000-000000000005"'),
    row("subclass of UUID", Id(int=5), '"00000000-0000-0000-0000-000000000005"'),
    row("Decimal", Decimal("1.10"), '"1.10"'),
    row("Decimal, 22 digits", Decimal("0.1234567890123456789012"), '"0.1234567890123456789012"'),
    row("Decimal, exponent", Decimal("1E+5"), '"1E+5"'),
    row("Decimal, zero with exponent", Decimal("0E-10"), '"0E-10"'),
    row("Decimal, beyond floats", Decimal("-1E-400"), '"-1E-400"'),
    row("Decimal, negative zero", Decimal("-0"), '"-0"'),
    row("Decimal NaN", Decimal("NaN"), '"NaN"', "null"),
    row("Decimal signaling NaN", Decimal("sNaN"), '"sNaN"', "null"),
    row("Decimal infinity", Decimal("-Infinity"), '"-Infinity"', "null"),
    row("subclass of Decimal", Price("1.5"), '"a text of its own"'),
]


class Color(enum.Enum):
    RED = "red"
    THREE = 3
    DAY = dt.date(2024, 1, 2)
    PAIR = ("a", Decimal("1.5"))
    NOTHING = None
    NAN = float("nan")


class Again(enum.Enum):
    RED = Color.RED


class Number(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    HELLO = "hello"


class MixedWord(str, enum.Enum):  # noqa: UP042
    HELLO = "hello"


class MixedDay(dt.date, enum.Enum):
    DAY = 2024, 1, 2


class Half(float, enum.Enum):
    HALF = 0.5


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Mode(enum.IntFlag):
    READ = 1
    WRITE = 2


ENUMS = [
    row("Enum", Color.RED, '"red"'),
    row("Enum of an integer", Color.THREE, "3"),
    row("Enum of a date", Color.DAY, '"Tue, 02 Jan 2024 00:00:00 GMT"', '"2024-01-02"'),
    row("Enum of a tuple", Color.PAIR, '["a","1.5"]'),
    row("Enum of None", Color.NOTHING, "null"),
    row("Enum of NaN", Color.NAN, "null"),
    row("Enum of an Enum", Again.RED, '"red"'),
    row("IntEnum", Number.ONE, "1"),
    row("StrEnum", Word.HELLO, '"hello"'),
    row("Enum of str", MixedWord.HELLO, '"hello"'),
    row("Enum of date", MixedDay.DAY, '"Tue, 02 Jan 2024 00:00:00 GMT"', '"2024-01-02"'),
    row("Enum of float", Half.HALF, "0.5"),
    row("Flag", Access.READ | Access.WRITE, "3"),
    row("IntFlag", Mode.READ | Mode.WRITE, "3"),
]


@dataclasses.dataclass
class Row:
    x: object
    _hidden: object = 2

    shared: typing.ClassVar[int] = 1

    @property
    def computed(self) -> int:
        raise AssertionError("a property is no field")


@dataclasses.dataclass(slots=True, frozen=True)
class Frozen:
    b: object
    a: object = dataclasses.field(default=3, repr=False, compare=False)
    given: dataclasses.InitVar[int] = 0


@dataclasses.dataclass
class WithHtml:
    x: int

    def __html__(self) -> str:
        return "<x>"


Point = namedtuple("Point", "x y")


class Pair(typing.NamedTuple):
    left: object
    right: object


RECORDS = [
    row("dataclass", Row(1), '{"_hidden":2,"x":1}', '{"x":1,"_hidden":2}'),
    row("dataclass, slots and frozen", Frozen([]), '{"a":3,"b":[]}', '{"b":[],"a":3}'),
    row(
        "dataclass in dataclass",
        Row(Frozen([Row(Decimal("1.5"))]), Color.RED),
        '{"_hidden":"red","x":{"a":3,"b":[{"_hidden":2,"x":"1.5"}]}}',
        '{"x":{"b":[{"x":"1.5","_hidden":2}],"a":3},"_hidden":"red"}',
    ),
    row("dataclass with __html__", WithHtml(1), '{"x":1}'),
    row("namedtuple", Point(1, [2]), "[1,[2]]"),
    row("NamedTuple", Pair(None, Pair(1, "é")), r'[null,[1,"\u00e9"]]', '[null,[1,"é"]]'),
    row("struct_time", time.gmtime(0), "[1970,1,1,0,0,0,3,1,0]"),
]


def moved_to_end() -> OrderedDict[str, int]:
    ordered = OrderedDict(b=1, a=2, c=3)
    ordered.move_to_end("b")
    return ordered


class Upper(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        return [(key.upper(), value) for key, value in super().items()]


class Backwards(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter(self[::-1])


CONTAINERS = [
    row("set", {3, 1, 2}, "[1,2,3]"),
    row("frozenset", frozenset("ba"), '["a","b"]'),
    row("set of None", {None}, "[null]"),
    row("set of enums", {Color.RED}, '["red"]'),
    row("empty set", set(), "[]"),
    row("keys", {"b": 1, "a": 2}.keys(), '["a","b"]'),
    row("items", {"a": 1}.items(), '[["a",1]]'),
    row("deque", deque([1, deque(["x"])]), '[1,["x"]]'),
    row("range", range(3), "[0,1,2]"),
    row("UserList", UserList([1, UserList()]), "[1,[]]"),
    row("array of integers", array.array("i", [1, -2]), "[1,-2]"),
    row("array of floats", array.array("d", [0.5, NAN]), "[0.5,null]"),
    row("list with its own iterator", Backwards([1, 2]), "[2,1]"),
    row(
        "mapping proxy", types.MappingProxyType({"b": 1, "a": 2}), '{"a":2,"b":1}', '{"b":1,"a":2}'
    ),
    row("UserDict", UserDict({"b": 1, "a": {2}}), '{"a":[2],"b":1}', '{"b":1,"a":[2]}'),
    row("ChainMap", ChainMap({"b": 1}, {"a": 2, "b": 3}), '{"a":2,"b":1}', '{"a":2,"b":1}'),
    row("OrderedDict", moved_to_end(), '{"a":2,"b":1,"c":3}', '{"a":2,"c":3,"b":1}'),
    row("defaultdict", defaultdict(list, a=[1]), '{"a":[1]}'),
    row("Counter", Counter("abb"), '{"a":1,"b":2}'),
    row("dict with its own items", Upper(a=1), '{"A":1}'),
    row("MultiDict", MultiDict([("a", "1"), ("a", "2"), ("b", "3")]), '{"a":"1","b":"3"}'),
    row("ImmutableMultiDict", ImmutableMultiDict([("a", "1"), ("a", "2")]), '{"a":"1"}'),
]


class Html:
    def __html__(self) -> str:
        return "<b>é"


class Text(str):
    def __str__(self) -> str:
        return "a text of its own"


class Whole(int):
    def __repr__(self) -> str:
        return "a text of its own"


class Real(float):
    def __repr__(self) -> str:
        return "a text of its own"


TEXTS = [
    row("Path", pathlib.PurePosixPath("/a/é"), r'"/a/\u00e9"', '"/a/é"'),
    row("path of Windows", pathlib.PureWindowsPath("c:\\a"), r'"c:\\a"'),
    row("path of here", pathlib.Path("a"), '"a"'),
    row("IPv4 address", ipaddress.ip_address("192.0.2.1"), '"192.0.2.1"'),
    row("IPv4 network", ipaddress.ip_network("192.0.2.0/24"), '"192.0.2.0/24"'),
    row("IPv4 interface", ipaddress.ip_interface("192.0.2.1/24"), '"192.0.2.1/24"'),
    row("IPv6 address", ipaddress.ip_address("2001:db8::1"), '"2001:db8::1"'),
    row("IPv6 network", ipaddress.ip_network("2001:db8::/32"), '"2001:db8::/32"'),
    row("IPv6 interface", ipaddress.ip_interface("2001:db8::1/32"), '"2001:db8::1/32"'),
    row("Markup", Markup("<b>"), '"<b>"'),
    row("__html__", Html(), r'"<b>\u00e9"', '"<b>é"'),
    row("subclass of str", Text("text"), '"text"'),
    row("subclass of int", Whole(5), "5"),
    row("subclass of float", Real(0.5), "0.5"),
    row("NaN of a subclass", Real("nan"), "null"),
]

VALUES = [*DATES, *NUMBERS_AND_IDS, *ENUMS, *RECORDS, *CONTAINERS, *TEXTS]

AROUND: list[tuple[str, Callable[[object], object], str]] = [
    ("itself", lambda value: value, "{}"),
    ("in a list", lambda value: [0, value], "[0,{}]"),
    ("in a tuple", lambda value: (value,), "[{}]"),
    ("in an object", lambda value: {"key": value}, '{{"key":{}}}'),
]


@pytest.mark.parametrize(
    ("put", "text"),
    [pytest.param(put, text, id=name) for name, put, text in AROUND],
)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("value", "expected"), VALUES)
def test_value_has_its_form(
    value: object, expected: dict[str, str], style: str, put: Callable[[object], object], text: str
) -> None:
    assert written(put(value), style) == text.format(expected[style]).encode() + b"\n"


LAYOUTS = [
    pytest.param({}, (", ", ": "), id="dumps"),
    pytest.param({"separators": (",", ":")}, (",", ":"), id="compact"),
    pytest.param({"indent": 2}, (",", ": "), id="indent"),
    pytest.param(
        {"indent": "\t", "separators": [" ,", " : "]}, (" ,", " : "), id="indent with tab"
    ),
]


@pytest.mark.parametrize("ensure_ascii", [True, False], ids=["ascii", "not ascii"])
@pytest.mark.parametrize(("options", "separators"), LAYOUTS)
@pytest.mark.parametrize(("value", "expected"), VALUES)
def test_layout_changes_nothing_else(
    value: object,
    expected: dict[str, str],
    options: dict[str, Any],
    separators: tuple[str, str],
    ensure_ascii: bool,
) -> None:
    layout = {"indent": options.get("indent"), "ensure_ascii": ensure_ascii}

    assert dumped([value], **options, ensure_ascii=ensure_ascii) == json.dumps(
        [json.loads(expected["flask"])], separators=separators, **layout
    )


def test_set_that_can_not_be_sorted_is_written_in_its_own_order() -> None:
    values = {1, "a", None}
    spelled = ",".join({1: "1", "a": '"a"', None: "null"}[value] for value in values)

    assert written(values) == f"[{spelled}]\n".encode()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        row("record", lambda a: a(1), '{"_y":2,"x":1}', '{"x":1,"_y":2}'),
        row(
            "nested",
            lambda a: a(a([]), {"k": dt.date(2024, 1, 2)}),
            '{"_y":{"k":"Tue, 02 Jan 2024 00:00:00 GMT"},"x":{"_y":2,"x":[]}}',
            '{"x":{"x":[],"_y":2},"_y":{"k":"2024-01-02"}}',
        ),
    ],
)
@pytest.mark.parametrize("options", [{}, {"slots": False}, {"frozen": True}], ids=str)
def test_attrs_class_is_an_object_of_all_its_fields(
    make: Any, expected: dict[str, str], style: str, options: dict[str, bool]
) -> None:
    attrs = pytest.importorskip("attrs")
    record = attrs.make_class(
        "Record", {"x": attrs.field(), "_y": attrs.field(default=2)}, **options
    )

    assert written(make(record), style) == expected[style].encode() + b"\n"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        row("model", lambda m: m(b=Decimal("1.0")), '{"a":1,"b":"1.0"}', '{"b":"1.0","a":1}'),
        row("alias", lambda m: m(b=None, A=2), '{"a":2,"b":null}', '{"b":null,"a":2}'),
        row(
            "nested",
            lambda m: [m(b=[m(b={1})])],
            '[{"a":1,"b":[{"a":1,"b":[1]}]}]',
            '[{"b":[{"b":[1],"a":1}],"a":1}]',
        ),
    ],
)
def test_pydantic_model_is_what_it_dumps(make: Any, expected: dict[str, str], style: str) -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model(
        "Model",
        b=(object, ...),
        a=(int, pydantic.Field(1, alias="A")),
        hidden=(int, pydantic.Field(3, exclude=True)),
    )

    assert written(make(model), style) == expected[style].encode() + b"\n"


def test_secret_of_pydantic_stays_one() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", password=(pydantic.SecretStr, ...))

    assert written([model(password="hush")]) == refused("$[0].password", "SecretStr")


NUMPY = [
    row("int64", lambda np: np.int64(-5), "-5"),
    row("uint64", lambda np: np.uint64(2**64 - 1), "18446744073709551615"),
    row("float64", lambda np: np.float64(0.1), "0.1"),
    row("float64 nan", lambda np: np.float64("nan"), "null"),
    row("float32", lambda np: np.float32(0.1), "0.10000000149011612"),
    row("float32 nan", lambda np: np.float32("nan"), "null"),
    row("float16", lambda np: np.float16(0.5), "0.5"),
    row("bool", lambda np: np.bool_(True), "true"),
    row("str", lambda np: np.str_("é"), r'"\u00e9"', '"é"'),
    row("array", lambda np: np.array([[1, 2], [3, 4]]), "[[1,2],[3,4]]"),
    row("array, not contiguous", lambda np: np.arange(6).reshape(2, 3).T[::2], "[[0,3],[2,5]]"),
    row("array of float32", lambda np: np.array([1, NAN, INFINITY], "f4"), "[1.0,null,null]"),
    row("array of bool", lambda np: np.array([True, False]), "[true,false]"),
    row("array of str", lambda np: np.array(["x"]), '["x"]'),
    row("empty array", lambda np: np.array([]), "[]"),
    row("array without dimensions", lambda np: np.array(5), "5"),
    row(
        "array of objects",
        lambda np: np.array([Decimal("1.10"), None, {"a": {1}}, Color.RED], object),
        '["1.10",null,{"a":[1]},"red"]',
    ),
    row("masked array", lambda np: np.ma.array([1, 2], mask=[False, True]), "[1,null]"),
]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("make", "expected"), NUMPY)
def test_numpy_value_has_its_form(make: Any, expected: dict[str, str], style: str) -> None:
    value = make(pytest.importorskip("numpy"))

    assert written({"x": value}, style) == b'{"x":' + expected[style].encode() + b"}\n"


@pytest.mark.parametrize(
    ("make", "type_name"),
    [
        pytest.param(lambda np: np.datetime64("2024-01-02"), "datetime64", id="datetime64"),
        pytest.param(lambda np: np.timedelta64(1, "s"), "timedelta64", id="timedelta64"),
        pytest.param(lambda np: np.complex128(1), "complex128", id="complex"),
        pytest.param(lambda np: np.array(["2024-01-02"], "M8[s]"), "ndarray", id="dates"),
        pytest.param(lambda np: np.array([1j]), "ndarray", id="array of complex"),
        pytest.param(lambda np: np.array([b"x"]), "ndarray", id="array of bytes"),
        pytest.param(lambda np: np.array([(1,)], [("a", "i4")]), "ndarray", id="records"),
        pytest.param(lambda np: np.array([1], "g"), "ndarray", id="array of long double"),
    ],
)
def test_numpy_value_without_a_form_is_refused(make: Any, type_name: str) -> None:
    value = make(pytest.importorskip("numpy"))

    assert written([value]) == refused("$[0]", type_name)


def test_object_in_an_array_of_numpy_is_found() -> None:
    numpy = pytest.importorskip("numpy")
    value = numpy.array([[1, object()]], object)

    assert written({"x": value}) == refused("$.x[0][1]", "object")


def test_lazy_string_of_babel_is_written() -> None:
    support = pytest.importorskip("babel.support")

    assert written([support.LazyProxy(lambda: "now")]) == b'["now"]\n'


@pytest.mark.parametrize("style", STYLES)
def test_zones_of_pytz_and_dateutil_are_those_of_the_standard_library(style: str) -> None:
    pytz = pytest.importorskip("pytz")
    tz = pytest.importorskip("dateutil.tz")
    when = dt.datetime(2024, 7, 2, 3, 4, 5, 6)
    theirs = [
        pytz.timezone("Europe/Berlin").localize(when),
        when.replace(tzinfo=tz.gettz("Europe/Berlin")),
    ]

    assert written(theirs, style) == written([when.replace(tzinfo=BERLIN)] * 2, style)


def refused(path: str, type_name: str) -> tuple[type[Exception], str]:
    return JSONTypeError, (
        f"'{path}' is of type '{type_name}', which has no form in JSON: convert it, or let"
        " 'app.json.default' return what stands for it."
    )


class Opaque:
    def __init__(self) -> None:
        self.password = "hush"

    def __repr__(self) -> str:
        raise AssertionError("nobody asked for it")


class Outer:
    class Inner:
        pass


def function() -> None: ...


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("value", "type_name"),
    [
        pytest.param(object(), "object", id="object"),
        pytest.param(Opaque(), "Opaque", id="object with attributes"),
        pytest.param(Outer.Inner(), "Outer.Inner", id="object of a nested class"),
        pytest.param(types.SimpleNamespace(a=1), "SimpleNamespace", id="namespace"),
        pytest.param((number for number in [1]), "generator", id="generator"),
        pytest.param(iter([1]), "list_iterator", id="iterator"),
        pytest.param(map(str, [1]), "map", id="map"),
        pytest.param({"a": 1}.values(), "dict_values", id="values"),
        pytest.param(function, "function", id="function"),
        pytest.param(lambda: None, "function", id="lambda"),
        pytest.param(len, "builtin_function_or_method", id="built-in function"),
        pytest.param([].append, "builtin_function_or_method", id="method"),
        pytest.param(int, "type", id="class"),
        pytest.param(Row, "type", id="dataclass itself"),
        pytest.param(Color, "EnumType", id="enum itself"),
        pytest.param(uuid.UUID, "type", id="UUID itself"),
        pytest.param(list[int], "GenericAlias", id="generic"),
        pytest.param(decimal, "module", id="module"),
        pytest.param(ValueError("x"), "ValueError", id="exception"),
        pytest.param(re.compile("x"), "Pattern", id="pattern"),
        pytest.param(1j, "complex", id="complex"),
        pytest.param(..., "ellipsis", id="ellipsis"),
        pytest.param(contextlib.nullcontext(), "nullcontext", id="context manager"),
        pytest.param(mock.MagicMock(), "MagicMock", id="mock"),
        pytest.param(Headers([("A", "b")]), "Headers", id="headers"),
    ],
)
def test_opaque_value_is_refused(value: object, type_name: str, style: str) -> None:
    assert written({"rows": [1, value]}, style) == refused("$.rows[1]", type_name)


def test_generator_that_is_refused_is_left_as_it_is() -> None:
    numbers = (number for number in [1, 2])

    assert written(numbers) == refused("$", "generator")
    assert list(numbers) == [1, 2]


def test_user_string_is_written() -> None:
    assert written([UserString("ab")]) == b'["ab"]\n'


def test_class_with_html_is_refused() -> None:
    assert written(Html) == refused("$", "type")


def test_combined_multi_dict_is_only_empty_where_flask_writes_that() -> None:
    combined = CombinedMultiDict([MultiDict({"a": "1"}), MultiDict({"a": "2", "b": "3"})])

    assert written(combined) == b"{}\n"
    assert written(combined, style="modern") == b'{"a":"1","b":"3"}\n'


def test_surrogate_pair_is_written_as_its_character() -> None:
    assert written(["\ud83d\ude00", {"\ud83d\ude00": "\xe9"}]) == (
        rb'["\ud83d\ude00",{"\ud83d\ude00":"\u00e9"}]' + b"\n"
    )
    assert written("\ud83d\ude00", style="modern") == '"😀"\n'.encode()
