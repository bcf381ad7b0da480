"""The options of dumps and loads: the standard library's, where None means not given."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.json.provider import DefaultJSONProvider
from json_support import outcome
from json_support import provider_on

from flask_concurrency_guard.json import InvalidJSONError
from flask_concurrency_guard.json import JSONTypeError
from flask_concurrency_guard.json import JSONValueError
from flask_concurrency_guard.json import SafeJSONProvider
from flask_concurrency_guard.json.attach import install

DUMP_OPTIONS = [
    "allow_nan",
    "check_circular",
    "cls",
    "default",
    "ensure_ascii",
    "indent",
    "separators",
    "skipkeys",
    "sort_keys",
]
LOAD_OPTIONS = [
    "cls",
    "object_hook",
    "object_pairs_hook",
    "parse_constant",
    "parse_float",
    "parse_int",
    "strict",
]
VALUE = {"b": ["é", float("nan")], "a": Decimal("1.10")}


NO_NUMBER = (
    "'$[0]' is nan, which JSON can't hold: send None, or set 'CONCURRENCY_GUARD_JSON_NAN' to"
    " 'null'."
)


class Opaque:
    pass


class OpaqueEncoder(json.JSONEncoder):
    def default(self, o: object) -> object:
        return "opaque" if isinstance(o, Opaque) else super().default(o)


class KnowingEncoder(json.JSONEncoder):
    """Knows what Flask knows as well."""

    def default(self, o: object) -> object:
        return type(o).__name__


class HookedDecoder(json.JSONDecoder):
    """Takes no options, as many of them in the wild."""

    def __init__(self) -> None:
        super().__init__(object_hook=lambda found: sorted(found))


@pytest.fixture
def app(backend: str) -> Flask:
    app = Flask("options", static_folder=None)
    install(app, backend)
    return app


@pytest.mark.parametrize("option", DUMP_OPTIONS)
def test_dumps_takes_none_for_not_given(safe: SafeJSONProvider, option: str) -> None:
    assert safe.dumps(VALUE, **{option: None}) == safe.dumps(VALUE)


def test_dumps_takes_none_for_all(safe: SafeJSONProvider) -> None:
    options = dict.fromkeys(DUMP_OPTIONS)

    assert safe.dumps(VALUE, **options) == r'{"a": "1.10", "b": ["\u00e9", null]}'


def test_none_leaves_what_is_set_on_the_provider(safe: SafeJSONProvider) -> None:
    safe.ensure_ascii = False
    safe.sort_keys = False
    safe.default = lambda value: "mine"

    options = {"ensure_ascii": None, "sort_keys": None, "default": None}

    assert safe.dumps(VALUE, **options) == '{"b": ["é", null], "a": "mine"}'


@pytest.mark.parametrize("option", LOAD_OPTIONS)
def test_loads_takes_none_for_not_given(safe: SafeJSONProvider, option: str) -> None:
    assert safe.loads('{"a": [1, 2.5]}', **{option: None}) == {"a": [1, 2.5]}


@pytest.mark.parametrize("value", [{}, {"b": 1, "a": "é"}], ids=["empty", "not empty"])
def test_the_call_that_other_libraries_break_on(
    safe: SafeJSONProvider, plain: DefaultJSONProvider, value: dict[str, Any]
) -> None:
    options = {
        "indent": None,
        "separators": (",", ":"),
        "cls": json.JSONEncoder,
        "sort_keys": True,
    }

    assert safe.dumps(value, **options) == plain.dumps(value, **options)


@pytest.mark.parametrize("options", [{"bogus": 1}, {"bogus": None}, {"bogus": 1, "indent": 2}])
def test_dumps_names_an_unknown_option(safe: SafeJSONProvider, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as caught:
        safe.dumps({}, **options)

    assert str(caught.value) == (
        "'bogus' is not an option of dumps, use 'allow_nan', 'check_circular', 'cls', 'default',"
        " 'ensure_ascii', 'indent', 'separators', 'skipkeys' or 'sort_keys'."
    )


def test_loads_names_unknown_options(safe: SafeJSONProvider) -> None:
    with pytest.raises(TypeError) as caught:
        safe.loads("{}", encoding="utf-8", bogus=1)

    assert str(caught.value) == (
        "'bogus', 'encoding' are not options of loads, use 'cls', 'object_hook',"
        " 'object_pairs_hook', 'parse_constant', 'parse_float', 'parse_int' or 'strict'."
    )


def test_encoder_class_serializes_what_flask_does_not(safe: SafeJSONProvider) -> None:
    value = [Opaque(), Decimal("1.10"), float("inf")]

    assert safe.dumps(value, cls=OpaqueEncoder) == '["opaque", "1.10", null]'
    with pytest.raises(JSONTypeError) as caught:
        safe.dumps(value)
    assert caught.value.path == "$[0]"


def test_encoder_class_leaves_flask_its_types(
    safe: SafeJSONProvider, plain: DefaultJSONProvider
) -> None:
    assert safe.dumps(VALUE["a"], cls=OpaqueEncoder) == plain.dumps(VALUE["a"], cls=OpaqueEncoder)


NOON = dt.datetime(2026, 5, 1, 12, 0, 0, 250000)
HTTP = '"Fri, 01 May 2026 12:00:00 GMT"'
ISO = '"2026-05-01T12:00:00.250000Z"'


@pytest.mark.parametrize(
    ("style", "rules", "value", "expected"),
    [
        pytest.param("flask", {}, NOON, HTTP, id="flask"),
        pytest.param("flask", {"datetime": "iso"}, NOON, ISO, id="flask, iso"),
        pytest.param("modern", {}, NOON, ISO, id="modern"),
        pytest.param("modern", {"datetime": "http"}, NOON, HTTP, id="modern, http"),
        pytest.param("modern", {"naive": "error"}, NOON, JSONValueError, id="naive error"),
        pytest.param("flask", {}, Decimal("NaN"), '"NaN"', id="nan, flask"),
        pytest.param("modern", {}, Decimal("NaN"), "null", id="nan, modern"),
        pytest.param("flask", {"nan": "error"}, Decimal("NaN"), JSONValueError, id="nan error"),
    ],
)
def test_encoder_class_keeps_the_policy(
    backend: str, style: str, rules: dict[str, Any], value: object, expected: object
) -> None:
    provider = provider_on(backend, style, **rules)

    result = outcome(lambda: provider.dumps(value, cls=OpaqueEncoder))

    assert result == outcome(lambda: provider.dumps(value))
    assert expected in (result, result[0])


@dataclasses.dataclass
class Row:
    price: Decimal


class Html:
    def __html__(self) -> str:
        return "<b>"


@pytest.mark.parametrize(
    "value",
    [NOON, NOON.date(), Decimal("1.10"), UUID(int=1), Row(Decimal("1.10")), Html()],
    ids=lambda value: type(value).__name__,
)
def test_encoder_class_comes_after_what_flask_knows_in_style_flask(
    backend: str, plain: DefaultJSONProvider, value: object
) -> None:
    flask, modern = provider_on(backend), provider_on(backend, "modern")

    assert flask.dumps(value, cls=KnowingEncoder) == plain.dumps(value, cls=KnowingEncoder)
    assert flask.dumps([Row, Html, {1}], cls=KnowingEncoder) == '["type", "type", "set"]'
    assert modern.dumps(value, cls=KnowingEncoder) == f'"{type(value).__name__}"'


def test_encoder_class_comes_after_a_default_of_the_app(backend: str) -> None:
    def default(value: object) -> object:
        if isinstance(value, Opaque):
            return "mine"
        raise TypeError

    values = [Opaque(), NOON]
    options = {"cls": KnowingEncoder, "default": default}

    assert provider_on(backend).dumps(values, **options) == '["mine", "datetime"]'
    assert provider_on(backend, "modern").dumps(values, **options) == '["mine", "datetime"]'


def test_encoder_class_gets_its_own_options(safe: SafeJSONProvider) -> None:
    class Encoder(json.JSONEncoder):
        def __init__(self, *, prefix: str, **options: Any) -> None:
            super().__init__(**options)
            self.prefix = prefix

        def encode(self, o: Any) -> str:
            return self.prefix + super().encode(o)

    assert safe.dumps({"b": 1, "a": 2}, cls=Encoder, prefix="\t") == '\t{"a": 2, "b": 1}'


def test_encoder_class_obeys_allow_nan(safe: SafeJSONProvider) -> None:
    with pytest.raises(JSONValueError) as caught:
        safe.dumps([float("nan")], cls=OpaqueEncoder, allow_nan=False)

    assert str(caught.value) == NO_NUMBER


def test_encoder_class_refuses_what_it_does_not_know(safe: SafeJSONProvider) -> None:
    with pytest.raises(JSONTypeError) as caught:
        safe.dumps([Opaque(), {"x": object()}], cls=OpaqueEncoder)

    assert str(caught.value) == (
        "'$[1].x' is of type 'object', which has no form in JSON: convert it, or let"
        " 'app.json.default' return what stands for it."
    )


@pytest.mark.parametrize(
    ("value", "path"),
    [
        pytest.param(["\ud800"], "$[0]", id="lone surrogate"),
        pytest.param({"x": {1: 0, "1": 0}}, "$.x", id="collision"),
    ],
)
def test_encoder_class_opens_no_way_around_the_rules(
    safe: SafeJSONProvider, value: object, path: str
) -> None:
    with pytest.raises(JSONValueError) as caught:
        safe.dumps(value, cls=OpaqueEncoder)

    assert caught.value.path == path


@pytest.mark.parametrize("text", ["NaN", "{'a': 1}", '{"a": 1} {}', "", '["\\ud800"]'])
def test_encoder_class_that_writes_no_json_is_refused(safe: SafeJSONProvider, text: str) -> None:
    class Encoder(json.JSONEncoder):
        def encode(self, o: Any) -> str:
            return text

    with pytest.raises(InvalidJSONError):
        safe.dumps({}, cls=Encoder)


def test_encoder_class_sees_a_copy_that_no_other_thread_has(safe: SafeJSONProvider) -> None:
    class Encoder(json.JSONEncoder):
        def encode(self, o: Any) -> str:
            o["rows"].clear()
            return super().encode(o)

    value = {"rows": [1]}

    assert safe.dumps(value, cls=Encoder) == '{"rows": []}'
    assert value == {"rows": [1]}


@pytest.mark.parametrize("is_sorted", [True, False], ids=["sorted", "not sorted"])
def test_skipkeys(safe: SafeJSONProvider, is_sorted: bool) -> None:
    value = {(): 1, "a": 2, b"x": {"y": 3}}

    assert safe.dumps(value, skipkeys=True, sort_keys=is_sorted) == '{"a": 2}'


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), Decimal("NaN")], ids=repr)
def test_caller_may_ask_for_an_error_instead_of_null(safe: SafeJSONProvider, value: object) -> None:
    with pytest.raises(JSONValueError) as caught:
        safe.dumps([value], allow_nan=False)

    assert str(caught.value) == NO_NUMBER.replace("nan", str(value))


@pytest.mark.parametrize(
    ("document", "options", "expected"),
    [
        pytest.param('{"a": 1}', {"object_hook": list}, ["a"], id="object_hook"),
        pytest.param('{"a": 1}', {"object_pairs_hook": tuple}, (("a", 1),), id="pairs hook"),
        pytest.param("1.10", {"parse_float": Decimal}, Decimal("1.10"), id="parse_float"),
        pytest.param("1e999", {"parse_float": Decimal}, Decimal("1e999"), id="large Decimal"),
        pytest.param("1.5", {"parse_float": lambda _: 1e999}, 1e999, id="chosen infinity"),
        pytest.param("7", {"parse_int": str}, "7", id="parse_int"),
        pytest.param("[NaN]", {"parse_constant": str.lower}, ["nan"], id="parse_constant"),
        pytest.param('"a\tb"', {"strict": False}, "a\tb", id="not strict"),
        pytest.param("[1]", {"cls": json.JSONDecoder}, [1], id="json.JSONDecoder"),
        pytest.param('{"a": 1}', {"cls": HookedDecoder}, ["a"], id="decoder class"),
    ],
)
def test_loads_options(
    safe: SafeJSONProvider, document: str, options: dict[str, Any], expected: object
) -> None:
    assert safe.loads(document, **options) == expected


@pytest.mark.parametrize("document", ["NaN", "[-Infinity]", "[1e999]"])
@pytest.mark.parametrize(
    "options",
    [
        {"cls": HookedDecoder},
        {"cls": json.JSONDecoder},
        {"object_hook": list},
        {"parse_float": float},
        {"strict": False},
    ],
    ids=str,
)
def test_options_open_no_way_around_the_rules(
    safe: SafeJSONProvider, document: str, options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidJSONError):
        safe.loads(document, **options)


@pytest.mark.parametrize("kind", [LookupError, ValueError])
def test_error_of_a_hook_stays_what_it_is(safe: SafeJSONProvider, kind: type[Exception]) -> None:
    def hook(found: dict[str, Any]) -> object:
        raise kind("a hook's own")

    with pytest.raises(kind, match=r"^a hook's own$") as caught:
        safe.loads('{"a": 1}', object_hook=hook)

    assert type(caught.value) is kind


def test_error_of_a_hook_is_not_blamed_on_a_number_that_another_took(
    safe: SafeJSONProvider,
) -> None:
    def hook(found: dict[str, Any]) -> object:
        raise LookupError("a hook's own")

    with pytest.raises(LookupError, match=r"^a hook's own$"):
        safe.loads('[NaN, {"a": 1}]', object_hook=hook, parse_constant=str)
