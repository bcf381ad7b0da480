from __future__ import annotations

import pytest

from flask_concurrency_guard.wsgi.clients import ByHeader
from flask_concurrency_guard.wsgi.clients import by_address


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:", "unix:"),
        ("", None),
    ],
)
def test_an_address(address: str, client: str | None) -> None:
    assert by_address({"REMOTE_ADDR": address}) == client


def test_no_address() -> None:
    assert by_address({}) is None


def test_a_header() -> None:
    by_header = ByHeader("X-Api-Key")
    assert by_header == ByHeader("X-Api-Key")
    assert by_header({"HTTP_X_API_KEY": "secret"}) == "secret"
    assert by_header({}) is None
