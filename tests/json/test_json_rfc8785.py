"""The examples of RFC 8785, where they say something of JSON and not of its canonical form.

Its order of keys (UTF-16) and its spelling of numbers (ECMAScript's) are rules of its own.
"""

from __future__ import annotations

import struct

import pytest
from json_support import provider_on

pytestmark = pytest.mark.usefixtures("census", "document_survey")

# Appendix B: the bits of a double, and its shortest spelling.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "-0.0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize(("bits", "spelling"), NUMBERS.items(), ids=NUMBERS.values())
def test_shortest_spelling_is_read_as_its_number(backend: str, bits: str, spelling: str) -> None:
    number = provider_on(backend, "modern").loads(spelling)

    assert struct.pack(">d", number).hex() == bits


@pytest.mark.parametrize("bits", NUMBERS)
def test_number_comes_back_with_each_bit(backend: str, bits: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    provider = provider_on(backend, "modern")

    assert struct.pack(">d", provider.loads(provider.dumps(number))).hex() == bits


@pytest.mark.parametrize("bits", ["7fffffffffffffff", "7ff0000000000000", "fff0000000000000"])
def test_what_is_no_number_is_never_written_as_one(backend: str, bits: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))

    assert provider_on(backend, "modern").dumps([number]) == "[null]"


def test_section_3_2_2_is_read_and_written(backend: str) -> None:
    document = r"""
        {
          "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
          "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
          "literals": [null, true, false]
        }
    """
    provider = provider_on(backend, "modern", sort_keys=True)
    value = provider.loads(document)

    assert provider.dumps(value) == (
        '{"literals":[null,true,false],'
        '"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
