"""`CONCURRENCY_GUARD_SCOPE = "host"`, as an app sees it; `tests/servers` has many workers of it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
import support
from flask import Flask
from support import hold
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import create_environ
from werkzeug.wsgi import ClosingIterator

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard import SetupError
from flask_concurrency_guard import StoreUnavailable
from flask_concurrency_guard.core.host import folder as folders
from flask_concurrency_guard.core.host import system
from flask_concurrency_guard.observe.overview import all_limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="host scope needs Linux")


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files are that nobody has said a place for."""
    monkeypatch.setattr(folders, "MEMORY", tmp_path)
    return tmp_path / f"flask-concurrency-guard-{os.geteuid()}"


def make_app(**settings: Any) -> tuple[Flask, ConcurrencyGuard]:
    return support.make_app(**({"scope": "host", "max_queue": 0} | settings))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_apps_of_one_name_share_the_limit(memory: Path) -> None:
    (one, guard), (other, _) = make_app(limit=1), make_app(limit=1)
    held = hold(one, "/report?secret=1")
    assert other.test_client().get("/x").status_code == 503
    snapshot = guard.snapshot(scope="host")
    assert (snapshot.limit, snapshot.in_flight, len(snapshot.processes)) == (1, 1, 2)
    assert [served.what for served in snapshot.processes[0].serving] == ["GET /report"]
    held.close()
    assert other.test_client().get("/x").status_code == 200
    assert guard.snapshot(scope="host").in_flight == 0
    assert [path.name.partition("-")[0] for path in memory.iterdir()] == ["support"]


def test_query_strings_are_shown_where_asked_for() -> None:
    app, guard = make_app(show_query=True)
    responses = [hold(app, "/report?year=2026"), hold(app, "/home")]
    (process,) = guard.snapshot(scope="host").processes
    assert {one.what for one in process.serving} == {"GET /report?year=2026", "GET /home"}
    for response in responses:
        response.close()


def test_apps_one_inside_the_other_show_a_request_until_it_ends() -> None:
    inner, inner_guard = make_app(name="inner")
    outer = Flask("outer")
    outer.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]
        outer.wsgi_app, {"/in": inner}
    )
    outer.config["CONCURRENCY_GUARD_SCOPE"] = "host"
    outer_guard = ConcurrencyGuard(outer)
    held = hold(outer, "/in/report")

    def shown(guard: ConcurrencyGuard) -> list[str]:
        (process,) = guard.snapshot(scope="host").processes
        return [served.what for served in process.serving]

    assert shown(outer_guard) == shown(inner_guard) == ["GET /in/report"]
    held.close()
    assert shown(outer_guard) == shown(inner_guard) == []


def test_one_environment_may_come_twice() -> None:
    """As where something in front tries again, before it has closed the first response."""
    app, guard = make_app(limit=3)
    environ = create_environ("/report")
    responses = [ClosingIterator(app(environ, lambda *_: lambda _: None)) for _ in range(2)]
    (process,) = guard.snapshot(scope="host").processes
    assert [served.what for served in process.serving] == ["GET /report"] * 2
    for response in responses:
        response.close()
    (process,) = guard.snapshot(scope="host").processes
    assert process.serving == ()


def test_apps_of_other_names_do_not(memory: Path) -> None:
    (one, _), (other, _) = make_app(limit=1, name="one"), make_app(limit=1, name="other")
    held = hold(one, "/report")
    assert other.test_client().get("/x").status_code == 200
    held.close()
    assert {path.name for path in memory.iterdir()} == {"one.host", "other.host"}


def test_the_limit_is_changed_for_all() -> None:
    (one, guard), (other, _) = make_app(limit=2), make_app(limit=2)
    first = hold(one, "/a")
    guard.set_limit(1)
    assert other.test_client().get("/b").status_code == 503
    first.close()
    answer = other.test_client().get("/b")
    assert answer.status_code == 200


