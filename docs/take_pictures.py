"""Take pictures of what the commands print on a terminal, for the pages: `make pictures`.

They are asked about the shop of `examples/shop`, on gunicorn with four workers, while clients come.
"""

from __future__ import annotations

import os
import pty
import random
import re
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from http.client import HTTPConnection
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
SHOP = HERE.parent / "examples" / "shop"
PORT = 8000
CLIENTS = 60
SECONDS = 20
COLUMNS = 92
REQUESTS = (
    *[("GET", "/")] * 8,
    *[("GET", "/suggestions")] * 4,
    *[("GET", "/api/items")] * 3,
    ("POST", "/checkout"),
    ("GET", "/reports/march"),
    ("GET", "/export"),
)
PICTURES = {
    "probe": (f"guard probe http://127.0.0.1:{PORT}/suggestions -n 100", 40),
    "check": ("guard check --server gunicorn --workers 4 --threads 16", 40),
    "config": ("guard config", 40),
    "status": ("guard status", 40),
    "report": ("guard report access.log", 70),
    "simulate": ("guard simulate access.log --limit 4 --limit 16 --limit adaptive", 40),
}
"""The arguments of `flask`, and how many lines to show at most."""


def main() -> None:
    """Take them."""
    with TemporaryDirectory() as folder:
        log = Path(folder, "access.log")
        with serving(log):
            for name in ("probe", "check", "config"):
                take(name, folder)
            with coming():
                time.sleep(SECONDS)
                take("status", folder)
        for name in ("report", "simulate"):
            take(name, folder)


def environment() -> dict[str, str]:
    """Return the settings of the shop, the server's and the commands'."""
    headers = '{"process_id": "X-Process-Id", "thread_id": "X-Thread-Id"}'
    settings = {"STATUS": "true", "ACCESS_LOG": "logfmt", "NAME": "shop", "HEADERS": headers}
    prefixed = {f"FLASK_CONCURRENCY_GUARD_{key}": value for key, value in settings.items()}
    return {**os.environ, **prefixed, "FLASK_APP": "app", "PYTHONPATH": str(SHOP)}


@contextmanager
def serving(log: Path) -> Iterator[None]:
    """Have the shop served, with its access log in a file."""
    command = [sys.executable, "-m", "gunicorn", "--threads=16", "--workers=4", "app:app"]
    with log.open("wb") as file:
        server = subprocess.Popen(command, env=environment(), stdout=file, stderr=file)
    try:
        while not ask("GET", "/healthz"):
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait()


@contextmanager
def coming() -> Iterator[None]:
    """Have clients come, more and more of them, and then less."""
    over = threading.Event()

    def come(late: float) -> None:
        time.sleep(late)
        while not over.is_set():
            ask(*random.choice(REQUESTS))
            time.sleep(random.random() / 2)

    threads = [
        threading.Thread(target=come, args=(number * SECONDS / 2 / CLIENTS,))
        for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()


def ask(method: str, path: str) -> bool:
    """Send a request. Return whether there was an answer."""
    connection = HTTPConnection("127.0.0.1", PORT, timeout=10)
    with suppress(OSError, HTTPException):
        connection.request(method, path)
        connection.getresponse().read()
        return True
    return False


def take(name: str, folder: str) -> None:
    """Run a command on a terminal, and save what it looks like."""
    arguments, lines = PICTURES[name]
    printed = on_terminal(["flask", *arguments.split()], folder).rstrip().split("\n")
    shown = [*printed[:lines], *(["…"] if len(printed) > lines else [])]
    console = Console(record=True, width=COLUMNS, file=Path(os.devnull).open("w"))  # noqa: SIM115
    console.print(Text.from_ansi("\n".join(shown)))
    picture = console.export_svg(title=f"flask {arguments}")
    # Nothing is loaded from elsewhere: any monospaced font will do.
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    (HERE / "pictures" / f"{name}.svg").write_text(picture, "utf-8")


def on_terminal(command: list[str], folder: str) -> str:
    """Return what a command prints on a terminal, colours and all."""
    terminal, its_end = pty.openpty()
    termios.tcsetwinsize(its_end, (200, COLUMNS))
    command[0] = str(Path(sys.executable).with_name(command[0]))
    environ = {**environment(), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command, cwd=folder, env=environ, stdin=its_end, stdout=its_end, stderr=its_end
    )
    os.close(its_end)
    printed = b""
    with suppress(OSError):  # That is how its end is told.
        while block := os.read(terminal, 65536):
            printed += block
    os.close(terminal)
    process.wait()
    return printed.decode().replace("\r\n", "\n")


if __name__ == "__main__":
    main()
