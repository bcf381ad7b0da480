"""Which features a value has that the JSON libraries handle in ways of their own.

A census finds them. It is written in C, and the package works without it: ``census``, ``encode``
and ``snapshot`` are `None` where there was no compiler when the package was installed, and where
Python is built to do without the GIL.
"""

from __future__ import annotations

import sysconfig
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# None, True, False, and what is exactly an int, a float, a str, a list, a tuple or a dict, have
# none of these by themselves.

# What isn't named here, subclasses of what is, or more than 100 million values.
OTHER = 1 << 0
# A dict with a key that is neither exactly a str nor an int, or with some of both.
KEY = 1 << 1
# A float that is NaN or infinite.
NAN = 1 << 2
# A finite float that repr() writes with an exponent.
EXPONENT = 1 << 3
# An int beyond ±(2**53 - 1), which not every reader of JSON takes in exactly.
BIGINT = 1 << 4
# An int below -2**63 or above 2**64 - 1, which no integer of C holds. It is a BIGINT as well.
HUGE = 1 << 5
# A str with a character that ensure_ascii escapes: not ASCII, or U+007F. Keys count, too.
ESCAPED = 1 << 6
# A str with a lone surrogate, which UTF-8 can't encode. It is ESCAPED as well.
SURROGATE = 1 << 7
# Containers are nested deeper than allowed; [[]] is 2 deep.
DEEP = 1 << 8
# A datetime without a zone.
NAIVE = 1 << 9
# A datetime in a zone that is written in C, with an offset of whole minutes.
AWARE = 1 << 10
# A date that is no datetime.
DATE = 1 << 11
# A UUID.
UUID = 1 << 12
# A Decimal that is a number.
DECIMAL = 1 << 13
# A dict all of whose keys are exactly int.
INT_KEYS = 1 << 14

census: Callable[[object, int], int] | None = None
encode: Callable[[object, Callable[[object], object], int, int], object] | None = None
snapshot: Callable[[object, int, int], object] | None = None

HAS_NO_GIL = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

# That nothing changes between the census and the encoder rests on the GIL. Where Python is built
# to do without, importing the module would switch it on.
if not HAS_NO_GIL:
    try:
        from . import _census
    except ImportError:
        pass
    else:
        census = _census.census
        encode = _census.encode
        snapshot = _census.snapshot
