"""Safe JSON for Flask: valid JSON out, no surprise in, whatever else is installed or patched."""

from .attach import install
from .errors import InvalidJSONError
from .provider import SafeJSONProvider

__all__ = ["InvalidJSONError", "SafeJSONProvider", "install"]
