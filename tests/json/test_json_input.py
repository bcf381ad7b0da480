"""What is read: JSON in UTF-8, and nothing else."""

from __future__ import annotations

import codecs
import inspect
import json
import pickle
import sys
from typing import Any

import pytest
from flask import Flask
from flask import request
from flask.json.provider import DefaultJSONProvider
from hypothesis import given
from hypothesis import strategies as st
from json_support import BACKENDS
from json_support import provider_on

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard.errors import ConcurrencyGuardError
from flask_concurrency_guard.json import InvalidJSONError
from flask_concurrency_guard.json import SafeJSONProvider

DEEP = "is nested more than 200 deep, send a flatter document"
NO_LITERAL = "is not JSON, send null or a finite number"
TOO_LARGE = "is too large for a float, send it as a string"

# Long enough, and with so many floats, that numbers are searched for before the document is read.
FLOATS = "1.5, " * 500


@pytest.fixture
def safe(backend: str) -> SafeJSONProvider:
    return provider_on(backend)


REFUSED = [
    pytest.param("[NaN]", f"'NaN' {NO_LITERAL}", 1, id="nan"),
    pytest.param("Infinity", f"'Infinity' {NO_LITERAL}", 0, id="infinity"),
    pytest.param('{"a": -Infinity}', f"'-Infinity' {NO_LITERAL}", 6, id="negative infinity"),
    pytest.param('["NaN", 1.5, "\\"", NaN]', f"'NaN' {NO_LITERAL}", 19, id="nan after text"),
    pytest.param(f"[{FLOATS}NaN]", f"'NaN' {NO_LITERAL}", 2501, id="nan among floats"),
    pytest.param("1e999", f"'1e999' {TOO_LARGE}", 0, id="overflow"),
    pytest.param('["1e999", -1.5E+309]', f"'-1.5E+309' {TOO_LARGE}", 10, id="negative overflow"),
    pytest.param(f"[{FLOATS}1e999]", f"'1e999' {TOO_LARGE}", 2501, id="overflow among floats"),
    pytest.param(f"[{FLOATS}1E+0999]", f"'1E+0999' {TOO_LARGE}", 2501, id="leading zero"),
    pytest.param(
        f"[{FLOATS}{'9' * 290}e20, 1]",
        f"'{'9' * 37}...' {TOO_LARGE}",
        2501,
        id="overflow by many digits",
    ),
    pytest.param(
        f"[{FLOATS}{'9' * 400}.5]", f"'{'9' * 37}...' {TOO_LARGE}", 2501, id="overflow, no e"
    ),
    pytest.param(
        "[" + "9" * 4301 + "]",
        f"'{'9' * 37}...' has more than 4300 digits, send it as a string",
        1,
        id="long integer",
    ),
    pytest.param("[" * 100_000, f"'[' {DEEP}", 200, id="deep arrays"),
    pytest.param('{"a":' * 100_000, f"'{{' {DEEP}", 1000, id="deep objects"),
    pytest.param("[" * 201 + "]" * 201, f"'[' {DEEP}", 200, id="one too deep"),
    pytest.param(
        "[" + "[]," * 1000 + ("[" * 200 + "]" * 200 + ",") * 9 + "1]",
        f"'[' {DEEP}",
        3200,
        id="one too deep among many",
    ),
    pytest.param('["[[[", ' + "[" * 201, f"'[' {DEEP}", 207, id="deep after text"),
    pytest.param('["]", ' * 201, f"'[' {DEEP}", 1200, id="brackets in text that don't close"),
    pytest.param(r'["\"]", ' * 201, f"'[' {DEEP}", 1600, id="after escaped quotes"),
    pytest.param(r'["\\", "]", ' * 201, f"'[' {DEEP}", 2400, id="after escaped backslashes"),
    pytest.param("", "Expecting value", 0, id="nothing"),
    pytest.param("[1 2]", "Expecting ',' delimiter", 3, id="comma"),
    pytest.param("[1] 2", "Extra data", 4, id="extra data"),
    pytest.param("{'a': 1}", "Expecting property name enclosed in double quotes", 1, id="quotes"),
    pytest.param('"a', "Unterminated string starting at", 0, id="unterminated"),
    pytest.param('"a\tb"', "Invalid control character at", 2, id="control character"),
    pytest.param(r'"\x"', r"Invalid \escape", 1, id="escape"),
    pytest.param("+1", "Expecting value", 0, id="plus"),
    pytest.param("01", "Extra data", 1, id="zero"),
]


