"""So many requests of one client at once, as an app sees it."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from support import make_app

from flask_concurrency_guard import ConfigurationError


def ask(app: Flask, path: str = "/x", key: str = "", address: str = "192.0.2.1") -> Any:
    """A response that is in flight until it is closed."""
    headers = {"X-Api-Key": key} if key else {}
    environ = {"REMOTE_ADDR": address}
    return app.test_client().get(path, headers=headers, environ_overrides=environ, buffered=False)


def test_by_address() -> None:
    app, guard = make_app(key="remote_addr", per_key=2)
    with ask(app), ask(app):
        rejected = ask(app)
        assert ask(app, address="192.0.2.2").status_code == 200
    assert rejected.status_code == 429
    assert rejected.json == {
        "type": "about:blank",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "The client has sent as many requests at once as it may. Try again later.",
        "reason": "client",
        "limit": "default",
    }
    assert ask(app).status_code == 200
    assert guard.snapshot().rejected["client"] == 1


def test_the_log_has_the_number_that_was_reached(caplog: pytest.LogCaptureFixture) -> None:
    reports = {"limit": 3, "match": "/reports/*", "per_key": 1}
    app, _ = make_app(key="remote_addr", limits={"reports": reports})
    with ask(app, "/reports/1"):
        assert ask(app, "/reports/2").status_code == 429
    assert caplog.messages == [
        "Rejected 1 request (client 1); one client may have 1 at once, of the limit 'reports'."
    ]


def test_the_log_has_the_number_of_the_own_limit(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = make_app(key="remote_addr", per_key=1)
    with ask(app):
        assert ask(app).status_code == 429
    assert caplog.messages == ["Rejected 1 request (client 1); one client may have 1 at once."]


def test_clients_on_a_unix_socket_are_not_taken_for_one() -> None:
    app, _ = make_app(key="remote_addr", per_key=1)
    with ask(app, address=""):
        assert ask(app, address="").status_code == 200


def test_by_header() -> None:
    app, _ = make_app(key="header:x-api-key", per_key=1)
    with ask(app, key="a"), ask(app), ask(app):
        assert ask(app, key="a").status_code == 429
        assert ask(app, key="b").status_code == 200


def test_by_a_function() -> None:
    app, _ = make_app(key=lambda environ: environ["PATH_INFO"], per_key=1)
    with ask(app, "/a"):
        assert ask(app, "/a").status_code == 429
        assert ask(app, "/b").status_code == 200


def test_inside_a_limit_for_some_requests() -> None:
    reports = {"limit": 3, "match": "/reports/*", "per_key": 1, "max_wait": 0}
    app, guard = make_app(key="header:X-Api-Key", limits={"reports": reports})
    with ask(app, "/reports/1", "a"):
        rejected = ask(app, "/reports/2", "a")
        assert rejected.status_code == 429
        assert rejected.json["limit"] == "reports"
        assert ask(app, "/x", "a").status_code == 200
        with ask(app, "/reports/2", "b"), ask(app, "/reports/2", "c"):
            assert ask(app, "/reports/2", "d").json["reason"] == "limit"
    assert guard.snapshot(name="reports").in_flight == 0


def test_a_client_that_has_enough_waits_in_no_line() -> None:
    reports = {"limit": 1, "match": "/reports/*", "max_wait": 60}
    app, guard = make_app(key="header:X-Api-Key", per_key=1, limits={"reports": reports})
    with guard.lease("reports"), ask(app, "/x", "a"):
        assert ask(app, "/reports/1", "a").status_code == 429


def test_what_is_exempt_does_not_count() -> None:
    app, _ = make_app(key="remote_addr", per_key=1, exempt=["/healthz"])
    with ask(app):
        assert ask(app, "/healthz").status_code == 200


def test_shadow_mode_says_it_in_the_header() -> None:
    headers = {"decision": "X-Concurrency-Guard"}
    app, _ = make_app(key="remote_addr", per_key=1, mode="shadow", headers=headers)
    with ask(app):
        response = ask(app)
    assert response.status_code == 200
    expected = "rejected; limit=default; reason=client; mode=shadow"
    assert response.headers["X-Concurrency-Guard"] == expected


def test_rejected_through_flask() -> None:
    app, _ = make_app(key="remote_addr", per_key=1, reject_via="flask")
    app.register_error_handler(429, lambda error: ("mine", 429))
    with ask(app):
        assert ask(app).text == "mine"


def test_the_same_limit_may_be_declared_twice() -> None:
    app, guard = make_app()
    for path in ("/a", "/b"):
        limited = guard.limit("a", 2, key="header:X-Api-Key", per_key=1)
        app.add_url_rule(path, path, limited(lambda: "fine"))
    with ask(app, "/a", "mine"):
        assert ask(app, "/b", "mine").status_code == 429
        assert ask(app, "/b", "other").status_code == 200


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"per_key": 2},
            "Say by 'CONCURRENCY_GUARD_KEY' what tells one client from another, such as"
            " 'remote_addr' or 'header:X-Api-Key'.",
        ),
        (
            {"limits": {"a": {"limit": 2, "per_key": 1}}},
            "Say by 'CONCURRENCY_GUARD_KEY', or by 'key' of the limit 'a', what tells one client"
            " from another, such as 'remote_addr' or 'header:X-Api-Key'.",
        ),
        (
            {"key": "address"},
            "'CONCURRENCY_GUARD_KEY' must be 'remote_addr', a header such as 'header:X-Api-Key', a"
            " function of the WSGI environment, or None, got 'address'.",
        ),
        (
            {"key": "header:X Y"},
            "'CONCURRENCY_GUARD_KEY' must be 'remote_addr', a header such as 'header:X-Api-Key', a"
            " function of the WSGI environment, or None, got 'header:X Y'.",
        ),
        (
            {"key": "remote_addr", "per_key": 0},
            "'CONCURRENCY_GUARD_PER_KEY' must be a positive integer, or None for no bound, got 0.",
        ),
    ],
)
def test_a_wrong_setting(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        make_app(**settings)
    assert str(error.value) == message
