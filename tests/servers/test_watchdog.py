"""Requests that take long are logged with their stacks, on real servers."""

from __future__ import annotations

import re

import pytest
from servers.gates import Gate
from servers.running import KINDS
from servers.running import start
from servers.running import wait_until

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("name", KINDS)
def test_a_slow_request_is_logged_with_what_it_is_at(name: str, gate: Gate) -> None:
    path = f"/hold?gate={gate.address}"
    with start(KINDS[name], slow_after=0.05) as server, server.asking(path, 1) as answers:
        gate.wait_for(1)
        wait_until(lambda: server.log.count(" has been in flight for ") >= 2, "it is logged twice")
        gate.open()
        answer = answers[0].result()
        log = server.log
    assert answer.status == 200
    first = re.search(r"LOG (\S+) (\S+) (\S+): GET /hold has been in flight for 0", log)
    assert first is not None, log
    logger, process, thread = first.groups()
    assert logger == "flask_concurrency_guard.watchdog"
    assert (int(process), int(thread)) == (answer.process, answer.thread)
    assert "in wait_at" in log
