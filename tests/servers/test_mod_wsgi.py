"""The app in a daemon process of Apache's mod_wsgi, which has a clock of its own."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest
from servers.gates import Gate
from servers.launch import APACHE_MODULES
from servers.running import THREADS
from servers.running import Kind
from servers.running import launched
from servers.running import start
from servers.running import wait_until

MOD_WSGI = Kind("mod_wsgi", launched("mod_wsgi"), file_wrapper=True)
LIMIT = 4
CLIENTS = 10 * LIMIT
LONG = 1.0


def is_installed() -> bool:
    """Return whether there is one for this very Python."""
    if not shutil.which("apache2"):
        return False
    return (APACHE_MODULES / "mod_wsgi.so-{}.{}".format(*sys.version_info)).exists()


def is_open_to_all(path: Path) -> bool:
    """Return whether Apache's user, who isn't root, may look into it."""
    return all(each.stat().st_mode & 0o001 for each in (path, *path.parents))


pytestmark = [
    pytest.mark.skipif(not is_installed(), reason="mod_wsgi is not installed"),
    pytest.mark.skipif(
        not is_open_to_all(Path(__file__).parent), reason="Apache may not read these files"
    ),
]


def test_as_many_as_the_limit_are_inside_and_never_more(gate: Gate) -> None:
    with start(MOD_WSGI, limit=LIMIT, max_queue=0) as server:
        with server.asking(f"/hold?gate={gate.address}", CLIENTS) as answers:
            gate.wait_for(LIMIT)
            wait_until(lambda: sum(each.done() for each in answers) == CLIENTS - LIMIT, "rejected")
            gate.open()
        statuses = sorted(answer.result().status for answer in answers)
        state = server.wait_until_idle()

    assert statuses == [200] * LIMIT + [503] * (CLIENTS - LIMIT)
    assert gate.peak == state["inside_peak"] == LIMIT
    assert state["told"]["released"] == LIMIT


def test_age_is_the_time_in_front_of_the_app(gate: Gate) -> None:
    with (
        start(MOD_WSGI, threads=1) as server,
        server.asking(f"/hold?gate={gate.address}", 1),
    ):
        gate.wait_for(1)
        began = time.monotonic()
        with server.asking("/ping", 1) as (answer,):
            wait_until(lambda: time.monotonic() - began >= LONG, "time passes")
            gate.open()
        took = time.monotonic() - began
        age = answer.result().json["queue_age"]

    assert LONG / 2 < age <= took


def test_limit_that_is_never_reached_is_warned_of() -> None:
    with start(MOD_WSGI, limit=THREADS) as server:
        assert server.ask("/ping").status == 200
        assert (
            f"mod_wsgi serves at most {THREADS} requests at once in this process, so the limit of"
            f" {THREADS} can never be reached. Set 'CONCURRENCY_GUARD_LIMIT' to {THREADS - 1} or"
            " less, or give it more threads than the limit (threads= of WSGIDaemonProcess)."
        ) in server.log
