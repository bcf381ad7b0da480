from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli.cli_support import run
from cli.cli_support import run_json
from flask import Flask
from flask import json as flask_json
from support import make_app
from valkey_server import PATIENT
from valkey_server import Valkey
from valkey_server import new_name
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard.cli.checks import table
from flask_concurrency_guard.core.host import folder as folders

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="host scope needs Linux")
TAGS_NOTE = "Each response has the headers 'X-Process-Id', 'X-Thread-Id', which tell strangers"


def findings(app: Any, check: str, *args: str, **env: str) -> list[tuple[str, str]]:
    """Return how severe, and what, everything is that one check found."""
    found = run_json(app, "check", *args, **env)
    return [(each["severity"], each["what"]) for each in found if each["check"] == check]


def finding(app: Any, check: str, *args: str, **env: str) -> tuple[str, str]:
    (one,) = findings(app, check, *args, **env)
    return one


def test_app_that_is_set_up_well() -> None:
    app, _ = make_app(limit=8, headers=False, max_queue=4)
    result = run(app, "check", "--server", "waitress", "--threads", "16", "--strict")

    assert result.stdout == (
        "ok       Requests pass the guard.\n"
        "ok       The limit of 8 is below the 16 threads of a process.\n"
        "ok       No tags are in the responses; the log has them, with 'TagFilter'.\n"
        "ok       'app.json' is the safe provider, by 'stdlib'.\n"
        "\n"
        "error: 0, warning: 0, note: 0, ok: 4\n"
    )
    assert result.exit_code == 0


def test_the_worst_comes_first_with_what_to_do() -> None:
    app, _ = make_app(mode="off")
    app.config["CONCURRENCY_GUARD_LIMIT"] = 3
    result = run(app, "check")

    assert result.stdout == (
        "error    In 'app.config' 'CONCURRENCY_GUARD_LIMIT' changed after the guard had\n"
        "         read it, so that isn't used.\n"
        "         Set everything before 'ConcurrencyGuard(app)', or call\n"
        "         'guard.init_app(app)' later.\n"
        "warning  The mode of the limit is 'off': it bounds nothing.\n"
        "         Set 'CONCURRENCY_GUARD_MODE' to 'enforce'.\n"
        "note     It isn't known which server is going to serve the app, so its threads\n"
        "         were not compared with the limits.\n"
        "         Say it: --server gunicorn --workers 4 --threads 16.\n"
        "note     Each response has the headers 'X-Process-Id', 'X-Thread-Id', which tell\n"
        "         strangers how many workers there are.\n"
        "         On a public site: 'CONCURRENCY_GUARD_HEADERS = False', and log the tags\n"
        "         instead.\n"
        "ok       Requests pass the guard.\n"
        "ok       'app.json' is the safe provider, by 'stdlib'.\n"
        "\n"
        "error: 1, warning: 1, note: 2, ok: 2\n"
    )
    assert result.exit_code == 1


def test_warnings_fail_if_they_are_to() -> None:
    app, _ = make_app(mode="off")

    assert run(app, "check").exit_code == 0
    assert run(app, "check", "--strict").exit_code == 1


def test_app_without_a_guard() -> None:
    result = run(Flask("plain"), "check", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {
            "check": "setup",
            "severity": "error",
            "what": "The app 'plain' has no guard.",
            "to_do": "Set it up with 'ConcurrencyGuard(app)'.",
        }
    ]


def test_app_whose_settings_are_refused() -> None:
    result = run(lambda: make_app(limit="ten")[0], "check")

    assert result.exit_code == 1
    assert result.stdout == (
        "error    The app doesn't start: 'CONCURRENCY_GUARD_LIMIT' must be a positive\n"
        "         integer or 'adaptive', got 'ten'.\n"
        "         Correct that first.\n"
        "\n"
        "error: 1, warning: 0, note: 0, ok: 0\n"
    )


def test_check_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(subject: object) -> list[Any]:
        raise KeyError("what")

    monkeypatch.setitem(table.CHECKS, "mode", fail)

    assert finding(make_app()[0], "mode") == (
        "warning",
        "This could not be checked: KeyError: 'what'",
    )
    assert findings(make_app()[0], "json")


