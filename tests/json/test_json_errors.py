"""The errors for what can't be written: which, where it is, and what to do."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import pickle
from collections import OrderedDict
from collections import UserDict
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from json_support import STYLES
from json_support import dumped
from json_support import nested
from json_support import outcome
from json_support import provider_on
from json_support import read_strictly
from json_support import written

from flask_concurrency_guard.core.decisions import Reason
from flask_concurrency_guard.core.decisions import Rejection
from flask_concurrency_guard.errors import ConcurrencyGuardError
from flask_concurrency_guard.errors import LimitReached
from flask_concurrency_guard.json import InvalidJSONError
from flask_concurrency_guard.json import JSONTypeError
from flask_concurrency_guard.json import JSONValueError

NAN = float("nan")
OPAQUE = object()


class Color(enum.Enum):
    RED = "red"
    OPAQUE = object()


@dataclasses.dataclass
class Row:
    price: object


@dataclasses.dataclass(slots=True)
class Unset:
    x: int = dataclasses.field(init=False)


UNSET = Unset()


def opaque(path: str, type_name: str = "object") -> tuple[type[Exception], str]:
    return JSONTypeError, (
        f"'{path}' is of type '{type_name}', which has no form in JSON: convert it, or let"
        " 'app.json.default' return what stands for it."
    )


def too_deep(path: str, limit: int = 200) -> tuple[type[Exception], str]:
    return JSONValueError, (
        f"'{path}' is nested more than {limit} deep: send a flatter value, or raise"
        " 'CONCURRENCY_GUARD_JSON_MAX_DEPTH'."
    )


def circle(path: str, start: str) -> tuple[type[Exception], str]:
    return JSONValueError, f"'{path}' is '{start}' again, and JSON has no circles: break it."


def lone(path: str, character: str) -> tuple[type[Exception], str]:
    return JSONValueError, (
        f"'{path}' has the lone surrogate '{character}', which UTF-8 can't hold: replace it, with"
        " 'errors=\"replace\"' where the text was decoded."
    )


def test_errors_are_ours_and_what_callers_catch() -> None:
    assert JSONTypeError.__bases__ == (ConcurrencyGuardError, TypeError)
    assert JSONValueError.__bases__ == (ConcurrencyGuardError, ValueError)
    assert InvalidJSONError.__bases__ == (ConcurrencyGuardError, json.JSONDecodeError)


PATHS = [
    pytest.param(OPAQUE, "$", id="itself"),
    pytest.param([1, OPAQUE], "$[1]", id="list"),
    pytest.param((OPAQUE,), "$[0]", id="tuple"),
    pytest.param({"rows": [{}, {"price": OPAQUE}]}, "$.rows[1].price", id="rows"),
    pytest.param({"_x1": OPAQUE}, "$._x1", id="name"),
    pytest.param({"é": OPAQUE}, "$.é", id="name that isn't ASCII"),
    pytest.param({"a b": OPAQUE}, '$["a b"]', id="space"),
    pytest.param({"1x": OPAQUE}, '$["1x"]', id="digit"),
    pytest.param({"": OPAQUE}, '$[""]', id="empty"),
    pytest.param({'"\n': OPAQUE}, r'$["\"\n"]', id="escapes"),
    pytest.param({"a.b": {"[0]": OPAQUE}}, '$["a.b"]["[0]"]', id="like a path"),
    pytest.param({"{path}": OPAQUE}, '$["{path}"]', id="like a placeholder"),
    pytest.param({1: {None: {2.5: OPAQUE}}}, '$["1"].null["2.5"]', id="other keys"),
    pytest.param({Color.RED: OPAQUE}, "$.red", id="key that is an Enum"),
    pytest.param(OrderedDict(a=deque([OPAQUE])), "$.a[0]", id="other containers"),
    pytest.param([Row([OPAQUE])], "$[0].price[0]", id="dataclass"),
    pytest.param({"c": Color.OPAQUE}, "$.c", id="Enum"),
    pytest.param(UserDict(a=[OPAQUE]), "$.a[0]", id="mapping"),
    pytest.param({"k" * 500: OPAQUE}, f"$.{'k' * 58}...{'k' * 60}", id="long"),
]


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("value", "path"), PATHS)
def test_error_names_the_path(value: object, path: str, style: str) -> None:
    assert written(value, style) == opaque(path)


@pytest.mark.parametrize(
    "error",
    [JSONTypeError("'$.a' is …", "$.a"), JSONValueError("'$.a' is …", "$.a")],
    ids=["type", "value"],
)
def test_error_has_its_path(error: JSONTypeError | JSONValueError) -> None:
    assert (str(error), error.path) == ("'$.a' is …", "$.a")


@pytest.mark.parametrize(
    "error",
    [
        JSONTypeError("'$.a' is …", "$.a"),
        JSONValueError("'$.a' is …", "$.a"),
        InvalidJSONError("'NaN' is …", "[NaN]", 1),
        LimitReached(Rejection(Reason.LIMIT, 1)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_gets_from_one_process_to_another(error: Exception) -> None:
    """Otherwise whoever waits for a task in a pool waits for ever, or finds the pool broken."""
    error.add_note("a note")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), str(error))
    if not isinstance(error, InvalidJSONError):  # That is the standard library's own.
        assert vars(copy) == vars(error)


@pytest.mark.parametrize(("value", "kind"), [(OPAQUE, JSONTypeError), ("\ud800", JSONValueError)])
def test_path_is_an_attribute_of_what_is_raised(
    backend: str, value: object, kind: type[JSONTypeError | JSONValueError]
) -> None:
    with pytest.raises(kind) as caught:
        provider_on(backend).dumps({"rows": [value]})

    assert caught.value.path == "$.rows[0]"
    assert caught.value.__cause__ is None


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(["a\ud800"], lone("$[0]", r"\ud800"), id="high"),
        pytest.param({"x": "\udc80"}, lone("$.x", r"\udc80"), id="low"),
        pytest.param("\ude00\ud83d", lone("$", r"\ude00"), id="a pair in the wrong order"),
        pytest.param(["😀\udfff"], lone("$[0]", r"\udfff"), id="after an emoji"),
        pytest.param({"\ud800": 1}, lone("$", r"\ud800"), id="key"),
        pytest.param([Row("\ud800")], lone("$[0].price", r"\ud800"), id="dataclass"),
    ],
)
def test_lone_surrogate_is_an_error(value: object, expected: object, style: str) -> None:
    assert written(value, style) == expected


def in_a_dict(inner: object) -> object:
    return {"a": inner}


def in_a_tuple(inner: object) -> object:
    return (inner,)


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("around", "path"),
    [
        pytest.param(lambda inner: [inner], "[0]" * 200, id="list"),
        pytest.param(in_a_tuple, "[0]" * 200, id="tuple"),
        pytest.param(in_a_dict, ".a" * 200, id="dict"),
        pytest.param(lambda inner: OrderedDict(a=inner), ".a" * 200, id="subclass of dict"),
    ],
)
def test_depth_is_limited(around: Callable[[Any], object], path: str, style: str) -> None:
    shown = f"${path}"
    shown = f"{shown[:60]}...{shown[-60:]}"

    assert isinstance(written(nested(200, around), style), bytes)
    assert written(nested(201, around), style) == too_deep(shown)
    assert written(nested(5000, around), style) == too_deep(shown)


def circles() -> list[Any]:
    itself: list[object] = []
    itself.append(itself)
    twice: list[object] = []
    twice.append({"b c": [twice]})
    low = {"rows": [1, {"x": itself}]}
    mapping: dict[str, object] = {}
    mapping["me"] = (mapping,)
    return [
        pytest.param(itself, circle("$[0]", "$"), id="list"),
        pytest.param(twice, circle('$[0]["b c"][0]', "$"), id="by way of others"),
        pytest.param(low, circle("$.rows[1].x[0]", "$.rows[1].x"), id="further down"),
        pytest.param(mapping, circle("$.me[0]", "$"), id="dict"),
    ]


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize("options", [{}, {"default": str}, {"check_circular": False}], ids=str)
@pytest.mark.parametrize(("value", "expected"), circles())
def test_circle_is_named(value: object, expected: object, options: dict[str, Any]) -> None:
    assert dumped(value, "flask", **options) == expected
    assert dumped(value, "modern", **options) == expected


@pytest.mark.usefixtures("census")
def test_error_of_a_value_is_raised_with_its_path(backend: str) -> None:
    """Of a field that was never set."""
    kind, message = outcome(lambda: UNSET.x)
    with pytest.raises(kind) as caught:
        provider_on(backend).dumps([UNSET])

    assert str(caught.value) == message
    assert caught.value.__notes__ == ["This happened while '$[0]' was written as JSON."]


class Failing:
    """Fails in a way of its own, in its `__html__`."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __html__(self) -> str:
        raise self.error


