"""The example of a shop, as its walk-through has it: each rule bites under real load."""

from __future__ import annotations

import http.client
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.running import HOST
from servers.running import PATIENCE
from servers.running import free_port
from servers.running import wait_until

SHOP = Path(__file__).resolve().parent.parent.parent / "examples" / "shop"
rush = runpy.run_path(str(SHOP / "rush.py"))

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--threads", "40", "-b", f"{HOST}:{port}"]
    server = subprocess.Popen([*command, "--no-control-socket", "app:app"], cwd=SHOP)
    try:
        wait_until(lambda: is_up(port), "the shop to open")
        yield port
    finally:
        server.terminate()
        server.wait(PATIENCE)


def is_up(port: int) -> bool:
    (health,) = [rush["Kind"]("GET /healthz", 1)]
    rush["ask"](port, health)
    return "200" in health.seconds


def send(port: int, *kinds: tuple[int, str]) -> list[Any]:
    """Send so many of each kind at once. Return what each got."""
    sent = [rush["Kind"](what, number) for number, what in kinds]
    rush["rush"](port, sent)
    return sent


def test_two_reports_at_a_time(port: int) -> None:
    (reports,) = send(port, (6, "GET /reports/may"))
    assert reports.counts() == {"200": 2, "503 queue_timeout": 4}


def test_health_checks_pass(port: int) -> None:
    pages, health = send(port, (30, "GET /"), (5, "GET /healthz"))
    assert health.counts() == {"200": 5}
    assert pages.counts()["200"] < 30


def test_two_of_one_customer_at_a_time(port: int) -> None:
    anna, bert = send(
        port,
        (5, "GET /api/items X-Api-Key=key-of-anna"),
        (5, "GET /api/items X-Api-Key=key-of-bert"),
    )
    for customer in (anna, bert):
        assert set(customer.counts()) == {"200", "429 client"}


def test_the_important_ones_go_first(port: int) -> None:
    suggestions, checkouts = send(port, (32, "GET /suggestions"), (6, "POST /checkout"))
    assert checkouts.counts() == {"200": 6}
    assert suggestions.counts()["503 queue_full"] > 0


def test_exports_take_four_places(port: int) -> None:
    def export() -> bool:
        (exports,) = send(port, (4, "GET /export"))
        served = exports.seconds["200"]
        assert len(served) < 3 or max(served) >= 1.0  # Two by two, half a second each.
        return len(served) == 4

    # A moment after a rush nobody may wait for that long.
    wait_until(export, "all exports to be served")


def test_the_api_has_its_share(port: int) -> None:
    pages, api = send(port, (32, "GET /"), (2, "GET /api/items X-Api-Key=key-of-bert"))
    assert api.counts() == {"200": 2}
    assert pages.counts()["503 queue_full"] > 0


def test_the_shop_is_ready(port: int) -> None:
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    connection.request("GET", "/readyz")
    assert connection.getresponse().status == 200
    connection.close()


def test_a_rush_on_the_command_line(port: int) -> None:
    done = subprocess.run(
        [sys.executable, SHOP / "rush.py", "1", "GET /healthz"],
        env={"PORT": str(port)}, capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[1].startswith("GET /healthz    1 × 200  ")
