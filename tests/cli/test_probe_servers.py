"""What `probe` says of real servers is how they were started."""

from __future__ import annotations

from typing import Any

import pytest
from cli.cli_support import run
from cli.cli_support import run_json
from servers.running import HOST
from servers.running import KINDS
from servers.running import Kind
from servers.running import Server
from servers.running import python
from servers.running import start

pytestmark = pytest.mark.servers

APP = "cli.probed:application"

DEV = Kind("dev", python("-m", "flask", "--app", APP, "run", "--host", "{host}", "-p", "{port}"))
SERIAL = Kind("dev-serial", (*DEV.command[:-2], "--without-threads", "-p", "{port}"))
WAITRESS = Kind("waitress", python("-m", "waitress", "--listen={host}:{port}", "{app}"))


def probe(server: Server, *args: str) -> Any:
    return run_json(None, "probe", f"http://{HOST}:{server.port}/slow", *args)


@pytest.mark.parametrize(
    ("kind", "extra", "threads", "model", "verdict"),
    [
        pytest.param(
            DEV, (), 1, "thread-per-request",
            "It starts a thread for each request, without bound: 10 or more at once.",
            id="dev",
        ),
        pytest.param(SERIAL, (), 1, "serial", "It serves one request at a time.", id="dev-serial"),
        pytest.param(
            KINDS["gunicorn-gthread"], (), 4, "threads",
            "It serves with 4 threads of 1 process: 4 at once.",
            id="gthread",
        ),
        pytest.param(
            KINDS["gunicorn-sync"], ("-w", "2"), 1, "processes",
            "It serves with 2 processes, one request each: 2 at once.",
            id="sync",
        ),
        pytest.param(
            WAITRESS, (), 4, "threads", "It serves with 4 threads of 1 process: 4 at once.",
            id="waitress",
        ),
        pytest.param(
            KINDS["gunicorn-gevent"], (), 1, "greenlets",
            "It serves in greenlets of 1 process: 10 or more at once.",
            id="gevent",
        ),
    ],
)  # fmt: skip
def test_server(kind: Kind, extra: tuple[str, ...], threads: int, model: str, verdict: str) -> None:
    with start(kind, *extra, app=APP, threads=threads) as server:
        data = probe(server)

    assert (data["verdict"], data["model"]) == (verdict, model)
    assert data["statuses"] == {"200": 10}


def test_without_tags_the_timing_tells() -> None:
    with start(KINDS["gunicorn-gthread"], app=APP, threads=4, headers=False) as server:
        data = probe(server)

    assert (data["verdict"], data["peak_source"]) == ("It serves 4 at once.", "timing")
    assert [wave["answers"] for wave in data["waves"]] == [4, 4, 2]
    assert data["processes"] == {}


def test_tags_under_other_names_and_rejections() -> None:
    headers = {"process_id": "X-P", "thread_id": "X-T"}
    with start(
        KINDS["gunicorn-gthread"], app=APP, threads=12, headers=headers, limit=3, max_queue=2
    ) as server:
        data = probe(server, "--process-header", "x-p", "--thread-header", "x-t")

    assert data["model"] == "threads"
    assert (data["peak"], data["peak_is_lower_bound"]) == (3, False)
    assert data["statuses"] == {"200": 5, "503": 5}
    assert data["rejections"] == {"queue_full": 5}


def test_on_the_screen() -> None:
    with start(WAITRESS, app=APP) as server:
        result = run(None, "probe", f"http://{HOST}:{server.port}/slow", "-n", "8")

    lines = [line.split() for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert ["came", "in", "4", "after"] in [line[:4] for line in lines]
    assert ["statuses", "200", "OK:", "8"] in lines
    assert ["server", "waitress", "(by", "its", "own", "word)"] in lines