@pytest.mark.parametrize("kind", [KeyError, ValueError, TypeError, OSError])
def test_error_of_html_is_raised_as_it_is(backend: str, kind: type[Exception]) -> None:
    error = kind("its own")
    with pytest.raises(kind) as caught:
        provider_on(backend).dumps({"rows": [Failing(error)]}, default=None)

    assert caught.value is error
    assert error.__notes__ == ["This happened while '$.rows[0]' was written as JSON."]


@pytest.mark.parametrize("kind", [KeyError, ValueError, ZeroDivisionError])
def test_error_of_default_is_raised_as_it_is(backend: str, kind: type[Exception]) -> None:
    error = kind("its own")

    def default(value: object) -> object:
        raise error

    with pytest.raises(kind) as caught:
        provider_on(backend).dumps({"rows": [OPAQUE]}, default=default)

    assert caught.value is error
    assert error.__notes__ == ["This happened while '$.rows[0]' was written as JSON."]


def test_type_error_of_default_is_the_cause(backend: str) -> None:
    error = TypeError("not mine")

    def default(value: object) -> object:
        raise error

    with pytest.raises(JSONTypeError) as caught:
        provider_on(backend).dumps([OPAQUE], default=default)

    assert str(caught.value) == opaque("$[0]")[1]
    assert caught.value.__cause__ is error


