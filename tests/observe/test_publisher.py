from __future__ import annotations

import errno
import gc
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from core_support import wait_until
from flask import Flask
from support import call
from support import hello
from support import hold
from support import make_app

from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.observe import postings
from flask_concurrency_guard.observe.history import merge
from flask_concurrency_guard.observe.postings import Posting
from flask_concurrency_guard.observe.postings import read_postings
from flask_concurrency_guard.observe.publisher import RETRY
from flask_concurrency_guard.observe.publisher import Publisher
from flask_concurrency_guard.observe.workers import Worker
from flask_concurrency_guard.observe.workers import read_workers
from flask_concurrency_guard.status import Source
from flask_concurrency_guard.wsgi.middleware import GuardMiddleware

pytestmark = pytest.mark.skipif(not postings.CAN_POST, reason="there is no fcntl here")

NOW = 1_800_000_000.25


class Told:
    """A guard whose publisher only does what the test tells it to."""

    def __init__(self, folder: Path, app: Any = hello, **options: Any) -> None:
        self.folder = folder
        self.publisher = Publisher(self.collect, lambda: (folder, "shop"), **options)
        self.publisher._thread = threading.current_thread()
        self.guard = GuardMiddleware(app, Limiter(2, max_queue=0), observers=[self.publisher])

    def collect(self) -> dict[str, Any]:
        snapshot = self.guard.snapshot()
        limit = {
            "name": snapshot.name,
            "scope": "process",
            "mode": "enforce",
            "is_learned": False,
            "limit": snapshot.limit,
            "in_flight": snapshot.in_flight,
            "all_in_flight": None,
            "queued": 0,
            "max_queue": 0,
            "partitions": {},
            "admitted": snapshot.admitted,
            "rejected": dict(snapshot.rejected),
            "peak": snapshot.peak,
            "changes": [],
        }
        server = {"server": "waitress", "threads": 4, "is_draining": False, "queue_age": None}
        return {**server, "limits": [limit]}

    def workers(self, now: float = NOW) -> list[Worker]:
        self.publisher.publish(now)
        return read_workers(self.folder, "shop", now)


def status(code: str) -> Callable[..., Any]:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(code, [("Content-Type", "text/plain")])
        return [b""]

    return app


def test_what_ends_is_counted_by_what_it_ends_with(tmp_path: Path) -> None:
    told = Told(tmp_path)
    for code in ("200 OK", "404 Not Found", "302 Found", "500 Oops", "503 Busy"):
        told.guard.app = status(code)
        call(told.guard).read()
    told.guard.app = lambda environ, start_response: 1 / 0
    with pytest.raises(ZeroDivisionError):
        call(told.guard)
    (worker,) = told.workers()
    (sample,) = worker.history
    assert (sample.good, sample.failed, sample.rejected) == (3, 3, 0)
    assert sum(merge([sample.durations]).values()) == 6
    assert worker.own.admitted == 6
    assert (worker.pid, worker.server, worker.threads) == (os.getpid(), "waitress", 4)


def test_a_rejection_counts_once(tmp_path: Path) -> None:
    told = Told(tmp_path)
    held = [call(told.guard) for _ in range(2)]
    for _ in range(3):
        call(told.guard).read()
    (worker,) = told.workers()
    call(told.guard).read()
    (worker,) = told.workers(NOW + 4)
    assert [sample.rejected for sample in worker.history] == [3, 1]
    assert worker.own.rejected["limit"] == 4
    assert worker.own.in_flight == 2
    for one in held:
        one.close()


def test_it_tells_what_is_in_flight_without_a_secret(tmp_path: Path) -> None:
    told = Told(tmp_path)
    path = "/caf%C3%A9%0A%1b[31m?token=secret"
    held = call(told.guard, path, method="PUT", headers={"Cookie": "secret"})
    (worker,) = told.workers()
    (serving,) = worker.serving
    assert serving.what == "PUT /café??[31m"
    assert serving.thread_id == threading.get_native_id()
    (posted,) = read_postings(tmp_path, "shop")
    assert b"secret" not in posted.text
    assert b"127.0.0.1" not in posted.text
    held.close()
    assert told.workers()[0].serving == ()


def test_query_strings_are_told_where_they_may_be(tmp_path: Path) -> None:
    told = Told(tmp_path, show_query=True)
    held = call(told.guard, "/x?page=2")
    assert told.workers()[0].serving[0].what == "GET /x?page=2"
    held.close()


def test_long_paths_are_cut(tmp_path: Path) -> None:
    told = Told(tmp_path)
    held = call(told.guard, "/" + "x" * 5000)
    what = told.workers()[0].serving[0].what
    assert len(what) == len("GET ") + 200
    assert what.endswith("x…")
    held.close()


