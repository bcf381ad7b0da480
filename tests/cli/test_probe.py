from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from cli.cli_support import run
from cli.cli_support import run_json

from flask_concurrency_guard.cli.probing import target as targets
from flask_concurrency_guard.cli.probing.target import BadTarget
from flask_concurrency_guard.cli.probing.target import find_target

EXAMPLE = "Write it like 'http://127.0.0.1:5000/slow'."


class Handler(BaseHTTPRequestHandler):
    """A server that isn't Flask's: what it answers depends on the path."""

    seen: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        self.seen.append((self.path, dict(self.headers)))
        status, headers, body = 200, {"Content-Length": "2"}, b"ok"
        if self.path == "/elsewhere":
            status, headers = 302, {"Location": "http://192.0.2.1/login", "Content-Length": "2"}
        elif self.path == "/here":
            status, headers = 308, {"Location": "/there?x=1", "Content-Length": "2"}
        elif self.path == "/round":
            status, headers = 302, {"Location": "/round", "Content-Length": "2"}
        elif self.path == "/missing":
            status = 404
        elif self.path == "/busy" or (self.path == "/busy-later" and len(self.seen) > 3):
            status, body = 503, b'{"reason":"queue_full"}'
            headers = {"Content-Type": "application/problem+json", "Retry-After": "2"}
        elif self.path == "/hostile":
            headers["X-Process-Id"] = "\x1b[31m1"
            headers["X-Thread-Id"] = "2\x9b"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "Test"

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


@contextmanager
def serve(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    Handler.seen = []
    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[str]:
    with serve() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port at which somebody listens, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def url_of(listener: socket.socket) -> str:
    return "http://{}:{}".format(*listener.getsockname())


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://localhost/", f"'ftp://localhost/' is neither 'http://' nor 'https://'. {EXAMPLE}"),
        ("http:///x", f"'http:///x' names no host. {EXAMPLE}"),
        (
            "http://localhost:70000/",
            f"'http://localhost:70000/' is not a URL (Port out of range 0-65535). {EXAMPLE}",
        ),
        (
            "http://me:secret@localhost/",
            "The URL to 'localhost' has a login in it, which others could see. Give it by --header"
            " 'Authorization: Basic ...'.",
        ),
        (
            "http://192.0.2.1/",
            "'192.0.2.1' is another machine. If it is yours, and may get 10 requests at once, say"
            " so with --yes.",
        ),
    ],
)
def test_url_that_is_not_asked(url: str, message: str) -> None:
    result = run(None, "probe", url)

    assert result.exit_code == 2
    assert result.stderr.endswith(f"\nError: {message}\n")
    assert result.stdout == ""


def test_host_that_does_not_exist() -> None:
    with pytest.raises(BadTarget, match=r"^There is no host '[a-z]{64}\.invalid' \(.+\)\.$"):
        find_target(f"http://{'a' * 64}.invalid/")


@pytest.mark.parametrize(
    ("url", "path", "host"),
    [
        ("127.0.0.1:5000", "/", "127.0.0.1:5000"),
        ("http://127.0.0.1/ä b?q=ü#part", "/%C3%A4%20b?q=%C3%BC", "127.0.0.1"),
        ("http://[::1]:80/%20", "/%20", "[::1]"),
        ("https://127.0.0.1:443/", "/", "127.0.0.1"),
        ("http://0.0.0.0:8000/", "/", "0.0.0.0:8000"),
        ("http://[::ffff:127.0.0.1]:1/", "/", "[::ffff:127.0.0.1]:1"),
    ],
)
def test_target(url: str, path: str, host: str) -> None:
    target = find_target(url)

    assert (target.path, target.host_header, target.is_local) == (path, host, True)


@pytest.mark.parametrize("address", ["10.0.0.1", "[2001:db8::1]", "[::ffff:10.0.0.1]"])
def test_other_machine(address: str) -> None:
    assert not find_target(f"http://{address}/").is_local