def default_for_some(value: object) -> object:
    if isinstance(value, (Decimal, dt.date)):
        return {"own": str(value)}
    raise TypeError("not mine")


@pytest.mark.usefixtures("census")
def test_custom_default_comes_first_and_ours_after_its_type_error() -> None:
    value = [Decimal("1.5"), dt.date(2024, 1, 2), Color.RED, {3, 1}, Row(Decimal("2.5"))]

    assert dumped(value, "modern", default=default_for_some, separators=(",", ":")) == (
        '[{"own":"1.5"},{"own":"2024-01-02"},"red",[1,3],{"price":{"own":"2.5"}}]'
    )


@pytest.mark.usefixtures("census")
def test_default_is_not_asked_for_what_json_has() -> None:
    def default(value: object) -> object:
        raise AssertionError(value)

    value = [None, True, 1, 0.5, NAN, "é", [(), {}], 2**70, {1: 2}]

    assert dumped(value, "modern", default=default) == (
        '[null,true,1,0.5,null,"é",[[],{}],1180591620717411303424,{"1":2}]'
    )


ALWAYS = (
    "What stands for '$.x' always stands for something else: let 'default' return a value of"
    " another type than it is given."
)


@pytest.mark.parametrize(
    ("default", "message"),
    [
        pytest.param(lambda value: value, ALWAYS, id="returns its argument"),
        pytest.param(lambda value: object(), ALWAYS, id="returns ever new ones"),
        pytest.param(
            lambda value: [value],
            circle("$.x[0]", "$.x")[1],
            id="returns it in a list",
        ),
        pytest.param(
            lambda value: {"a": object()},
            too_deep(f"$.x{'.a' * 28}.....a{'.a' * 29}")[1],
            id="returns ever new ones in a dict",
        ),
    ],
)
def test_default_that_goes_on_for_ever_is_an_error(
    backend: str, default: Any, message: str
) -> None:
    with pytest.raises(JSONValueError) as caught:
        provider_on(backend).dumps({"x": OPAQUE}, default=default)

    assert str(caught.value) == message


def clear(container: Any) -> None:
    container.clear()


def grow(container: Any) -> None:
    if isinstance(container, dict):
        container.update({f"new {number}": OPAQUE for number in range(1000)})
    else:
        container.extend([OPAQUE] * 1000)


