"""Write the tables of settings into the pages that show them: `make settings`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from flask_concurrency_guard.settings import PREFIX
from flask_concurrency_guard.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask_concurrency_guard.settings import Setting

ROOT = Path(__file__).parent.parent

# What most apps never touch. The settings page has it, and the page that each belongs to.
LEFT_OUT = re.compile(
    "algorithm.*|dir|store_timeout|lease_time|show_query|on_store_error|codel_.*|serve_gone"
    "|priorities|partition|json_(?!backend|style).*"
)
PAGES = {
    "README.md": [setting for setting in SETTINGS if not LEFT_OUT.fullmatch(setting.name)],
    "docs/configuration.md": list(SETTINGS),
}

_TABLE = re.compile(r"\| key \| default \| meaning \|\n(\|.*\n)+")


def table(settings: Iterable[Setting]) -> str:
    """Return the table as the pages show it."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for setting in settings:
        name = setting.key.removeprefix(PREFIX)
        rows.append(f"| `{name}` | `{setting.default!r}` | {setting.doc} |")
    return "\n".join(rows) + "\n"


def with_table(text: str, settings: Iterable[Setting]) -> str:
    """Return the text of a page with the table as it should be."""
    return _TABLE.sub(lambda found: table(settings), text, count=1)


if __name__ == "__main__":
    for page, settings in PAGES.items():
        path = ROOT / page
        path.write_text(with_table(path.read_text("utf-8"), settings), "utf-8")
