from __future__ import annotations

import gzip
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from log_support import entry
from log_support import logfmt
from log_support import report_of
from log_support import write

from flask_concurrency_guard.logs.errors import LogError
from flask_concurrency_guard.logs.opening import CHUNK
from flask_concurrency_guard.logs.opening import LONGEST_LINE
from flask_concurrency_guard.logs.opening import open_log

if sys.version_info >= (3, 14):
    from compression import zstd as zstandard
else:
    import zstandard

LINES = [logfmt(entry(number / 10)) for number in range(1000)]
TEXT = "".join(f"{line}\n" for line in LINES).encode()


PACKED = pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gz", "zst"])


def error_of(name: str) -> str:
    with pytest.raises(LogError) as caught:
        report_of(name)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("access.log", TEXT),
        ("access.log.2.gz", gzip.compress(TEXT)),
        ("access.log-20261129", gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:])),
        ("padded.gz", gzip.compress(TEXT) + bytes(512)),
        ("access.log.zst", zstandard.compress(TEXT)),
        ("two-frames.zst", zstandard.compress(TEXT[:1000]) + zstandard.compress(TEXT[1000:])),
    ],
)
def test_log_is_read_however_it_is_packed(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    read: list[int] = []
    with open_log(str(path)) as source:
        found = b"\n".join(source.chunks(read.append))

    assert found == TEXT[:-1]
    assert read[-1] == len(content)
    assert not source.ends_early


@PACKED
def test_packed_log_that_ends_early_is_read_as_far_as_it_goes(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    lines = [logfmt(entry(number, path=f"/{number**3 % 999983}")) for number in range(8000)]
    whole = pack("".join(f"{line}\n" for line in lines).encode())
    path = tmp_path / "x"
    path.write_bytes(whole[: len(whole) * 3 // 4])
    report = report_of(str(path))

    assert report.files[0].ends_early
    assert 0 < report.requests < 8000


@PACKED
def test_short_packed_log_that_ends_early_is_read_as_far_as_it_goes(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    # One whose text is less than what is read at once.
    text = TEXT[: CHUNK // 2]
    frames = pack(text) + pack(text)
    path = tmp_path / "x"
    path.write_bytes(frames[: len(frames) * 3 // 4])
    report = report_of(str(path))

    assert report.files[0].ends_early
    assert text.count(b"\n") <= report.requests < 2 * text.count(b"\n")


@PACKED
@pytest.mark.parametrize("how", ["cut", "broken"])
def test_packed_log_that_can_not_be_unpacked_is_told(
    how: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    packed = pack(TEXT)
    path = tmp_path / "x"
    path.write_bytes(packed[:9] if how == "cut" else packed[:4] + b"\xff" * 100)

    assert error_of(str(path)) == f"'{path}' can't be unpacked: it is cut off or broken."


def test_several_logs_are_read_as_one(tmp_path: Path) -> None:
    # As two workers write them, or as they were rotated.
    odd = write(tmp_path / "1.log", LINES[1::2])
    even = write(tmp_path / "2.log", LINES[-2::-2])
    report = report_of(odd, even)

    assert report.requests == 1000
    assert [file.lines for file in report.files] == [500, 500]
    assert report.traffic is not None
    assert report.traffic.seconds == pytest.approx(100.0)


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(TEXT))))

    assert report_of("-").requests == 1000


def test_missing_log_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.log"

    assert error_of(str(path)) == f"'{path}' doesn't exist."


def test_folder_is_told(tmp_path: Path) -> None:
    assert error_of(str(tmp_path)) == f"'{tmp_path}' is a folder. Name the files in it."


@pytest.mark.parametrize(
    "content",
    [b"", gzip.compress(b""), zstandard.compress(b""), bytes(1000)],
    ids=["plain", "gz", "zst", "hole"],
)
def test_empty_log_is_told_if_there_is_no_other_one(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(content)
    report = report_of(str(path), write(tmp_path / "x.log.1", LINES))

    assert error_of(str(path)) == f"'{path}' is empty."
    assert report.requests == 1000
    assert (report.files[0].name, report.files[0].lines) == (str(path), 0)


@pytest.mark.parametrize("size", [1, CHUNK, 3 * CHUNK + 1])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_hole_that_cutting_a_log_leaves_is_passed_over(
    pack: Callable[[bytes], bytes], size: int, tmp_path: Path
) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(pack(bytes(size) + TEXT))
    report = report_of(str(path))

    assert (report.requests, report.files[0].unread) == (1000, 0)


@pytest.mark.skipif(sys.platform == "darwin", reason="names are UTF-8 there")
def test_name_need_not_be_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.log")
    shown = f"{tmp_path}/caf\N{REPLACEMENT CHARACTER}.log"

    # ASCII, as a message about a failure must be UTF-8.
    assert ascii(error_of(name)) == ascii(f"'{shown}' doesn't exist.")
    assert ascii(report_of(write(Path(name), LINES)).files[0].name) == ascii(shown)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no such file")
def test_log_that_can_not_be_read_is_told() -> None:
    assert error_of("/proc/self/mem") == "'/proc/self/mem' can't be read: Input/output error."


@pytest.mark.parametrize("begin", [b"", bytes(CHUNK)], ids=["at-once", "after-zeros"])
def test_binary_file_is_told(begin: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(begin + b"\x7fELF\0\0" * 1000)

    assert error_of(str(path)) == f"'{path}' is a binary file, not a log."


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="it is in the standard library")
def test_what_is_missing_to_unpack_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.log.zst"
    path.write_bytes(zstandard.compress(TEXT))
    monkeypatch.setitem(sys.modules, "zstandard", None)

    assert error_of(str(path)) == (
        f"'{path}' is packed by Zstandard: 'pip install zstandard' to read it, or unpack it on the"
        f" way: zstdcat {path} | flask guard report -"
    )


def test_line_without_end_takes_no_memory_without_end(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(TEXT + b"x" * (4 * LONGEST_LINE) + b"\n" + TEXT)
    with open_log(str(path)) as source:
        longest = max(map(len, source.chunks()))
    report = report_of(str(path))

    assert longest < 2 * LONGEST_LINE
    assert (report.requests, report.files[0].unread) == (2000, 1)