def test_requests_grow_older_until_they_are_looked_at(tmp_path: Path) -> None:
    told = Told(tmp_path)
    held = call(told.guard)
    told.publisher.publish(NOW)
    (worker,) = read_workers(tmp_path, "shop", NOW + 30)
    assert worker.serving[0].seconds == pytest.approx(30, abs=1)
    assert worker.silent_for(NOW + 30) == 30
    assert worker.silent_for(NOW + 1) == 0
    held.close()


def test_only_this_user_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    told = Told(folder)
    told.workers()
    assert folder.stat().st_mode & 0o777 == 0o700
    (path,) = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_used_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    told = Told(tmp_path / "file")
    for second in range(3):
        assert told.publisher.publish(NOW + second)
        assert call(told.guard).read() == b"hello"
    assert caplog.messages == [
        f"The status of this process can't be seen: The folder '{tmp_path}/file' can't be made"
        " (File exists)."
    ]
    (tmp_path / "file").unlink()
    assert told.workers()[0].own.admitted == 3
    assert caplog.messages[1:] == ["The status of this process can be seen again."]


def test_a_full_disk_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told(tmp_path)
    told.workers()
    # What the kernel does where some of it fits.
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, text, at: write(file, text[:50], at))
    for second in range(3):
        told.publisher.publish(NOW + second)
    assert caplog.messages == [
        f"The status of this process can't be seen in '{tmp_path}': [Errno {errno.ENOSPC}]"
        f" {os.strerror(errno.ENOSPC)}"
    ]
    assert read_workers(tmp_path, "shop") == []
    monkeypatch.undo()
    assert len(told.workers()) == 1


