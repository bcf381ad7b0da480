"""How a server serves, concluded from answers whose times are made up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from flask_concurrency_guard.cli.probing.answers import Answer
from flask_concurrency_guard.cli.probing.answers import rejection_reason
from flask_concurrency_guard.cli.probing.facts import Facts
from flask_concurrency_guard.cli.probing.facts import Tags
from flask_concurrency_guard.cli.probing.model import Conclusion
from flask_concurrency_guard.cli.probing.model import Model
from flask_concurrency_guard.cli.probing.model import conclude
from flask_concurrency_guard.cli.probing.words import advice
from flask_concurrency_guard.cli.probing.words import verdict

TAGS = Tags("x-process-id", "x-thread-id")
ALONE = 0.3
GREENLET = 140_000_000_000_000


def answer(ended: float, worker: tuple[int, int] | None = None, status: int = 200,
           sent: float = 0.0, server: str = "") -> Answer:  # fmt: skip
    headers = {"server": server} if server else {}
    if worker is not None:
        headers |= {"x-process-id": str(worker[0]), "x-thread-id": str(worker[1])}
    return Answer(sent, ended, status, headers)


def observe(
    ends: Sequence[float],
    workers: Sequence[tuple[int, int]] = (),
    alone: Sequence[tuple[int, int]] = (),
    rejected: int = 0,
    server: str = "",
    one: float = ALONE,
) -> Facts:
    """Return what would be seen of answers that end then.

    :param workers: who gives them, in turn.
    :param alone: who answers the requests before, and after.
    :param rejected: how many are rejected besides.
    """
    at = dict(enumerate(workers))
    burst = [answer(end, at.get(n)) for n, end in enumerate(ends)]
    burst += [answer(0.001, at.get(n), 503) for n in range(rejected)]
    others = dict(enumerate(alone))
    before = [answer(one, others.get(n), server=server) for n in range(3)]
    after = [answer(one, others.get(n)) for n in range(3, 6)]
    return Facts(before, burst, after, len(burst), TAGS)


def waves(*numbers: int) -> list[float]:
    """Return when answers end that come in waves, each a bit later than it should."""
    return [
        ALONE * turn + 0.01 * n for turn, number in enumerate(numbers, 1) for n in range(number)
    ]


def threads(*numbers: int, times: int = 1) -> list[tuple[int, int]]:
    """Return workers: so many threads of each process."""
    every = [(process, 100 * process + n) for process, number in enumerate(numbers, 1)
             for n in range(number)]  # fmt: skip
    return every * times


def fresh(number: int, start: int = 1000) -> list[tuple[int, int]]:
    return [(1, start + n) for n in range(number)]


ONE_BY_ONE = [ALONE * n for n in range(1, 11)]


@pytest.mark.parametrize(
    ("facts", "conclusion", "sentence"),
    [
        pytest.param(
            observe(ONE_BY_ONE),
            Conclusion(Model.SERIAL, 1, False),
            "It serves one request at a time.",
            id="serial",
        ),
        pytest.param(
            observe(ONE_BY_ONE, threads(1, times=10), threads(1, times=6)),
            Conclusion(Model.SERIAL, 1, False, all_seen=True),
            "It serves one request at a time.",
            id="serial-tagged",
        ),
        pytest.param(
            observe(waves(4, 4, 2)),
            Conclusion(Model.SOME, 4, False),
            "It serves 4 at once.",
            id="four",
        ),
        pytest.param(
            observe(waves(10)),
            Conclusion(Model.ALL, 10, True),
            "It serves all that were sent: 10 or more at once.",
            id="all",
        ),
        pytest.param(
            observe(waves(4, 4, 2), threads(4, times=3), threads(4, times=2)),
            Conclusion(Model.THREADS, 4, False, all_seen=True),
            "It serves with 4 threads of 1 process: 4 at once.",
            id="threads",
        ),
        pytest.param(
            observe(waves(10), threads(10), threads(10)),
            Conclusion(Model.THREADS, 10, True),
            "It serves with at least 10 threads of 1 process: 10 or more at once.",
            id="threads-as-many-as-were-sent",
        ),
        pytest.param(
            observe(waves(2, 2, 2, 2, 2), threads(1, 1, times=5), threads(1, 1, times=3)),
            Conclusion(Model.PROCESSES, 2, False, all_seen=True),
            "It serves with 2 processes, one request each: 2 at once.",
            id="processes",
        ),
        pytest.param(
            observe(waves(6, 6), threads(4, 2, times=2), threads(4, 2)),
            Conclusion(Model.BOTH, 6, False, all_seen=True),
            "It serves with 2 processes of 2 to 4 threads each: 6 at once.",
            id="processes-with-threads",
        ),
        pytest.param(
            observe(waves(6, 4), threads(4, 2, times=2), threads(4, 2)),
            Conclusion(Model.BOTH, 6, False),
            "It serves with at least 2 processes of 2 to 4 threads each: 6 at once.",
            id="process-that-had-no-more-to-do",
        ),
        pytest.param(
            observe(waves(10), fresh(10), fresh(6, 2000), server="Werkzeug/3.1.9 Python/3.11"),
            Conclusion(Model.UNBOUNDED, 10, True),
            "It starts a thread for each request, without bound: 10 or more at once.",
            id="development-server",
        ),
        pytest.param(
            observe(waves(10), fresh(10), fresh(6, 2000), server="nginx"),
            Conclusion(Model.UNBOUNDED, 10, True),
            "It starts a thread for each request, or has more than 10 threads: 10 or more at once.",
            id="unknown-behind-a-proxy",
        ),
        pytest.param(
            observe(waves(10), fresh(10), fresh(6, 2000), server="waitress"),
            Conclusion(Model.THREADS, 10, True),
            "It serves with at least 10 threads of 1 process: 10 or more at once.",
            id="big-pool-that-goes-round",
        ),
        pytest.param(
            observe(
                waves(4, 4, 2),
                threads(*[1] * 10),
                [(50 + n, n) for n in range(6)],
                server="Werkzeug/3.1.9 Python/3.11",
            ),
            Conclusion(Model.FORKS, 4, False),
            "It starts a process for each request: 4 at once.",
            id="process-for-each",
        ),
        pytest.param(
            observe(waves(10), threads(*[1] * 10), [(50 + n, n) for n in range(6)]),
            Conclusion(Model.FORKS, 10, True),
            "It starts a process for each request, or has more than 10 processes: 10 or more at"
            " once.",
            id="process-for-each-or-many",
        ),
        pytest.param(
            observe(waves(10), fresh(10, GREENLET), fresh(6, GREENLET)),
            Conclusion(Model.GREENLETS, 10, True),
            "It serves in greenlets of 1 process: 10 or more at once.",
            id="greenlets",
        ),
        pytest.param(
            observe(waves(3, 3), threads(8), threads(8), rejected=8),
            Conclusion(Model.THREADS, 3, False, waits=True),
            "It serves with at least 8 threads of 1 process: 3 at once; 8 of 14 requests rejected.",
            id="limit-below-the-threads",
        ),
        pytest.param(
            observe(waves(1), rejected=9),
            Conclusion(Model.SOME, 1, False),
            "It serves 1 at once; 9 of 10 requests rejected.",
            id="one-admitted",
        ),
        pytest.param(
            observe([], threads(4, times=3), rejected=10),
            Conclusion(Model.REJECTS, 0, False),
            "It rejected all of them, so nothing can be said of how it serves.",
            id="all-rejected",
        ),
        pytest.param(
            observe([2.6, 2.7, 2.8, 2.9, 3.0, 3.0], threads(6), threads(6)),
            Conclusion(Model.THREADS, 6, True, compete=True),
            "It serves with at least 6 threads of 1 process: 6 or more at once, and no faster than"
            " one after the other.",
            id="compete-for-a-processor",
        ),
        pytest.param(
            observe([0.004] * 10, threads(3, times=4), one=0.002),
            Conclusion(Model.UNKNOWN, 0, False),
            "A request takes only 2.0 ms, and is over before enough others have come, so it can't"
            " be told how many are served at once; there are 3 threads of 1 process at least.",
            id="too-fast",
        ),
        pytest.param(
            observe([0.004] * 10, fresh(10), fresh(6, 2000), server="Werkzeug/3", one=0.002),
            Conclusion(Model.UNBOUNDED, 0, False),
            "It starts a thread for each request, without bound.",
            id="too-fast-and-yet",
        ),
        pytest.param(
            observe([0.004] * 10, one=0.002),
            Conclusion(Model.UNKNOWN, 0, False),
            "A request takes only 2.0 ms, and is over before enough others have come, so it can't"
            " be told how many are served at once.",
            id="too-fast-without-tags",
        ),
    ],
)
def test_conclusion(facts: Facts, conclusion: Conclusion, sentence: str) -> None:
    assert conclude(facts) == conclusion
    assert verdict(facts, conclusion) == sentence


def test_requests_that_were_lost_are_told() -> None:
    facts = observe(waves(4, 4), threads(4, times=2))
    lost = [Answer(0, 0.2, failure="broken", details="Connection reset by peer")] * 2
    facts = Facts(facts.before, [*facts.burst, *lost], facts.after, 10, TAGS)

    assert verdict(facts, conclude(facts)) == (
        "It serves with 4 threads of 1 process: 4 at once; 2 of 10 not answered."
    )


def test_the_process_alone_is_no_tag() -> None:
    burst = [Answer(0, ended, 200, {"x-process-id": "1"}) for ended in waves(10)]
    facts = Facts([answer(ALONE)], burst, [], 10, TAGS)

    assert conclude(facts) == Conclusion(Model.ALL, 10, True)


def test_a_slow_start_of_the_client_is_no_concurrency_of_the_server() -> None:
    # It took as long to send them as to serve one.
    burst = [answer(0.05 * n + 0.05, sent=0.05 * n) for n in range(10)]
    facts = Facts([answer(0.05)] * 3, burst, [], 10, TAGS)

    assert conclude(facts).model is Model.UNKNOWN


def test_connections_that_were_tried_again_are_seen() -> None:
    facts = observe([0.31] * 8 + [1.32, 1.33])

    assert "Some answers came a second or more after the others." in " ".join(
        advice(facts, conclude(facts))
    )
    assert not observe(ONE_BY_ONE).were_connections_lost


def test_percentiles_are_of_what_was_served() -> None:
    facts = observe([n / 100 for n in range(1, 101)], rejected=50)

    assert [facts.latency(part) for part in (0.5, 0.99, 1)] == [0.5, 0.99, 1.0]


@pytest.mark.parametrize(
    ("content_type", "body", "reason"),
    [
        ("application/problem+json", b'{"reason":"queue_full"}', "queue_full"),
        ("application/problem+json; charset=utf-8", b'{"reason":"limit"}', "limit"),
        ("application/problem+json", b'{"reason":' + b'"x' * 99, None),
        ("application/problem+json", b'{"reason":["a"]}', None),
        ("application/problem+json", b"[" * 9999, None),
        ("application/problem+json", b"\xff\xfe", None),
        ("application/problem+json", b'{"reason":"%s"}' % (b"x" * 99), "x" * 40),
        ("application/json", b'{"reason":"limit"}', None),
    ],
)
def test_reason(content_type: str, body: bytes, reason: str | None) -> None:
    assert rejection_reason(content_type, body) == reason