def test_other_machine_is_asked_if_that_is_meant(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "_is_loopback", lambda address: False)
    refused = run(None, "probe", server, "-n", "2")

    assert refused.exit_code == 2
    assert Handler.seen == []
    assert run_json(None, "probe", server, "-n", "2", "--yes")["statuses"] == {"200": 2}


def test_nothing_listens(listener: socket.socket) -> None:
    url = url_of(listener)
    listener.close()
    result = run(None, "probe", url)

    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: Nothing listens at '{url}/'. Start the server, or say another port.\n"
    )


def test_no_answer_in_time(listener: socket.socket) -> None:
    result = run(None, "probe", url_of(listener), "--timeout", "0.1")

    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: '{url_of(listener)}/' did not answer within 0.1 s. Is it stuck? Or give it longer"
        " with --timeout.\n"
    )


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "more", "pause"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX-", b"x", 0.02, id="header"),
        pytest.param(b"", CONTINUE, 0.02, id="continue"),
        pytest.param(b"", CONTINUE, 0, id="continue-at-once"),
        pytest.param(CHUNKED, b"1\r\nx\r\n", 0.02, id="body"),
        pytest.param(CHUNKED + b"0\r\n", b"X: y\r\n", 0.02, id="trailers"),
        pytest.param(CHUNKED + b"0\r\n", b"X: y\r\n", 0, id="trailers-at-once"),
    ],
)
def test_an_answer_without_an_end_is_none(
    begin: bytes, more: bytes, pause: float, listener: socket.socket
) -> None:
    has_ended = threading.Event()
    seen = []

    def answer_without_an_end() -> None:
        connection, _ = listener.accept()
        end = time.monotonic() + 5
        with connection, suppress(OSError):
            connection.recv(1000)
            connection.sendall(begin)
            while not has_ended.wait(pause) and time.monotonic() < end:
                connection.sendall(more)
        seen.append(time.monotonic() < end)

    thread = threading.Thread(target=answer_without_an_end)
    thread.start()
    result = run(None, "probe", url_of(listener), "--timeout", "0.3")
    has_ended.set()
    thread.join()

    assert seen == [True]
    assert "did not answer within 0.3 s." in result.stderr
    assert result.exit_code == 1


def test_no_http(listener: socket.socket) -> None:
    def answer_anything() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"SSH-2.0-Test\r\n\r\n")

    thread = threading.Thread(target=answer_anything)
    thread.start()
    result = run(None, "probe", url_of(listener))
    thread.join()

    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: '{url_of(listener)}/' gave no proper answer (SSH-2.0-Test).\n"
    )


def test_no_tls(server: str) -> None:
    url = server.replace("http:", "https:")
    result = run(None, "probe", url)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: '{url}/' speaks plain HTTP, not TLS (")
    assert result.stderr.endswith("): use http://.\n")


def test_help_says_what_the_headers_are() -> None:
    words = " ".join(run(None, "probe", "--help").stdout.split())

    assert "--process-header TEXT The name of the response header that tells the process." in words


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of our own making, for 'localhost', and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the command openssl")
    path = tmp_path / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2",
         "-keyout", tmp_path / "key.pem", "-out", path],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + (tmp_path / "key.pem").read_bytes())
    return path


def test_tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve(context) as port:
        refused = run(None, "probe", f"https://localhost:{port}", "-n", "2")
        taken = run(None, "probe", f"https://127.0.0.1:{port}", "-n", "2", "--insecure")
        # Trusted, it is good for the name, and not for the address.
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        named = run(None, "probe", f"https://localhost:{port}", "-n", "2")
        other = run(None, "probe", f"https://127.0.0.1:{port}", "-n", "2")

    assert "certificate verify failed: self-signed certificate" in refused.stderr
    assert refused.stderr.endswith("With a certificate of your own making: --insecure.\n")
    assert "statuses     200 OK: 2" in taken.stdout
    assert "statuses     200 OK: 2" in named.stdout
    assert "IP address mismatch" in other.stderr
    assert [result.exit_code for result in (refused, taken, named, other)] == [1, 0, 0, 1]


