"""Who sent a request."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from .paths import environ_key

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def by_address(environ: WSGIEnvironment) -> str | None:
    """Return the client's address; of IPv6, the network, of which one client has all addresses.

    None where nobody knows, as on a UNIX socket.
    """
    address: str | None = environ.get("REMOTE_ADDR") or None
    return _network(address) if address and ":" in address else address


@dataclass(frozen=True, slots=True)
class ByHeader:
    """Tell clients apart by a request header.

    :param name: the header's name.
    """

    name: str

    def __call__(self, environ: WSGIEnvironment) -> str | None:
        """Return the header's value; None where there is none."""
        return environ.get(environ_key(self.name))


@lru_cache(maxsize=256)
def _network(address: str) -> str:
    try:
        parsed = IPv6Address(address)
    except ValueError:
        return address
    # A client is given 64 bits of addresses at least, and may use another one each time.
    return str(parsed.ipv4_mapped or f"{IPv6Address(int(parsed) >> 64 << 64)}/64")
