"""The census tells what a value consists of, and runs no Python code meanwhile."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import gc
import importlib.util
import io
import json
import math
import os
import struct
import subprocess
import sys
import sysconfig
import tracemalloc
import uuid
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from typing import NoReturn

import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

import flask_concurrency_guard
from flask_concurrency_guard.json import features
from flask_concurrency_guard.json.features import AWARE
from flask_concurrency_guard.json.features import BIGINT
from flask_concurrency_guard.json.features import DATE
from flask_concurrency_guard.json.features import DECIMAL
from flask_concurrency_guard.json.features import DEEP
from flask_concurrency_guard.json.features import ESCAPED
from flask_concurrency_guard.json.features import EXPONENT
from flask_concurrency_guard.json.features import HUGE
from flask_concurrency_guard.json.features import INT_KEYS
from flask_concurrency_guard.json.features import KEY
from flask_concurrency_guard.json.features import NAIVE
from flask_concurrency_guard.json.features import NAN
from flask_concurrency_guard.json.features import OTHER
from flask_concurrency_guard.json.features import SURROGATE
from flask_concurrency_guard.json.features import UUID

SOURCE = str(Path(flask_concurrency_guard.__file__).parents[1])
MODULE = "flask_concurrency_guard.json._census"
FLAGS = (
    *(OTHER, KEY, NAN, EXPONENT, BIGINT, HUGE, ESCAPED, SURROGATE),
    *(DEEP, NAIVE, AWARE, DATE, UUID, DECIMAL, INT_KEYS),
)
INCOMPLETE = OTHER | DEEP

compiled = pytest.mark.skipif(
    features.census is None, reason="the census isn't compiled on this installation"
)


def census(value: object, max_depth: int = 20) -> int:
    assert features.census is not None
    return features.census(value, max_depth)


def encode(
    value: object, encoder: Callable[[Any], object], refused: int = 0, max_depth: int = 20
) -> object:
    assert features.encode is not None
    return features.encode(value, encoder, refused, max_depth)


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def amsterdam(zone: type[zoneinfo.ZoneInfo]) -> zoneinfo.ZoneInfo:
    """Return a zone that is 19 minutes and 32 seconds ahead before 1970, and an hour since."""
    counts = struct.pack(">6l", 0, 0, 0, 1, 2, 8)
    offsets = struct.pack(">lbB", 1172, 0, 0) + struct.pack(">lbB", 3600, 0, 4)
    data = struct.pack(">lB", 0, 1) + offsets + b"AMT\0CET\0"
    return zone.from_file(io.BytesIO(b"TZif" + bytes(16) + counts + data))


AMSTERDAM = amsterdam(zoneinfo.ZoneInfo)


def copy_of_features() -> ModuleType:
    """Import the module once more, beside the one that others hold."""
    spec = importlib.util.spec_from_file_location(f"{features.__name__}_copy", features.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_flag_is_a_bit_of_its_own() -> None:
    assert [flag.bit_count() for flag in FLAGS] == [1] * len(FLAGS)
    assert len(set(FLAGS)) == len(FLAGS)


def test_package_does_without_what_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(flask_concurrency_guard.json, "_census", raising=False)
    monkeypatch.setitem(sys.modules, MODULE, None)

    copy = copy_of_features()

    assert (copy.census, copy.encode) == (None, None)


def test_module_is_not_imported_where_there_may_be_no_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(flask_concurrency_guard.json, "_census", raising=False)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.setattr(sysconfig, "get_config_var", {"Py_GIL_DISABLED": 1}.get)

    copy = copy_of_features()

    assert (copy.census, copy.encode) == (None, None)
    assert MODULE not in sys.modules


def run_no_code(*args: object) -> NoReturn:
    raise AssertionError("Python code has run.")


class Whole(int):
    pass


class Real(float):
    pass


class Text(str):
    __slots__ = ()


class Items(list):  # type: ignore[type-arg]
    pass


class Table(dict):  # type: ignore[type-arg]
    pass


class Moment(dt.datetime):
    pass


class Day(dt.date):
    pass


class Identity(uuid.UUID):
    pass


class Money(decimal.Decimal):
    pass


class Offset(dt.timedelta):
    pass


class Zone(dt.tzinfo):
    utcoffset = dst = tzname = run_no_code


class PatchedZone(zoneinfo.ZoneInfo):
    utcoffset = run_no_code


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Name(enum.StrEnum):
    ANN = "ann"


class Meta(type):
    __eq__ = __hash__ = __instancecheck__ = __getattribute__ = run_no_code


class Impostor(metaclass=Meta):
    __class__ = property(run_no_code)
    __eq__ = __hash__ = __getattribute__ = __getattr__ = run_no_code


Row = collections.namedtuple("Row", "id")
NOON = dt.datetime(2026, 5, 4, 12, 30, 15, 250)


def at_offset(**offset: int) -> dt.datetime:
    return NOON.replace(tzinfo=dt.timezone(dt.timedelta(**offset)))


def texts_with(character: str) -> list[str]:
    """Return texts of all lengths that are searched in different ways, with it everywhere."""
    sizes = [*range(1, 40), 64, 100]
    return ["a" * at + character + "~" * (size - at - 1) for size in sizes for at in range(size)]


NOTHING: dict[str, object] = {
    "None": None,
    "True": True,
    "False": False,
    "0": 0,
    "-1": -1,
    "2**30": 2**30,
    "2**53 - 1": 2**53 - 1,
    "-2**53 + 1": -(2**53) + 1,
    "0.0": 0.0,
    "-0.0": -0.0,
    "1.5": 1.5,
    "0.0001": 0.0001,
    "-0.0001": -0.0001,
    "9999999999999998.0": 9999999999999998.0,
    "-9999999999999998.0": -9999999999999998.0,
    "empty str": "",
    "str": "a",
    "controls": "\x00\x01\x1f",
    "printable ASCII": "".join(map(chr, range(32, 127))),
    "texts of all lengths": texts_with('"'),
    "empty list": [],
    "empty tuple": (),
    "empty dict": {},
    "nested": [1, (2.5, {"a": [None, {"b": ()}, "c"], "d": {}}), []],
}

CASES: dict[str, tuple[object, int]] = {
    "object": (object(), OTHER),
    "class": (int, OTHER),
    "function": (len, OTHER),
    "module": (json, OTHER),
    "bytes": (b"a", OTHER),
    "bytearray": (bytearray(b"a"), OTHER),
    "set": ({1}, OTHER),
    "frozenset": (frozenset(), OTHER),
    "complex": (1j, OTHER),
    "range": (range(2), OTHER),
    "deque": (collections.deque(), OTHER),
    "Ellipsis": (..., OTHER),
    "time": (NOON.time(), OTHER),
    "timedelta": (dt.timedelta(1), OTHER),
    "timezone": (dt.UTC, OTHER),
    "Enum": (Color.RED, OTHER),
    "IntEnum": (Level.LOW, OTHER),
    "StrEnum": (Name.ANN, OTHER),
    "Markup": (Markup("a"), OTHER),
    "OrderedDict": (collections.OrderedDict(a=1), OTHER),
    "defaultdict": (collections.defaultdict(int), OTHER),
    "namedtuple": (Row(1), OTHER),
    "subclass of int": (Whole(1), OTHER),
    "subclass of float": (Real(1), OTHER),
    "subclass of str": (Text("a"), OTHER),
    "subclass of list": (Items(), OTHER),
    "subclass of dict": (Table(), OTHER),
    "subclass of datetime": (Moment(2026, 1, 1), OTHER),
    "subclass of date": (Day(2026, 1, 1), OTHER),
    "subclass of UUID": (Identity(int=1), OTHER),
    "subclass of Decimal": (Money(1), OTHER),
    "OTHER behind all else": ([1, {"a": (2, [3, {"b": b""}])}], OTHER),
    "int as key": ({1: "a"}, INT_KEYS),
    "ints as keys": ({2**99: 1, -1: 2, 0: {"a": 1}}, INT_KEYS),
    "bool as key": ({True: "a"}, KEY),
    "int and bool as keys": ({0: 1, True: 2}, KEY),
    "int and then str as key": ({1: 1, "1": 1}, KEY),
    "keys of other kinds within": ({1: {"a": {2: 3}}, 2: {"b": {}}}, INT_KEYS),
    "None as key": ({None: "a"}, KEY),
    "tuple as key": ({(b"",): "a"}, KEY),
    "subclass of str as key": ({Text("a"): 1}, KEY),
    "keys of two kinds": ({"1": 1, 1: 1}, KEY),
    "NaN": (math.nan, NAN),
    "infinity": (math.inf, NAN),
    "-infinity": (-math.inf, NAN),
    "1e-5": (1e-5, EXPONENT),
    "-1e-5": (-1e-5, EXPONENT),
    "just below 1e-4": (math.nextafter(1e-4, 0), EXPONENT),
    "1e16": (1e16, EXPONENT),
    "-1e16": (-1e16, EXPONENT),
    "1e22": (1e22, EXPONENT),
    "least float": (5e-324, EXPONENT),
    "2**53": (2**53, BIGINT),
    "-2**53": (-(2**53), BIGINT),
    "2**63 - 1": (2**63 - 1, BIGINT),
    "2**63": (2**63, BIGINT),
    "2**64 - 1": (2**64 - 1, BIGINT),
    "-2**63": (-(2**63), BIGINT),
    "2**64": (2**64, BIGINT | HUGE),
    "-2**63 - 1": (-(2**63) - 1, BIGINT | HUGE),
    "-2**64": (-(2**64), BIGINT | HUGE),
    "10**5000": (10**5000, BIGINT | HUGE),
    "-10**5000": (-(10**5000), BIGINT | HUGE),
    "U+007F": ("\x7f", ESCAPED),
    "U+0080": ("\x80", ESCAPED),
    "Latin-1": ("caf\xe9", ESCAPED),
    "U+07FF": ("\u07ff", ESCAPED),
    "next to the surrogates": ("\ud7ff\ue000", ESCAPED),
    "emoji": ("\N{GRINNING FACE}", ESCAPED),
    "beyond the BMP, like a surrogate": ("\U0001d800\U0001dfff", ESCAPED),
    "non-ASCII as key": ({"\xe9": 1}, ESCAPED),
    "U+007F as key": ({"\x7f": 1}, ESCAPED),
    "U+D800": ("\ud800", ESCAPED | SURROGATE),
    "U+DFFF": ("a\udfff", ESCAPED | SURROGATE),
    "surrogates that look like a pair": ("\ud83d\ude00", ESCAPED | SURROGATE),
    "surrogate beside an emoji": ("\N{GRINNING FACE}\udc00a", ESCAPED | SURROGATE),
    "surrogate in a long text": ("\u4e2d" * 999 + "\udc80", ESCAPED | SURROGATE),
    "surrogate as key": ({"\udc80": 1}, ESCAPED | SURROGATE),
    "naive": (NOON, NAIVE),
    "naive, second of two": (NOON.replace(fold=1), NAIVE),
    "UTC": (NOON.replace(tzinfo=dt.UTC), AWARE),
    "another zone of offset 0": (at_offset(hours=0), AWARE),
    "UTC with a name": (NOON.replace(tzinfo=dt.timezone(dt.timedelta(0), "Z")), AWARE),
    "+05:30": (at_offset(hours=5, minutes=30), AWARE),
    "-23:59": (at_offset(hours=-23, minutes=-59), AWARE),
    "+00:00:30": (at_offset(seconds=30), OTHER),
    "-00:00:01": (at_offset(seconds=-1), OTHER),
    "+01:00:00.000001": (at_offset(hours=1, microseconds=1), OTHER),
    "offset of a subclass": (NOON.replace(tzinfo=dt.timezone(Offset(hours=1))), OTHER),
    "ZoneInfo": (NOON.replace(tzinfo=AMSTERDAM), AWARE),
    "ZoneInfo, offset of seconds": (dt.datetime(1900, 1, 1, tzinfo=AMSTERDAM), OTHER),
    "ZoneInfo, first year": (dt.datetime.min.replace(tzinfo=AMSTERDAM), OTHER),
    "ZoneInfo, last year": (dt.datetime.max.replace(tzinfo=AMSTERDAM, fold=1), AWARE),
    "zone written in Python": (NOON.replace(tzinfo=Zone()), OTHER),
    "subclass of ZoneInfo": (NOON.replace(tzinfo=amsterdam(PatchedZone)), OTHER),
    "date": (NOON.date(), DATE),
    "UUID": (uuid.UUID(int=2**128 - 1), UUID),
    "UUID of what is no int": (uuid.UUID(int=decimal.Decimal(5)), OTHER),  # type: ignore[arg-type]
    "UUID of a bool": (uuid.UUID(int=True), OTHER),
    "UUID of nothing": (object.__new__(uuid.UUID), OTHER),
    "Decimal": (decimal.Decimal("1.10"), DECIMAL),
    "Decimal NaN": (decimal.Decimal("sNaN"), OTHER),
    "Decimal infinity": (decimal.Decimal("-Infinity"), OTHER),
    "all at once": (
        [
            *({1: [math.inf, 1e99, 2**99, "\ud800"]}, {None: 1}, NOON, at_offset(hours=1)),
            *(NOON.date(), uuid.UUID(int=0), decimal.Decimal(1)),
        ],
        sum(FLAGS) & ~INCOMPLETE,
    ),
}


@compiled
@pytest.mark.parametrize("value", NOTHING.values(), ids=NOTHING)
def test_ordinary_values_have_no_flags(value: object) -> None:
    assert census(value) == 0


@compiled
@pytest.mark.parametrize(("value", "flags"), CASES.values(), ids=CASES)
def test_features_are_found_anywhere(value: object, flags: int) -> None:
    places = (value, [0, value], ((), value), {"a": [value], "b": 1}, [{"a": ({"b": value},)}, 1])

    assert [census(place) for place in places] == [flags] * len(places)


@compiled
def test_classes_have_no_say() -> None:
    assert census(Impostor) == OTHER
    assert census([object.__new__(Impostor)]) == OTHER
    assert census({"a": (object.__new__(Impostor),)}) == OTHER


@compiled
@pytest.mark.parametrize("character", ["\x7f", "\x80", "\u0100", "\U00010000"], ids=ascii)
def test_character_is_found_at_any_place(character: str) -> None:
    assert {census(text) for text in texts_with(character)} == {ESCAPED}


@compiled
@pytest.mark.parametrize("beside", ["", "\U00010000"], ids=["2 bytes", "4 bytes"])
def test_surrogate_is_found_at_any_place(beside: str) -> None:
    assert {census(text + beside) for text in texts_with("\udabc")} == {ESCAPED | SURROGATE}


@compiled
@pytest.mark.parametrize("depth", [1, 2, 20, 999, 1000])
def test_depth_is_exact(depth: int) -> None:
    value = nested(depth)

    assert census(value, depth) == 0
    assert census(value, depth - 1) == DEEP
    assert census([1, value, 2], depth) == DEEP


@compiled
@pytest.mark.parametrize("empty", [[], (), {}], ids=["list", "tuple", "dict"])
def test_each_kind_of_container_is_a_level(empty: object) -> None:
    assert census(empty, 0) == DEEP
    assert census(empty, 1) == 0
    assert census({"a": [empty]}, 2) == DEEP
    assert census([{"a": ([empty],)}], 5) == 0


@compiled
def test_scalars_have_no_depth() -> None:
    assert census("a", 0) == 0


@compiled
def test_containers_side_by_side_are_no_deeper_than_one() -> None:
    assert census([[], {}, (), [[], []], {"a": {}, "b": []}] * 2000, 3) == 0


@compiled
def test_cycles_are_deep() -> None:
    items: list[object] = []
    table: dict[str, object] = {"items": (items,)}
    items += [1, table]

    for value in (items, table):
        assert census(value, 1000) == DEEP


@compiled
def test_values_that_hardly_anybody_could_count_are_given_up() -> None:
    value: list[object] = []
    for _ in range(64):
        value = [value, value]

    assert census(value, 65) == OTHER


@compiled
def test_recursion_limit_is_no_limit() -> None:
    """Right under the limit there is no room to ask a zone for its offset."""
    value = [nested(900), at_offset(hours=1)]
    found = set()

    def descend() -> None:
        found.add(census(value, 1000))
        descend()

    with pytest.raises(RecursionError):
        descend()
    assert found <= {AWARE, OTHER}
    assert AWARE in found


STACK = """
import threading
from flask_concurrency_guard.json.features import DEEP, census, encode

