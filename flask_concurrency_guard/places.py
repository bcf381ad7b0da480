"""Where the processes of an app meet: in a folder, by what the app is called there."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from .core.host.folder import default_folder
from .core.host.folder import default_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

    from .settings import Settings


def place_finder(app: Flask, settings: Settings) -> Callable[[], tuple[Path, str]]:
    """Return what returns the folder and the name.

    Only when they are needed: a server may change the user, and with it the folder, once it has
    loaded the app. It keeps no reference to the app.
    """
    return partial(_find_place, settings, _imported_as(app), app.root_path)


def _find_place(settings: Settings, import_name: str, root_path: str) -> tuple[Path, str]:
    return settings.dir or default_folder(), settings.name or default_name(import_name, root_path)


def _imported_as(app: Flask) -> str:
    """Return by what name the app would be imported, also where it is a script that was started."""
    if app.import_name != "__main__":
        return app.import_name
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    # Of `python -m shop.app`. Of `python app.py`, Flask knows the name of the file; so it does
    # where a profiler runs it, which is a module itself.
    is_module = spec is not None and spec.origin == getattr(main, "__file__", None)
    return str(spec.name) if spec is not None and is_module else app.name
