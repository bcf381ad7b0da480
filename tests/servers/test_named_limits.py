"""A limit for some requests, beside that of all."""

from __future__ import annotations

from servers.gates import Gate
from servers.running import Server
from servers.running import wait_until

NARROW = 2
CLIENTS = 10 * NARROW


def test_some_requests_keep_to_a_limit_of_their_own(server: Server, gate: Gate) -> None:
    is_serial = server.kind.serial
    room = 1 if is_serial else NARROW

    with server.asking(f"/narrow/hold?gate={gate.address}", CLIENTS) as answers:
        gate.wait_for(room)
        if not is_serial:
            rejected = CLIENTS - NARROW
            wait_until(
                lambda: sum(answer.done() for answer in answers) == rejected, "they are rejected"
            )
            assert server.ask("/ping").status == 200
        gate.open()
    results = [answer.result() for answer in answers]
    state = server.wait_until_idle()

    assert gate.peak == room
    assert (state["narrow"]["limit"], state["narrow"]["in_flight"]) == (NARROW, 0)
    refusals = [result.json for result in results if result.status != 200]
    if is_serial:
        assert refusals == []
    else:
        assert len(refusals) == CLIENTS - NARROW
        assert {refusal["limit"] for refusal in refusals} == {"narrow"}