def nested(depth, wrap):
    value = wrap(0)
    for _ in range(depth - 1):
        value = wrap(value)
    return value

def run():
    for wrap in (lambda value: [value], lambda value: (0, value), lambda value: {"a": value}):
        value, deeper = nested(1000, wrap), nested(1001, wrap)
        assert census(value, 1000) == 0
        assert census(deeper, 1000) == DEEP
        assert encode(value, lambda value: "encoded", 0, 1000) == "encoded"
        assert encode(deeper, lambda value: "encoded", 0, 1000) == DEEP
    print("done")

threading.stack_size(128 * 1024)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def run_alone(program: str) -> str:
    """Run a program in an interpreter that may crash."""
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", program],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


@compiled
def test_greatest_depth_fits_into_a_small_stack() -> None:
    assert run_alone(STACK) == "done\n"


@compiled
@pytest.mark.parametrize("depth", [-1, 1001, 10**6])
def test_depth_out_of_range_is_refused(depth: int) -> None:
    message = f"'max_depth' must be from 0 to 1000, got {depth}."

    with pytest.raises(ValueError) as caught:  # noqa: PT011
        census(1, depth)
    assert str(caught.value) == message
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        encode(1, str, 0, depth)
    assert str(caught.value) == message


@compiled
def test_wrong_calls_are_type_errors() -> None:
    wrong_for_census: list[Any] = [(), (1,), (1, 2, 3), (1, "a")]
    wrong_for_encode: list[Any] = [
        (1, str, 0),
        (1, str, 0, 1, 2),
        (1, str, "a", 1),
        (1, str, 0, "a"),
    ]

    assert features.census is not None
    for arguments in wrong_for_census:
        with pytest.raises(TypeError):
            features.census(*arguments)
    assert features.encode is not None
    for arguments in wrong_for_encode:
        with pytest.raises(TypeError):
            features.encode(*arguments)


