"""Every setting: its key, default, check, and what it means.

The settings page of the documentation is held against `SETTINGS`.
"""

from __future__ import annotations

import re
from copy import copy
from dataclasses import dataclass
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from . import values
from .core.algorithms.make import ALGORITHMS
from .core.cluster.address import Address
from .core.codel import INTERVAL
from .core.codel import TARGET
from .core.decisions import DEFAULT
from .core.decisions import Mode
from .core.line import Order
from .core.store import OnStoreError
from .errors import ConfigurationError
from .json.policy import STYLES
from .tags import DEFAULT_HEADERS
from .tags import TAGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Hashable
    from collections.abc import Iterable
    from collections.abc import Mapping
    from collections.abc import MutableMapping

ADAPTIVE = "adaptive"
"""The limit that is learned."""

PREFIX = "CONCURRENCY_GUARD_"

_LIMIT_NAME = re.compile(r"[A-Za-z0-9_-]{1,50}")
# Nobody's password belongs into a log: neither that of a URL, nor of what was meant for one.
_LOGIN = re.compile(r"^(['\"]?(?:(?:redis|rediss|unix|https?)(?:\+[a-z]+)?://)?).*@", re.DOTALL)
_PASSWORD = re.compile(r"(password=)[^&'\"]*")
# What Python says of a URL in whose password there is a '/'.
_PORT = re.compile(r"(Port could not be cast to integer value) as .*", re.DOTALL)


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
    per_limit: bool = False
    """Whether it may be something else for a limit in `LIMITS`."""
    secret: bool = False
    """Whether its value may stand nowhere, not even in an error message."""
    is_text: bool = False
    """Whether it is a text even if it looks like a number or the like."""

    @property
    def name(self) -> str:
        """The attribute of `Settings`."""
        return self.key.removeprefix(PREFIX).lower()

    def parse(self, value: Any) -> Any:
        """Return a value as the guard uses it, which may be the text that stands for it.

        :raises ValueError: it isn't one.
        """
        return self.read(values.as_text(value) if self.is_text else values.from_text(value))


@dataclass(frozen=True, slots=True)
class NamedLimit:
    """A limit besides the app's own, as it was declared."""

    name: str
    match: tuple[str, ...]
    """The paths that it is for: exact, or with a ``*`` at the end."""
    endpoint: tuple[str, ...]
    """The endpoints that it is for, in the same way."""
    settings: Mapping[str, Any]
    """In what it differs from the app's own, by the attributes of `Settings`."""


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
    limits: Mapping[str, NamedLimit]
    key: Callable[[Any], Hashable | None] | None
    per_key: int | None
    partitions: Mapping[str, values.Share]
    partition: Callable[[Any], Hashable | None] | None
    priorities: tuple[str, ...]
    priority: Callable[[Any], Hashable | None] | None
    slow_after: float | None
    status: bool
    status_path: str | None
    status_token: str | None
    status_authorize: Callable[[], object] | None
    access_log: str | None
    metrics: tuple[str, ...]
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

    def of_limit(self, named: NamedLimit) -> Settings:
        """Return the settings of a limit: these, but for those in which it differs.

        What the app's own limit has for its clients and partitions, others only have if they say
        so: the app's own bounds their requests already.
        """
        return replace(self, **{"per_key": None, "partitions": {}, **named.settings})

    def json_rules(self) -> dict[str, Any]:
        """Return the rules for JSON by the names of the policy, without those left to the style."""
        names = [name for name in self.__slots__ if name.startswith("json_")]
        rules = {name.removeprefix("json_"): getattr(self, name) for name in names[2:]}
        return {name: value for name, value in rules.items() if value != values.BY_STYLE}


def read_settings(config: MutableMapping[str, Any]) -> Settings:
    """Return the settings in `config`, and put the defaults there for those that are missing.

    :raises ConfigurationError: there is a wrong value, or a key that is none of ours.
    """
    _refuse_unknown(config)
    settings = Settings(**{setting.name: _read(setting, config) for setting in SETTINGS})
    _refuse_contradictions(settings)
    return settings