def test_a_limit_that_cannot_be_changed_stays_what_it_was(memory: Path) -> None:
    _, guard = make_app(limit=2, name="x")
    (memory / "x.host").unlink()
    (memory / "x.host").mkdir()
    with pytest.raises(StoreUnavailable) as raised:
        guard.set_limit(1)
    assert str(raised.value) == (
        f"'{memory / 'x.host'}' can't be used now, so the limit is what it was."
    )
    assert guard.snapshot().limit == 2


def test_where_one_mode_cannot_be_changed_those_of_the_others_are(memory: Path) -> None:
    _, guard = make_app(
        limit=2, name="x", limits={"a": {"limit": 1, "match": "/a", "scope": "process"}}
    )
    (memory / "x.host").unlink()
    (memory / "x.host").mkdir()
    with pytest.raises(StoreUnavailable):
        guard.set_mode("shadow")
    assert guard.snapshot().mode == "enforce"
    assert guard.snapshot(name="a").mode == "shadow"


def test_the_status_says_that_the_file_cannot_be_used(memory: Path) -> None:
    app, guard = make_app(limit=1, name="x", status=True, on_store_error="open")
    told = app.extensions["concurrency_guard"].status
    told.publisher._thread = threading.current_thread()
    told.publisher.publish(time.time())
    (limit,) = all_limits(told.read())
    assert (limit.alone, limit.store_error, limit.admits) == (0, None, None)
    (memory / "x.host").unlink()
    (memory / "x.host").mkdir()
    store = app.extensions["concurrency_guard"].limits["default"].store
    store._next_look = 0.0  # As if a second had passed.
    with pytest.raises(StoreUnavailable):
        guard.set_limit(2)
    responses = [hold(app), hold(app)]
    told.publisher.publish(time.time())
    (limit,) = all_limits(told.read())
    assert (limit.alone, limit.in_flight, limit.admits) == (1, 2, "everything")
    assert limit.store_error == f"'{memory / 'x.host'}' can't be opened (Is a directory)"
    for response in responses:
        response.close()


def test_shadow_mode_admits_and_counts() -> None:
    (one, _), (other, guard) = make_app(limit=1), make_app(limit=1, mode="shadow")
    held = hold(one, "/a")
    assert other.test_client().get("/b").status_code == 200
    assert guard.snapshot().rejected["limit"] == 1
    held.close()


