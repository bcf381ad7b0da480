"""The formats that the documentation gives for the access logs of nginx and Apache."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path

import pytest
from servers.launch import APACHE_MODULES
from servers.running import HOST
from servers.running import KINDS
from servers.running import PATIENCE
from servers.running import Server
from servers.running import free_port
from servers.running import start
from servers.running import wait_until

pytestmark = pytest.mark.servers

PAGE = Path(__file__).parents[2] / "docs" / "headers-and-logs.md"

NGINX = """
daemon off;
error_log error.log;
pid nginx.pid;
events {{}}
http {{
{documented}
    access_log access.log guarded;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen {host}:{port};
        location / {{
            proxy_pass http://{host}:{upstream};
            proxy_hide_header X-Process-Id;
            proxy_hide_header X-Thread-Id;
        }}
    }}
}}
"""

APACHE = """
ServerName localhost
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/pid
ErrorLog {folder}/error.log
Listen {host}:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
ProxyPass / http://{host}:{upstream}/
{documented}
CustomLog {folder}/access.log guarded
"""


def documented(language: str) -> str:
    """Return the one block in `language` of the page on logs."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    return str(block)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Server]:
    with start(KINDS["gunicorn-gthread"]) as server:
        yield server


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)

    def listens() -> bool:
        assert process.poll() is None, "\n".join(p.read_text() for p in folder.glob("*.log"))
        with suppress(OSError), socket.create_connection((HOST, port), timeout=PATIENCE):
            return True
        return False

    try:
        wait_until(listens, command[0])
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def check(command: list[str], port: int, folder: Path, upstream: Server) -> None:
    with running(command, port, folder):
        direct = upstream.ask("/exempt/state")
        proxy = Server(upstream.kind, port, upstream.process, folder / "access.log")
        answer = proxy.ask("/exempt/state")
        assert answer.status == 200
        # Hidden from the client, and in the log all the same.
        assert not {"X-Process-Id", "X-Thread-Id"} & set(answer.headers.keys())
        wait_until(lambda: "/exempt/state" in proxy.log, "the access log")
        assert re.search(rf" process={direct.process} thread=\d+$", proxy.log.strip())


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_logs_the_tags_and_hides_the_headers(tmp_path: Path, upstream: Server) -> None:
    port = free_port()
    (tmp_path / "nginx.conf").write_text(
        NGINX.format(documented=documented("nginx"), host=HOST, port=port, upstream=upstream.port)
    )
    check(["nginx", "-p", str(tmp_path), "-c", "nginx.conf"], port, tmp_path, upstream)


@pytest.mark.skipif(
    shutil.which("apache2") is None or not APACHE_MODULES.exists(),
    reason="Apache is not installed",
)
def test_apache_logs_the_tags_and_hides_the_headers(tmp_path: Path, upstream: Server) -> None:
    port = free_port()
    (tmp_path / "apache.conf").write_text(
        APACHE.format(
            documented=documented("apache"),
            folder=tmp_path,
            host=HOST,
            modules=APACHE_MODULES,
            port=port,
            upstream=upstream.port,
        )
    )
    command = ["apache2", "-f", str(tmp_path / "apache.conf"), "-D", "FOREGROUND"]
    check(command, port, tmp_path, upstream)
