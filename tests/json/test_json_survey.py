"""The survey misses nothing that breaks a rule, wherever in a document it stands."""

from __future__ import annotations

import importlib.util
import json
import json.scanner
import math
import re
import sys
from collections.abc import Callable
from itertools import accumulate
from itertools import product
from typing import Any

import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st

import flask_concurrency_guard
from flask_concurrency_guard.json import survey as module
from flask_concurrency_guard.json.survey import DEEP
from flask_concurrency_guard.json.survey import EXTREME
from flask_concurrency_guard.json.survey import SURROGATE
from flask_concurrency_guard.json.survey import WIDE

FLAGS = (DEEP, WIDE, EXTREME, SURROGATE)

OFFSETS = range(131)
"""As many as two blocks have, and some more."""

compiled = pytest.mark.skipif(
    module.survey is None, reason="the survey isn't compiled on this installation"
)


def survey(document: bytes, max_depth: int = 3) -> int:
    assert module.survey is not None
    return module.survey(document, max_depth)


def test_each_flag_is_a_bit_of_its_own() -> None:
    assert [flag.bit_count() for flag in FLAGS] == [1] * len(FLAGS)
    assert len(set(FLAGS)) == len(FLAGS)


def test_package_does_without_what_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(flask_concurrency_guard.json, "_survey", raising=False)
    monkeypatch.setitem(sys.modules, "flask_concurrency_guard.json._survey", None)
    spec = importlib.util.spec_from_file_location(f"{module.__name__}_copy", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)

    spec.loader.exec_module(copy)

    assert copy.survey is None


