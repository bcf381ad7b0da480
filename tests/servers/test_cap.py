"""Never more requests inside the app than the limit, and each answer says who gave it."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from servers.gates import Gate
from servers.running import Answer
from servers.running import Server
from servers.running import wait_until

LIMIT = 4
CLIENTS = 10 * LIMIT


def test_as_many_as_the_limit_are_inside_and_never_more(server: Server, gate: Gate) -> None:
    room = 1 if server.kind.serial else LIMIT

    with server.asking(f"/hold?gate={gate.address}", CLIENTS) as answers:
        gate.wait_for(room)
        if not server.kind.serial:
            wait_until(lambda: done(answers) == CLIENTS - LIMIT, "the others are rejected")
        inside = gate.waiting
        gate.open()
    statuses = [answer.result().status for answer in answers]
    state = server.wait_until_idle()

    assert inside == gate.peak == state["inside_peak"] == room
    if server.kind.serial:
        assert statuses == [200] * CLIENTS
    else:
        assert sorted(statuses) == [200] * LIMIT + [503] * (CLIENTS - LIMIT)
    assert state["told"]["admitted"] == statuses.count(200)
    if server.kind.closes:
        assert state["told"]["released"] == statuses.count(200)


def test_limit_is_kept_while_requests_come_and_go(server: Server) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = [pool.submit(server.ask, "/churn") for _ in range(5 * CLIENTS)]
    statuses = {answer.result().status for answer in answers}
    state = server.wait_until_idle()

    assert 200 in statuses
    assert statuses <= {200, 503}
    assert 1 <= state["inside_peak"] <= LIMIT
    assert state["peak"] <= LIMIT


def test_each_answer_says_which_process_and_thread_gave_it(server: Server, gate: Gate) -> None:
    process = server.state()["process"]

    with server.asking(f"/hold?gate={gate.address}", CLIENTS) as futures:
        gate.wait_for(1 if server.kind.serial else LIMIT)
        if not server.kind.serial:
            wait_until(lambda: done(futures) == CLIENTS - LIMIT, "the others are rejected")
        threads = {int(task.name) for task in Path(f"/proc/{process}/task").iterdir()}
        gate.open()
    answers = [future.result() for future in futures]
    admitted = [answer for answer in answers if answer.status == 200]

    assert {answer.process for answer in answers} == {process}
    for answer in admitted:
        who = answer.json
        served_by = who["greenlet"] if server.kind.greenlets else who["thread"]
        assert answer.thread == who["tagged_thread"] == served_by
        assert answer.process == who["tagged_process"] == who["process"]
    if not server.kind.serial:
        assert len({answer.thread for answer in admitted}) == LIMIT
    if not server.kind.greenlets:
        assert {answer.thread for answer in admitted} <= threads
        if server.kind.bounded:
            assert {answer.thread for answer in answers} <= threads


def done(futures: list[Future[Answer]]) -> int:
    return sum(future.done() for future in futures)
