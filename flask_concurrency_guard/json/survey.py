"""What is in a document that the JSON libraries handle in ways of their own.

A survey finds it, several times as fast as any library parses the document. It is written in C,
and the package works without it: ``survey`` is `None` where there was no compiler when the package
was installed.

None of the flags is missing by mistake before the first fault of a document, and a parser doesn't
come further than that. Some are set where a closer look finds nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Arrays and objects are nested deeper than allowed; [[]] is 2 deep. It is exact for JSON.
DEEP = 1 << 0
# A number of 20 digits, or 19 after a minus sign, which may not fit 64 bits, or 200 after a point.
WIDE = 1 << 1
# A number of 200 digits, or with a positive exponent of 3: it may overflow a float.
EXTREME = 1 << 2
# An escape from \ud800 to \udfff. It may be one of a pair.
SURROGATE = 1 << 3

survey: Callable[[bytes, int], int] | None = None

try:
    from . import _survey
except ImportError:
    pass
else:
    survey = _survey.survey