def test_guard_that_requests_do_not_pass() -> None:
    app, _ = make_app()
    app.wsgi_app = ProxyFix(Flask.wsgi_app.__get__(app))  # type: ignore[method-assign]

    severity, what = finding(app, "place")
    assert severity == "error"
    assert what.startswith("The app has a guard, but requests don't pass it:")


def test_shadow_of_one_limit() -> None:
    app, _ = make_app(limits={"slow": {"limit": 1, "match": "/s*", "mode": "shadow"}})

    severity, what = finding(app, "mode")
    assert (severity, what.partition(":")[0]) == (
        "note",
        "The mode of the limit 'slow' is 'shadow'",
    )


def test_setting_that_came_late_under_a_wrong_name() -> None:
    app, _ = make_app()
    app.config["CONCURRENCY_GUARD_LIMITT"] = 3

    severity, what = finding(app, "config")
    assert (severity, what[:40]) == ("error", "In 'app.config' 'CONCURRENCY_GUARD_LIMIT")


def test_environment_that_is_not_read() -> None:
    app, _ = make_app(limit=4)
    said = {"FLASK_CONCURRENCY_GUARD_LIMIT": "8", "FLASK_CONCURRENCY_GUARD_MODE": "enforce"}

    assert finding(app, "environment", **said) == (
        "warning",
        "The environment variable 'FLASK_CONCURRENCY_GUARD_LIMIT' says something else than what is"
        " used.",
    )


GUNICORN = "--server gunicorn"


@pytest.mark.parametrize(
    ("options", "settings", "found"),
    [
        pytest.param(
            f"{GUNICORN} --threads 8",
            {"limit": 8},
            ("warning", "gunicorn (gthread) serves at most 8 requests at once in a process, so the"
             " limit of 8 can never be reached."),
            id="as-many-threads-as-places",
        ),
        pytest.param(
            f"{GUNICORN} --threads 16",
            {"limit": 8},
            ("note", "The limit of 8 and a line of 8 can take all 16 threads of a process, so"
             " rejections and exempt paths wait as well."),
            id="line-that-is-not-said",
        ),
        pytest.param(
            f"{GUNICORN} --threads 17",
            {"limit": 8},
            ("ok", "The limit of 8 is below the 17 threads of a process."),
            id="one-thread-more",
        ),
        pytest.param(
            GUNICORN,
            {"limit": 8},
            ("warning", "gunicorn (sync) serves one request at a time, so no limit can be reached."
             " Requests that are too old are rejected all the same, where the server shows how old"
             " they are."),
            id="serial",
        ),
        pytest.param(
            f"{GUNICORN} --workers 4",
            {"limit": 3},
            ("warning", "gunicorn (sync) serves at most 1 request at once in a process, so the"
             " limit of 3 can never be reached."),
            id="serial-workers",
        ),
        pytest.param(
            f"{GUNICORN} --threads 16",
            {"limit": 8, "max_queue": 8},
            ("warning", "The limit of 8 and a line of 8 can take all 16 threads of a process, so"
             " rejections and exempt paths wait as well."),
            id="line-takes-the-rest",
        ),
        pytest.param(
            f"{GUNICORN} --worker-class gevent",
            {"limit": 999, "max_queue": 0},
            ("ok", "The limit of 999 is below the 1000 greenlets of a process."),
            id="gevent",
        ),
        pytest.param(
            "--server gevent",
            {},
            ("ok", "gevent.pywsgi has a greenlet for every request; the limits are what bounds"
             " them."),
            id="greenlets-without-end",
        ),
        pytest.param(
            "--server waitress",
            {"limit": 4},
            ("warning", "waitress serves at most 4 requests at once in a process, so the limit of"
             " 4 can never be reached."),
            id="threads-of-waitress-by-default",
        ),
        pytest.param(
            "--server mod_wsgi",
            {"limit": 15},
            ("warning", "mod_wsgi serves at most 15 requests at once in a process, so the limit of"
             " 15 can never be reached."),
            id="threads-of-mod_wsgi-by-default",
        ),
        pytest.param(
            "--server gunicorn --threads 12",
            {"limit": 8, "max_wait": 0},
            ("ok", "The limit of 8 is below the 12 threads of a process."),
            id="nobody-waits",
        ),
        pytest.param(
            "--server dev",
            {},
            ("ok", "Flask's development server has a thread for every request; the limits are what"
             " bounds them."),
            id="unbounded",
        ),
        pytest.param(
            "--server dev --workers 4",
            {},
            ("error", "Flask's development server with processes serves each request in a process"
             " of its own, where no limit of a process can be reached."),
            id="process-for-each",
        ),
    ],
)  # fmt: skip
def test_threads(options: str, settings: dict[str, Any], found: tuple[str, str]) -> None:
    assert finding(make_app(**settings)[0], "threads", *options.split()) == found