def _refuse_contradictions(settings: Settings) -> None:
    """Refuse what can't hold together. What only does nothing so is in `effects`."""
    if settings.status_path and not (settings.status_token or settings.status_authorize):
        raise ConfigurationError(
            "'CONCURRENCY_GUARD_STATUS_PATH' is set, and nothing says who may see the status page."
            " Set 'CONCURRENCY_GUARD_STATUS_TOKEN' to a text that is hard to guess (python -c"
            ' "import secrets; print(secrets.token_urlsafe())"), or'
            " 'CONCURRENCY_GUARD_STATUS_AUTHORIZE' to a function that returns whether the current"
            " request may."
        )
    if settings.json_backend is not None and settings.json_naive == "keep":
        policy = STYLES[settings.json_style].with_changes(settings.json_rules())
        if policy.datetime == "http":
            raise ConfigurationError(
                "'CONCURRENCY_GUARD_JSON_NAIVE' is 'keep', which HTTP dates can't do: they are"
                " always in UTC. Set it to 'utc', or 'CONCURRENCY_GUARD_JSON_DATETIME' to 'iso'."
            )


def read_limit(name: Any, options: Any) -> NamedLimit:
    """Return a limit besides the app's own.

    :param options: `limit`, and `match`, `endpoint` and other settings by the names of `Settings`.
    :raises ConfigurationError: there is a wrong value, or an option that is none.
    """
    if not isinstance(name, str) or not _LIMIT_NAME.fullmatch(name):
        raise ConfigurationError(
            f"The name of a limit must be letters, digits, '_' and '-', got {name!r}."
        )
    if name == DEFAULT:
        raise ConfigurationError(
            f"The limit '{DEFAULT}' is the app's own: set 'CONCURRENCY_GUARD_LIMIT' and the like."
        )
    if not isinstance(options, dict) or "limit" not in options:
        raise ConfigurationError(
            f"The limit '{name}' must be a dictionary that says the 'limit', such as"
            f" {{'limit': 2, 'match': '/{name}/*'}}, got {options!r}."
        )
    known = {setting.name: setting for setting in (*_MATCHES, *SETTINGS) if setting.per_limit}
    read = {}
    for option, value in options.items():
        if option not in known:
            raise ConfigurationError(
                f"The limit '{name}' has no setting {option!r}. {_hint(str(option), known)}"
            )
        read[option] = _checked(known[option], f"'{option}' of the limit '{name}'", value)
    return NamedLimit(name, read.pop("match", ()), read.pop("endpoint", ()), read)


def read_cost(places: Any) -> int:
    """Return how many places a request takes.

    :raises ConfigurationError: it is no number of places.
    """
    try:
        return values.integer(1)(places)
    except ValueError:
        raise ConfigurationError(f"'cost' must be a positive integer, got {places!r}.") from None


def _read(setting: Setting, config: MutableMapping[str, Any]) -> Any:
    # A copy: an app may well change a list or a mapping in its config.
    value = config.setdefault(setting.key, copy(setting.default))
    return _checked(setting, f"'{setting.key}'", value)


def _checked(setting: Setting, what: str, value: Any) -> Any:
    try:
        return setting.parse(value)
    except ConfigurationError:
        raise
    except ValueError as error:
        details = f" ({_without_password(str(error))})" if str(error) else ""
        shown = "something else" if setting.secret else _without_password(repr(value))
        raise ConfigurationError(
            f"{what} must be {setting.expected}, got {shown}{details}."
        ) from None


def _without_password(text: str) -> str:
    return _PORT.sub(r"\1", _PASSWORD.sub(r"\1…", _LOGIN.sub(r"\1…@", text)))