CASES = {
    # Brackets, of which three levels are allowed.
    "as deep as allowed": (b"[[[]]]", 0),
    "too deep": (b"[[[[]]]]", DEEP),
    "objects": (b'{"a":{"a":{"a":{}}}}', DEEP),
    "both kinds": (b'[{"a":[{}]}]', DEEP),
    "side by side": (b"[[[]],[[]],[[],[]]]", 0),
    "many side by side": (b"[" + b"[[]]," * 40 + b"1]", 0),
    "many, the last too deep": (b"[" + b"[[]]," * 40 + b"[[[]]]]", DEEP),
    "deep after wide": (b"[" + b"[]," * 60 + b"[[[]]]]", DEEP),
    "unfinished": (b"[[[[", DEEP),
    "only closings": (b"]]]]]]]]", 0),
    "crossed": (b"[{[}]}", 0),
    "brackets in a string": (b'"[[[[{{{{"', 0),
    "brackets in a long string": (b'"' + b"[" * 200 + b'"', 0),
    "brackets between strings": (b'"[",[[[["]"', DEEP),
    "brackets in a key": (b'{"[[[[":"[[[["}', 0),
    # The ends of strings.
    "escaped quote": (b'"\\"[[[["', 0),
    "escaped backslash": (b'"\\\\",[[[[', DEEP),
    "escaped backslash and quote": (b'"\\\\\\"[[[["', 0),
    "two escaped backslashes": (b'"\\\\\\\\",[[[[', DEEP),
    "66 backslashes": (b'"' + b"\\" * 66 + b'",[[[[', DEEP),
    "67 backslashes": (b'"' + b"\\" * 67 + b'"[[[["', 0),
    "128 backslashes": (b'"' + b"\\" * 128 + b'",[[[[', DEEP),
    "129 backslashes": (b'"' + b"\\" * 129 + b'"[[[["', 0),
    "escapes before a quote": (b'"\\n\\t\\u0022",[[[[', DEEP),
    "escape one block before the end": (b'"\\n' + b"a" * 63 + b'",[[[[', DEEP),
    "escape two blocks before the end": (b'"\\n' + b"a" * 127 + b'",[[[[', DEEP),
    "many escaped quotes": (b'"' + b'\\"' * 100 + b'[[[["', 0),
    "string that doesn't end": (b'"[[[[', 0),
    "lone backslash at the end": (b'"\\', 0),
    # Digits: 64 bits hold all numbers of 18, and of 19 if there is no sign.
    "18 digits": (b"-" + b"9" * 18, 0),
    "19 digits": (b"9" * 19, 0),
    "19 digits, negative": (b"-" + b"9" * 19, WIDE),
    "19 digits after a key": (b'{"a":1234567890123456789}', 0),
    "20 digits": (b"1" * 20, WIDE),
    "20 digits between others": (b"123,12345678901234567890,123", WIDE),
    "digits in groups": (b"1234567890123456789," * 20, 0),
    "64 digits": (b"1" * 64, WIDE),
    "199 digits": (b"1" * 199, WIDE),
    "200 digits": (b"1" * 200, WIDE | EXTREME),
    "309 digits": (b"1" * 309, WIDE | EXTREME),
    "20 digits and a point": (b"1" * 20 + b".5", WIDE),
    "199 digits after a point": (b"0." + b"1" * 199, 0),
    "200 digits after a point": (b"0." + b"1" * 200, WIDE | EXTREME),
    "two long runs": (b"1234567890123456789,-1234567890123456789", WIDE),
    "digits in a string": (b'"' + b"1" * 320 + b'"', 0),
    "digits around a string": (b"1" * 10 + b'"1"' + b"1" * 10, 0),
    "digits up to a string": (b"1" * 20 + b'""', WIDE),
    # Exponents.
    "exponent of 2 digits": (b"1e99", 0),
    "exponent of 3 digits": (b"1e999", EXTREME),
    "capital": (b"1E999", EXTREME),
    "with a plus": (b"1e+999", EXTREME),
    "with a plus, 2 digits": (b"1E+99", 0),
    "with a minus": (b"1e-999", 0),
    "with zeros": (b"1e0000400", EXTREME),
    "after a fraction": (b"1.5e400", EXTREME),
    "the second": (b"1e40,1e400", EXTREME),
    "many small exponents": (b"1.5e10," * 30, 0),
    "exponent of a long number": (b"1" * 250 + b"e99", WIDE | EXTREME),
    "exponent in a string": (b'"1e999"', 0),
    "e at the end of a string": (b'"1e",999', 0),
    "true": (b"[true,123]", 0),
    # Escapes of surrogates.
    "first surrogate": (b'"\\ud800"', SURROGATE),
    "last surrogate": (b'"\\uDFFF"', SURROGATE),
    "pair": (b'"\\uD83D\\ude00"', SURROGATE),
    "before the surrogates": (b'"\\ud7ff"', 0),
    "behind the surrogates": (b'"\\ue000"', 0),
    "another letter": (b'"\\nd800\\\\ud800"', 0),
    "surrogate behind a backslash": (b'"\\\\\\ud800"', SURROGATE),
    "surrogate among escapes": (b'"\\u4e2d\\n\\"\\udabc"', SURROGATE),
    "many escapes": (b'"' + b"\\u4e2d\\ud7ff\\n" * 20 + b'"', 0),
    "surrogate in a key": (b'{"\\ud800":1}', SURROGATE),
    "surrogate cut off": (b'"\\ud8', SURROGATE),
    "surrogate cut off before it is one": (b'"\\ud', 0),
    # The rest.
    "plain literals": (b"[null,true,false]", 0),
    "not ASCII": ('"\xe9"'.encode(), 0),
    "U+007F": (b'"\x7f"', 0),
    "byte 0x80": (b"\x80", 0),
    "all other bytes": (bytes(range(128, 256)), 0),
    "brackets but for one bit": (b"\xdb\xfb" * 2, 0),
    "quote but for one bit": (b"[[[\xa2[", DEEP),
    "digits but for one bit": (b"\xb1" * 20, 0),
    "neighbours of digits": (b"1/:" * 20 + b"/:" * 20, 0),
    "neighbours of what counts": (b"Z\\^z|~!#DFdfHJMO,*\x0b\x1b\x1d\x5c12345678901234567890", WIDE),
    "control characters": (bytes(range(32)), 0),
    "nothing": (b"", 0),
    "everything": (
        b'[[[["\\ud800\xc3\xa9",1e999,12345678901234567890,NaN]]]]',
        DEEP | WIDE | EXTREME | SURROGATE,
    ),
}
of_cases = pytest.mark.parametrize(("document", "flags"), CASES.values(), ids=CASES)


@compiled
@of_cases
def test_flags(document: bytes, flags: int) -> None:
    assert survey(document) == flags


@compiled
@of_cases
def test_flags_are_the_same_at_any_place(document: bytes, flags: int) -> None:
    before = {survey(b" " * offset + document) for offset in OFFSETS}
    behind = {survey(b" " * offset + document + b" " * 131) for offset in OFFSETS}

    assert (before, behind) == ({flags}, {flags})


@compiled
@of_cases
@pytest.mark.parametrize(
    "filler", [b"a", b"[", b"]", b"1", b"N", b"\\n", b'\\"', b"\\\\"], ids=repr
)
def test_flags_are_the_same_behind_any_string(document: bytes, flags: int, filler: bytes) -> None:
    found = {survey(b'"' + filler * offset + b'",' + document) for offset in OFFSETS}

    assert found == {flags}


@compiled
@of_cases
def test_flags_are_the_same_behind_any_pairs_of_brackets(document: bytes, flags: int) -> None:
    found = {survey(b"[]" * offset + b"," + document) for offset in OFFSETS}

    assert found == {flags}