@pytest.mark.parametrize(
    ("options", "settings", "to_do"),
    [
        (
            "--threads 8",
            {"limit": 8},
            "Set it below 8, or give the server more threads (--threads).",
        ),
        ("--threads 2", {"limit": 8}, "Set it to 1, or give the server more threads (--threads)."),
        ("--workers 4", {"limit": 8}, "Give the server more threads (--threads)."),
        (
            "--worker-class gevent",
            {"limit": 1000},
            "Set it below 1000, or give the server more greenlets (--worker-connections).",
        ),
        (
            "--threads 16",
            {"limit": 8, "max_queue": 8},
            "Keep 'MAX_QUEUE' below 8, or give the server more threads (--threads).",
        ),
        (
            "--threads 9",
            {"limit": 8, "max_queue": 8},
            "Keep 'MAX_QUEUE' to 0, or give the server more threads (--threads).",
        ),
    ],
)
def test_what_to_do_about_threads(options: str, settings: dict[str, Any], to_do: str) -> None:
    app, _ = make_app(**settings)
    found = run_json(app, "check", *GUNICORN.split(), *options.split())

    assert [each["to_do"] for each in found if each["check"] == "threads"] == [to_do]


@pytest.mark.parametrize(
    ("arguments", "server"),
    [
        ("--threads 4", "gunicorn (gthread) with 1 worker and 4 threads."),
        ("-w 2 --threads 4", "gunicorn (gthread) with 2 workers and 4 threads each."),
        ("-w 2", "gunicorn (sync) with 2 workers and 1 thread each."),
        ("-k gevent", "gunicorn (gevent) with 1 worker and 1000 greenlets."),
    ],
)
def test_server_that_the_environment_tells_is_shown(arguments: str, server: str) -> None:
    result = run(make_app(limit=2)[0], "check", GUNICORN_CMD_ARGS=arguments)

    assert " ".join(result.stdout.split()).startswith(
        f"What isn't given here is as GUNICORN_CMD_ARGS in the environment says: {server} "
    )


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (
            {"GUNICORN_CMD_ARGS": "--bind :80 -w 3 --threads=9 -k gthread"},
            "3 workers with the limit of 4 each admit up to 12.",
        ),
        (
            {"GUNICORN_CMD_ARGS": "--threads 9", "WEB_CONCURRENCY": "2"},
            "2 workers with the limit of 4 each admit up to 8.",
        ),
    ],
)
def test_gunicorn_by_its_environment(said: dict[str, str], found: str) -> None:
    app, _ = make_app(limit=4)

    assert finding(app, "scope", **said) == ("note", found)
    assert finding(app, "threads", **said)[0] == "ok"
    # What is said to the command counts more.
    assert findings(app, "scope", "--workers", "1", **said) == []


@pytest.mark.parametrize(
    ("args", "said", "message"),
    [
        (["--threads", "4"], {}, "Say which server that is, such as '--server gunicorn'."),
        (
            ["--server", "waitress", "--worker-class", "gevent"],
            {},
            "'--worker-class' is for gunicorn, and the server is 'waitress'.",
        ),
        (
            ["--server", "dev", "--threads", "4"],
            {},
            "Flask's development server has one thread, or one for each request.",
        ),
        (
            [],
            {"GUNICORN_CMD_ARGS": "--threads many"},
            "'GUNICORN_CMD_ARGS' can't be read: '--threads many'.",
        ),
        (
            ["--server", "gunicorn", "--worker-class", "tornado"],
            {},
            "'tornado' must be 'sync', 'gthread' or 'gevent'.",
        ),
    ],
)
def test_server_that_can_not_be(args: list[str], said: dict[str, str], message: str) -> None:
    result = run(make_app()[0], "check", *args, **said)

    assert result.exit_code == 2
    assert result.stderr.endswith(f"\nError: {message}\n")


