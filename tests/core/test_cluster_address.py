"""Where the store is: each form of URL, and what is said of those that are none."""

from __future__ import annotations

import pytest

from flask_concurrency_guard.core.cluster.address import Address
from flask_concurrency_guard.core.cluster.address import read_url

NO_FORM = (
    "it begins with none of 'redis://', 'rediss://', 'unix://', 'redis+sentinel://' and"
    " 'redis+cluster://'"
)
NO_SERVICE = "it lacks the name of the service, as in '…:26379/mymaster'"
NO_NUMBER = "after the name of the service there can be a database's number only"
NO_DATABASES = "a cluster has no databases to choose from"


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:7000/3?socket_keepalive=true",
        "redis://[::1]:7000",
        "redis://user:p%40ss@redis.example:6379/0",
        "rediss://:p%40ss@redis.example",
        "unix:///run/valkey.sock",
        "unix://user:p%40ss@/run/valkey.sock?db=1",
    ],
)
def test_a_single_server_is_left_to_the_client(url: str) -> None:
    assert read_url(url) == Address(url, url.partition(":")[0], "", (), "", {})


@pytest.mark.parametrize(
    ("url", "scheme", "nodes"),
    [
        ("redis+cluster://one", "redis", (("one", 6379),)),
        ("redis+cluster://one,two:7001", "redis", (("one", 6379), ("two", 7001))),
        ("redis+cluster://one:1,two:2,three:3/", "redis", (("one", 1), ("two", 2), ("three", 3))),
        ("redis+cluster://192.0.2.1:7000", "redis", (("192.0.2.1", 7000),)),
        ("redis+cluster://[::1]", "redis", (("::1", 6379),)),
        ("redis+cluster://[2001:db8::1]:7000", "redis", (("2001:db8::1", 7000),)),
        ("redis+cluster://[::1]:7000,[::2]:7001", "redis", (("::1", 7000), ("::2", 7001))),
        ("redis+cluster://[::1],[::2]", "redis", (("::1", 6379), ("::2", 6379))),
        ("redis+cluster://one,[::1]:7000", "redis", (("one", 6379), ("::1", 7000))),
        ("rediss+cluster://one", "rediss", (("one", 6379),)),
    ],
)
def test_a_cluster_is_asked_for_at_each_node(
    url: str, scheme: str, nodes: tuple[tuple[str, int], ...]
) -> None:
    address = read_url(url)
    assert (address.scheme, address.form, address.nodes) == (scheme, "cluster", nodes)
    assert address.service == ""
    assert address.options == ({"ssl": True} if scheme == "rediss" else {})


@pytest.mark.parametrize(
    ("url", "nodes", "service", "options"),
    [
        ("redis+sentinel://one/main", (("one", 26379),), "main", {}),
        ("redis+sentinel://one/main/", (("one", 26379),), "main", {}),
        ("redis+sentinel://one/main/3", (("one", 26379),), "main", {"db": 3}),
        ("redis+sentinel://one:1,two/main", (("one", 1), ("two", 26379)), "main", {}),
        ("redis+sentinel://[::1],[::2]:5/main", (("::1", 26379), ("::2", 5)), "main", {}),
        ("rediss+sentinel://one/main", (("one", 26379),), "main", {"ssl": True}),
        ("redis+sentinel://one/m%20in%2F1/3", (("one", 26379),), "m in/1", {"db": 3}),
    ],
)
def test_sentinels_are_asked_for_the_service(
    url: str, nodes: tuple[tuple[str, int], ...], service: str, options: dict[str, object]
) -> None:
    address = read_url(url)
    assert (address.form, address.nodes, address.service) == ("sentinel", nodes, service)
    assert address.options == options


@pytest.mark.parametrize("host", ["redis+cluster://{}one,two", "redis+sentinel://{}one,two/main"])
@pytest.mark.parametrize(
    ("login", "options"),
    [
        ("guard:secret@", {"username": "guard", "password": "secret"}),
        (":secret@", {"password": "secret"}),
        ("guard@", {"username": "guard"}),
        ("g%40rd:s%3Acr%2Fet%25@", {"username": "g@rd", "password": "s:cr/et%"}),
        (":a:b@c@", {"password": "a:b@c"}),
    ],
    ids=["both", "password", "username", "percent-encoded", "separators"],
)
def test_a_login_is_for_the_servers_with_the_data(
    host: str, login: str, options: dict[str, str]
) -> None:
    address = read_url(host.format(login))
    assert address.options == options
    assert [name for name, _ in address.nodes] == ["one", "two"]


def test_what_else_is_asked_for_is_an_option() -> None:
    options = read_url("rediss+cluster://one?ssl_ca_certs=/etc/ca.pem&client_name=a%20b").options
    assert options == {"ssl": True, "ssl_ca_certs": "/etc/ca.pem", "client_name": "a b"}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", NO_FORM),
        ("localhost:6379", NO_FORM),
        ("http://localhost", NO_FORM),
        ("redis+other://localhost", NO_FORM),
        ("unix+cluster:///run/valkey.sock", NO_FORM),
        ("memcached+cluster://localhost", NO_FORM),
        ("redis://", "it names no host"),
        ("redis:///3", "it names no host"),
        ("rediss://:secret@", "it names no host"),
        ("unix://", "it names no socket"),
        ("redis+cluster://", "it names no host"),
        ("redis+cluster://one,", "it names no host"),
        ("redis+cluster://one,,two", "it names no host"),
        ("redis+sentinel:///main", "it names no host"),
        ("redis+sentinel://one", NO_SERVICE),
        ("redis+sentinel://one/", NO_SERVICE),
        ("redis+sentinel://one/main/first", NO_NUMBER),
        ("redis+sentinel://one/main/1/2", NO_NUMBER),
        ("redis+sentinel://one/main/-1", NO_NUMBER),
        ("redis+cluster://one/3", NO_DATABASES),
        ("redis+cluster://one:x", "Port could not be cast to integer value as 'x'"),
        ("redis+cluster://one:65536", "Port out of range 0-65535"),
    ],
)
def test_what_is_no_address_is_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        read_url(url)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    "url",
    ["redis://one:x", "rediss://one:65536", "redis://guard:se/cret@one", "redis://g:12/cret@one"],
    ids=["port", "high-port", "slash-in-password", "slash-and-digits-in-password"],
)
def test_what_no_client_would_understand_is_refused(url: str) -> None:
    """And so a password that wasn't percent-encoded is not shown as part of the path."""
    with pytest.raises(ValueError, match=r"."):
        read_url(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:7000/3?socket_timeout=1", "redis://localhost:7000/3"),
        ("redis://guard:secret@localhost", "redis://localhost"),
        ("redis://localhost?password=secret&username=guard", "redis://localhost"),
        ("rediss://:s%40cret@[::1]:7000/0", "rediss://[::1]:7000/0"),
        ("redis://:secret@secret@localhost", "redis://localhost"),
        ("unix://:secret@/run/valkey.sock?db=1&password=secret", "unix:///run/valkey.sock"),
        ("redis+cluster://guard:secret@one:1,two:2", "redis+cluster://one:1,two:2"),
        ("redis+sentinel://:secret@one:1,two/main/2", "redis+sentinel://one:1,two/main/2"),
        ("redis+sentinel://one/main?sentinel_password=secret", "redis+sentinel://one/main"),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert str(read_url(url)) == shown
    assert "secret" not in shown


def test_no_message_shows_a_password() -> None:
    with pytest.raises(ValueError, match=NO_DATABASES) as raised:
        read_url("redis+cluster://guard:secret@one/3")
    assert "secret" not in str(raised.value)