def _refuse_unknown(config: Mapping[Any, Any]) -> None:
    known = [setting.key.removeprefix(PREFIX) for setting in SETTINGS]
    for key in config:
        if not isinstance(key, str) or not key.startswith(PREFIX):
            continue
        name = key.removeprefix(PREFIX)
        if name in known:
            continue
        raise ConfigurationError(f"'{key}' is not a setting. {_hint(name, known, PREFIX)}")


def _hint(name: str, known: Iterable[str], prefix: str = "") -> str:
    nearest = get_close_matches(name, known, n=1)
    if nearest:
        return f"Did you mean '{prefix}{nearest[0]}'?"
    there = f"After '{prefix}' there" if prefix else "There"
    return f"{there} can be: {', '.join(known)}."


def _limits(value: Any) -> dict[str, NamedLimit]:
    if not isinstance(value, dict):
        raise ValueError
    return {name: read_limit(name, options) for name, options in value.items()}


_MATCHES = (
    Setting(
        "match",
        [],
        values.paths,
        "a path such as '/reports/*', or a list of them",
        "The paths that a limit is for: exact, or with a `*` at the end.",
        per_limit=True,
    ),
    Setting(
        "endpoint",
        [],
        values.names,
        "an endpoint such as 'reports.index' or 'reports.*', or a list of them",
        "The endpoints that a limit is for: exact, or with a `*` at the end.",
        per_limit=True,
    ),
)