@compiled
@pytest.mark.parametrize("depth", [2, 20, 64, 128, 200, 998, 1000])
@pytest.mark.parametrize(
    ("step", "levels"), [(b"[", 1), (b'{"a":', 1), (b'["[[[", {"\\"": ', 2)], ids=repr
)
def test_depth_is_exact(step: bytes, levels: int, depth: int) -> None:
    document = step * (depth // levels)

    assert survey(document, depth) == 0
    assert survey(document, depth - 1) == DEEP
    assert survey(document + step, depth) == DEEP


@compiled
@pytest.mark.parametrize("width", [1, 2, 31, 32, 33, 63, 64, 65, 130])
def test_depth_is_exact_on_a_steep_slope(width: int) -> None:
    """Where a block goes up and down again, what counts is the peak between."""
    slope = b"[" * width + b"]" * width
    document = b"[" + slope * 3 + b"]"

    for offset in OFFSETS:
        assert survey(b" " * offset + document, width + 1) == 0
        assert survey(b" " * offset + document, width) == DEEP


def outside_of_strings(document: bytes) -> bytes:
    """Return the document with each byte of a string as a quote."""
    rest = bytearray()
    inside = escaped = False
    for byte in document:
        is_quote = byte == ord('"') and not escaped
        rest.append(ord('"') if inside or is_quote else byte)
        inside ^= is_quote
        escaped = byte == ord("\\") and not escaped
    return bytes(rest)


def reference(document: bytes, max_depth: int) -> int:
    """Survey the document again, by other means."""
    rest = outside_of_strings(document)
    steps = ((byte in b"[{") - (byte in b"]}") for byte in rest)
    found = {
        DEEP: max(accumulate(steps), default=0) > max_depth,
        WIDE: re.search(rb"(?<![0-9.])[0-9]{20}|-[0-9]{19}|[0-9]{200}", rest),
        EXTREME: re.search(rb"[eE+][0-9]{3}|[0-9]{200}", rest),
        SURROGATE: re.search(rb"(?<!\\)(\\\\)*\\u[dD][89a-fA-F]", document),
    }
    return sum(flag for flag, is_there in found.items() if is_there)


DEPTHS = st.integers(1, 6) | st.just(40)
BYTES = st.lists(st.sampled_from(b'"""\\\\\\[]{}019eE+-.,:uUdD8fFNI \xe9\xff'), max_size=300)
PIECES = st.lists(
    st.sampled_from(
        [
            *(b'"', b'"', b"\\", b"\\\\", b'\\"', b"[", b"]", b"[[]]", b'{"a":', b"}", b",", b"-"),
            *(b"1" * 9, b"1" * 10, b"1" * 19, b"1" * 90, b".", b"e", b"e+", b"E1", b"+10", b"12"),
            *(b"\\u", b"\\ud", b"d8", b"Dc", b"\\udbff", b"NaN", b"I", b"\xc3\xa9", b" " * 20),
            *(b"a" * 63, b"]" * 30, b"[" * 30),
        ]
    ),
    max_size=40,
)


@compiled
@given(document=BYTES.map(bytes) | PIECES.map(b"".join), max_depth=DEPTHS)
@example(document=b"1" * 10 + b" " * 54 + b"1" * 10, max_depth=1)
def test_survey_is_what_python_finds(document: bytes, max_depth: int) -> None:
    assert survey(document, max_depth) == reference(document, max_depth)


@compiled
@given(offset=st.integers(0, 130), pieces=PIECES)
def test_survey_is_what_python_finds_wherever_it_begins(offset: int, pieces: list[bytes]) -> None:
    document = b"a" * offset + b"".join(pieces)

    assert survey(document) == reference(document, 3)


@compiled
def test_survey_is_what_python_finds_wherever_it_ends() -> None:
    document = b'[[{"a\\\\\\"":"\\ud8\\\\","b":[-1234567890123456789,1e+999]},NaN,"\xc3\xa9"]]'

    for offset in (0, 1, 31, 60):
        for end in range(offset + len(document) + 1):
            cut = (b" " * offset + document)[:end]
            assert survey(cut, 2) == reference(cut, 2)


class Watched:
    """Reads a document with the standard library, and notes what was there up to the first fault.

    It is the one in Python, which is easily watched. The one in C takes the same steps.
    """

    def __init__(self, document: bytes) -> None:
        self.flags = 0
        self.depth = 0
        self.deepest = 0
        decoder = json.JSONDecoder(
            parse_int=self.integer, parse_float=self.float, parse_constant=lambda name: None
        )
        decoder.parse_array = self.nested(decoder.parse_array)  # type: ignore[attr-defined]
        decoder.parse_object = self.nested(decoder.parse_object)  # type: ignore[attr-defined]
        decoder.parse_string = self.string  # type: ignore[attr-defined]
        scan = json.scanner.py_make_scanner(decoder)  # type: ignore[attr-defined]
        try:
            scan(document.decode("latin-1"), 0)
        except (StopIteration, ValueError):
            pass

    def integer(self, digits: str) -> None:
        self.flags |= WIDE * (not -(2**63) <= int(digits) < 2**64)
        self.flags |= EXTREME * (abs(int(digits)) > sys.float_info.max)

    def float(self, digits: str) -> None:
        self.flags |= EXTREME * math.isinf(float(digits))

    def string(self, text: str, end: int, strict: bool) -> tuple[str, int]:
        found, end = json.decoder.py_scanstring(text, end, strict)  # type: ignore[attr-defined]
        self.flags |= SURROGATE * (re.search("[\ud800-\udfff]", found) is not None)
        return found, end

    def nested(self, parse: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)
            try:
                return parse(*args)
            finally:
                self.depth -= 1

        return counted


NUMBERS = (
    st.integers()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.integers(0, 400).map(lambda power: 10**power)
)
TEXTS = st.text(st.characters(exclude_categories=()), max_size=20) | st.text(
    '"\\[{\ud83d\ude00', max_size=90
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)
DOCUMENTS = st.builds(
    lambda value, indent, ascii: json.dumps(value, indent=indent, ensure_ascii=ascii).encode(
        errors="surrogatepass"
    ),
    *(VALUES, st.sampled_from([None, 0, 3]), st.booleans()),
)
SPOILED = st.builds(
    lambda document, at, by, many: document[:at] + by * many + document[at:],
    DOCUMENTS,
    st.integers(0, 200),
    st.sampled_from([b"", b"[", b"]", b"}", b'{"', b'"', b"\\", b"1", b"e", b"1e999", b"\\ud800"]),
    st.integers(0, 20),
)
FLOATS = st.from_regex(rb"-?[1-9][0-9]{0,320}(\.[0-9]{1,9})?([eE]\+?[0-9]{1,4})?", fullmatch=True)


@compiled
@given(document=DOCUMENTS | SPOILED | FLOATS | PIECES.map(b"".join), max_depth=DEPTHS)
def test_nothing_is_missed_that_a_parser_comes_to(document: bytes, max_depth: int) -> None:
    watched = Watched(document)
    found = survey(document, max_depth)

    assert watched.flags & ~found == 0
    assert watched.deepest <= max_depth or found & DEEP


@compiled
@given(document=DOCUMENTS, max_depth=DEPTHS)
def test_depth_is_exact_for_json(document: bytes, max_depth: int) -> None:
    assert bool(survey(document, max_depth) & DEEP) == (Watched(document).deepest > max_depth)


@compiled
@pytest.mark.parametrize("whole", [-(2**63) - 1, -(10**19), 2**64, 10**20], ids=str)
def test_integers_beyond_64_bits_are_wide(whole: int) -> None:
    assert survey(b"%d" % whole) == WIDE
    assert survey(b'{"a":[1,%d.0]}' % whole) == WIDE


@compiled
def test_what_overflows_a_float_is_extreme() -> None:
    for digits, power in product((1, 2, 199, 200, 201, 250, 308, 309, 310), range(320)):
        for sign in (b"", b"+"):
            document = b"9" * digits + b"e" + sign + b"%d" % power
            assert math.isfinite(float(document)) or survey(document) & EXTREME


@compiled
def test_subclass_of_bytes_is_bytes() -> None:
    class Document(bytes):
        def __getitem__(self, key: object) -> Any:
            raise AssertionError("Python code has run.")

    assert survey(Document(b"[[[[")) == DEEP


@compiled
@pytest.mark.parametrize("depth", [-1, 0, 1001, 10**6])
def test_depth_out_of_range_is_refused(depth: int) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        survey(b"", depth)
    assert str(caught.value) == f"'max_depth' must be from 1 to 1000, got {depth}."


@compiled
@pytest.mark.parametrize("document", ["[]", bytearray(b"[]"), memoryview(b"[]"), None])
def test_only_bytes_are_documents(document: Any) -> None:
    with pytest.raises(TypeError) as caught:
        survey(document)
    assert str(caught.value) == f"'document' must be bytes, got '{type(document).__name__}'."


@compiled
def test_wrong_calls_are_type_errors() -> None:
    wrong: list[Any] = [(), (b"",), (b"", 1, 2), (b"", "a"), (b"", 1.5)]

    assert module.survey is not None
    for arguments in wrong:
        with pytest.raises(TypeError):
            module.survey(*arguments)
    with pytest.raises(OverflowError):
        module.survey(b"", 2**70)
