"""Whatever comes in, every backend gives the same answer, and no error but one in the document."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from json_support import BACKENDS
from json_support import outcome
from json_support import the_one

from flask_concurrency_guard.json import InvalidJSONError
from flask_concurrency_guard.json.backends import load_backend
from flask_concurrency_guard.json.reading import Reader


@dataclass(frozen=True)
class Rules:
    duplicate_keys: str
    max_depth: int


RULES = [Rules("last", 200), Rules("last", 3), Rules("error", 200)]
READERS = {
    rules: {name: Reader(rules, load_backend(name).decoder) for name in BACKENDS} for rules in RULES
}

WEIRD = [
    *(b"[", b"]", b"{", b"}", b'"', b"\\", b",", b":", b" ", b"\r\n", b"[]", b'"]"', b'"a":'),
    *(b"NaN", b"-Infinity", b"true", b"null", b"-", b"1", b"e", b"E+", b"999", b".5", b"-0"),
    *(b"9" * 19, b"9" * 20, b"-9223372036854775809", b"18446744073709551616", b"1e308", b"1.8e308"),
    *(b"9" * 400, b"0." + b"1" * 30, b"9" * 4301, b"0e5", b"1e-400"),
    *(rb"\ud800", rb"\uD83d\uDE00", rb"\udc00", rb"\ud7ff", rb"\u0000", rb"\"", rb"\\", rb"\/"),
    *(b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xff"),
    *("é".encode(), "😀".encode(), b"\0", b"\x1f", b"\x7f", b"[" * 201, b'{"a":' * 201, b"]" * 201),
]

TEXT = st.text() | st.text(st.sampled_from('[]{}",:\\/\n\t 0e-1é日😀'), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)


@st.composite
def valid_documents(draw: st.DrawFn) -> bytes:
    value = draw(VALUES.filter(_is_finite))
    text = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.none() | st.just(1)))
    document = text.encode("utf-8", "surrogatepass")
    # Long ones are looked at in other ways than short ones.
    if draw(st.integers(0, 4)) == 0:
        document = b"[" + b",".join([document] * draw(st.integers(1, 300))) + b"]"
    return document


def _is_finite(value: object) -> bool:
    return not (isinstance(value, float) and math.isinf(value))


@st.composite
def changed_documents(draw: st.DrawFn) -> bytes:
    document = bytearray(draw(valid_documents()))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(document)))
        end = start + draw(st.integers(0, 3))
        document[start:end] = draw(st.sampled_from(WEIRD) | st.binary(max_size=3))
    return bytes(document)


DOCUMENTS = (
    changed_documents()
    | valid_documents()
    | st.lists(st.sampled_from(WEIRD) | st.binary(max_size=2)).map(b"".join)
    | st.binary()
)


def answer(reader: Reader, document: str | bytes) -> Any:
    try:
        # `repr` tells 1 from 1.0, and 0.0 from -0.0.
        return repr(reader.loads(document, {}))
    except InvalidJSONError as error:
        return str(error), error.doc, error.pos


@settings(max_examples=400)
@given(document=DOCUMENTS)
@example(b'{"a":1,"a":2}')
@example(b"[" * 100_000)
def test_every_backend_gives_the_same_answer(document: bytes) -> None:
    for readers in READERS.values():
        the_one({name: answer(reader, document) for name, reader in readers.items()})


@given(document=DOCUMENTS.map(lambda document: document.decode(errors="surrogateescape")))
def test_every_backend_gives_the_same_answer_to_text(document: str) -> None:
    for readers in READERS.values():
        the_one({name: answer(reader, document) for name, reader in readers.items()})


@given(document=DOCUMENTS)
def test_what_is_read_is_what_the_standard_library_reads(document: bytes) -> None:
    for name, reader in READERS[Rules("last", 200)].items():
        found = outcome(lambda: reader.loads(document, {}))  # noqa: B023
        if isinstance(found, tuple):
            assert found[0] is InvalidJSONError, name
        else:
            assert repr(found) == repr(json.loads(document.decode("utf-8-sig"))), name
            # It has neither infinities nor halves of characters.
            json.dumps(found, ensure_ascii=False, allow_nan=False).encode()


@given(value=VALUES.filter(_is_finite), ensure_ascii=st.booleans())
def test_what_is_valid_is_read(value: Any, ensure_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=ensure_ascii)
    expected = repr(json.loads(text))
    if "Infinity" in expected or "inf" in expected:
        return
    for readers in READERS.values():
        if readers is not READERS[Rules("last", 3)]:
            for reader in readers.values():
                assert repr(reader.loads(text, {})) == expected


@given(document=DOCUMENTS, hook=st.sampled_from(["object_hook", "object_pairs_hook"]))
def test_options_let_no_other_error_out(document: bytes, hook: str) -> None:
    for readers in READERS.values():
        for reader in readers.values():
            try:
                reader.loads(document, {hook: dict, "strict": False})
                reader.loads(document, {"cls": json.JSONDecoder, "parse_float": str})
            except InvalidJSONError:
                pass