def test_all_addresses_of_a_name_are_tried(server: str) -> None:
    # It listens at that of version 4 only, and the other one comes first on most machines.
    port = server.rpartition(":")[2]

    assert run_json(None, "probe", f"localhost:{port}", "-n", "2")["statuses"] == {"200": 2}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("Nothing", "It must be like 'Name: value'."),
        ("X-A: b\r\nHost: c", "It must be like 'Name: value'."),
        ("X-A: \N{SNOWMAN}", "It can have Latin-1 characters only."),
    ],
)
def test_header_that_is_none(header: str, message: str) -> None:
    result = run(None, "probe", "http://127.0.0.1:9/", "-H", header)

    assert result.exit_code == 2
    assert result.stderr.endswith(f"Error: Invalid value for '-H' / '--header': {message}\n")


def test_what_is_sent(server: str) -> None:
    run(None, "probe", f"{server}/x?y=1", "-n", "4", "-c", "2", "-H", "X-Api-Key: k", "-H",
        "accept: text/html")  # fmt: skip

    path, headers = Handler.seen[0]
    assert path == "/x?y=1"
    assert headers == {
        "Host": server.removeprefix("http://"),
        "Accept-Encoding": "identity",
        "User-Agent": "flask-guard-probe",
        "Connection": "close",
        "X-Api-Key": "k",
        "accept": "text/html",
    }
    # Some in turn, before and after.
    assert 4 + 2 <= len(Handler.seen) <= 4 + 6


def test_fast_answers_tell_nothing(server: str) -> None:
    result = run(None, "probe", server)

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"{server}/: 10 requests, 10 of them at the same time"
    assert lines[2].startswith("A request takes only ")
    assert "  statuses     200 OK: 10" in lines
    assert "  server       Test (by its own word)" in lines
    assert not any(line.startswith("  at once") for line in lines)
    assert "Ask for a URL that takes 0.2 s or longer" in result.stdout


def test_redirect_to_elsewhere_is_not_followed(server: str) -> None:
    data = run_json(None, "probe", f"{server}/elsewhere", "-n", "2")

    assert data["statuses"] == {"302": 2}
    assert data["advice"][0] == (
        "It redirects to 'http://192.0.2.1/login', which was not followed. Ask there, if you mean"
        " that."
    )


def test_redirect_within_the_server_is_followed(server: str) -> None:
    data = run_json(None, "probe", f"{server}/here", "-n", "2")

    assert (data["url"], data["statuses"]) == (f"{server}/there?x=1", {"200": 2})


def test_redirects_have_an_end(server: str) -> None:
    assert run_json(None, "probe", f"{server}/round", "-n", "2")["statuses"] == {"302": 2}


def test_what_is_not_there_is_said(server: str) -> None:
    data = run_json(None, "probe", f"{server}/missing", "-n", "2")

    assert (
        data["advice"][0] == "It answers 404 Not Found. Ask for a URL that is answered by a view."
    )


def test_too_busy_to_begin_with(server: str) -> None:
    result = run(None, "probe", f"{server}/busy")

    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: '{server}/busy' answers 503 Service Unavailable to a single request (queue_full),"
        " so it is too busy to be probed now.\n"
    )


def test_rejections_have_their_reasons(server: str) -> None:
    data = run_json(None, "probe", f"{server}/busy-later", "-n", "5")

    assert data["model"] == "all-rejected"
    assert data["statuses"] == {"503": 5}
    assert data["rejections"] == {"queue_full": 5}
    assert data["retry_after"] == ["2"]


def test_what_the_server_says_is_not_obeyed(server: str) -> None:
    result = run(None, "probe", f"{server}/hostile", "-n", "2")

    assert r"process \x1b[31m1 with 1 thread" in result.stdout
    assert "\x1b" not in result.stdout


def test_json_is_all_there_is(server: str) -> None:
    result = run(None, "probe", server, "--json", "-n", "3", "-c", "2")

    data = json.loads(result.stdout)
    assert (data["requests"], data["concurrency"], data["server"]) == (3, 2, "Test")
    assert data["latency"]["p50"] <= data["latency"]["p99"] <= data["latency"]["max"]
    assert result.stderr == ""
