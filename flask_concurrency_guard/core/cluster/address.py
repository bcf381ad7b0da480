"""Where Redis or Valkey is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult
from urllib.parse import parse_qsl
from urllib.parse import unquote
from urllib.parse import urlsplit

REDIS_PORT = 6379
SENTINEL_PORT = 26379

SCHEMES = ("redis", "rediss", "unix")
FORMS = ("sentinel", "cluster")

_HOSTS = re.compile(r"[^:/?#]+\+[^:/?#]+://([^/?#]*)")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the store is, as its URL says."""

    url: str
    scheme: str
    form: str
    """``"sentinel"``, ``"cluster"``, or nothing for a single server."""
    nodes: tuple[tuple[str, int], ...]
    service: str
    options: dict[str, Any]

    def __str__(self) -> str:
        """Return what can be shown of it: no password."""
        parts = _split(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def read_url(url: str) -> Address:
    """Return what `url` says.

    :raises ValueError: it is none that is understood. The message says what is wrong with it.
    """
    parts = _split(url)
    scheme, _, form = parts.scheme.partition("+")
    if scheme not in SCHEMES or form not in ("", *FORMS) or (form and scheme == "unix"):
        raise ValueError(
            "it begins with none of 'redis://', 'rediss://', 'unix://', 'redis+sentinel://' and"
            " 'redis+cluster://'"
        )
    if not form:
        if scheme != "unix":
            _node(parts.netloc.rpartition("@")[2], REDIS_PORT)
            if parts.path.strip("/") and not parts.path[1:].isdecimal():
                raise ValueError(
                    "after the host there can be a database's number only; in a password '/' is"
                    " written as '%2F'"
                )
        if scheme == "unix" and not parts.path:
            raise ValueError("it names no socket")
        return Address(url, scheme, form, (), "", {})
    login, _, hosts = parts.netloc.rpartition("@")
    default = SENTINEL_PORT if form == "sentinel" else REDIS_PORT
    nodes = tuple(_node(host, default) for host in hosts.split(","))
    username, _, password = login.partition(":")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    if username:
        options["username"] = unquote(username)
    if password:
        options["password"] = unquote(password)
    if scheme == "rediss":
        options["ssl"] = True
    service, _, database = parts.path.strip("/").partition("/")
    if form == "sentinel" and not service:
        raise ValueError("it lacks the name of the service, as in '…:26379/mymaster'")
    if form == "cluster" and service:
        raise ValueError("a cluster has no databases to choose from")
    if database:
        if not database.isdecimal():
            raise ValueError("after the name of the service there can be a database's number only")
        options["db"] = int(database)
    return Address(url, scheme, form, nodes, unquote(service), options)


def _split(url: str) -> SplitResult:
    # Newer releases of each Python refuse several hosts in brackets, so these are left out.
    hosts = _HOSTS.match(url)
    if hosts is None:
        return urlsplit(url)
    rest = f"{url[: hosts.start(1)]}{url[hosts.end() :]}"
    return urlsplit(rest)._replace(netloc=hosts[1])


def _node(text: str, default: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("it names no host")
    return parts.hostname, parts.port or default
