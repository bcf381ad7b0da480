from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import click
import pytest

from flask_concurrency_guard.cli.screen import PlainScreen
from flask_concurrency_guard.cli.screen import RichScreen
from flask_concurrency_guard.cli.screen import Screen
from flask_concurrency_guard.cli.screen import make_screen
from flask_concurrency_guard.cli.screen import writing


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def write_all(screen: Screen) -> None:
    screen.title("The title [bold]")
    screen.line()
    screen.text("A paragraph that is longer than a line of this terminal can be.", indent=2)
    screen.marked("warning", "A finding that is longer than a line of this terminal.")
    screen.table([("one", "1"), ("three", "a long cell, the last one, that has to be wrapped")])
    screen.table([("one", "1")], ("name", "value"))


def written(encoding: str = "utf-8", text: str | None = None) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding, newline="\n")
    screen = make_screen(stream)
    write_all(screen) if text is None else screen.text(text)
    stream.flush()
    return raw.getvalue().decode(encoding)


def words(text: str) -> list[str]:
    without_colours = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return re.findall(r"[^\s─|+-]+", without_colours)


def test_plain_text() -> None:
    assert written() == (
        "The title [bold]\n"
        "\n"
        "  A paragraph that is longer than a line of this\n"
        "  terminal can be.\n"
        "warning  A finding that is longer than a line of\n"
        "         this terminal.\n"
        "  one    1\n"
        "  three  a long cell, the last one, that has to be\n"
        "         wrapped\n"
        "  name  value\n"
        "  one   1\n"
    )


def test_rich_writes_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = written()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    rich = written()

    assert "\x1b[33mwarning" in rich
    assert words(rich) == words(plain)
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in rich.splitlines()) <= 50


@pytest.mark.parametrize("columns", [20, 30, 40, 60, 80])
def test_no_terminal_is_too_narrow_for_a_table(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": str(columns)}.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    rows = [("A_SETTING", "environment", "12 (default: as many as the limit)"), ("B", "code", "x")]
    make_screen(stream).table(rows, ("setting", "from", "value"))
    shown = stream.getvalue()
    assert words(shown) == words(" ".join(("setting from value", *map(" ".join, rows))))
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in shown.splitlines()) <= columns


def test_no_color_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")

    assert not re.search(r"\x1b\[(\d+;)*3\d", written())


@pytest.mark.parametrize("force", ["", "1"], ids=["plain", "rich"])
def test_terminal_without_unicode(force: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", force)
    monkeypatch.setenv("TERM", "xterm")

    assert "warning" in written("ascii")
    assert written("ascii", "der Weg /straße").strip() == r"der Weg /stra\xdfe"


@pytest.mark.parametrize("force", ["", "1"], ids=["plain", "rich"])
def test_a_terminal_obeys_nothing_that_comes_from_elsewhere(
    force: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", force)
    monkeypatch.setenv("TERM", "xterm")

    shown = written(text="nginx\x1b[2J\r\n[red]\u202eevil\x9b1m").strip()

    assert shown == r"nginx\x1b[2J\r\n[red]\u202eevil\x9b1m"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk is full at will")
@pytest.mark.parametrize("length", [1, 100_000], ids=["at-the-end", "at-once"])
def test_full_disk_is_told(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full").open("w")  # noqa: SIM115
    monkeypatch.setattr(sys, "stdout", full)
    with pytest.raises(click.ClickException) as caught, writing():
        make_screen().text("x" * length)

    assert caught.value.message == "The output can't be written: No space left on device."
    # Python would write once more, at its end.
    assert full.closed


def test_rich_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_screen(io.StringIO()), PlainScreen)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(make_screen(io.StringIO()), RichScreen)
