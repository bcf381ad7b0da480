"""Show a document on the standard output, as well as that can."""

from __future__ import annotations

import shutil
import sys
from typing import TextIO

from .document import Document
from .text import plain


def show(document: Document, stream: TextIO | None = None) -> None:
    """Write a document: by rich on a terminal, if it is there; else as plain text."""
    stream = sys.stdout if stream is None else stream
    is_ascii = not _has_blocks(stream)
    if stream.isatty() and not is_ascii:
        try:
            from rich.console import Console

            from .rich_text import show as show_by_rich
        except ImportError:
            pass
        else:
            show_by_rich(document, Console(file=stream))
            return
    width = shutil.get_terminal_size().columns
    stream.write(plain(document, width, is_ascii=is_ascii) + "\n")


def _has_blocks(stream: TextIO) -> bool:
    try:
        "─▁█·µ…".encode(stream.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True