@compiled
def test_encoder_is_called_once_with_the_value_itself() -> None:
    calls: list[object] = []
    value = [1, {"a": 2.5}]

    assert encode(value, calls.append) is None
    assert len(calls) == 1
    assert calls[0] is value


@compiled
@pytest.mark.parametrize(
    ("value", "refused", "flags"),
    [
        ([math.nan], NAN, NAN),
        ([math.nan, 2**60], NAN | KEY, NAN | BIGINT),
        ([b""], NAN, OTHER),
        ([b""], 0, OTHER),
        ([[[]]], 0, DEEP),
        (NOON, -1, NAIVE),
    ],
    ids=["refused", "refused and more", "OTHER", "OTHER always", "DEEP always", "any"],
)
def test_encoder_does_not_see_what_is_refused(value: object, refused: int, flags: int) -> None:
    calls: list[object] = []

    result = encode(value, calls.append, refused, 2)

    assert (result, calls) == (flags, [])


@compiled
def test_encoder_sees_what_is_not_refused() -> None:
    assert encode([math.nan, "a"], repr, BIGINT | KEY) == "[nan, 'a']"


@compiled
def test_error_of_the_encoder_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        encode(0, (1).__truediv__)


class Garbage:
    def __init__(self, finalized: list[int]) -> None:
        self.itself = self
        self.finalized = finalized

    def __del__(self) -> None:
        self.finalized.append(1)


