from __future__ import annotations

import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from log_support import entry
from log_support import logfmt
from log_support import pool_log
from log_support import rejection
from log_support import report_of
from log_support import server_line
from log_support import write
from rich.console import Console

from flask_concurrency_guard.logs import figures
from flask_concurrency_guard.logs.bars import draw
from flask_concurrency_guard.logs.describe import describe
from flask_concurrency_guard.logs.document import Chart
from flask_concurrency_guard.logs.document import Document
from flask_concurrency_guard.logs.document import Section
from flask_concurrency_guard.logs.document import Table
from flask_concurrency_guard.logs.page import page
from flask_concurrency_guard.logs.progress import BIG
from flask_concurrency_guard.logs.progress import showing
from flask_concurrency_guard.logs.rich_text import show as show_by_rich
from flask_concurrency_guard.logs.show import show
from flask_concurrency_guard.logs.text import plain

HOSTILE = '/<script>alert("x")</script>\x1b[31m'


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    fields = [rejection(11.1 + number / 100) for number in range(50)]
    fields.append(entry(9, path=HOSTILE, duration=3.0))
    path = tmp_path_factory.mktemp("logs") / "x.log"
    name = write(path, [*pool_log(), *map(logfmt, fields)])
    return describe(report_of(name))


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def test_report_is_plain_text(document: Document) -> None:
    text = plain(document, 80)

    assert "The right limit: 4" in text
    assert "default  queue_full  rejected        50" in text
    assert "of its requests" not in text  # There is but one.
    assert max(map(len, text.splitlines()[10:])) < 110
    assert "\x1b" not in text


def test_report_is_ascii_where_there_is_nothing_else(document: Document) -> None:
    assert plain(document, is_ascii=True).isascii()


def test_rich_shows_the_same(document: Document) -> None:
    screen = io.StringIO()
    show_by_rich(document, Console(file=screen, width=160, force_terminal=False))

    assert words(screen.getvalue()) == words(plain(document, 160))
    assert "\x1b" not in screen.getvalue()


COMMANDS = "\x1b]0;gotcha\x07\x9b31m\u202e"


@pytest.fixture
def hostile(tmp_path: Path) -> Document:
    """A report in which commands to a terminal stand wherever a log can have some."""
    told = {"reason": f"r{COMMANDS}", "limiter": f"l{COMMANDS}", "method": f"m{COMMANDS}"}
    fields = [rejection(number, **told) for number in range(5)]
    fields += [entry(9, path=f"/{COMMANDS}"), entry(10, outcome=f"o{COMMANDS}")]
    return describe(report_of(write(tmp_path / f"x{COMMANDS}.log", map(logfmt, fields))))


def test_a_terminal_obeys_nothing_that_stands_in_a_log(hostile: Document) -> None:
    screen = io.StringIO()
    show_by_rich(hostile, Console(file=screen, width=400, force_terminal=False))

    for text in (plain(hostile, 400), screen.getvalue()):
        assert not {char for char in text if not char.isprintable()} - {"\n"}
        for name in ("r", "l", "/", "o", "x"):
            assert name + r"\x1b]0;gotcha\x07\x9b31m\u202e" in text


def test_sentences_and_titles_are_harmless_as_well() -> None:
    section = Section(COMMANDS, [f"{COMMANDS} in a sentence.", Table((COMMANDS,), [("x",)])])
    document = Document("", [section])
    screen = io.StringIO()
    show_by_rich(document, Console(file=screen, width=100, force_terminal=False))

    for text in (plain(document, 100), screen.getvalue()):
        assert text.count(r"\x1b]0;gotcha\x07\x9b31m\u202e") == 3
        assert not {char for char in text if not char.isprintable()} - {"\n"}


