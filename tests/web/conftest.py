"""A real browser, and a real server with the status page in it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import BaseWSGIServer
from werkzeug.serving import make_server

from flask_concurrency_guard import ConcurrencyGuard

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page

TOKEN = "correct-horse-battery"
PATIENCE = 20_000
"""How many milliseconds anything may take that must happen."""
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip


class Shop:
    """An app that is served, and whose requests wait until the test lets them go."""

    def __init__(self, folder: Path, **config: object) -> None:
        self.app = Flask("shop")
        self.app.config.update(
            CONCURRENCY_GUARD_LIMIT=2,
            CONCURRENCY_GUARD_MAX_QUEUE=0,
            CONCURRENCY_GUARD_DIR=str(folder),
            CONCURRENCY_GUARD_NAME="shop",
            CONCURRENCY_GUARD_STATUS_PATH="/_guard",
            CONCURRENCY_GUARD_STATUS_TOKEN=TOKEN,
            **config,
        )
        self.guard = ConcurrencyGuard(self.app)
        self.gate = threading.Event()

        @self.app.get("/<path:path>")
        def view(path: str) -> str:
            if path.startswith("wait"):
                self.gate.wait(30)
            return path

        self._server: BaseWSGIServer | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._server = make_server("127.0.0.1", self._port, self.app, threaded=True)
        self._port = self._server.port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@pytest.fixture
def config() -> dict[str, object]:
    """What a test sets besides."""
    return {}


@pytest.fixture
def shop(tmp_path: Path, config: dict[str, object]) -> Iterator[Shop]:
    shop = Shop(tmp_path, **config)
    yield shop
    shop.gate.set()
    shop.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium here")
    playwright.expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


class Visit:
    """Opens pages, and notes what goes wrong in them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.wrong: list[str] = []

    def __call__(
        self, url: str, width: int = 1120, *, with_clock: bool = False, **options: Any
    ) -> Page:
        context = self._browser.new_context(
            viewport={"width": width, "height": 800},
            http_credentials={"username": "me", "password": TOKEN},
            **options,
        )
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda message: self._note(message.type, message.text))
        if with_clock:
            page.clock.install()  # It goes as clocks do, and jumps when the test says so.
        page.goto(url)
        return page

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.wrong.append(text)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    yield Visit(browser)
    for context in browser.contexts:
        context.close()
