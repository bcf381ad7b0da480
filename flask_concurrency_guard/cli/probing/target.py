"""Where the requests of a probe go: one address, looked up once."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from dataclasses import replace
from ipaddress import IPv6Address
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import SplitResult
from urllib.parse import quote
from urllib.parse import urljoin
from urllib.parse import urlsplit

from .connection import Connection

if TYPE_CHECKING:
    from ssl import SSLContext

    from .answers import Answer
    from .connection import Deadline

PORTS = {"http": 80, "https": 443}

_LEFT_ALONE = "%/:=&?~#+!$,;'@()*[]"
"""What a path may have in it, and need not be quoted (RFC 3986 section 2.2), or is already."""


class BadTarget(Exception):
    """It is nothing that can be asked. The message says why, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Target:
    """What to ask for, and where."""

    url: str
    """As it can be shown: without a login."""
    scheme: str
    host: str
    port: int
    path: str
    """With the query."""
    addresses: tuple[str, ...]
    """Those of the host, in the order in which to try them."""

    @property
    def is_local(self) -> bool:
        """Whether all addresses are those of this machine."""
        return all(_is_loopback(address) for address in self.addresses)

    def connection(self, address: str, deadline: Deadline, tls: SSLContext | None) -> Connection:
        """Return a connection to be made, to an address that was looked up before."""
        if self.scheme == "https":
            tls = tls or ssl.create_default_context()
            return Connection(address, self.port, deadline, tls, self.host)
        return Connection(address, self.port, deadline)

    def with_path(self, path: str) -> Target:
        """Return the same server, with another path."""
        origin = f"{self.scheme}://{self.host_header}"
        return replace(self, url=origin + path, path=path)

    def path_of_redirect(self, answer: Answer) -> str | None:
        """Return the path that an answer redirects to; None where it doesn't, or to elsewhere."""
        location = answer.headers.get("location")
        if location is None or not 300 <= answer.status < 400:
            return None
        try:
            parts = urlsplit(urljoin(self.url, location))
            same = (parts.scheme, parts.hostname) == (self.scheme, self.host)
            if not same or (parts.port or PORTS[self.scheme]) != self.port:
                return None
        except ValueError:
            return None
        return _path(parts)

    @property
    def host_header(self) -> str:
        """What the server is to think that it was called."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def find_target(url: str) -> Target:
    """Return what a URL says.

    :raises BadTarget: it can't be asked for.
    """
    example = "Write it like 'http://127.0.0.1:5000/slow'."
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError as error:
        raise BadTarget(f"'{url}' is not a URL ({error}). {example}") from error
    if parts.scheme not in PORTS:
        raise BadTarget(f"'{url}' is neither 'http://' nor 'https://'. {example}")
    if not parts.hostname:
        raise BadTarget(f"'{url}' names no host. {example}")
    if parts.username is not None or parts.password is not None:
        raise BadTarget(
            f"The URL to '{parts.hostname}' has a login in it, which others could see. Give it by"
            " --header 'Authorization: Basic ...'."
        )
    port = PORTS[parts.scheme] if port is None else port
    path = _path(parts)
    shown = f"{parts.scheme}://{parts.netloc}{path}"
    return Target(shown, parts.scheme, parts.hostname, port, path, _look_up(parts.hostname, port))


def _path(parts: SplitResult) -> str:
    return quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), _LEFT_ALONE)


def _look_up(host: str, port: int) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise BadTarget(f"There is no host '{host}' ({why}).") from error
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_loopback(address: str) -> bool:
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    # '0.0.0.0' is what servers say that listen everywhere; to connect to it is to stay here.
    return found.is_loopback or found.is_unspecified