def test_config_of_gunicorn_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    found = findings(make_app(limit=2)[0], "threads", "--server", "gunicorn", "--threads", "5")

    assert found == [
        ("note", "'gunicorn.conf.py' is not read: it is a program."),
        ("ok", "The limit of 2 is below the 5 threads of a process."),
    ]


def test_wait_that_is_longer_than_anybody_has() -> None:
    app, _ = make_app(max_wait=10, limits={"slow": {"limit": 1, "match": "/s*", "max_wait": 30}})

    assert finding(app, "wait") == (
        "warning",
        "A request may wait 30 s for the limit 'slow', and many proxies and platforms give up after"
        " 30 s: it would be served for nobody.",
    )
    assert [what[:41] for _, what in findings(app, "wait", "--timeout", "5")] == [
        "A request may wait 10 s for the limit, an",
        "A request may wait 30 s for the limit 'sl",
    ]


@LINUX
def test_folder_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MEMORY", tmp_path)
    folder = tmp_path / "own"
    app, _ = make_app(scope="host", dir=str(folder), name="n")

    assert finding(app, "host") == (
        "ok",
        f"The processes of this host share the limit: {folder / 'n.host'}",
    )
    folder.chmod(0o777)
    assert finding(app, "host") == (
        "error",
        "The processes of this host can't share the limit. Others may write to"
        f" '{folder}'. Take that right away ('chmod go-w').",
    )
    # To look is not to take part.
    assert app.extensions["concurrency_guard"].limits["default"].store.borrower is None


