"""Safe JSON for Flask: valid JSON out, no surprise in, whatever else is installed or patched."""

from flask_concurrency_guard.json.attach import install
from flask_concurrency_guard.json.errors import InvalidJSONError
from flask_concurrency_guard.json.provider import SafeJSONProvider

__all__ = ["InvalidJSONError", "SafeJSONProvider", "install"]