def replace(container: Any) -> None:
    for key in container if isinstance(container, dict) else range(len(container)):
        container[key] = OPAQUE


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize("change", [clear, grow, replace])
@pytest.mark.parametrize("kind", ["list", "dict"])
def test_default_that_changes_the_container_changes_nothing(
    backend: str, kind: str, change: Callable[[Any], None]
) -> None:
    members = [OPAQUE, *(f"{'x' * 20}{number}" for number in range(100))]
    value: Any = members[:] if kind == "list" else dict(enumerate(members))

    def default(found: object) -> object:
        change(value)
        return "changed"

    text = provider_on(backend).dumps(value, default=default)

    expected = ["changed", *members[1:]]
    assert json.loads(text) == (
        expected
        if kind == "list"
        else {str(number): member for number, member in enumerate(expected)}
    )


class ZoneThatClears(dt.tzinfo):
    """Clears the container that its datetime is in, as soon as it is asked."""

    def __init__(self, container: list[object]) -> None:
        self.container = container

    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        self.container.clear()
        return dt.timedelta(0)

    def dst(self, when: dt.datetime | None) -> None:
        return None


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize("style", STYLES)
def test_zone_that_changes_the_container_changes_nothing(backend: str, style: str) -> None:
    value: list[object] = []
    value += [dt.datetime(2024, 1, 2, tzinfo=ZoneThatClears(value)), *range(100)]
    body = provider_on(backend, style).response(value).get_data()

    assert json.loads(body)[1:] == list(range(100))


@pytest.mark.usefixtures("census")
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", ["list", "dict"])
def test_text_of_an_id_that_changes_the_container_changes_nothing(
    backend: str, style: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That method is written in Python, so that another thread may do this while it runs."""
    members = ["first", UUID(int=1), *(f"{'x' * 20}{number}" for number in range(100))]
    value: Any = members[:] if kind == "list" else {str(n): x for n, x in enumerate(members)}
    expected = provider_on("stdlib").loads(provider_on(backend, style).dumps(value))
    spell = UUID.__str__

    def change(self: UUID) -> str:
        if kind == "list":
            value.reverse()
        else:
            value["0"] = value.pop("0")
        return spell(self)

    monkeypatch.setattr(UUID, "__str__", change)
    body = provider_on(backend, style).response(value).get_data()

    assert read_strictly(body) == expected


class KeyThatClears(str):
    """Clears the container that it is in, as soon as keys are sorted."""

    container: dict[Any, Any]

    def __lt__(self, other: str) -> bool:
        self.container.clear()
        return str.__lt__(self, other)


@pytest.mark.usefixtures("census")
def test_key_that_changes_the_container_changes_nothing(backend: str) -> None:
    value: dict[Any, Any] = {f"k{number}": number for number in range(100)}
    expected = dict(value)
    key = KeyThatClears("a")
    key.container = value
    value[key] = "a"

    text = provider_on(backend).dumps(value, sort_keys=True)

    assert json.loads(text) == {"a": "a", **expected}


def names_of_circles() -> list[Any]:
    records = Row(None)
    records.price = [records]
    queue: deque[object] = deque()
    queue.append(queue)
    mapping: UserDict[str, object] = UserDict()
    mapping["x"] = mapping
    return [
        pytest.param(records, circle("$.price[0]", "$"), id="dataclass"),
        pytest.param(queue, circle("$[0]", "$"), id="deque"),
        pytest.param(mapping, circle("$.x", "$"), id="mapping"),
    ]


@pytest.mark.parametrize(("value", "expected"), names_of_circles())
def test_circle_of_other_containers_is_named(value: object, expected: object) -> None:
    assert written(value) == expected


@pytest.mark.parametrize(
    "around",
    [lambda inner: deque([inner]), lambda inner: UserDict(a=inner), Row],
    ids=["deque", "mapping", "dataclass"],
)
def test_other_containers_may_be_as_deep(around: Callable[[Any], object]) -> None:
    assert isinstance(written(nested(200, around)), bytes)


def test_key_that_is_refused_has_the_path_of_its_container() -> None:
    assert written([{b"x": 1}], "flask") == written([{b"x": 1}], "modern")
