"""The options of dumps and loads: the standard library's, where None means not given."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from flask.json.provider import DefaultJSONProvider

from flask_concurrency_guard.json import InvalidJSONError
from flask_concurrency_guard.json import SafeJSONProvider

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


class Opaque:
    pass


class OpaqueEncoder(json.JSONEncoder):
    def default(self, o: object) -> object:
        return "opaque" if isinstance(o, Opaque) else super().default(o)


class HookedDecoder(json.JSONDecoder):
    """Takes no options, as many of them in the wild."""

    def __init__(self) -> None:
        super().__init__(object_hook=lambda found: sorted(found))


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


def test_the_call_that_other_libraries_break_on(safe: SafeJSONProvider) -> None:
    text = safe.dumps({}, indent=None, separators=(",", ":"), cls=json.JSONEncoder, sort_keys=True)

    assert text == "{}"


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
    with pytest.raises(TypeError, match="Object of type Opaque is not JSON serializable"):
        safe.dumps(value)


def test_encoder_class_leaves_flask_its_types(
    safe: SafeJSONProvider, plain: DefaultJSONProvider
) -> None:
    assert safe.dumps(VALUE["a"], cls=OpaqueEncoder) == plain.dumps(VALUE["a"], cls=OpaqueEncoder)


def test_encoder_class_gets_its_own_options(safe: SafeJSONProvider) -> None:
    class Encoder(json.JSONEncoder):
        def __init__(self, *, prefix: str, **options: Any) -> None:
            super().__init__(**options)
            self.prefix = prefix

        def encode(self, o: Any) -> str:
            return self.prefix + super().encode(o)

    assert safe.dumps({"b": 1, "a": 2}, cls=Encoder, prefix="!") == '!{"a": 2, "b": 1}'


def test_encoder_class_obeys_allow_nan(safe: SafeJSONProvider) -> None:
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        safe.dumps(float("nan"), cls=OpaqueEncoder, allow_nan=False)


def test_skipkeys(safe: SafeJSONProvider) -> None:
    assert safe.dumps({(): 1, "a": 2}, skipkeys=True, sort_keys=False) == '{"a": 2}'


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
