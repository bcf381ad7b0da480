from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_concurrency_guard.wsgi.times import LONGEST_AGE
from flask_concurrency_guard.wsgi.times import OddHeaders
from flask_concurrency_guard.wsgi.times import read_age
from flask_concurrency_guard.wsgi.times import read_patience

NOW = 1_795_374_000.5
MALFORMED = {"request_start_malformed": 1}
FUTURE = {"request_start_in_future": 1}
ABSURD = {"request_start_absurd": 1}


@pytest.mark.parametrize(
    ("value", "age", "odd"),
    [
        pytest.param("t=1795374000.250", 0.25, {}, id="nginx, seconds"),
        pytest.param("1795374000.250", 0.25, {}, id="seconds"),
        pytest.param("1795374000", 0.5, {}, id="whole seconds"),
        pytest.param("1795374000250", 0.25, {}, id="milliseconds"),
        pytest.param("t=1795374000250", 0.25, {}, id="t= and milliseconds"),
        pytest.param("1795374000250.5", 0.2495, {}, id="milliseconds with a fraction"),
        pytest.param("t=1795374000250000", 0.25, {}, id="Apache, microseconds"),
        pytest.param("1795374000250000000", 0.25, {}, id="nanoseconds"),
        pytest.param(" t=1795374000.250 ", 0.25, {}, id="blanks around"),
        pytest.param("t=1795374000.500", 0.0, {}, id="now"),
        pytest.param("t=1795374000.501", 0.0, FUTURE, id="a millisecond ahead"),
        pytest.param("t=1895374000.5", 0.0, FUTURE, id="years ahead"),
        pytest.param("9999999999999999999", 0.0, FUTURE, id="as far ahead as can be written"),
        pytest.param("t=1795370400.5", 3600.0, {}, id="an hour"),
        pytest.param("t=1795370400.0", None, ABSURD, id="more than an hour"),
        pytest.param("t=179537400", None, ABSURD, id="a digit is missing"),
        pytest.param("", None, MALFORMED, id="nothing"),
        pytest.param("t=", None, MALFORMED, id="only t="),
        pytest.param("now", None, MALFORMED, id="a word"),
        pytest.param("t=-1795374000", None, MALFORMED, id="negative"),
        pytest.param("t=nan", None, MALFORMED, id="not a number"),
        pytest.param("t=inf", None, MALFORMED, id="infinite"),
        pytest.param("t=1795374000,5", None, MALFORMED, id="comma"),
        pytest.param("t=1795374000, t=1795374000", None, MALFORMED, id="two of them"),
        pytest.param("t=1_795_374_000", None, MALFORMED, id="underscores"),
        pytest.param("t=1795374000e3", None, MALFORMED, id="exponent"),
        pytest.param("t=17953740001795374000179537400", None, MALFORMED, id="too long"),
        pytest.param("t=\xb2\xb2\xb2\xb2\xb2\xb2\xb2\xb2\xb2", None, MALFORMED, id="other digits"),
        pytest.param("Sun, 22 Nov 2026 19:00:00 GMT", None, MALFORMED, id="a date"),
    ],
)
def test_the_age_by_the_header(value: str, age: float | None, odd: dict[str, int]) -> None:
    headers = OddHeaders()
    assert read_age(value, NOW, headers) == pytest.approx(age, abs=1e-5)
    assert headers.counts() == odd


@given(st.text(max_size=40) | st.from_regex(r"(t=)?[0-9.]{1,25}", fullmatch=True))
def test_the_age_is_always_one_that_can_be(value: str) -> None:
    age = read_age(value, NOW, OddHeaders())
    assert age is None or 0 <= age <= LONGEST_AGE


@pytest.mark.parametrize(
    ("value", "patience"),
    [
        ("1.5", 1.5),
        ("2", 2.0),
        ("1.5s", 1.5),
        ("1500ms", 1.5),
        ("1500 ms", 1.5),
        (" 1500ms ", 1.5),
        ("1500m", 1.5),
        ("1S", 1.0),
        ("2M", 120.0),
        ("1H", 3600.0),
        ("1500000u", 1.5),
        ("1500000us", 1.5),
        ("99999999n", 0.099999999),
        ("5000000ns", 0.005),
        ("99999999", 99999999.0),
    ],
)
def test_the_patience_of_a_client(value: str, patience: float) -> None:
    headers = OddHeaders()
    assert read_patience(value, "s", headers) == pytest.approx(patience)
    assert headers.counts() == {}


def test_a_number_alone_has_the_unit_of_the_header() -> None:
    assert read_patience("1500", "ms", OddHeaders()) == pytest.approx(1.5)
    assert read_patience("1500s", "ms", OddHeaders()) == pytest.approx(1500)


@pytest.mark.parametrize(
    "value",
    ["", "0", "0.0", "0ms", "-1", "+1", "nan", "inf", "1e3", "1_000", "1,5", "1.5 min", "5d", "1.",
     ".5", "s", "1 s s", "999999999", "\xb2s", "1h", "1.5, 2.5"],
    ids=repr,
)  # fmt: skip
def test_what_is_no_time_is_ignored_and_counted(value: str) -> None:
    headers = OddHeaders()
    assert read_patience(value, "s", headers) is None
    assert headers.counts() == {"deadline_malformed": 1}


@given(st.text(max_size=20))
def test_the_patience_is_always_one_that_can_be(value: str) -> None:
    patience = read_patience(value, "s", OddHeaders())
    assert patience is None or 0 < patience < 1e12


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_begins_to_count_anew() -> None:
    headers = OddHeaders()
    headers.count("deadline_malformed")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, repr(headers.counts()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1000) == b"{}"
    assert headers.counts() == {"deadline_malformed": 1}
    os.close(reader)
    os.close(writer)
