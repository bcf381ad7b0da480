"""What may stand in a setting: each function returns a value as the guard uses it.

They raise `ValueError` for what is none, with the reason where the setting itself doesn't say it.
"""

from __future__ import annotations

import math
import re
import sys
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple
from wsgiref.util import is_hop_by_hop

from . import standard_json
from .core.admission import MOST_PLACES
from .core.cluster.address import Address
from .core.cluster.address import read_url
from .tags import DEFAULT_HEADERS
from .tags import TAGS
from .wsgi.clients import ByHeader
from .wsgi.clients import by_address

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Hashable


BY_STYLE = "style"
"""The value of a setting that `CONCURRENCY_GUARD_JSON_STYLE` decides on."""

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2, token
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_PAGE_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_TAKEN_HEADERS = {"content-length", "content-type", "set-cookie"}


class Share(NamedTuple):
    """A guaranteed part of a limit."""

    share: float
    """What part, from 0 to 1."""
    match: tuple[str, ...] = ()
    """The paths that it is for: exact, or with a ``*`` at the end."""


def from_text(value: Any) -> Any:
    """Return what a text stands for, as an environment variable gives it."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        return standard_json.loads(text)
    except ValueError:
        return {"none": None, "true": True, "false": False}.get(text.lower(), text)


def as_text(value: Any) -> Any:
    """Return a text as it is, and what `from_prefixed_env` has made of one of digits."""
    if isinstance(value, str):
        text = value.strip()
        return None if text.lower() in ("none", "null") else text
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


def _require(holds: bool, why: str = "") -> None:
    if not holds:
        raise ValueError(why)


def integer(least: int, most: float = math.inf) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        _require(isinstance(value, int) and not isinstance(value, bool))
        _require(least <= value <= most)
        return int(value)

    return read


def places(value: Any) -> int:
    """As many as fit into what the processes of a host share."""
    _require(integer(1)(value) <= MOST_PLACES, f"{MOST_PLACES:,} at most")
    return int(value)


def optional(read: Callable[[Any], Any], nothing: object = None) -> Callable[[Any], Any]:
    return lambda value: None if value == nothing else read(value)


def one_of(*values: Any) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        _require(value in values and not isinstance(value, bool))
        return value

    return read


def some_of(*values: str) -> Callable[[Any], tuple[str, ...]]:
    """One of them, a list of some, or None."""

    def read(value: Any) -> tuple[str, ...]:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",")]
        _require(value is None or isinstance(value, list | tuple | set | frozenset))
        _require(all(isinstance(one, str) and one in values for one in value or ()))
        return tuple(one for one in values if one in (value or ()))

    return read


def flag_or_style(value: Any) -> bool | str:
    _require(isinstance(value, bool) or value == BY_STYLE)
    return bool(value) if value != BY_STYLE else BY_STYLE


def bytes_or_style(value: Any) -> int | str:
    return BY_STYLE if value == BY_STYLE else integer(1)(value)


def seconds(value: Any) -> float:
    _require(isinstance(value, int | float) and not isinstance(value, bool))
    _require(0 <= value <= sys.float_info.max)  # Which an integer may be above.
    return float(value)


def positive_seconds(value: Any) -> float:
    _require(seconds(value) > 0)
    return float(value)


def boolean(value: Any) -> bool:
    _require(isinstance(value, bool))
    return bool(value)


def request_header(value: Any) -> str:
    _require(isinstance(value, str) and _HEADER_NAME.fullmatch(value) is not None)
    # These two have other keys in the WSGI environment, and mean other things.
    _require(value.lower() not in ("content-length", "content-type"))
    return str(value)


def file_name(value: Any) -> str:
    _require(isinstance(value, str) and _FILE_NAME.fullmatch(value) is not None)
    return str(value)


def folder(value: Any) -> Path:
    _require(isinstance(value, str | PathLike))
    path = Path(value)
    _require(path.is_absolute(), "it is relative to the folder that a process happens to be in")
    return path


def store_url(value: Any) -> Address:
    _require(isinstance(value, str))
    return read_url(value)


def paths(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [path.strip() for path in value.split(",") if path.strip()]
    _require(isinstance(value, list | tuple | set | frozenset))
    for path in value:
        _require(isinstance(path, str) and path.startswith("/"), f"{path!r} has no '/' in front")
        _require("*" not in path[:-1], f"{path!r} has a '*' before its end")
    return tuple(value)


def page_path(value: Any) -> str:
    _require(isinstance(value, str) and _PAGE_PATH.fullmatch(value) is not None)
    return str(value)


def token(value: Any) -> str:
    _require(isinstance(value, str) and len(value) >= 16)
    return str(value)


def function(value: Any) -> Callable[[], object]:
    _require(callable(value))
    return value  # type: ignore[no-any-return]


def names(value: Any) -> tuple[str, ...]:
    """A name, or several; each exact or with a ``*`` at the end."""
    if isinstance(value, str):
        value = [value]
    _require(isinstance(value, list | tuple | set | frozenset))
    for name in value:
        _require(isinstance(name, str) and name != "", f"{name!r} is no name")
        _require("*" not in name[:-1], f"{name!r} has a '*' before its end")
    return tuple(value)


def client_key(value: Any) -> Callable[[Any], Hashable | None]:
    """What returns of a WSGI environment who the client is."""
    if callable(value):
        return value  # type: ignore[no-any-return]
    _require(isinstance(value, str))
    if value == "remote_addr":
        return by_address
    kind, _, name = value.partition(":")
    _require(kind == "header")
    return ByHeader(request_header(name.strip()))


def name_of(value: Any) -> Callable[[Any], Hashable | None]:
    """What returns the name of something of a WSGI environment."""
    _require(value != "remote_addr")
    return client_key(value)


def partitions(value: Any) -> dict[str, Share]:
    _require(isinstance(value, dict))
    found = {str(name): _share(str(name), part) for name, part in value.items()}
    total = sum(part.share for part in found.values())
    _require(round(total, 9) <= 1, f"together they are {total:g}")
    return found


def _share(name: str, part: Any) -> Share:
    what = f"{name!r} must be a number from 0 to 1, or a dictionary with 'share' and 'match'"
    if not isinstance(part, dict):
        part = {"share": part}
    _require(set(part) <= {"share", "match"} and "share" in part, what)
    share = part["share"]
    _require(isinstance(share, int | float) and not isinstance(share, bool), what)
    _require(0 <= share <= 1, what)
    return Share(float(share), paths(part.get("match", ())))


def priorities(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",")]
    _require(isinstance(value, list | tuple) and len(value) >= 2)
    _require(all(isinstance(name, str) and name for name in value), "not all of them are names")
    _require(len(set(value)) == len(value), "a name is there twice")
    return tuple(value)


def options(value: Any) -> dict[str, Any]:
    _require(isinstance(value, dict) and all(isinstance(name, str) for name in value))
    return dict(value)


def headers(value: Any) -> dict[str, str]:
    if value is False or value is None:
        return {}
    if value is True:
        return dict(DEFAULT_HEADERS)
    _require(isinstance(value, dict))
    names = {tag: as_text(name) for tag, name in value.items() if name is not False}
    names = {tag: name for tag, name in names.items() if name is not None}
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