@pytest.mark.parametrize("encode", [str, str.encode], ids=["str", "bytes"])
@pytest.mark.parametrize(("document", "message", "position"), REFUSED)
def test_document_is_refused(
    safe: SafeJSONProvider,
    document: str,
    message: str,
    position: int,
    encode: Any,
) -> None:
    with pytest.raises(InvalidJSONError) as caught:
        safe.loads(encode(document))

    assert caught.value.doc == document
    # The scanner in C ends some of its messages with a colon of its own.
    assert (caught.value.msg.removesuffix(": "), caught.value.pos) == (message, position)


def test_error_is_that_of_the_standard_library_and_ours(safe: SafeJSONProvider) -> None:
    with pytest.raises(json.JSONDecodeError) as theirs:
        json.loads('{"a":\n [1 2]}')
    with pytest.raises(json.JSONDecodeError) as ours:
        safe.loads('{"a":\n [1 2]}')

    assert isinstance(ours.value, ConcurrencyGuardError)
    assert (
        str(ours.value) == str(theirs.value) == "Expecting ',' delimiter: line 2 column 5 (char 10)"
    )
    assert vars(ours.value) == vars(theirs.value)


def test_error_can_be_pickled(safe: SafeJSONProvider) -> None:
    with pytest.raises(InvalidJSONError) as caught:
        safe.loads("[1,\nNaN]")

    copy = pickle.loads(pickle.dumps(caught.value))

    assert type(copy) is InvalidJSONError
    assert str(copy) == (
        "'NaN' is not JSON, send null or a finite number: line 2 column 1 (char 4)"
    )


@pytest.mark.parametrize(
    ("document", "byte", "position"),
    [
        pytest.param(b'"a\xff"', "0xff", 2, id="no utf-8"),
        pytest.param('"é'.encode() + b'\xe9"', "0xe9", 2, id="latin-1"),
        pytest.param(b'"\xed\xa0\x80"', "0xed", 1, id="surrogate"),
        pytest.param(b'"\xc0\x80"', "0xc0", 1, id="overlong"),
        pytest.param('{"a": 1}'.encode("utf-16"), "0xff", 0, id="utf-16"),
        pytest.param('{"a": 1}'.encode("utf-32"), "0xff", 0, id="utf-32"),
    ],
)
def test_other_encodings_are_refused(
    safe: SafeJSONProvider, document: bytes, byte: str, position: int
) -> None:
    with pytest.raises(InvalidJSONError) as caught:
        safe.loads(document)

    assert caught.value.msg == f"'{byte}' is not UTF-8, send the document in UTF-8"
    assert caught.value.pos == position


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_other_encodings_without_a_mark_are_refused(safe: SafeJSONProvider, encoding: str) -> None:
    with pytest.raises(InvalidJSONError):
        safe.loads('{"a": 1}'.encode(encoding))


ACCEPTED = [
    pytest.param("0", id="number"),
    pytest.param(' \t\r\n{"a" : [ ] } \n', id="space"),
    pytest.param(r'"\ud83d\ude00\u00e9\/"', id="escapes"),
    pytest.param('{"a": 1, "a": 2}', id="duplicate keys"),
    pytest.param("[" * 200 + "]" * 200, id="as deep as may be"),
    pytest.param('{"a":' * 199 + "[]" + "}" * 199, id="as deep as may be, objects"),
    pytest.param("[" + "[[]]," * 1000 + "[]]", id="many arrays"),
    pytest.param('["' + "[" * 1000 + '"]', id="brackets in text"),
    pytest.param(r'["\"[[\\' + "[" * 1000 + r'\\", "\\\"' + "{" * 999 + '"]', id="in escapes"),
    pytest.param(
        "[" + "[" * 150 + "]" * 150 + ("," + "[" * 180 + "]" * 180) * 9 + "]", id="stacks"
    ),
    pytest.param(f"[{FLOATS}1e308, -1.5E-999, 1e-0400, 0e5]", id="exponents that fit"),
    pytest.param(f'[{FLOATS}"1e999", "0e000", "ab1e999"]', id="exponents in text"),
    pytest.param(f"[{FLOATS}0.{'1' * 500}]", id="many decimals"),
    pytest.param("9" * 4300, id="long integer"),
    pytest.param('["NaN", {"Infinity": "-Infinity"}]', id="literals in text"),
]


