"""Safe JSON for Flask: valid JSON out, no surprise in, whatever else is installed or patched."""

from .errors import InvalidJSONError
from .errors import JSONTypeError
from .errors import JSONValueError
from .patches import find_patches
from .provider import SafeJSONProvider

__all__ = [
    "InvalidJSONError",
    "JSONTypeError",
    "JSONValueError",
    "SafeJSONProvider",
    "find_patches",
]