def test_rejections_by_their_status_are_shown_as_that(tmp_path: Path) -> None:
    lines = [server_line(n, " duration=0.1") for n in range(6)]
    lines += [line.replace(" 200 ", " 503 ") for line in lines[:2]]
    text = " ".join(plain(describe(report_of(write(tmp_path / "x.log", lines)))).split())

    assert (
        "2 (25.0 %) count as rejected by their status, 429 or 503. Whether it was the guard that"
        " rejected them, or the app, the log doesn't say. The tag 'decision' does, and the guard's"
        " own access log."
    ) in text
    assert "duration, rejected (by status)" in text
    assert "rejected a second" in text

    lines.append(server_line(9, ' duration=0.1 decision="admitted"'))
    text = plain(describe(report_of(write(tmp_path / "x.log", lines))))
    assert "rejected, by their status  2 (22.2 %)" in text


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_terminal_without_rich_gets_plain_text(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    show(document, terminal)

    assert terminal.getvalue() == plain(document, 80) + "\n"


def test_terminal_with_rich_gets_more(document: Document) -> None:
    terminal = Terminal()
    show(document, terminal)

    assert "\x1b[" in terminal.getvalue()


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attributes if name in {"src", "href"}]
        if tag not in {"meta", "path"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":
            assert self.open.pop() == tag


def test_page_is_whole_and_needs_nothing_else(document: Document) -> None:
    text = page(document)
    elements = Elements()
    elements.feed(text)

    assert elements.open == []
    assert elements.links == []
    assert not {"script", "link", "img", "iframe"} & set(elements.seen)
    assert elements.seen.count("svg") == 6
    assert "url(" not in text
    assert "&lt;script&gt;" in text
    assert "\x1b" not in text


def test_rejections_are_shown_by_path(tmp_path: Path) -> None:
    fields = [
        rejection(number / 10, path=f"/{number}") for number in range(12) for _ in range(1 + number)
    ]
    text = plain(describe(report_of(write(tmp_path / "log", map(logfmt, fields)))), 80)
    assert re.search(
        r"^ +path +rejected +of its requests\nGET +/11 +12 +100 %\nGET +/10 +11 +100 %\n",
        text,
        re.M,
    )
    assert re.search(r"^GET +/2 +3 +100 %\n+And 2 more\.\n", text, re.M)


def durations_over_time(path: Path, each_second: int) -> list[float]:
    """Return the chart of ten seconds of 0.1 s each, and then ten of 0.5 s each."""
    starts = [number / each_second for number in range(20 * each_second)]
    entries = [entry(start, duration=0.1 if start < 10 else 0.5) for start in starts]
    parts = [
        part
        for section in describe(report_of(write(path, map(logfmt, entries)))).sections
        for part in section.parts
    ]
    charts = {part.title: part for part in parts if isinstance(part, Chart)}
    return list(charts["mean duration in ms"].values) if "mean duration in ms" in charts else []


def test_durations_are_shown_over_time(tmp_path: Path) -> None:
    means = durations_over_time(tmp_path / "log", 100)
    begin, end = len(means) // 4, 3 * len(means) // 4
    assert means[begin] == pytest.approx(100, rel=0.1)
    assert means[end] == pytest.approx(500, rel=0.1)


def test_few_durations_are_not_shown_over_time(tmp_path: Path) -> None:
    assert durations_over_time(tmp_path / "log", 20) == []


def test_bars_are_as_high_as_their_values() -> None:
    chart = Chart("title", [0, 1, 2, 4] * 2, "begin", "end")
    title, *rows, axis = draw(chart, 12)

    assert title == "    title"
    assert [row[4:] for row in rows] == [
        "   █   █",
        "   █   █",
        "  ▄█  ▄█",
        " ▂██ ▂██",
        " ███ ███",
    ]
    assert axis.split() == ["begin", "end"]


def test_chart_of_nothing_is_drawn() -> None:
    assert len(draw(Chart("title", [0.0, 0.0], "begin", "end"), 40)) == 7


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0"),
        (0.0000012, "1.2 µs"),
        (0.00099951, "1 ms"),
        (0.0123456, "12.3 ms"),
        (0.9996, "1 s"),
        (12.345, "12.3 s"),
        (754.2, "12 min 34 s"),
        (7200, "2 h"),
        (200000, "2 d 7 h"),
    ],
)
def test_times_are_readable(seconds: float, text: str) -> None:
    assert figures.time(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1234.5, "1,234"), (12.0, "12"), (0.01234, "0.0123")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert figures.number(value) == text


def test_what_the_log_does_not_tell_is_said(tmp_path: Path) -> None:
    text = plain(describe(report_of(write(tmp_path / "x.log", [server_line(n) for n in range(9)]))))

    assert "The log has no durations. Let the server write them" in text
    assert "How many were in flight over time isn't known" in text


def test_lines_that_were_not_read_are_shown(tmp_path: Path) -> None:
    name = write(tmp_path / "x.log", [logfmt(entry()), "\x1b]0;gotcha\x07", logfmt(entry(1))])
    text = plain(describe(report_of(name))).replace("\n", " ")

    assert f"The first line of '{name}' that can't be read is line 2:" in text
    assert "\\x1b]0;gotcha\\x07" in text


@pytest.mark.parametrize("has_rich", [True, False])
def test_progress_is_shown_on_a_terminal(has_rich: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_rich:
        monkeypatch.setitem(sys.modules, "rich.progress", None)
    terminal = Terminal()
    with showing(BIG, terminal) as on_bytes:
        assert on_bytes is not None
        on_bytes(BIG // 2)

    assert "reading" in terminal.getvalue()


@pytest.mark.parametrize(
    ("total", "stream"),
    [(None, Terminal()), (BIG - 1, Terminal()), (BIG, io.StringIO())],
    ids=["unknown", "small", "no-terminal"],
)
def test_progress_is_not_shown_elsewhere(total: int | None, stream: io.StringIO) -> None:
    with showing(total, stream) as on_bytes:
        assert on_bytes is None

    assert stream.getvalue() == ""