@LINUX
def test_folder_of_the_status(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    app, _ = make_app(status=True, dir=str(tmp_path / "file" / "guard"))
    assert finding(app, "host") == (
        "error",
        f"The workers can't tell what they are doing. The folder '{tmp_path}/file/guard' can't be"
        " made (Not a directory).",
    )


def test_host_scope_that_fits_all_workers() -> None:
    app, _ = make_app(limit=8, scope="host") if sys.platform == "linux" else make_app(limit=8)
    options = ("--server", "gunicorn", "--workers", "4", "--threads", "2")

    assert finding(app, "threads", *options)[0] == "warning"
    assert finding(app, "threads", *options[:-1], "4")[0] == (
        "ok" if sys.platform == "linux" else "warning"
    )


def cluster_app(url: str, **settings: Any) -> Flask:
    app, _ = make_app(scope="cluster", name=new_name(), store_url=url, **settings)
    return app


def test_store_that_answers(valkey: Valkey) -> None:
    app = cluster_app(valkey.url, store_timeout=PATIENT, lease_time=10 * PATIENT)

    severity, what = finding(app, "cluster")
    assert severity == "ok"
    assert what.startswith(f"The store '{valkey.url}' answers in ")
    with valkey.client() as client:
        assert not client.keys(f"*{app.config['CONCURRENCY_GUARD_NAME']}*")


def test_store_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    app = cluster_app(f"redis://me:secret@127.0.0.1:{port}/0", on_store_error="closed")
    result = run(app, "check", "--json")

    assert result.exit_code == 1
    assert "secret" not in result.output
    (found,) = [each for each in json.loads(result.stdout) if each["check"] == "cluster"]
    assert found["what"].startswith(f"The store 'redis://127.0.0.1:{port}/0' doesn't answer: ")
    assert found["what"].endswith(" s, of 0.05).")
    assert found["to_do"] == (
        "Start it, or correct 'CONCURRENCY_GUARD_STORE_URL'. Until then"
        " 'CONCURRENCY_GUARD_ON_STORE_ERROR' decides: 'closed'."
    )


def test_store_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert finding(cluster_app(f"redis://127.0.0.1:{port}"), "cluster")[0] == "error"


def wrap(app: Flask, middleware: Callable[[Any], Any]) -> None:
    app.wsgi_app = middleware(app.wsgi_app)  # type: ignore[method-assign]


def function_middleware(wsgi_app: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        return wsgi_app(environ, start_response)

    return middleware


class Slotted:
    __slots__ = ("inner",)

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def call(self, environ: Any, start_response: Any) -> Any:
        return self.inner(environ, start_response)


def wrapped_app(before: list[Any], after: list[Any], **settings: Any) -> Flask:
    """Return an app with wrappers in front of its guard and behind it, innermost first."""
    app = Flask(__name__)
    for key, value in settings.items():
        app.config[f"CONCURRENCY_GUARD_{key.upper()}"] = value
    for middleware in after:
        wrap(app, middleware)
    ConcurrencyGuard(app)
    for middleware in before:
        wrap(app, middleware)
    return app


def metrics(environ: Any, start_response: Any) -> list[bytes]:
    return []


def mount(wsgi_app: Any) -> Any:
    return DispatcherMiddleware(wsgi_app, {"/metrics": metrics})


def test_order_of_all_kinds_of_wrappers() -> None:
    app = wrapped_app([function_middleware, mount], [lambda inner: Slotted(inner).call, ProxyFix])

    assert findings(app, "order") == [
        (
            "note",
            "What is mounted at '/metrics' stands beside the guard: it is never limited or"
            " counted.",
        ),
        (
            "ok",
            "Requests pass 'werkzeug.middleware.dispatcher.DispatcherMiddleware',"
            f" '{__name__}.function_middleware' before the guard.",
        ),
        (
            "ok",
            "Requests pass 'werkzeug.middleware.proxy_fix.ProxyFix',"
            f" '{__name__}.Slotted' after the guard.",
        ),
    ]
    assert finding(app, "place") == ("ok", "Requests pass the guard.")


BY_ADDRESS = {"key": "remote_addr", "per_key": 2}


@pytest.mark.parametrize(
    ("app", "found"),
    [
        pytest.param(
            wrapped_app([ProxyFix], [], **BY_ADDRESS),
            [("ok", "'ProxyFix' stands in front of the guard, which so sees the client's"
              " address.")],
            id="in-front",
        ),
        pytest.param(
            wrapped_app([], [ProxyFix], **BY_ADDRESS),
            [("error", "'ProxyFix' stands behind the guard: all clients are one, since the guard"
              " sees the proxy's address.")],
            id="behind",
        ),
        pytest.param(
            wrapped_app([], [ProxyFix]),
            [("note", "'ProxyFix' stands behind the guard: the guard sees the proxy's address.")],
            id="behind-and-nobody-minds",
        ),
        pytest.param(
            wrapped_app([], [], **BY_ADDRESS),
            [("note", "Clients are told apart by their address (the limit), with no 'ProxyFix'."
              " Behind a proxy they are all one client.")],
            id="none",
        ),
        pytest.param(wrapped_app([], [], key="header:X-Key", per_key=2), [], id="by-header"),
    ],
)  # fmt: skip
def test_proxy(app: Flask, found: list[tuple[str, str]]) -> None:
    assert findings(app, "proxy") == found


def test_request_start_is_for_proxies() -> None:
    severity, what = finding(wrapped_app([], [], trust_request_start=True), "request-start")
    assert (severity, what[:45]) == ("warning", "'CONCURRENCY_GUARD_TRUST_REQUEST_START' is on")
    assert findings(wrapped_app([ProxyFix], [], trust_request_start=True), "request-start") == []


def test_limits_for_what_is_not_there() -> None:
    app, guard = make_app(
        limits={
            "reports": {"limit": 2, "endpoint": "reports.*"},
            "known": {"limit": 2, "endpoint": "view"},
            "tasks": {"limit": 2},
        }
    )
    guard.limit("marked", 3)(app.view_functions["view"])
    del app.extensions["concurrency_guard"].limits["marked"]

    assert findings(app, "limits") == [
        ("warning", "The limit 'reports' is for the endpoint 'reports.*', which the app doesn't"
         " have."),
        ("warning", "A view is to have the limit 'marked', which isn't declared."),
        ("note", "The limit 'tasks' is for no request."),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/static/*", []),
        ("/static/logo.png", []),
        ("/items/", []),
        ("/items", [("warning", "'/items', which is exempt, only redirects to '/items/'.")]),
        ("/items/7", []),
        ("/items/7/*", []),
        ("/it*", []),
        ("/only-post", []),
        ("/socket", []),
        ("/nothing", [("warning", "'/nothing', which is exempt, is no route of the app.")]),
        ("/nothing/*", [("warning", "'/nothing/*', which is exempt, is like no route of the"
                         " app.")]),
    ],
)  # fmt: skip
def test_exemptions(path: str, found: list[tuple[str, str]]) -> None:
    app = Flask(__name__)
    app.config["CONCURRENCY_GUARD_EXEMPT"] = [path]
    ConcurrencyGuard(app)
    app.add_url_rule("/items/", "items", str)
    app.add_url_rule("/items/<int:number>", "item", str)
    app.add_url_rule("/only-post", "post", str, methods=["POST"])
    app.add_url_rule("/socket", "socket", str, websocket=True)

    assert findings(app, "exemptions") == found


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/everywhere", []),
        ("/metrics", []),
        ("/ours", []),
        ("/items", [("warning", "'/items', which is exempt, only redirects to '/items/'.")]),
        ("/nothing", [("warning", "'/nothing', which is exempt, is no route of the app.")]),
    ],
)
def test_exemptions_of_subdomains(path: str, found: list[tuple[str, str]]) -> None:
    app = Flask(__name__, subdomain_matching=True)
    app.config.update(SERVER_NAME="example.com", CONCURRENCY_GUARD_EXEMPT=[path])
    ConcurrencyGuard(app)
    app.add_url_rule("/everywhere", "everywhere", str)
    app.add_url_rule("/metrics", "metrics", str, subdomain="api")
    app.add_url_rule("/items/", "items", str, subdomain="api")
    app.add_url_rule("/ours", "ours", str, subdomain="<tenant>")

    assert findings(app, "exemptions") == found


def test_subdomain_that_flask_does_not_know() -> None:
    app = Flask(__name__)
    app.config.update(SERVER_NAME="example.com", CONCURRENCY_GUARD_EXEMPT=["/metrics"])
    ConcurrencyGuard(app)
    app.add_url_rule("/metrics", "metrics", str, subdomain="api")

    assert finding(app, "exemptions") == (
        "warning",
        "'/metrics', which is exempt, is no route of the app.",
    )


def test_health_check_of_a_subdomain() -> None:
    app = Flask(__name__, subdomain_matching=True)
    app.config["SERVER_NAME"] = "example.com"
    guard = ConcurrencyGuard(app)
    app.add_url_rule("/healthz", "healthz", guard.exempt(lambda: ""), subdomain="api")

    assert findings(app, "health") == [("ok", "'/healthz' always passes.")]


def test_path_that_another_wrapper_may_answer() -> None:
    app = wrapped_app([], [function_middleware], exempt=["/nothing"])

    assert finding(app, "exemptions")[0] == "note"


def test_status_page_where_something_else_is(tmp_path: Path) -> None:
    page = {"status_path": "/_guard", "status_token": "correct-horse-battery"}
    app, _ = make_app(dir=str(tmp_path), **page)
    assert findings(app, "page") == []
    app.add_url_rule("/_guard", "mine", lambda: "")
    assert finding(app, "page") == (
        "warning",
        "'mine' isn't reached at '/_guard': the status page is there.",
    )


def test_settings_that_do_less_than_they_say() -> None:
    app, guard = make_app(status_token="correct-horse-battery")
    app.add_url_rule("/slow", "slow", guard.limit("slow", 1, max_wait=20)(lambda: ""))
    guard.limit("tasks", 1, max_wait=600)
    assert findings(app, "effects") == [
        ("warning", "'CONCURRENCY_GUARD_STATUS_TOKEN' is set, and there is no status page."),
        (
            "warning",
            "'max_wait' of the limit 'slow' is 20 s, and requests whose age is known are rejected"
            " when they are older than 'CONCURRENCY_GUARD_MAX_AGE', 10 s.",
        ),
    ]


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        (
            {"max_queue": 5, "max_wait": 0},
            "'CONCURRENCY_GUARD_MAX_QUEUE' is 5, and nobody may wait, since"
            " 'CONCURRENCY_GUARD_MAX_WAIT' is 0.",
        ),
        (
            {"key": "remote_addr"},
            "'CONCURRENCY_GUARD_KEY' tells clients apart, and no limit bounds what one may have.",
        ),
        (
            {"partition": "header:X-Tenant"},
            "'CONCURRENCY_GUARD_PARTITION' tells whose share a request uses, and there are none.",
        ),
        (
            {"priorities": ["high", "low"]},
            "'CONCURRENCY_GUARD_PRIORITIES' names classes, and nothing tells which requests are of"
            " which.",
        ),
        (
            {"algorithm_options": {"max_limit": 9}},
            "'CONCURRENCY_GUARD_ALGORITHM_OPTIONS' is about a limit that is learned, and none is.",
        ),
        (
            {"json_backend": None, "json_max_bytes": 5, "json_bytes": "base64"},
            "'CONCURRENCY_GUARD_JSON_BACKEND' is None, so nothing heeds 'JSON_BYTES',"
            " 'JSON_MAX_BYTES'.",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_that_wait_for_others(settings: dict[str, Any], what: str) -> None:
    app, _ = make_app(**settings)
    assert finding(app, "effects") == ("note", what)


@pytest.mark.parametrize(
    "settings",
    [
        {"key": "remote_addr", "per_key": 2},
        {"key": "remote_addr", "limits": {"a": {"limit": 1, "per_key": 1, "match": "/a"}}},
        {"partition": "header:X-Tenant", "partitions": {"a": 0.5}},
        {"priorities": ["high", "low"], "priority": "header:X-Priority"},
        {"algorithm_options": {"max_limit": 9}, "limit": "adaptive"},
        {"store_url": "redis://localhost", "lease_time": 20},
        {"json_backend": None},
    ],
    ids=repr,
)
def test_settings_that_have_what_they_need(settings: dict[str, Any]) -> None:
    assert findings(make_app(**settings)[0], "effects") == []


def test_health_checks() -> None:
    app = Flask(__name__)
    app.config["CONCURRENCY_GUARD_EXEMPT"] = ["/healthz"]
    guard = ConcurrencyGuard(app)
    for path in ("/healthz", "/ready", "/api/_health-check", "/pinger", "/health/<name>"):
        app.add_url_rule(path, path.strip("/").replace("/", "_"), lambda name="": name)
    guard.exempt(app.view_functions["ready"])

    assert findings(app, "health") == [
        ("warning", "'/api/_health-check' looks like a health check, and is rejected when the app"
         " is full: who asks may restart it then."),
        ("ok", "'/healthz' always passes."),
        ("ok", "'/ready' always passes."),
    ]  # fmt: skip


def test_headers_that_tell_the_load() -> None:
    app, _ = make_app(headers={"in_flight": "X-In-Flight"})

    assert finding(app, "headers") == (
        "note",
        "Each response has the headers 'X-In-Flight', which tell strangers how busy the app is.",
    )


def test_headers_that_tell_nothing_of_the_workers() -> None:
    app, _ = make_app(headers={"decision": "X-Concurrency-Guard"})

    assert finding(app, "headers") == (
        "ok",
        "The tags that are in the responses tell strangers nothing of the workers.",
    )


def test_provider_that_was_set_later() -> None:
    app, _ = make_app()
    app.json = flask_json.provider.DefaultJSONProvider(app)

    assert finding(app, "json") == (
        "warning",
        "'app.json' is 'DefaultJSONProvider', and not the safe provider.",
    )


def test_json_that_was_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    import simplejson

    app, _ = make_app(json_backend=None)
    app.json.dumps = simplejson.dumps  # type: ignore[method-assign]
    result_before = findings(app, "json")
    monkeypatch.setattr(json, "JSONEncoder", simplejson.JSONEncoder)

    assert result_before == [
        ("ok", "'CONCURRENCY_GUARD_JSON_BACKEND' is None, so 'app.json' is left alone.")
    ]
    assert findings(app, "json")[0] == (
        "warning",
        "Something replaced parts of the standard library's json: 'json.JSONEncoder' is"
        " 'simplejson.encoder.JSONEncoder'.",
    )