SETTINGS = (
    Setting(
        "CONCURRENCY_GUARD_MODE",
        "enforce",
        lambda value: Mode(values.one_of(*Mode)(value)),
        "'enforce', 'shadow' or 'off'",
        "`enforce` the limit; `shadow`: decide, count and log, but admit everybody; or `off`. "
        "Can be changed while serving, with `guard.set_mode()`.",
        per_limit=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_LIMIT",
        32,
        lambda value: value if value == ADAPTIVE else values.places(value),
        "a positive integer or 'adaptive'",
        "How many requests may be in flight, in one process or wherever `SCOPE` says; `adaptive`: "
        "as many as serve the most. Can be changed while serving, with `guard.set_limit()`.",
        per_limit=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_ALGORITHM",
        "guard",
        values.one_of(*ALGORITHMS),
        "'guard', 'gradient2', 'gradient', 'vegas' or 'aimd'",
        "What finds an `adaptive` limit: the `guard`'s own algorithm, or one of those of Netflix's "
        "concurrency-limits.",
        per_limit=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_ALGORITHM_OPTIONS",
        {},
        values.options,
        "a dictionary of options by name",
        'Options of the algorithm, such as `{"max_limit": 100}`.',
        per_limit=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_SCOPE",
        "process",
        values.one_of("process", "host", "cluster"),
        "'process', 'host' or 'cluster'",
        "Whether each `process` has the limit for itself, or all processes of the `host` share it "
        "(Linux), or those of many hosts (`cluster`).",
        per_limit=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_NAME",
        None,
        values.optional(values.file_name),
        "a name of letters, digits, '.', '_' and '-', or None",
        "What those who share a limit call it; `None` for the app's import name and place. A "
        "`cluster` needs one.",
        is_text=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_DIR",
        None,
        values.optional(values.folder),
        "the absolute path of a folder, or None",
        "The folder of the file that processes of a host share; `None` for one of this user's, in "
        "memory.",
    ),
    Setting(
        "CONCURRENCY_GUARD_STORE_URL",
        None,
        values.optional(values.store_url),
        "a URL such as 'redis://localhost:6379/0', or None",
        "Where the Redis or Valkey is that lends places to a `cluster`: `redis://`, `rediss://`, "
        "`unix://`, `redis+sentinel://` or `redis+cluster://`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_STORE_TIMEOUT",
        0.05,
        values.positive_seconds,
        "a positive number of seconds",
        "How many seconds to wait for a connection to it, and for an answer.",
    ),
    Setting(
        "CONCURRENCY_GUARD_LEASE_TIME",
        10.0,
        values.positive_seconds,
        "a positive number of seconds",
        "After how many seconds without a word from a process of a `cluster` its places are "
        "others'.",
    ),
    Setting(
        "CONCURRENCY_GUARD_SHOW_QUERY",
        False,
        values.boolean,
        "True or False",
        "Show query strings, too, where the requests of all processes of a `host` are seen, and "
        "when one has died.",
    ),
    Setting(
        "CONCURRENCY_GUARD_ON_STORE_ERROR",
        "local",
        lambda value: OnStoreError(values.one_of(*OnStoreError)(value)),
        "'local', 'open' or 'closed'",
        "While what is shared can't be used: each process has its part of the limit (`local`), "
        "none (`open`), or admits nobody (`closed`).",
        per_limit=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_MAX_QUEUE",
        None,
        values.optional(values.integer(0)),
        "an integer of at least 0, or None to leave it to the guard",
        "How many requests may wait for a place; 0 for none, `None` for as many as the limit, or "
        "up to 32 where half of the server's threads stay free.",
        per_limit=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_MAX_WAIT",
        1.0,
        values.seconds,
        "a number of seconds of at least 0",
        "How many seconds a request may wait; 0 rejects at once.",
        per_limit=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_QUEUE_ORDER",
        "adaptive",
        lambda value: Order(values.one_of(*Order)(value)),
        "'fifo', 'lifo' or 'adaptive'",
        "Whose turn it is in the line: `fifo`, who has waited longest; `lifo`, who came last; or "
        "`adaptive`, the first, and in a rush the second.",
        per_limit=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_MAX_AGE",
        10.0,
        values.optional(values.positive_seconds),
        "a positive number of seconds, or None for no bound",
        "How many seconds a request may have waited in all, in front of the app and in the line; "
        "`None` for no bound.",
    ),
    Setting(
        "CONCURRENCY_GUARD_CODEL_TARGET",
        TARGET,
        values.optional(values.positive_seconds),
        "a positive number of seconds, or None to shed by no other age than 'MAX_AGE'",
        "How many seconds a queue in front of the app may stand; `None` to shed by `MAX_AGE` only.",
    ),
    Setting(
        "CONCURRENCY_GUARD_CODEL_INTERVAL",
        INTERVAL,
        values.positive_seconds,
        "a positive number of seconds",
        "After how many seconds a queue stands, where views are fast; up to ten times later where "
        "they are slow.",
    ),
    Setting(
        "CONCURRENCY_GUARD_TRUST_REQUEST_START",
        False,
        values.boolean,
        "True or False",
        "Believe the headers `X-Request-Start` and `X-Queue-Start`. Only for apps that nobody can "
        "reach but through a proxy that overwrites them.",
    ),
    Setting(
        "CONCURRENCY_GUARD_DEADLINE_HEADER",
        None,
        values.optional(values.request_header),
        "the name of a request header such as 'X-Request-Timeout', or None",
        "The name of the header that says how long the client is willing to wait; `None` for none.",
    ),
    Setting(
        "CONCURRENCY_GUARD_SERVE_GONE",
        False,
        values.boolean,
        "True or False",
        "Serve a request although its client has left while it waited.",
    ),
    Setting(
        "CONCURRENCY_GUARD_EXEMPT",
        [],
        values.paths,
        "a list of paths such as '/healthz' or '/static/*'",
        "Paths that always pass and hold no place: exact, or with a `*` at the end.",
    ),
    Setting(
        "CONCURRENCY_GUARD_LIMITS",
        {},
        _limits,
        "a dictionary of limits such as {'reports': {'limit': 2, 'match': '/reports/*'}}",
        'More limits, for some requests each: `{"reports": {"limit": 2, "match": "/reports/*"}}`.',
    ),
    Setting(
        "CONCURRENCY_GUARD_KEY",
        None,
        values.optional(values.client_key),
        "'remote_addr', a header such as 'header:X-Api-Key', a function of the WSGI environment,"
        " or None",
        "What tells one client from another: `remote_addr`, `header:X-Api-Key` for a header of "
        "that name, or a function that returns it of the WSGI environment.",
        per_limit=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_PER_KEY",
        None,
        values.optional(values.integer(1)),
        "a positive integer, or None for no bound",
        "How many requests of one client may be in flight or wait, in one process; `None` for any.",
        per_limit=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_PARTITIONS",
        {},
        values.partitions,
        "a dictionary of shares of at most 1 together, such as {'live': 0.7, 'batch': 0.3}",
        "What part of the limit is guaranteed to whom, and lent while they don't need it: "
        '`{"batch": {"share": 0.3, "match": "/batch/*"}, "live": {"share": 0.7, "match": "/*"}}`.',
        per_limit=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_PARTITION",
        None,
        values.optional(values.name_of),
        "a header such as 'header:X-Tenant', a function of the WSGI environment, or None",
        "What tells whose part a request uses, where its path doesn't: `header:X-Tenant` for a "
        "header of that name, or a function that returns the name.",
        per_limit=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_PRIORITIES",
        ["critical", "default", "sheddable"],
        values.priorities,
        "a list of two names or more, the most important first",
        "The classes of requests, the most important first. `default`, or else the middle one, is "
        "that of requests that nobody says anything of.",
    ),
    Setting(
        "CONCURRENCY_GUARD_PRIORITY",
        None,
        values.optional(values.name_of),
        "a header such as 'header:X-Priority', a function of the WSGI environment, or None",
        "What tells the class of a request: `header:X-Priority` for a header of that name, behind "
        "a proxy that overwrites it, or a function that returns one of `PRIORITIES`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_SLOW_AFTER",
        None,
        values.optional(values.positive_seconds),
        "a positive number of seconds, or None for no watchdog",
        "After how many seconds a request is logged with what it is at, and again after twice as "
        "many; `None` for never. With it, a thread looks at the requests in flight.",
    ),
    Setting(
        "CONCURRENCY_GUARD_STATUS",
        False,
        values.boolean,
        "True or False",
        "Tell once a second what each worker is doing, for `flask guard status`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_STATUS_PATH",
        None,
        values.optional(values.page_path),
        "a path such as '/_guard', or None for no page",
        "Where the status page is, such as `/_guard`; `None` for none.",
    ),
    Setting(
        "CONCURRENCY_GUARD_STATUS_TOKEN",
        None,
        values.optional(values.token),
        "a text of at least 16 characters, or None",
        "The password with which one may see the status page, of 16 characters at least.",
        secret=True,
        is_text=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_STATUS_AUTHORIZE",
        None,
        values.optional(values.function),
        "a function without arguments, or None",
        "A function that returns whether the current request may see the status page.",
    ),
    Setting(
        "CONCURRENCY_GUARD_ACCESS_LOG",
        None,
        values.optional(values.one_of("logfmt", "json")),
        "'logfmt' or 'json', or None for no access log",
        "One log line for each request, as `logfmt` or `json`: what was decided on it, who served "
        "it, and how long it took; `None` for none.",
    ),
    Setting(
        "CONCURRENCY_GUARD_METRICS",
        None,
        values.some_of("prometheus", "otel"),
        "'prometheus' or 'otel', or a list of both, or None for no metrics",
        "Where metrics go: to `prometheus` (needs prometheus_client), `otel` (needs OpenTelemetry) "
        "or both; `None` for none.",
    ),
    Setting(
        "CONCURRENCY_GUARD_REJECT_STATUS",
        503,
        values.one_of(503, 429),
        "503 or 429",
        "The status of a rejection: 503 Service Unavailable or 429 Too Many Requests.",
        per_limit=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_RETRY_AFTER",
        "auto",
        values.optional(values.integer(1), "auto"),
        "a whole number of seconds of at least 1, or 'auto'",
        "The `Retry-After` of a rejection in seconds; `auto` reckons it from the line and from how "
        "fast places come free, and adds jitter.",
        per_limit=True,
    ),
    Setting(
        "CONCURRENCY_GUARD_REJECT_VIA",
        "wsgi",
        values.one_of("wsgi", "flask"),
        "'wsgi' or 'flask'",
        "Answer a rejection before anything of Flask runs (`wsgi`), or inside the app (`flask`), "
        "where error handlers, `after_request` functions and CORS extensions see it.",
    ),
    Setting(
        "CONCURRENCY_GUARD_HEADERS",
        DEFAULT_HEADERS,
        values.headers,
        f"False, or a mapping of tags ({', '.join(TAGS)}) to header names",
        "Which tag goes into which response header; `False` for none.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_BACKEND",
        "stdlib",
        values.optional(values.one_of("stdlib", "msgspec", "orjson", "simplejson", "ujson")),
        "'stdlib', 'msgspec', 'orjson', 'simplejson' or 'ujson', or None to leave 'app.json' alone",
        "The library behind the safe JSON provider: `stdlib`, `msgspec`, `orjson`, `simplejson` or "
        "`ujson`; `None` leaves `app.json` alone.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_STYLE",
        "flask",
        values.one_of("flask", "modern"),
        "'flask' or 'modern'",
        "`flask` writes byte for byte what Flask does, where that is valid; `modern` what one "
        "would choose today. It decides on the rules whose default is `style`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_NAN",
        "null",
        lambda value: values.one_of("null", "error")("null" if value is None else value),
        "'null' or 'error'",
        "What NaN and the infinities are written as: `null`, or an `error`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_DECIMAL",
        "string",
        values.one_of("string", "number"),
        "'string' or 'number'",
        "How a `Decimal` is written, with exactly its digits either way: `string`, or `number` "
        "with `msgspec`, `orjson` or `simplejson`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_BIGINT",
        "number",
        values.one_of("number", "string", "error"),
        "'number', 'string' or 'error'",
        "How an integer beyond ±(2^53-1) is written, which JavaScript can't hold: `number`, "
        "`string`, or an `error`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_DATETIME",
        values.BY_STYLE,
        values.one_of(values.BY_STYLE, "http", "iso"),
        "'style', 'http' or 'iso'",
        "How dates are written: `http` (flask), or `iso` with microseconds and offset (modern).",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_NAIVE",
        "utc",
        values.one_of("utc", "keep", "error"),
        "'utc', 'keep' or 'error'",
        "What a datetime without a zone is: in `utc`, written without one (`keep`, with `iso`), or "
        "an `error`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_BYTES",
        "error",
        values.one_of("error", "base64"),
        "'error' or 'base64'",
        "What bytes are written as: an `error`, or `base64`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_SORT_KEYS",
        values.BY_STYLE,
        values.flag_or_style,
        "'style', True or False",
        "Whether objects are sorted by their keys: `True` (flask) or `False` (modern).",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_ENSURE_ASCII",
        values.BY_STYLE,
        values.flag_or_style,
        "'style', True or False",
        "Whether other characters than ASCII are escaped: `True` (flask) or `False` (modern).",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_DUPLICATE_KEYS",
        "last",
        values.one_of("last", "error"),
        "'last' or 'error'",
        "Which of two equal keys counts in an object that is read: the `last`, or an `error`.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_MAX_DEPTH",
        200,
        values.integer(1, 500),
        "an integer from 1 to 500",
        "How many arrays and objects may stand within each other, read or written.",
    ),
    Setting(
        "CONCURRENCY_GUARD_JSON_MAX_BYTES",
        values.BY_STYLE,
        values.optional(values.bytes_or_style),
        "'style', a positive integer, or None for no limit",
        "How large a body `request.get_json()` takes before it answers 413: `None` for any "
        "(flask), or 1048576 (modern).",
    ),
)