@compiled
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="garbage is collected between instructions")
def test_garbage_is_not_collected_while_the_encoder_runs() -> None:
    finalized: list[int] = []
    threshold = gc.get_threshold()
    gc.collect()

    def encoder(value: object) -> object:
        gc.set_threshold(1, 1, 1)
        Garbage(finalized)
        kept: list[object] = [[] for _ in range(2000)]
        gc.set_threshold(*threshold)
        return [len(kept), *finalized]

    assert gc.isenabled()
    assert encode(1, encoder) == [2000]
    assert gc.isenabled()
    gc.collect()
    assert finalized == [1]


@compiled
def test_collector_is_left_as_it_was() -> None:
    with pytest.raises(ZeroDivisionError):
        encode(0, (1).__truediv__)
    encode(b"", str)
    census(1)
    assert gc.isenabled()

    gc.disable()
    try:
        encode(1, str)
        census(1)
        assert not gc.isenabled()
    finally:
        gc.enable()


def parts(value: object) -> list[object]:
    found = [value]
    for part in found:
        if isinstance(part, dict):
            found += [*part, *part.values()]
        elif isinstance(part, (list, tuple)):
            found += part
        elif isinstance(part, dt.datetime) and not isinstance(part.tzinfo, (Zone, PatchedZone)):
            found += [part.tzinfo, part.utcoffset()]
    return found


