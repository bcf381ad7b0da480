"""Every setting: its key, default, check, and what it means.

The settings page of the documentation is held against `SETTINGS`.
"""

from __future__ import annotations

import json
import math
import re
from copy import copy
from dataclasses import dataclass
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from wsgiref.util import is_hop_by_hop

from .core.algorithms.make import ALGORITHMS
from .core.cluster.address import Address
from .core.cluster.address import read_url
from .core.codel import INTERVAL
from .core.codel import TARGET
from .core.decisions import Mode
from .core.line import Order
from .core.store import OnStoreError
from .errors import ConfigurationError
from .tags import DEFAULT_HEADERS
from .tags import TAGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping
    from collections.abc import MutableMapping

ADAPTIVE = "adaptive"
"""The limit that is learned."""

PREFIX = "CONCURRENCY_GUARD_"

BY_STYLE = "style"
"""The value of a setting that `CONCURRENCY_GUARD_JSON_STYLE` decides on."""

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2, token
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_LOGIN = re.compile("//.*@")  # In a URL; nobody's password belongs into a log.
_TAKEN_HEADERS = {"content-length", "content-type", "set-cookie"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of `app.config`."""

    key: str
    default: Any
    read: Callable[[Any], Any]
    """Return the value as the guard uses it. Raise `ValueError` where it isn't one."""
    expected: str
    """What a value must be, for the error message."""
    doc: str

    @property
    def name(self) -> str:
        """The attribute of `Settings`."""
        return self.key.removeprefix(PREFIX).lower()


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one app, checked."""

    mode: Mode
    limit: int | str
    algorithm: str
    algorithm_options: Mapping[str, Any]
    scope: str
    name: str | None
    dir: Path | None
    store_url: Address | None
    store_timeout: float
    lease_time: float
    show_query: bool
    on_store_error: OnStoreError
    max_queue: int | None
    max_wait: float
    queue_order: Order
    max_age: float | None
    codel_target: float | None
    codel_interval: float
    trust_request_start: bool
    deadline_header: str | None
    serve_gone: bool
    exempt: tuple[str, ...]
    reject_status: int
    retry_after: int | None
    reject_via: str
    headers: Mapping[str, str]
    json_backend: str | None
    json_style: str
    json_nan: str
    json_decimal: str
    json_bigint: str
    json_datetime: str
    json_naive: str
    json_bytes: str
    json_sort_keys: bool | str
    json_ensure_ascii: bool | str
    json_duplicate_keys: str
    json_max_depth: int
    json_max_bytes: int | str | None

    def json_rules(self) -> dict[str, Any]:
        """Return the rules for JSON by the names of the policy, without those left to the style."""
        names = [name for name in self.__slots__ if name.startswith("json_")]
        rules = {name.removeprefix("json_"): getattr(self, name) for name in names[2:]}
        return {name: value for name, value in rules.items() if value != BY_STYLE}


def read_settings(config: MutableMapping[str, Any]) -> Settings:
    """Return the settings in `config`, and put the defaults there for those that are missing.

    :raises ConfigurationError: there is a wrong value, or a key that is none of ours.
    """
    _refuse_unknown(config)
    return Settings(**{setting.name: _read(setting, config) for setting in SETTINGS})


def _read(setting: Setting, config: MutableMapping[str, Any]) -> Any:
    # A copy: an app may well change a list or a mapping in its config.
    value = config.setdefault(setting.key, copy(setting.default))
    try:
        return setting.read(_from_text(value))
    except ValueError as error:
        details = f" ({error})" if str(error) else ""
        shown = _LOGIN.sub("//…@", repr(value))
        raise ConfigurationError(
            f"'{setting.key}' must be {setting.expected}, got {shown}{details}."
        ) from None


def _refuse_unknown(config: Mapping[str, Any]) -> None:
    known = [setting.key.removeprefix(PREFIX) for setting in SETTINGS]
    for key in config:
        name = key.removeprefix(PREFIX)
        if not key.startswith(PREFIX) or name in known:
            continue
        nearest = get_close_matches(name, known, n=1)
        hint = (
            f"Did you mean '{PREFIX}{nearest[0]}'?"
            if nearest
            else f"After '{PREFIX}' there can be: {', '.join(known)}."
        )
        raise ConfigurationError(f"'{key}' is not a setting. {hint}")


def _from_text(value: Any) -> Any:
    """Return what a text stands for, as an environment variable gives it."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        return json.loads(text)
    except ValueError:
        return {"none": None, "true": True, "false": False}.get(text.lower(), text)


def _require(holds: bool, why: str = "") -> None:
    if not holds:
        raise ValueError(why)


def _integer(least: int, most: float = math.inf) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        _require(isinstance(value, int) and not isinstance(value, bool))
        _require(least <= value <= most)
        return int(value)

    return read


def _optional(read: Callable[[Any], Any], nothing: object = None) -> Callable[[Any], Any]:
    return lambda value: None if value == nothing else read(value)


def _one_of(*values: Any) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        _require(value in values and not isinstance(value, bool))
        return value

    return read


def _flag_or_style(value: Any) -> bool | str:
    _require(isinstance(value, bool) or value == BY_STYLE)
    return bool(value) if value != BY_STYLE else BY_STYLE


def _bytes_or_style(value: Any) -> int | str:
    return BY_STYLE if value == BY_STYLE else _integer(1)(value)


def _seconds(value: Any) -> float:
    _require(isinstance(value, int | float) and not isinstance(value, bool))
    _require(math.isfinite(value) and value >= 0)
    return float(value)


def _positive_seconds(value: Any) -> float:
    _require(_seconds(value) > 0)
    return float(value)


def _boolean(value: Any) -> bool:
    _require(isinstance(value, bool))
    return bool(value)


def _request_header(value: Any) -> str:
    _require(isinstance(value, str) and _HEADER_NAME.fullmatch(value) is not None)
    # These two have other keys in the WSGI environment, and mean other things.
    _require(value.lower() not in ("content-length", "content-type"))
    return str(value)


def _file_name(value: Any) -> str:
    _require(isinstance(value, str) and _FILE_NAME.fullmatch(value) is not None)
    return str(value)


def _folder(value: Any) -> Path:
    _require(isinstance(value, str | PathLike))
    path = Path(value)
    _require(path.is_absolute(), "it is relative to the folder that a process happens to be in")
    return path


def _store_url(value: Any) -> Address:
    _require(isinstance(value, str))
    return read_url(value)


def _paths(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [path.strip() for path in value.split(",") if path.strip()]
    _require(isinstance(value, list | tuple | set | frozenset))
    for path in value:
        _require(isinstance(path, str) and path.startswith("/"), f"{path!r} has no '/' in front")
        _require("*" not in path[:-1], f"{path!r} has a '*' before its end")
    return tuple(value)


def _options(value: Any) -> dict[str, Any]:
    _require(isinstance(value, dict) and all(isinstance(name, str) for name in value))
    return dict(value)


def _headers(value: Any) -> dict[str, str]:
    if value is False or value is None:
        return {}
    if value is True:
        return dict(DEFAULT_HEADERS)
    _require(isinstance(value, dict))
    names = {tag: name for tag, name in value.items() if name not in (None, False)}
    for tag, name in names.items():
        _require(tag in TAGS, f"{tag!r} is not a tag")
        _require(
            isinstance(name, str)
            and _HEADER_NAME.fullmatch(name) is not None
            and not is_hop_by_hop(name)
            and name.lower() not in _TAKEN_HEADERS,
            f"{name!r} can't be used as a header name",
        )
    _require(len({name.lower() for name in names.values()}) == len(names), "a name is there twice")
    return names


SETTINGS = (
    Setting(
        "CONCURRENCY_GUARD_MODE",
        "enforce",
        lambda value: Mode(_one_of(*Mode)(value)),
        "'enforce', 'shadow' or 'off'",
        "`enforce` the limit; `shadow`: decide, count and log, but admit everybody; or `off`. "
        "Can be changed while serving, with `guard.set_mode()`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_LIMIT",
        32,
        lambda value: value if value == ADAPTIVE else _integer(1)(value),
        "a positive integer or 'adaptive'",
        "How many requests may be in flight, in one process or wherever `SCOPE` says; `adaptive`: "
        "as many as serve the most. Can be changed while serving, with `guard.set_limit()`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_ALGORITHM",
        "guard",
        _one_of(*ALGORITHMS),
        "'guard', 'gradient2', 'gradient', 'vegas' or 'aimd'",
        "What finds an `adaptive` limit: the `guard`'s own algorithm, or one of those of Netflix's "
        "concurrency-limits.",
    ),
    Setting(
        "CONCURRENCY_GUARD_ALGORITHM_OPTIONS",
        {},
        _options,
        "a dictionary of options by name",
        'Options of the algorithm, such as `{"max_limit": 100}`.',
    ),
    Setting(
        "CONCURRENCY_GUARD_SCOPE",
        "process",
        _one_of("process", "host", "cluster"),
        "'process', 'host' or 'cluster'",
        "Whether each `process` has the limit for itself, or all processes of the `host` share it "
        "(Linux), or those of many hosts (`cluster`).",
    ),
    Setting(
        "CONCURRENCY_GUARD_NAME",
        None,
        _optional(_file_name),
        "a name of letters, digits, '.', '_' and '-', or None",
        "What those who share a limit call it; `None` for the app's import name and place. A "
        "`cluster` needs one.",
    ),
    Setting(
        "CONCURRENCY_GUARD_DIR",
        None,
        _optional(_folder),
        "the absolute path of a folder, or None",
        "The folder of the file that processes of a host share; `None` for one of this user's, in "
        "memory.",
    ),
    Setting(
        "CONCURRENCY_GUARD_STORE_URL",
        None,
        _optional(_store_url),
        "a URL such as 'redis://localhost:6379/0', or None",
        "Where the Redis or Valkey is that lends places to a `cluster`: `redis://`, `rediss://`, "
        "`unix://`, `redis+sentinel://` or `redis+cluster://`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_STORE_TIMEOUT",
        0.05,
        _positive_seconds,
        "a positive number of seconds",
        "How many seconds to wait for a connection to it, and for an answer.",
    ),
    Setting(
        "CONCURRENCY_GUARD_LEASE_TIME",
        10.0,
        _positive_seconds,
        "a positive number of seconds",
        "After how many seconds without a word from a process of a `cluster` its places are "
        "others'.",
    ),
    Setting(
        "CONCURRENCY_GUARD_SHOW_QUERY",
        False,
        _boolean,
        "True or False",
        "Show query strings, too, where the requests of all processes of a `host` are seen, and "
        "when one has died.",
    ),
    Setting(
        "CONCURRENCY_GUARD_ON_STORE_ERROR",
        "local",
        lambda value: OnStoreError(_one_of(*OnStoreError)(value)),
        "'local', 'open' or 'closed'",
        "While what is shared can't be used: each process has its part of the limit (`local`), "
        "none (`open`), or admits nobody (`closed`).",
    ),
    Setting(
        "CONCURRENCY_GUARD_MAX_QUEUE",
        None,
        _optional(_integer(0)),
        "an integer of at least 0, or None to leave it to the guard",
        "How many requests may wait for a place; 0 for none, `None` for as many as the limit, or "
        "up to 32 where half of the server's threads stay free.",
    ),
    Setting(
        "CONCURRENCY_GUARD_MAX_WAIT",
        1.0,
        _seconds,
        "a number of seconds of at least 0",
        "How many seconds a request may wait; 0 rejects at once.",
    ),
    Setting(
        "CONCURRENCY_GUARD_QUEUE_ORDER",
        "adaptive",
        lambda value: Order(_one_of(*Order)(value)),
        "'fifo', 'lifo' or 'adaptive'",
        "Whose turn it is in the line: `fifo`, who has waited longest; `lifo`, who came last; or "
        "`adaptive`, the first, and in a rush the second.",
    ),
    Setting(
        "CONCURRENCY_GUARD_MAX_AGE",
        10.0,
        _optional(_positive_seconds),
        "a positive number of seconds, or None for no bound",
        "How many seconds a request may have waited in all, in front of the app and in the line; "
        "`None` for no bound.",
    ),
    Setting(
        "CONCURRENCY_GUARD_CODEL_TARGET",
        TARGET,
        _optional(_positive_seconds),
        "a positive number of seconds, or None to shed by no other age than 'MAX_AGE'",
        "How many seconds a queue in front of the app may stand; `None` to shed by `MAX_AGE` only.",
    ),
    Setting(
        "CONCURRENCY_GUARD_CODEL_INTERVAL",
        INTERVAL,
        _positive_seconds,
        "a positive number of seconds",
        "After how many seconds a queue stands, where views are fast; up to ten times later where "
        "they are slow.",
    ),
    Setting(
        "CONCURRENCY_GUARD_TRUST_REQUEST_START",
        False,
        _boolean,
        "True or False",
        "Believe the headers `X-Request-Start` and `X-Queue-Start`. Only for apps that nobody can "
        "reach but through a proxy that overwrites them.",
    ),
    Setting(
        "CONCURRENCY_GUARD_DEADLINE_HEADER",
        None,
        _optional(_request_header),
        "the name of a request header such as 'X-Request-Timeout', or None",
        "The name of the header that says how long the client is willing to wait; `None` for none.",
    ),
    Setting(
        "CONCURRENCY_GUARD_SERVE_GONE",
        False,
        _boolean,
        "True or False",
        "Serve a request although its client has left while it waited.",
    ),
    Setting(
        "CONCURRENCY_GUARD_EXEMPT",
        [],
        _paths,
        "a list of paths such as '/healthz' or '/static/*'",
        "Paths that always pass and hold no place: exact, or with a `*` at the end.",
    ),
    Setting(
        "CONCURRENCY_GUARD_REJECT_STATUS",
        503,
        _one_of(503, 429),
        "503 or 429",
        "The status of a rejection: 503 Service Unavailable or 429 Too Many Requests.",
    ),
    Setting(
        "CONCURRENCY_GUARD_RETRY_AFTER",
        "auto",
        _optional(_integer(1), "auto"),
        "a whole number of seconds of at least 1, or 'auto'",
        "The `Retry-After` of a rejection in seconds; `auto` reckons it from the line and from how "
        "fast places come free, and adds jitter.",
    ),
    Setting(
        "CONCURRENCY_GUARD_REJECT_VIA",
        "wsgi",
        _one_of("wsgi", "flask"),
        "'wsgi' or 'flask'",
        "Answer a rejection before anything of Flask runs (`wsgi`), or inside the app (`flask`), "
        "where error handlers, `after_request` functions and CORS extensions see it.",
    ),
    Setting(
        "CONCURRENCY_GUARD_HEADERS",
        DEFAULT_HEADERS,
        _headers,
        f"False, or a mapping of tags ({', '.join(TAGS)}) to header names",
        "Which tag goes into which response header; `False` for none.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_BACKEND",
        "stdlib",
        _optional(_one_of("stdlib", "msgspec", "orjson", "simplejson", "ujson")),
        "'stdlib', 'msgspec', 'orjson', 'simplejson' or 'ujson', or None to leave 'app.json' alone",
        "The library behind the safe JSON provider: `stdlib`, `msgspec`, `orjson`, `simplejson` or "
        "`ujson`; `None` leaves `app.json` alone.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_STYLE",
        "flask",
        _one_of("flask", "modern"),
        "'flask' or 'modern'",
        "`flask` writes byte for byte what Flask does, where that is valid; `modern` what one "
        "would choose today. It decides on the rules whose default is `style`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_NAN",
        "null",
        lambda value: _one_of("null", "error")("null" if value is None else value),
        "'null' or 'error'",
        "What NaN and the infinities are written as: `null`, or an `error`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_DECIMAL",
        "string",
        _one_of("string", "number"),
        "'string' or 'number'",
        "How a `Decimal` is written, with exactly its digits either way: `string`, or `number` "
        "with `msgspec`, `orjson` or `simplejson`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_BIGINT",
        "number",
        _one_of("number", "string", "error"),
        "'number', 'string' or 'error'",
        "How an integer beyond ±(2^53-1) is written, which JavaScript can't hold: `number`, "
        "`string`, or an `error`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_DATETIME",
        BY_STYLE,
        _one_of(BY_STYLE, "http", "iso"),
        "'style', 'http' or 'iso'",
        "How dates are written: `http` (flask), or `iso` with microseconds and offset (modern).",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_NAIVE",
        "utc",
        _one_of("utc", "keep", "error"),
        "'utc', 'keep' or 'error'",
        "What a datetime without a zone is: in `utc`, written without one (`keep`, with `iso`), or "
        "an `error`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_BYTES",
        "error",
        _one_of("error", "base64"),
        "'error' or 'base64'",
        "What bytes are written as: an `error`, or `base64`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_SORT_KEYS",
        BY_STYLE,
        _flag_or_style,
        "'style', True or False",
        "Whether objects are sorted by their keys: `True` (flask) or `False` (modern).",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_ENSURE_ASCII",
        BY_STYLE,
        _flag_or_style,
        "'style', True or False",
        "Whether other characters than ASCII are escaped: `True` (flask) or `False` (modern).",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_DUPLICATE_KEYS",
        "last",
        _one_of("last", "error"),
        "'last' or 'error'",
        "Which of two equal keys counts in an object that is read: the `last`, or an `error`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_MAX_DEPTH",
        200,
        _integer(1, 500),
        "an integer from 1 to 500",
        "How many arrays and objects may stand within each other, read or written.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_MAX_BYTES",
        BY_STYLE,
        _optional(_bytes_or_style),
        "'style', a positive integer, or None for no limit",
        "How large a body `request.get_json()` takes before it answers 413: `None` for any "
        "(flask), or 1048576 (modern).",
    ),
)
