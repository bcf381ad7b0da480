"""Logs that real servers write in the formats of the documentation, and what is read from them."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from log_support import report_of
from servers.launch import APACHE_MODULES
from servers.running import HOST
from servers.running import KINDS
from servers.running import Server
from servers.running import free_port
from servers.running import start
from servers.running import wait_until
from servers.test_proxy_logs import APACHE
from servers.test_proxy_logs import NGINX
from servers.test_proxy_logs import running

from flask_concurrency_guard.logs.analysis import Report
from flask_concurrency_guard.logs.requests import TimeIs

pytestmark = pytest.mark.servers

PAGE = Path(__file__).parents[2] / "docs" / "reading-logs.md"
REQUESTS = 5


def documented(language: str, begin: str = "") -> str:
    """Return the block of the page that begins with this."""
    blocks = re.findall(rf"^```{language}\n({begin}.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    return str(blocks[0])


@pytest.fixture(scope="module")
def upstream() -> Iterator[Server]:
    with start(KINDS["gunicorn-gthread"]) as server:
        yield server


def ask_and_read(server: Server, log: Path, time_is: TimeIs = TimeIs.END) -> tuple[Report, int]:
    """Return the report on a few requests, and which process has served them."""
    answers = [server.ask("/ping") for _ in range(REQUESTS)]
    # Without the requests that have waited for the server.
    wait_until(lambda: log.read_text().count(" /ping ") >= REQUESTS, "the access log")
    only = [line for line in log.read_text().splitlines() if " /ping " in line]
    log.write_text("\n".join(only))
    return report_of(str(log), time_is=time_is), int(answers[0].json["process"])


def check(report: Report, process: int) -> None:
    assert (report.requests, report.timed, report.measured) == (REQUESTS, REQUESTS, REQUESTS)
    assert report.files[0].unread == 0
    assert report.statuses == {"200": REQUESTS}
    assert report.workers is not None
    assert (report.workers.processes, report.workers.busiest_process) == (1, str(process))
    assert 1 <= report.workers.threads <= REQUESTS
    assert report.durations is not None
    assert 0 < report.durations.max < 10
    assert report.routes[0].path == "/ping"


def test_log_of_gunicorn_is_read(tmp_path: Path) -> None:
    words = shlex.split(documented("sh", "gunicorn").replace("\\\n", " "))
    log = tmp_path / "access.log"
    options = [str(log) if word == "access.log" else word for word in words[1:-1]]
    with start(KINDS["gunicorn-gthread"], *options) as server:
        report, process = ask_and_read(server, log)

    check(report, process)
    assert report.outcomes == {"admitted": REQUESTS}
    # The next one may come before the one before has been closed.
    assert report.most_in_flight in {1, 2}
    assert report.queue_time is not None


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_log_of_nginx_is_read(tmp_path: Path, upstream: Server) -> None:
    port = free_port()
    conf = NGINX.replace("access.log guarded", "access.log readable")
    (tmp_path / "nginx.conf").write_text(
        conf.format(documented=documented("nginx"), host=HOST, port=port, upstream=upstream.port)
    )
    command = ["nginx", "-p", str(tmp_path), "-c", "nginx.conf"]
    log = tmp_path / "access.log"
    with running(command, port, tmp_path):
        report, _ = ask_and_read(Server(upstream.kind, port, upstream.process, log), log)

    check(report, upstream.ask("/ping").process)
    assert report.concurrency is None or not report.concurrency.is_mean


@pytest.mark.skipif(
    shutil.which("apache2") is None or not APACHE_MODULES.exists(),
    reason="Apache is not installed",
)
def test_log_of_apache_is_read(tmp_path: Path, upstream: Server) -> None:
    port = free_port()
    conf = APACHE.replace("access.log guarded", "access.log readable")
    (tmp_path / "apache.conf").write_text(
        conf.format(
            documented=documented("apache"),
            folder=tmp_path,
            host=HOST,
            modules=APACHE_MODULES,
            port=port,
            upstream=upstream.port,
        )
    )
    command = ["apache2", "-f", str(tmp_path / "apache.conf"), "-D", "FOREGROUND"]
    log = tmp_path / "access.log"
    with running(command, port, tmp_path):
        server = Server(upstream.kind, port, upstream.process, log)
        report, _ = ask_and_read(server, log, TimeIs.START)

    check(report, upstream.ask("/ping").process)