EVERYTHING = [value for value, _ in CASES.values()]


@compiled
def test_no_reference_is_kept_or_lost() -> None:
    everything = parts([EVERYTHING, *NOTHING.values()])
    before = [*map(sys.getrefcount, everything)]

    for _ in range(50):
        for value in everything:
            census(value)
            encode(value, id, NAN | KEY)
            encode(value, id, ESCAPED)

    # The interpreter itself takes and drops some of the small ints and of None.
    after = map(sys.getrefcount, everything)
    assert max(abs(new - old) for new, old in zip(after, before, strict=True)) < 50


@compiled
def test_no_memory_is_kept() -> None:
    value = [{1: [math.inf, 2**99, "\xe9"]}, at_offset(hours=1), decimal.Decimal(1)]

    def run(times: int) -> None:
        for _ in range(times):
            census(value)
            encode(value, repr, NAN)
            encode(1, str)

    run(100)
    tracemalloc.start()
    try:
        run(100)
        before = tracemalloc.get_traced_memory()[0]
        run(30_000)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 10_000


def reference(value: object, max_depth: int) -> int:
    """Take the census again, by other means."""
    if type(value) is dict or type(value) is list or type(value) is tuple:
        flags = 0 if max_depth else DEEP
        if type(value) is dict and value:
            kinds = set(map(type, value))
            flags |= {frozenset({int}): INT_KEYS, frozenset({str}): 0}.get(frozenset(kinds), KEY)
            for key in value:
                flags |= reference(key, 0) if type(key) is str else 0
        for item in value.values() if type(value) is dict else value:
            flags |= reference(item, max(max_depth - 1, 0))
        return flags
    if value is None or type(value) is bool:
        return 0
    if type(value) is str:
        escaped = json.dumps(value) != json.dumps(value, ensure_ascii=False)
        surrogate = value.encode("utf-8", "replace") != value.encode("utf-8", "surrogatepass")
        return escaped * ESCAPED | surrogate * SURROGATE
    if type(value) is int:
        huge = value not in range(-(2**63), 2**64)
        return (abs(value) >= 2**53) * BIGINT | huge * HUGE
    if type(value) is float:
        if not math.isfinite(value):
            return NAN
        return ("e" in repr(value)) * EXPONENT
    if type(value) is dt.datetime:
        offset = value.utcoffset()
        if offset is None:
            return NAIVE
        known = type(value.tzinfo) in (dt.timezone, zoneinfo.ZoneInfo)
        return OTHER if offset % dt.timedelta(minutes=1) or not known else AWARE
    if type(value) is decimal.Decimal:
        return DECIMAL if value.is_finite() else OTHER
    simple = {dt.date: DATE, uuid.UUID: UUID}
    return simple.get(type(value), OTHER)


