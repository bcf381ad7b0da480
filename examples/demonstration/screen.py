"""Plain text for people: colour and a moving line on a terminal, neither in a file."""

from __future__ import annotations

import os
import shutil
import textwrap
import time
from typing import TextIO

_STYLES = {"bold": "1", "dim": "2", "green": "32", "red": "31"}
_INDENT = "    "


class Screen:
    """Where the demonstration is shown.

    :param out: what to write to.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._moves = self._out.isatty() and os.environ.get("TERM") != "dumb"
        # https://no-color.org: present and not empty. Windows may show the codes as they are.
        self._colours = self._moves and not os.environ.get("NO_COLOR") and os.name != "nt"
        self._next_line = 0.0
        self._line = ""

    @property
    def width(self) -> int:
        """How many columns to use: no more than are easily read, and none that isn't there."""
        return min(max(shutil.get_terminal_size((80, 24)).columns, 30), 80)

    def styled(self, text: str, style: str) -> str:
        """Return `text` in a style, where it can be shown in one."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._colours else text

    def say(self, text: str = "", style: str | None = None) -> None:
        """Write a paragraph."""
        for line in textwrap.wrap(text, self.width) or [""]:
            self.write(self.styled(line, style) if style else line)

    def quote(self, text: str) -> None:
        """Write lines as they are, set off from the text around them."""
        for line in text.splitlines():
            parts = textwrap.wrap(
                line,
                self.width,
                initial_indent=_INDENT,
                subsequent_indent=_INDENT + "  ",
                break_on_hyphens=False,
            )
            for part in parts or [""]:
                self.write(part)
        self.write()

    def write(self, line: str = "") -> None:
        """Write a line as it is."""
        print(line, file=self._out, flush=True)

    def progress(self, line: str, *, last: bool = False) -> None:
        """Show how far something is: in one line that moves, or in a new one each second."""
        if self._moves:
            line = line[: self.width - 1]
            # Blanks over what is longer in the line before.
            self._out.write("\r" + line.ljust(len(self._line)) + ("\n" if last else ""))
            self._out.flush()
            self._line = "" if last else line
        elif last or time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + 1.0
            self.write(line)

    def leave_line(self) -> None:
        """Go on below a line that was moving when it was interrupted."""
        if self._line:
            self.write()
            self._line = ""