@pytest.mark.parametrize("document", ACCEPTED)
def test_document_is_read_as_flask_reads_it(
    safe: SafeJSONProvider, plain: DefaultJSONProvider, document: str
) -> None:
    expected = plain.loads(document)

    assert safe.loads(document) == expected
    assert safe.loads(document.encode()) == expected
    assert safe.loads(bytearray(document.encode())) == expected


@pytest.mark.parametrize("rest", ["", "[]," * 100, FLOATS], ids=["short", "brackets", "floats"])
@pytest.mark.parametrize(
    ("half", "spelled"), [("\ud800", r"\ud800"), (r"\uDC00", r"\uDC00")], ids=["text", "escape"]
)
def test_half_of_a_character_is_refused(
    safe: SafeJSONProvider, half: str, spelled: str, rest: str
) -> None:
    with pytest.raises(InvalidJSONError) as caught:
        safe.loads(f'[{rest}"{half}"]')

    assert caught.value.msg == f"'{spelled}' is half of a surrogate pair, send the whole pair"
    assert caught.value.pos == len(rest) + 2


def test_integer_of_any_length_is_read_where_python_is_set_to(safe: SafeJSONProvider) -> None:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        assert safe.loads("9" * 5000) == 10**5000 - 1
        with pytest.raises(InvalidJSONError) as caught:
            safe.loads("[" + "9" * 5000 + ", NaN]")
    finally:
        sys.set_int_max_str_digits(limit)

    assert caught.value.msg == f"'NaN' {NO_LITERAL}"


def test_mark_at_the_start_of_text_is_refused(safe: SafeJSONProvider) -> None:
    with pytest.raises(InvalidJSONError) as caught:
        safe.loads("\ufeff{}")

    assert caught.value.msg == "Unexpected UTF-8 BOM (decode using utf-8-sig)"


def test_mark_at_the_start_of_bytes_is_skipped_once(safe: SafeJSONProvider) -> None:
    assert safe.loads(codecs.BOM_UTF8 + b"[1]") == [1]
    with pytest.raises(InvalidJSONError):
        safe.loads(codecs.BOM_UTF8 * 2 + b"[1]")


@pytest.mark.parametrize("document", [None, 7, ["[]"], memoryview(b"[]")])
def test_what_is_no_document_is_a_type_error(safe: SafeJSONProvider, document: Any) -> None:
    with pytest.raises(TypeError) as caught:
        safe.loads(document)

    assert str(caught.value) == (
        f"'{type(document).__name__}' is not a JSON document, pass str, bytes or bytearray."
    )


FRAGMENTS = st.sampled_from(
    ["[", "]", "{", "}", '"', "\\", ",", ":", "NaN", "-Infinity", "1", "e", "999", ".5", "-", " "]
)


