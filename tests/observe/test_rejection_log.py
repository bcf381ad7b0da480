from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from core_support import Clock
from support import hold
from support import make_app

from flask_concurrency_guard.core.decisions import Reason
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.observe.rejections import RejectionLog


class Logged:
    """A full limiter whose rejections are logged, as the middleware does it."""

    def __init__(self, **options: object) -> None:
        self.clock = Clock()
        self.limiter = Limiter(1, max_wait=0, **options)  # type: ignore[arg-type]
        self.log = RejectionLog(self.limiter, self.clock)
        self.kept = [self.limiter.acquire()]

    def reject(self, times: int = 1) -> None:
        for _ in range(times):
            self.kept.append(self.limiter.acquire())
            if self.log.due():
                self.log.write()


def test_warns_at_most_once_a_second_and_carries_the_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logged = Logged()
    logged.reject(80)
    logged.clock.now += 0.9
    logged.reject(5)
    assert caplog.messages == ["Rejected 1 request (limit 1); the limit is 1 in flight."]
    logged.clock.now += 0.2
    logged.reject()
    assert caplog.messages[1:] == ["Rejected 85 requests (limit 85); the limit is 1 in flight."]
    record = caplog.records[1]
    assert record.levelname == "WARNING"
    assert record.name == "flask_concurrency_guard.rejections"
    assert record.limiter == "default"  # type: ignore[attr-defined]
    assert record.reason == "limit"  # type: ignore[attr-defined]
    assert record.rejected == {"limit": 85}  # type: ignore[attr-defined]


def test_a_log_that_stands_still_keeps_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    logged, told = Logged(), []

    def warn(*arguments: object, **options: object) -> None:
        told.append(arguments)
        if len(told) > 1:
            return
        # And meanwhile, others come.
        logged.clock.now += 2.0
        other = threading.Thread(target=logged.reject, daemon=True)
        other.start()
        other.join(10)
        assert not other.is_alive()
        assert len(told) == 1

    monkeypatch.setattr("flask_concurrency_guard.observe.rejections.logger.warning", warn)
    logged.reject()
    logged.log.write()
    assert len(told) == 2


def test_what_is_not_told_yet_is_pending(caplog: pytest.LogCaptureFixture) -> None:
    logged = Logged()
    logged.reject()
    assert not logged.log.pending
    logged.reject(3)
    assert logged.log.pending
    logged.clock.now += 1.0
    logged.log.write()
    assert not logged.log.pending
    assert caplog.messages[-1] == "Rejected 3 requests (limit 3); the limit is 1 in flight."
    logged.clock.now += 1.0
    logged.log.write()
    assert len(caplog.messages) == 2


def test_what_is_pending_when_the_process_ends_is_written_then() -> None:
    program = """
from flask_concurrency_guard.core.limiter import Limiter
from flask_concurrency_guard.observe.rejections import RejectionLog

limiter = Limiter(1, max_queue=0)
log = RejectionLog(limiter)
with limiter.acquire():
    for _ in range(20):
        limiter.acquire()
        if log.due():
            log.write()
"""
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stderr.splitlines() == [
        "Rejected 1 request (limit 1); the limit is 1 in flight.",
        "Rejected 19 requests (limit 19); the limit is 1 in flight.",
    ]


def test_a_line_that_comes_late_says_when_it_was(caplog: pytest.LogCaptureFixture) -> None:
    logged = Logged()
    logged.reject()
    logged.clock.now += 0.5
    logged.reject(3)
    logged.clock.now += 7200.0
    assert logged.log.overdue()
    logged.log.write()
    assert caplog.messages[1:] == [
        "Rejected 3 requests (limit 3), the last one 7200 s ago; the limit is 1 in flight."
    ]


def test_where_tasks_were_rejected_as_well_nobody_knows_when_the_last_one_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logged = Logged()
    logged.reject()
    logged.clock.now += 0.5
    logged.reject()
    logged.limiter.acquire()
    logged.clock.now += 7200.0
    logged.log.write()
    assert caplog.messages[1:] == ["Rejected 2 requests (limit 2); the limit is 1 in flight."]


def test_what_is_not_about_the_limit_tells_how_many_there_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logged = Logged()
    logged.limiter.set_limit(3)
    for _ in range(2):
        logged.limiter.reject(Reason.OVERLOAD)
    logged.log.write()
    assert caplog.messages == [
        "Rejected 2 requests (overload 2); 1 in flight here, and the limit is 3."
    ]


def test_shadow_mode_says_so(caplog: pytest.LogCaptureFixture) -> None:
    logged = Logged(mode="shadow")
    logged.log.enforced = False
    logged.reject()
    assert caplog.messages == ["Would have rejected 1 request (limit 1); the limit is 1 in flight."]
    for lease in logged.kept:
        lease.release()  # type: ignore[union-attr]


def test_who_finds_another_one_writing_leaves_it_at_that(caplog: pytest.LogCaptureFixture) -> None:
    logged = Logged()
    with logged.log._writing:
        logged.reject()
    assert caplog.messages == []
    assert logged.log.pending


class LoggedClients(Logged):
    """The same, where the limiter is shared out to clients."""

    def reject_client(self) -> None:
        self.log.client_share = 2
        self.limiter.reject(Reason.CLIENT)
        self.log.write()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("default", "one client may have 2 at once."),
        ("api", "one client may have 2 at once, of the limit 'api'."),
    ],
)
def test_where_a_client_has_its_share_that_is_the_number(
    name: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    LoggedClients(name=name).reject_client()
    assert caplog.messages == [f"Rejected 1 request (client 1); {told}"]


def test_where_both_were_reached_both_are_told(caplog: pytest.LogCaptureFixture) -> None:
    logged = LoggedClients()
    logged.kept.append(logged.limiter.acquire())
    logged.reject_client()
    assert caplog.messages == [
        "Rejected 2 requests (limit 1, client 1); the limit is 1 in flight, and one client may have"
        " 2."
    ]


def test_where_no_client_was_rejected_nothing_is_said_of_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logged = LoggedClients()
    logged.log.client_share = 2
    logged.reject()
    assert caplog.messages == ["Rejected 1 request (limit 1); the limit is 1 in flight."]


def test_what_was_done_counts_and_not_the_mode_by_now(caplog: pytest.LogCaptureFixture) -> None:
    app, guard = make_app(limit=1, max_queue=0)
    client = app.test_client()
    with hold(app):
        for _ in range(3):
            client.get("/x")
        guard.set_mode("shadow")
        client.get("/x").close()
    app.extensions["concurrency_guard"].middleware.reporter._logs["default"].write()
    assert [message.partition(";")[0] for message in caplog.messages] == [
        "Rejected 1 request (limit 1)",
        "Rejected 2 requests (limit 2)",
        "Would have rejected 1 request (limit 1)",
    ]


def test_a_process_that_drains_rejects_in_shadow_mode_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, guard = make_app(mode="shadow")
    guard.drain(timeout=0)
    assert app.test_client().get("/x").status_code == 503
    assert caplog.messages[-1].startswith("Rejected 1 request (draining 1)")
