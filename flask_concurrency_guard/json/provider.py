"""The provider: Flask's contract for ``app.json``, over a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from flask.json.provider import DefaultJSONProvider

from . import policy
from .backends import load_backend
from .options import DECODE_OPTIONS
from .options import ENCODE_OPTIONS
from .options import given_options

if TYPE_CHECKING:
    from .backends import Backend

# Flask's own hook has no effects, so it may see an object twice.
_FLASK_DEFAULT = DefaultJSONProvider.default


class SafeJSONProvider(DefaultJSONProvider):
    """Write what Flask's default provider writes, but only JSON, and read nothing but JSON.

    -   What Flask's provider writes is written byte for byte, with ``null`` in place of ``NaN``,
        ``Infinity`` and ``-Infinity``.
    -   What is read must be UTF-8, nested at most 200 deep, and without ``NaN``, infinities, and
        numbers that overflow to one. All else is an :exc:`.InvalidJSONError`, a
        :exc:`json.JSONDecodeError`.
    -   An option that is `None` counts as not given, one that is unknown is a :exc:`TypeError`.
    -   Nothing that replaces ``json`` or parts of it elsewhere in the program changes any of this.

    ``default``, ``ensure_ascii``, ``sort_keys``, ``compact`` and ``mimetype`` mean what they mean
    in Flask. Of these, subclasses may override all, and :meth:`response`.
    """

    # It only overrides `dumps` and `loads`, so that `attach` can put it before a subclass of
    # Flask's provider and leave the rest to that.
    _backend: Backend = load_backend("stdlib")

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Serialize data as JSON to a string.

        :param obj: The data to serialize.
        :param kwargs: Options of :func:`json.dumps`. ``allow_nan=False`` makes NaN and infinities
            an error instead of ``null``.
        :raises ValueError: A container holds itself.
        :raises TypeError: An object can't be serialized, or an option is unknown.
        """
        options = given_options("dumps", ENCODE_OPTIONS, kwargs)
        default = options.setdefault("default", self.default)
        options.setdefault("ensure_ascii", self.ensure_ascii)
        options.setdefault("sort_keys", self.sort_keys)
        return self._backend.dumps(obj, options, once=default is not _FLASK_DEFAULT)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Deserialize data as JSON from a string or bytes.

        :param s: Text or UTF-8 bytes.
        :param kwargs: Options of :func:`json.loads`.
        :raises InvalidJSONError: It isn't JSON, or not such as this provider takes.
        :raises TypeError: It is neither text nor bytes, or an option is unknown.
        """
        options = given_options("loads", DECODE_OPTIONS, kwargs)
        return self._backend.loads(policy.read_document(s), options)