@given(
    st.binary()
    | st.lists(FRAGMENTS | st.text())
    .map("".join)
    .map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_bytes_are_read_or_refused(document: bytes) -> None:
    for backend in BACKENDS:
        provider = provider_on(backend)
        try:
            value = provider.loads(document)
        except InvalidJSONError:
            continue

        assert provider.loads(provider.dumps(value, allow_nan=False)) == value


BAD_BODIES = [
    pytest.param(b"[" * 100_000, id="deep arrays"),
    pytest.param(b'{"a":' * 100_000, id="deep objects"),
    pytest.param(b"[" * 201 + b"]" * 201, id="one too deep"),
    pytest.param(b"[NaN]", id="nan"),
    pytest.param(b"1e999", id="overflow"),
    pytest.param(rb'"\ud800"', id="half of a character"),
    pytest.param(b'"\xed\xa0\x80"', id="half of a character in bytes"),
    pytest.param(b'"\xff"', id="not utf-8"),
    pytest.param('{"a": 1}'.encode("utf-16"), id="utf-16"),
    pytest.param(b"9" * 5000, id="long integer"),
    pytest.param(b"[1] 2", id="more at the end"),
    pytest.param(b"{", id="malformed"),
    pytest.param(b"", id="empty"),
]


@pytest.fixture
def guarded(backend: str) -> Flask:
    """An app that says what it got."""
    app = Flask("input", static_folder=None)
    app.config["CONCURRENCY_GUARD_JSON_BACKEND"] = backend
    ConcurrencyGuard(app)

    @app.post("/")
    def read() -> Any:
        return {"got": request.get_json(silent="silent" in request.args)}

    return app


@pytest.mark.parametrize("body", BAD_BODIES)
def test_bad_body_is_answered_with_400(guarded: Flask, body: bytes) -> None:
    response = guarded.test_client().post("/", data=body, content_type="application/json")

    assert response.status_code == 400


@pytest.mark.parametrize("body", BAD_BODIES)
def test_bad_body_is_none_where_errors_are_silent(guarded: Flask, body: bytes) -> None:
    response = guarded.test_client().post("/?silent", data=body, content_type="application/json")

    assert response.get_json() == {"got": None}


@pytest.mark.parametrize(
    ("body", "got"),
    [
        pytest.param(rb'{"a": "\ud83d\ude00"}', {"a": "\U0001f600"}, id="pair of escapes"),
        pytest.param(codecs.BOM_UTF8 + b"[1.0]", [1.0], id="byte order mark"),
        pytest.param(b"[18446744073709551616]", [2**64], id="large integer"),
        pytest.param(b'{"a": 1, "a": 2}', {"a": 2}, id="duplicate keys"),
    ],
)
def test_body_is_read(guarded: Flask, body: bytes, got: Any) -> None:
    response = guarded.test_client().post("/", data=body, content_type="application/json")

    assert json.loads(response.data) == {"got": got}


@pytest.mark.parametrize(
    ("key", "value", "body"),
    [("DUPLICATE_KEYS", "error", b'{"a": 1, "a": 2}'), ("MAX_DEPTH", 2, b"[[[]]]")],
    ids=["duplicate keys", "depth"],
)
def test_rules_are_settings(backend: str, key: str, value: object, body: bytes) -> None:
    app = Flask("input", static_folder=None)
    app.config["CONCURRENCY_GUARD_JSON_BACKEND"] = backend
    app.config[f"CONCURRENCY_GUARD_JSON_{key}"] = value
    ConcurrencyGuard(app)

    with pytest.raises(InvalidJSONError):
        app.json.loads(body)


NO_STACK = "The document is nested too deep for the stack that is left: line 1 column 1 (char 0)"


def test_recursion_in_a_hook_is_an_error_in_the_document(safe: SafeJSONProvider) -> None:
    def endless(found: object) -> object:
        return endless(found)

    with pytest.raises(InvalidJSONError) as caught:
        safe.loads("{}", object_hook=endless)

    assert str(caught.value) == NO_STACK


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="C doesn't count Python's frames there")
def test_stack_that_is_nearly_used_up_is_an_error_in_the_document(
    safe: SafeJSONProvider, backend: str
) -> None:
    if backend == "orjson":
        pytest.skip("orjson doesn't count Python's frames, and reads the document")

    def fall(frames: int) -> Any:
        return fall(frames - 1) if frames else safe.loads("[" * 199 + "]" * 199)

    with pytest.raises(InvalidJSONError) as caught:
        fall(sys.getrecursionlimit() - len(inspect.stack(0)) - 100)

    assert str(caught.value) == NO_STACK