CHARACTERS = "a~ \x7f\x80\xe9\u4e2d\ud800\udfff\ue000\N{GRINNING FACE}"
TEXTS = st.text(max_size=40) | st.text(st.sampled_from(CHARACTERS)) | st.text("az\x7f", max_size=99)
INTEGERS = st.integers() | st.builds(
    lambda power, by, sign: sign * (2**power + by),
    *(st.sampled_from([30, 53, 60, 63, 64, 90]), st.integers(-2, 2), st.sampled_from([-1, 1])),
)
ZONES = st.sampled_from([None, AMSTERDAM, dt.UTC]) | st.builds(
    dt.timezone,
    st.integers(-86399, 86399).map(lambda seconds: dt.timedelta(seconds=seconds))
    | st.integers(-1439, 1439).map(lambda minutes: dt.timedelta(minutes=minutes)),
)
SCALARS = st.one_of(
    *(st.none(), st.booleans(), INTEGERS, st.floats(), TEXTS, st.dates(), st.uuids()),
    *(st.decimals(), st.binary(max_size=2)),
    st.datetimes(timezones=ZONES),
)
KEYS = TEXTS | st.integers() | st.none()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(TEXTS, inner),
        st.dictionaries(KEYS, inner, max_size=3),
    ),
    max_leaves=30,
)


@compiled
@given(value=VALUES, max_depth=st.integers(0, 6))
@example(value=[1, [2, [b""]]], max_depth=2)
def test_census_is_what_python_finds(value: object, max_depth: int) -> None:
    found = census(value, max_depth)
    expected = reference(value, max_depth)

    assert bool(found & INCOMPLETE) == bool(expected & INCOMPLETE)
    assert found & ~expected == 0
    if not found & INCOMPLETE:
        assert found == expected


