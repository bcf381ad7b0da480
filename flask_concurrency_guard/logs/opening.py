"""Open a log, packed or not, and take it in by chunks of whole lines."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from io import BufferedReader
from pathlib import Path
from typing import IO
from typing import Any
from typing import cast

from .errors import LogError
from .terminal import harmless

CHUNK = 1 << 17
"""So many bytes are read at once. More of them take more memory, and no less time."""

MakeFrame = Callable[[], Any]
"""Returns what unpacks one frame: the `decompressobj` of zlib and zstandard, say."""

LONGEST_LINE = 1 << 20
"""A longer line is no line of a log. It is left out, and counted as one that can't be read."""

STANDARD_INPUT = "-"

_GZIP = b"\x1f\x8b"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
# Not in an `if` of its own: a type checker would take what follows for unreachable.
_HAS_ZSTANDARD: bool = sys.version_info >= (3, 14)
_WITH_HEADER = 31
"""What tells zlib that there is gzip's header."""


class Source:
    """A log that is open.

    :param name: what to call it.
    :param raw: the file as it is stored.
    :param text: what is in it, unpacked.
    """

    def __init__(self, name: str, raw: IO[bytes], text: IO[bytes]) -> None:
        self.name = name
        self.ends_early = False
        """Whether it is packed, and its end is missing or broken."""
        self._raw = raw
        self._text = text

    def chunks(self, on_bytes: Callable[[int], object] | None = None) -> Iterator[bytes]:
        """Return what is in it: some lines at once, without the last one's end.

        :param on_bytes: called with how many bytes of the file were read by now, as it is stored.
        """
        rest = b""
        for block in self._text_blocks():
            if on_bytes is not None:
                on_bytes(self._position())
            end = block.rfind(b"\n")
            if end >= 0:
                yield rest + block[:end]
                rest = block[end + 1 :]
            elif len(rest) < LONGEST_LINE:
                rest += block
        if rest:
            yield rest

    def _text_blocks(self) -> Iterator[bytes]:
        # A log that was cut off while its writer went on begins with a hole, which reads as zeros.
        is_hole = True
        for block in self._blocks():
            if is_hole:
                block = block.lstrip(b"\0")
                is_hole = not block
                if b"\0" in block[:65536]:
                    raise LogError(f"'{self.name}' is a binary file, not a log.")
            yield block

    def _blocks(self) -> Iterator[bytes]:
        has_begun = False
        try:
            while block := self._text.read(CHUNK):
                yield block
                has_begun = True
        except OSError as error:
            raise LogError(f"'{self.name}' can't be read: {error.strerror}.") from error
        except Exception as error:
            # What unpacks Zstandard has an exception of its own, in each of two packages.
            is_broken = isinstance(error, EOFError | zlib.error)
            if not (is_broken or type(error).__name__ == "ZstdError"):
                raise
            if not has_begun:
                raise LogError(
                    f"'{self.name}' can't be unpacked: it is cut off or broken."
                ) from error
            self.ends_early = True

    def _position(self) -> int:
        try:
            return self._raw.tell()
        except OSError:
            return 0


@contextmanager
def open_log(name: str) -> Iterator[Source]:
    """Open a log: a file, plain or packed by gzip or Zstandard; or the standard input, `-`.

    By which it is packed, its first bytes tell: logs that were rotated have all kinds of names.

    :raises LogError: there is no such file, or it can't be unpacked.
    """
    if name == STANDARD_INPUT:
        yield _source("the standard input", sys.stdin.buffer)
        return
    # Names need not be UTF-8, and whoever may send files has chosen some.
    shown = harmless(os.fsencode(name).decode(errors="replace"))
    try:
        raw = Path(name).open("rb")  # noqa: SIM115
    except FileNotFoundError:
        raise LogError(f"'{shown}' doesn't exist.") from None
    except IsADirectoryError:
        raise LogError(f"'{shown}' is a folder. Name the files in it.") from None
    except OSError as error:
        raise LogError(f"'{shown}' can't be opened: {error.strerror}.") from error
    with raw:
        yield _source(shown, raw)


def size_of(names: Iterable[str]) -> int | None:
    """Return how many bytes there are to read, as they are stored; None where nobody knows."""
    try:
        return sum(Path(name).stat().st_size for name in names)
    except OSError:
        return None


def _source(name: str, raw: Any) -> Source:
    if not hasattr(raw, "peek"):  # A standard input that something has put in place of its own.
        raw = BufferedReader(raw)
    try:
        magic = raw.peek(4)[:4]
    except OSError as error:
        raise LogError(f"'{name}' can't be read: {error.strerror}.") from error
    if magic.startswith(_GZIP):
        make_frame: MakeFrame = partial(zlib.decompressobj, _WITH_HEADER)
    elif magic == _ZSTANDARD:
        make_frame = _zstandard(name)
    else:
        return Source(name, raw, raw)
    return Source(name, raw, cast("IO[bytes]", _Unpacked(raw, make_frame)))


def _zstandard(name: str) -> MakeFrame:
    if _HAS_ZSTANDARD:
        return cast("MakeFrame", import_module("compression.zstd").ZstdDecompressor)
    try:
        zstandard = import_module("zstandard")
    except ImportError:
        raise LogError(
            f"'{name}' is packed by Zstandard: 'pip install zstandard' to read it, or unpack it"
            f" on the way: zstdcat {name} | flask guard report -"
        ) from None
    return cast("MakeFrame", zstandard.ZstdDecompressor().decompressobj)


class _Unpacked:
    """Unpacks frames one by one: what reads a stream of them loses what is in front of a missing
    end, or doesn't tell that it is missing.
    """

    def __init__(self, raw: IO[bytes], make_frame: MakeFrame) -> None:
        self._raw = raw
        self._make_frame = make_frame
        self._frame: Any = None

    def read(self, size: int) -> bytes:
        """Return what a part of the file unpacks to: about as many bytes."""
        while True:
            packed = self._frame.unused_data if self._frame and self._frame.eof else b""
            packed = packed.lstrip(b"\0")  # With zeros some pad what they pack.
            packed = packed or self._raw.read(max(1, size // 16))
            if not packed:
                if self._frame and not self._frame.eof:
                    raise EOFError
                return b""
            if self._frame is None or self._frame.eof:
                self._frame = self._make_frame()
            if text := self._frame.decompress(packed):
                return bytes(text)