def test_a_place_that_cannot_be_used_stops_the_app(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(SetupError) as raised:
        make_app(dir=str(file))
    assert str(raised.value) == (
        f"'CONCURRENCY_GUARD_SCOPE' is 'host', and that doesn't work here. The folder '{file}'"
        " can't be made (File exists)."
    )


@pytest.mark.parametrize("start", [["shop.py"], ["-m", "shop"], ["-c", "import shop"]])
def test_an_app_is_the_same_however_it_is_started(start: list[str], tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "import sys\n"
        f"sys.path.append({str(Path(support.__file__).parents[1])!r})\n"
        "from flask import Flask\n"
        "from flask_concurrency_guard import ConcurrencyGuard\n"
        "app = Flask(__name__)\n"
        "app.config.update(CONCURRENCY_GUARD_SCOPE='host', CONCURRENCY_GUARD_DIR='{}')\n"
        "ConcurrencyGuard(app)\n".format(tmp_path / "guard")
    )
    subprocess.run([sys.executable, *start], check=True, cwd=tmp_path)
    name = folders.default_name("shop", str(tmp_path))
    assert [path.name for path in (tmp_path / "guard").iterdir()] == [f"{name}.host"]


CHANGED_USER = """
import os
import sys
from pathlib import Path

from flask import Flask

from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard.core.host import folder

folder.MEMORY = Path(sys.argv[1])
app = Flask("app")
app.config.from_prefixed_env()
guard = ConcurrencyGuard(app)
os.setuid(65534)
assert guard.snapshot(scope="host", app=app).processes
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("is_named", [False, True], ids=["default-folder", "folder-of-the-user"])
def test_the_user_may_be_changed_once_the_app_is_loaded(is_named: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        settings = {"FLASK_CONCURRENCY_GUARD_SCOPE": "host"}
        if is_named:
            named = folder / "guard"
            named.mkdir()
            os.chown(named, 65534, 65534)
            settings["FLASK_CONCURRENCY_GUARD_DIR"] = str(named)
        subprocess.run(
            [sys.executable, "-c", CHANGED_USER, name], check=True, env={**os.environ, **settings}
        )


def test_other_systems_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "IS_LINUX", False)
    monkeypatch.delattr(os, "geteuid")  # As on Windows.
    with pytest.raises(SetupError) as raised:
        make_app()
    assert str(raised.value) == (
        "'CONCURRENCY_GUARD_SCOPE' is 'host', and that doesn't work here. One limit for all"
        " processes of a host needs Linux."
    )


def test_a_host_without_a_place_for_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(folders, "MEMORY", Path("/nowhere"))
    monkeypatch.setattr(tempfile, "gettempdir", fail)
    with pytest.raises(SetupError) as raised:
        make_app()
    assert str(raised.value) == (
        "'CONCURRENCY_GUARD_SCOPE' is 'host', and that doesn't work here. No temporary folder can"
        " be written to. Name a folder by 'CONCURRENCY_GUARD_DIR'."
    )


@pytest.mark.skipif(sys.platform == "darwin", reason="names are UTF-8 there")
def test_the_folder_in_which_a_process_was_started_is_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MEMORY", Path("/nowhere"))
    monkeypatch.chdir(tmp_path)
    # As where nothing else can be written to.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SetupError, match="No temporary folder can be written to"):
        make_app()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    make_app()


def test_an_app_may_be_anywhere(tmp_path: Path, memory: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    app = Flask("app", root_path=folder)
    app.config["CONCURRENCY_GUARD_SCOPE"] = "host"
    ConcurrencyGuard(app)
    assert [path.suffix for path in memory.iterdir()] == [".host"]


WITHOUT_CTYPES = """
import sys
sys.modules["ctypes"] = None
from flask import Flask
from flask_concurrency_guard import ConcurrencyGuard, SetupError
app = Flask("app")
app.config["CONCURRENCY_GUARD_SCOPE"] = "host"
try:
    ConcurrencyGuard(app)
except SetupError as error:
    print(error)
"""


def test_a_python_without_ctypes_is_told() -> None:
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT_CTYPES], capture_output=True, text=True, check=True
    )
    assert told.stdout == (
        "'CONCURRENCY_GUARD_SCOPE' is 'host', and that doesn't work here. This Python was built"
        " without its module 'ctypes'.\n"
    )


LIKE_PYPY = """
import _json, ctypes, select, sys
sys.implementation.name = "pypy"
del ctypes.PyDLL, select.POLLRDHUP
def make_encoder(markers, default, encoder, indent, key_separator, item_separator, sort_keys):
    raise AssertionError("It is another one there.")
_json.make_encoder = make_encoder
from flask import Flask
from flask_concurrency_guard import ConcurrencyGuard
app = Flask("app")
app.config["CONCURRENCY_GUARD_SCOPE"] = "host"
guard = ConcurrencyGuard(app)
app.add_url_rule("/", view_func=lambda: {"at": [1, None, "x"]})
print(app.test_client().get("/").text, guard.snapshot(scope="host").in_flight)
"""


def test_what_pypy_does_not_have_is_done_without() -> None:
    told = subprocess.run(
        [sys.executable, "-c", LIKE_PYPY], capture_output=True, text=True, check=True
    )
    assert told.stdout == '{"at":[1,null,"x"]}\n 0\n'


def test_there_is_nothing_to_see_in_the_scope_of_a_process() -> None:
    _, guard = make_app(scope="process")
    with pytest.raises(SetupError) as raised:
        guard.snapshot(scope="host")
    assert str(raised.value) == "'scope' must be 'process' for the limit 'default', got 'host'."


def test_an_app_that_nobody_needs_takes_its_place_along(memory: Path) -> None:
    app, _ = make_app(limit=1)
    app.test_client().get("/x").close()
    gc.collect()  # What other tests have left,
    gc.collect()  # and what only that has set free.
    before = open_files()
    alive = weakref.ref(app)
    del app, _
    assert alive() is None
    gc.collect()  # The guard has circles of its own.
    assert open_files() == before - 2