def test_a_file_that_was_cleaned_up_comes_back(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.workers()
    for path in tmp_path.iterdir():
        path.unlink()
    told.publisher.publish(NOW)
    assert len(told.workers()) == 1


def test_what_fails_in_the_middle_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told(tmp_path)
    told.publisher._collect = lambda: {"limits": 1 / 0}
    told.publisher.publish(NOW)
    told.publisher.publish(NOW)
    assert caplog.messages == ["The status of this process can't be seen."]


def test_a_reader_never_sees_a_half_of_it(tmp_path: Path) -> None:
    posting = Posting(tmp_path, "shop")
    texts = [json.dumps([number] * 20_000).encode() for number in range(2)]
    posting.write(texts[0])
    has_read = threading.Event()

    def write() -> None:
        for turn in range(2000):
            posting.write(texts[turn % 2])
            if has_read.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    found = [posted.text for _ in range(50) for posted in read_postings(tmp_path, "shop")]
    has_read.set()
    writer.join(10)
    posting.close()
    assert found
    assert set(found) <= set(texts)


def test_others_see_it_and_no_other_app_does(tmp_path: Path) -> None:
    told, other = Told(tmp_path), Told(tmp_path)
    other.publisher._find_place = lambda: (tmp_path, "shop-2")
    other.publisher.publish(NOW)
    assert len(told.workers()) == 1
    assert len(read_workers(tmp_path, "shop-2")) == 1
    assert read_workers(tmp_path, "sho") == []


def test_what_another_release_has_written_is_passed_over(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.workers()
    for number, text in enumerate((b"{", b"[]", b'{"format": 2}', b'{"format": 1}', b"\xff")):
        posting = Posting(tmp_path, "shop")
        posting.write(text)
        assert len(read_workers(tmp_path, "shop")) == 1, number
        posting.close()


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_the_dead_are_kept_for_ten_minutes(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.publisher.publish(NOW)
    told.publisher._posting.close()  # type: ignore[union-attr]
    (path,) = tmp_path.iterdir()
    age(path, 590)
    (worker,) = read_workers(tmp_path, "shop")
    assert not worker.is_alive
    age(path, 610)
    read_workers(tmp_path, "shop")
    assert read_workers(tmp_path, "shop") == []
    assert not path.exists()


def test_of_many_dead_the_last_are_kept(tmp_path: Path) -> None:
    for number in range(40):
        posting = Posting(tmp_path, "shop")
        posting.write(b"%d" % number)
        posting.close()
        age(posting.path, 100 - number)
    read_postings(tmp_path, "shop")
    kept = {int(posted.text) for posted in read_postings(tmp_path, "shop")}
    assert kept == set(range(8, 40))


def test_who_may_only_read_sees_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(tmp_path)
    told.publisher.publish(NOW)
    told.publisher._posting.close()  # type: ignore[union-attr]
    (path,) = tmp_path.iterdir()
    age(path, 610)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    assert len(read_workers(tmp_path, "shop")) == 1


def test_not_all_dead_are_kept_where_nobody_looks(tmp_path: Path) -> None:
    for number in range(40):
        posting = Posting(tmp_path, "shop")
        posting.write(b"%d" % number)
        posting.close()
    assert len(list(tmp_path.iterdir())) == postings.MOST_DEAD + 1


def test_a_log_filter_that_raises_ends_no_telling(tmp_path: Path) -> None:
    def refuse(record: logging.LogRecord) -> bool:
        raise RuntimeError("Working outside of request context.")

    (tmp_path / "file").touch()
    told = Told(tmp_path / "file")
    logger = logging.getLogger("flask_concurrency_guard.status")
    logger.addFilter(refuse)
    try:
        assert told.publisher.publish(NOW)
        (tmp_path / "file").unlink()
        assert told.publisher.publish(NOW)
    finally:
        logger.removeFilter(refuse)
    assert len(told.workers()) == 1


def test_the_living_are_never_deleted(tmp_path: Path) -> None:
    posting = Posting(tmp_path, "shop")
    age(posting.path, 10_000)
    assert read_postings(tmp_path, "shop") == []  # Nothing stands in it yet.
    assert posting.write(b"text")
    age(posting.path, 10_000)
    assert [posted.text for posted in read_postings(tmp_path, "shop")] == [b"text"]
    posting.close()


SERVE = """
import os, sys
from flask import Flask
from flask_concurrency_guard import ConcurrencyGuard

app = Flask("shop")
app.config.update(
    CONCURRENCY_GUARD_STATUS=True, CONCURRENCY_GUARD_DIR=sys.argv[1], CONCURRENCY_GUARD_NAME="shop"
)
ConcurrencyGuard(app)
app.get("/<path:path>")(lambda path: path)
client = app.test_client()
client.get("/done", buffered=True)
held = client.get("/held", buffered=False)
sys.stdin.readline()
held.close()
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def alone(folder: Path) -> Worker | None:
    workers = read_workers(folder, "shop")
    return workers[0] if workers and (workers[0].serving or not workers[0].is_alive) else None


def test_what_a_killed_process_was_serving_is_known(
    tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    wait_until(lambda: alone(tmp_path) is not None)
    (worker,) = read_workers(tmp_path, "shop")
    assert worker.is_alive
    assert not worker.was_killed
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    (worker,) = read_workers(tmp_path, "shop")
    assert worker.was_killed
    assert [serving.what for serving in worker.serving] == ["GET /held"]


def test_the_last_words_of_a_process_that_ends_are_its_last_counts(
    tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    wait_until(lambda: alone(tmp_path) is not None)
    child.communicate(b"\n", timeout=10)
    (worker,) = read_workers(tmp_path, "shop")
    assert not worker.is_alive
    assert not worker.was_killed
    assert worker.serving == ()
    assert sum(sample.good for sample in worker.history) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_tells_of_its_own(tmp_path: Path) -> None:
    told = Told(tmp_path)
    held = call(told.guard)
    told.publisher.publish(NOW)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        is_fresh = told.publisher._thread is None and not told.publisher._in_flight
        told.publisher._thread = threading.current_thread()
        call(told.guard).read()
        told.publisher.publish(NOW)
        os.write(writer, b"y" if is_fresh else b"n")
        os.read(reader, 0)
        signal.pause()
    assert os.read(reader, 1) == b"y"
    workers = {worker.pid: worker for worker in read_workers(tmp_path, "shop", NOW)}
    assert workers.keys() == {os.getpid(), child}
    assert len(workers[os.getpid()].serving) == 1
    assert workers[child].serving == ()
    assert sum(sample.good for sample in workers[child].history) == 1
    # The child must not keep the parent's file alive, nor the other way round.
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    alive = {worker.pid: worker.is_alive for worker in read_workers(tmp_path, "shop", NOW)}
    assert alive == {os.getpid(): True, child: False}
    held.close()


def make(folder: Path, **settings: Any) -> Flask:
    return make_app(status=True, dir=str(folder), name="shop", **settings)[0]


def telling() -> set[threading.Thread]:
    threads = threading.enumerate()
    return {thread for thread in threads if thread.name == "flask_concurrency_guard.status"}


def test_it_is_a_setting(tmp_path: Path) -> None:
    reports = {"limit": 2, "match": "/reports/*", "key": "remote_addr", "per_key": 1}
    app = make(tmp_path, limits={"reports": reports})
    before = telling()
    with hold(app, "/reports/march"):
        wait_until(lambda: bool(read_workers(tmp_path, "shop")) and bool(alone(tmp_path)))
        (worker,) = read_workers(tmp_path, "shop")
    assert [limit.name for limit in worker.limits] == ["default", "reports"]
    assert worker.serving[0].limits == ("reports",)
    (thread,) = telling() - before
    assert thread.daemon


def test_there_is_nothing_without_the_setting(tmp_path: Path) -> None:
    app = make_app(dir=str(tmp_path))[0]
    before = telling()
    with hold(app):
        assert telling() <= before
    assert app.extensions["concurrency_guard"].status is None
    assert app.extensions["concurrency_guard"].middleware._observers == ()
    assert list(tmp_path.iterdir()) == []


def test_the_thread_ends_when_the_app_goes(tmp_path: Path) -> None:
    app = make(tmp_path)
    app.test_client().get("/x", buffered=True)
    publisher = app.extensions["concurrency_guard"].status.publisher
    publisher.publish(time.time())
    assert len(read_workers(tmp_path, "shop")) == 1
    thread, gone = publisher._thread, ref(publisher)
    del app, publisher
    # While the thread is at it, it keeps what it tells of.
    wait_until(lambda: gc.collect() >= 0 and gone() is None)
    wait_until(lambda: not thread.is_alive())
    assert read_workers(tmp_path, "shop") == []


def test_where_there_can_be_no_thread_requests_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    app = make(tmp_path)
    client = app.test_client()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert client.get("/x").text == client.get("/x").text == "x"
    assert caplog.messages == ["Nobody tells the status: there can be no more threads."]
    # It is tried again, but not with each request.
    publisher = app.extensions["concurrency_guard"].status.publisher
    assert publisher._thread is None
    assert client.get("/x").text == "x"
    assert publisher._thread is None
    publisher._next_start -= RETRY
    assert client.get("/x").text == "x"
    assert publisher._thread.is_alive()


def test_uwsgi_without_threads_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Uwsgi:
        has_threads = False

    told = Told(tmp_path)
    told.publisher._thread = None
    monkeypatch.setitem(sys.modules, "uwsgi", Uwsgi)  # type: ignore[arg-type]
    told.publisher.start()
    assert caplog.messages == [
        "uWSGI runs no thread of an app's between requests, so the status of an idle worker is an"
        " old one. Start uWSGI with '--enable-threads'."
    ]


def test_where_there_are_no_file_locks_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_concurrency_guard.status.CAN_POST", False)
    with pytest.raises(RuntimeError) as caught:
        make_app(status=True)
    assert str(caught.value) == (
        "'CONCURRENCY_GUARD_STATUS' and 'CONCURRENCY_GUARD_STATUS_PATH' need file locks as Linux"
        " and macOS have them (the module 'fcntl'). Leave them out here."
    )


@pytest.mark.skipif(sys.platform != "linux", reason="one limit for a host needs Linux")
def test_a_limit_of_the_host_is_told_whole(tmp_path: Path) -> None:
    app = make(tmp_path, scope="host", limit=5)
    with hold(app), hold(app):
        publisher = app.extensions["concurrency_guard"].status.publisher
        publisher.publish(time.time())
        (worker,) = read_workers(tmp_path, "shop")
    assert (worker.own.scope, worker.own.limit, worker.own.all_in_flight) == ("host", 5, 2)


def test_what_a_learned_limit_has_done_is_told(tmp_path: Path) -> None:
    app = make(tmp_path, limit="adaptive", algorithm="aimd")
    state = app.extensions["concurrency_guard"]
    for _ in range(3):
        state.limiter.tuner.add(0.0, 0.1, 100, False, 0.0, time.monotonic())
    source = Source()
    source.connect(state.middleware, state.limits)
    told = source()
    assert told is not None
    own = told["limits"][0]
    assert own["is_learned"]
    assert [(one["before"], one["after"]) for one in own["changes"]] == [
        (20, 21),
        (21, 22),
        (22, 23),
    ]
    assert own["changes"][-1]["time"] == pytest.approx(time.time(), abs=5)


def test_what_is_dropped_gives_all_of_its_places_back(tmp_path: Path) -> None:
    app = make(tmp_path, limits={"reports": {"limit": 2, "match": "/reports/*"}})
    state = app.extensions["concurrency_guard"]
    call(app.wsgi_app, "/reports/march")
    gc.collect()
    for name in ("default", "reports"):
        assert state.guard.snapshot(app, name=name).in_flight == 0
    state.status.publisher.publish(time.time())
    (worker,) = read_workers(tmp_path, "shop")
    assert worker.serving == ()


def test_requests_that_always_pass_are_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make(tmp_path, exempt=["/healthz"])
    with caplog.at_level(logging.WARNING), hold(app, "/healthz"):
        publisher = app.extensions["concurrency_guard"].status.publisher
        publisher.publish(time.time())
        (worker,) = read_workers(tmp_path, "shop")
    assert worker.serving == ()
    assert worker.own.admitted == 0
    assert caplog.messages == []