RACE = """
import datetime, decimal, json, sys, threading, time, uuid
import msgspec
from flask_concurrency_guard.json import features

class Lazy:
    pass

def row(number):
    return {"id": number, "price": decimal.Decimal("1.10"), "uid": uuid.UUID(int=number),
            "at": datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc), "tags": ["a", "b"]}

def run_python_code(value):
    hooked.append(value)
    return "lazy"

safe = [row(number) for number in range(200)]
unsafe = [*safe, *({**row(number), "lazy": Lazy()} for number in range(200))]
rows, table = [], {}
shared = {"rows": rows, "table": table}
end = time.monotonic() + 2
hooked, encoded, refused = [], [], []
encoder = msgspec.json.Encoder(enc_hook=run_python_code).encode

def change(chosen):
    while time.monotonic() < end:
        rows.clear()
        rows.extend(chosen)
        table.clear()
        table.update({item["uid"].hex: dict(item) for item in chosen})
        del rows[::2]

def read():
    while time.monotonic() < end:
        result = features.encode(shared, encoder, 0, 20)
        if isinstance(result, int):
            refused.append(result)
        else:
            json.loads(result)
            encoded.append(len(result))

sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=change, args=[chosen]) for chosen in (safe, unsafe, safe)]
threads += [threading.Thread(target=read) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert all(flags & features.OTHER for flags in refused)
print(len(hooked), len(refused) > 1, len(set(encoded)) > 1)
"""


@compiled
def test_encoding_survives_threads_that_change_the_value() -> None:
    pytest.importorskip("msgspec")

    assert run_alone(RACE).split() == ["0", "True", "True"]


# The tests from here on are about copies.


def snapshot(value: object, refused: int = 0, max_depth: int = 200) -> Any:
    assert features.snapshot is not None
    return features.snapshot(value, refused, max_depth)


@compiled
def test_snapshot_has_the_same_members() -> None:
    leaf = dt.datetime(2024, 1, 2)
    value = {"a": [1, (leaf, {"b": []})], "c": "text", "d": {}}

    copy = snapshot(value)

    assert copy == {"a": [1, [leaf, {"b": []}]], "c": "text", "d": {}}
    assert copy["a"][1][0] is leaf


@compiled
def test_snapshot_shares_no_container() -> None:
    inner: list[object] = [1]
    value = {"twice": [inner, inner], "inner": inner, "tuple": (inner,)}

    copy = snapshot(value)
    inner.append(2)
    value["new"] = []

    assert copy == {"twice": [[1], [1]], "inner": [1], "tuple": [[1]]}


@compiled
def test_snapshot_of_what_is_refused_is_its_flags() -> None:
    assert snapshot([math.nan], NAN) == NAN
    assert snapshot([{None: 2}]) == KEY
    assert snapshot([[[]]], 0, 2) == DEEP
    assert snapshot([{1}]) == OTHER


@compiled
def test_snapshot_of_no_container_is_itself() -> None:
    text = "text" * 100
    assert snapshot(text) is text


@compiled
def test_snapshot_has_none_for_what_is_no_number() -> None:
    value = [math.nan, {1: -math.inf, 2: 1.5, 3: (math.inf, "a")}]

    assert snapshot(value) == [None, {1: None, 2: 1.5, 3: [None, "a"]}]
    assert snapshot(math.inf) is None
    assert math.isnan(value[0])  # type: ignore[arg-type]


@compiled
def test_snapshot_is_as_deep_as_allowed() -> None:
    value: object = "leaf"
    for number in range(400):
        value = [value] if number % 2 else {"k": value}

    assert snapshot(value, 0, 399) == DEEP
    assert snapshot(value, 0, 400) == value


def copied(value: object) -> object:
    """Copy by other means."""
    if type(value) is dict:
        return {key: copied(member) for key, member in value.items()}
    if type(value) in (list, tuple):
        return [copied(member) for member in value]  # type: ignore[attr-defined]
    return None if type(value) is float and not math.isfinite(value) else value


@compiled
@given(VALUES)
def test_snapshot_is_equal(value: object) -> None:
    copy = snapshot(value)
    if type(copy) is int and type(value) is not int:
        assert copy & (OTHER | KEY)
    else:
        assert repr(copy) == repr(copied(value))


@compiled
def test_snapshot_keeps_nothing() -> None:
    value = {"rows": [{"a": [1], "b": ({},)} for _ in range(10)]}
    for _ in range(100):
        snapshot(value)
    tracemalloc.start()
    try:
        snapshot(value)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(3000):
            snapshot(value)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 10_000
