"""Safe JSON for Flask: valid JSON out, no surprise in, whatever else is installed or patched."""

from .attach import install
from .errors import InvalidJSONError
from .errors import JSONTypeError
from .errors import JSONValueError
from .patches import find_patches
from .patches import report_patches
from .provider import SafeJSONProvider

__all__ = [
    "InvalidJSONError",
    "JSONTypeError",
    "JSONValueError",
    "SafeJSONProvider",
    "find_patches",
    "install",
    "report_patches",
]
