"""What came out of the runs: numbers side by side, headers, a line of the log."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .clients import Answer
from .screen import Screen

# What every response of every server has, and nothing of ours in it.
_DULL_HEADERS = {"Connection", "Date", "Server"}


@dataclass(frozen=True, slots=True)
class Run:
    """All that was measured with one server."""

    requests: int
    answers: list[Answer]
    failures: list[Exception]
    seconds: float
    """From the start to the last answer."""
    peak: int
    """The most requests in flight, as the app counted them."""
    threads: int
    """The most threads that the server was seen with."""
    processes: int
    """How many processes served requests."""
    numbers: str
    """What the server writes for numbers that JSON doesn't have."""
    log: list[str]
    """What it logged for the requests."""

    def with_status(self, status: int) -> list[Answer]:
        """Return the answers of that status, the quickest first."""
        found = [answer for answer in self.answers if answer.status == status]
        return sorted(found, key=lambda answer: answer.seconds)

    def quantile(self, status: int, share: float) -> str:
        """Return the time in which that share of the answers of a status came."""
        answers = self.with_status(status)
        if not answers:
            return "-"
        return _time(answers[max(math.ceil(share * len(answers)), 1) - 1].seconds)


def show_table(screen: Screen, unguarded: Run, guarded: Run) -> None:
    """Show the two runs side by side."""
    before, after = _figures(unguarded), _figures(guarded)
    if not unguarded.failures and not guarded.failures:
        del before["failed"]
    rows = {label: [figure, after[label]] for label, figure in before.items()}
    show_columns(screen, ["unguarded", "guarded"], rows)
    for failure in {repr(failure) for run in (unguarded, guarded) for failure in run.failures}:
        screen.say(f"A client failed: {failure}", "red")


def show_columns(screen: Screen, titles: list[str], rows: dict[str, list[str]]) -> None:
    """Show a table.

    :param titles: of its columns.
    :param rows: by what stands in front of each.
    """
    labels = max(map(len, rows))
    width = max(9, *map(len, titles))
    head = "".join(f"  {title:>{width}}" for title in titles)
    screen.write(screen.styled(" " * labels + head, "bold"))
    screen.write("-" * labels + f"  {'-' * width}" * len(titles))
    for label, figures in rows.items():
        screen.write(f"{label:{labels}}" + "".join(f"  {figure:>{width}}" for figure in figures))


def _figures(run: Run) -> dict[str, str]:
    return {
        "requests at once": str(run.requests),
        "answered 200": str(len(run.with_status(200))),
        "answered 503": str(len(run.with_status(503))),
        "failed": str(len(run.failures)),
        "most in flight": str(run.peak),
        "most threads": str(run.threads),
        "processes": str(run.processes),
        "wall time": _time(run.seconds),
        "200, p50": run.quantile(200, 0.5),
        "200, p99": run.quantile(200, 0.99),
        "503, p50": run.quantile(503, 0.5),
        "503, p99": run.quantile(503, 0.99),
    }


def show_answer(screen: Screen, title: str, answer: Answer) -> None:
    """Show the headers of a response that tell something, and its body."""
    headers = [f"{name}: {value}" for name, value in answer.headers if name not in _DULL_HEADERS]
    status = f"HTTP/1.1 {answer.status} {answer.phrase}"
    screen.say(f"{title}, after {_time(answer.seconds)}:", "bold")
    screen.quote("\n".join([status, *headers, "", answer.body.decode()]))


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 0.1 else f"{seconds:.2f} s"
