"""The provider: Flask's contract for ``app.json``, over a writer and a reader."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from typing import Any

from flask.json.provider import DefaultJSONProvider

from .. import standard_json as library
from . import policy
from .backends import load_backend
from .backends.protocol import Layout
from .options import DECODE_OPTIONS
from .options import ENCODE_OPTIONS
from .options import Options
from .options import given_options
from .reading import Reader
from .writing import Writer
from .writing.by_class import write_by_class

if TYPE_CHECKING:
    from werkzeug.sansio.response import Response

_FLASK_DEFAULT = DefaultJSONProvider.default
_WHITE_SPACE = " \t\n\r"


class SafeJSONProvider(DefaultJSONProvider):
    """Write only JSON and read only JSON, by one policy, whatever library does the work.

    -   In style ``flask``, what Flask's provider writes as valid JSON is written byte for byte.
    -   What can't be written is a :exc:`.JSONTypeError` or :exc:`.JSONValueError` that names the
        path to it, what can't be read an :exc:`.InvalidJSONError`.
    -   An option that is `None` counts as not given, one that is unknown is a :exc:`TypeError`.
    -   Nothing that replaces ``json`` or parts of it elsewhere in the program changes any of this,
        nor do other threads that change what is being written.

    ``default``, ``ensure_ascii``, ``sort_keys``, ``compact`` and ``mimetype`` mean what they mean
    in Flask. Of these, subclasses may override all, and :meth:`response`. ``default`` is asked
    first; what it raises :exc:`TypeError` for is written as the policy says.
    """

    _policy = policy.FLASK
    _writer = Writer(policy.FLASK, load_backend("stdlib"))
    _reader = Reader(policy.FLASK, None)

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Serialize data as JSON to a string.

        :param obj: The data to serialize.
        :param kwargs: Options of :func:`json.dumps`. ``allow_nan=False`` makes NaN and infinities
            an error instead of ``null``.
        :raises JSONTypeError: Something in it is of a type that has no form in JSON.
        :raises JSONValueError: Something in it breaks a rule of the policy.
        :raises TypeError: An option is unknown.
        :raises ValueError: With this ``indent`` or these ``separators`` it wouldn't be JSON.
        """
        text = self._write(obj, given_options("dumps", ENCODE_OPTIONS, kwargs))
        return text if isinstance(text, str) else text.decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Deserialize data as JSON from a string or bytes.

        :param s: Text or UTF-8 bytes.
        :param kwargs: Options of :func:`json.loads`.
        :raises InvalidJSONError: It isn't JSON, or not such as this provider takes.
        :raises TypeError: It is neither text nor bytes, or an option is unknown.
        """
        options = given_options("loads", DECODE_OPTIONS, kwargs) if kwargs else {}
        return self._reader.loads(s, options)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Serialize the arguments as JSON, and return a response with it.

        It is compact, but in debug mode or with :attr:`compact` set to `False`.
        """
        if type(self).dumps is not SafeJSONProvider.dumps or "dumps" in vars(self):
            return super().response(*args, **kwargs)

        obj = self._prepare_response_obj(args, kwargs)
        is_pretty = self._app.debug if self.compact is None else not self.compact
        options: Options = {"indent": 2} if is_pretty else {"separators": (",", ":")}
        body = self._write(obj, options)
        if isinstance(body, str):
            body = body.encode()
        # It is Flask's class, not the one without input and output that the types know.
        return self._app.response_class(body + b"\n", mimetype=self.mimetype)  # type: ignore[arg-type]

    def _write(self, obj: object, options: Options) -> str | bytes:
        default = options.get("default", self.default)
        if default is _FLASK_DEFAULT:
            default = None
        if options.get("cls", library.SharedEncoder) is not library.SharedEncoder:
            options = {"sort_keys": self.sort_keys, "ensure_ascii": self.ensure_ascii, **options}
            options["default"] = default
            text = write_by_class(obj, options, self._policy)
            self._reader.loads(text, {})
            return text

        return self._writer.write(
            obj,
            _layout(
                options.get("sort_keys", self.sort_keys),
                options.get("ensure_ascii", self.ensure_ascii),
                options.get("indent"),
                tuple(options.get("separators", ())),
                self._policy.style == "modern",
            ),
            default=default,
            skip_keys=options.get("skipkeys", False),
            allow_nan=options.get("allow_nan", True),
        )


@lru_cache(maxsize=64)
def _layout(
    sort_keys: bool,
    ensure_ascii: bool,
    indent: int | str | None,
    separators: tuple[str, ...],
    is_compact: bool,
) -> Layout:
    """Return the layout for options as the standard library understands them.

    :param is_compact: Whether there is no white space where neither is given.
    :raises ValueError: What they put between the parts of a document isn't JSON.
    """
    if indent is not None and not isinstance(indent, str):
        indent = " " * indent
    if indent is not None and indent.strip(_WHITE_SPACE):
        raise ValueError(f"'indent' must be a number, or white space, got {indent!r}.")
    if not separators:
        if indent is not None:
            separators = ",", ": "
        else:
            separators = (",", ":") if is_compact else (", ", ": ")
    item_separator, key_separator = separators
    if (item_separator.strip(_WHITE_SPACE), key_separator.strip(_WHITE_SPACE)) != (",", ":"):
        raise ValueError(
            "'separators' must be ',' and ':', with white space around them, got"
            f" {item_separator!r} and {key_separator!r}."
        )
    return Layout(sort_keys, ensure_ascii, indent, item_separator, key_separator)
