"""Where the files are, and that nobody else can put one there."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import zlib
from pathlib import Path

from ..store import StoreError

MEMORY = Path("/dev/shm")
TEMPORARY = {Path("/tmp"), Path("/var/tmp"), Path("/usr/tmp")}


def default_folder() -> Path:
    """Return this user's folder, the same one for all processes of the host.

    In memory, where there is such a place: that is never full of other people's files, and the
    numbers mean nothing after a restart.

    :raises StoreError: there is no folder that could be written to.
    """
    try:
        parent = MEMORY if os.access(MEMORY, os.W_OK) else _temporary()
    except FileNotFoundError as error:
        raise StoreError(
            "No temporary folder can be written to. Name a folder by 'CONCURRENCY_GUARD_DIR'."
        ) from error
    return parent / f"flask-concurrency-guard-{os.geteuid()}"


def _temporary() -> Path:
    found = Path(tempfile.gettempdir())
    named = {Path(os.environ.get(name, "/tmp")) for name in ("TMPDIR", "TEMP", "TMP")}
    if found not in named | TEMPORARY and found == Path.cwd():
        # Its last resort. A process that was started elsewhere would have another one.
        raise FileNotFoundError
    return found


def default_name(import_name: str, root_path: str) -> str:
    """Return a file name for an app: the same in all its processes, and another for others.

    Many apps are called ``app``, so where they are counts as well.
    """
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", import_name).strip("._")[:64]
    return f"{readable or 'app'}-{zlib.crc32(os.fsencode(os.path.realpath(root_path))):08x}"


def make_private(folder: Path) -> None:
    """Make a folder that only this user can write to, where there is none.

    :raises StoreError: it can't be made, or there is one that isn't such.
    """
    try:
        _make(folder)
        found = folder.lstat()
    except OSError as error:
        raise StoreError(f"The folder '{folder}' can't be made ({error.strerror}).") from error
    _require_private(found, folder)


def require_private(folder: Path) -> None:
    """Require what `make_private` does of a folder that is there; make none, and leave it to the
    user whose it is to say more.

    :raises StoreError: it isn't such, or can't be made.
    """
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"The folder '{folder}' can't be made ({error.strerror}).") from error
    if not is_left_to_another_user(folder):
        _require_private(found, folder)


def _require_private(found: os.stat_result, folder: Path) -> None:
    if not stat.S_ISDIR(found.st_mode):
        raise StoreError(f"'{folder}' is not a folder. A link won't do; name what it leads to.")
    require_own(found, folder)


def _make(folder: Path) -> None:
    """Make a folder, and those it is in; not by Path.mkdir(), as others may write to what that
    makes besides, where the umask is 0.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def is_left_to_another_user(folder: Path) -> bool:
    """Return whether this process is root, who may still become the user to whom a folder belongs.

    Servers that load the app before they change the user do.
    """
    try:
        return os.geteuid() == 0 != folder.lstat().st_uid
    except OSError:
        return False


def require_own(found: os.stat_result, path: Path) -> None:
    """Require that nobody but this user can write to `path`.

    :raises StoreError: somebody can.
    """
    if found.st_uid != os.geteuid():
        raise StoreError(
            f"'{path}' belongs to another user, whose number is {found.st_uid}. Give it to the one"
            f" that serves ('chown {os.geteuid()}'), or remove it, or name another place by"
            " 'CONCURRENCY_GUARD_DIR'."
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StoreError(f"Others may write to '{path}'. Take that right away ('chmod go-w').")
