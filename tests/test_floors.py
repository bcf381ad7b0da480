"""The folders of the package are floors, and imports only point down."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import flask_concurrency_guard

PACKAGE = "flask_concurrency_guard"
SOURCE = Path(flask_concurrency_guard.__file__).parent


class Floor(NamedTuple):
    modules: frozenset[str]
    forbidden: frozenset[str]


def floor(*modules: str, forbidden: str = "") -> Floor:
    return Floor(frozenset(modules), frozenset(forbidden.split()))


# From the top down. What is forbidden is what the floor must do without: anyone's WSGI app can
# use wsgi/, any Python program core/. The errors are HTTP's and tell of a core Rejection, so core,
# which knows no HTTP, can't lie above them.
FLOORS = (
    floor("cli"),
    floor("testing"),
    floor(
        "__init__",
        "extension",
        "apps",
        "state",
        "first_look",
        "settings",
        "values",
        "limits",
        "limit_settings",
        "stores",
        "tuners",
        "effects",
        "matching",
        "places",
        "shown",
        "status",
        "through_flask",
    ),
    floor("json", "web"),
    floor("logs", forbidden="flask click"),
    floor("wsgi", forbidden="flask"),
    floor("observe", forbidden="flask"),
    floor("errors", forbidden="flask"),
    floor("core", forbidden="flask werkzeug blinker"),
    floor("complaints", "exits", "signals", "standard_json", "tags", forbidden="flask"),
)
DEPTHS = {module: depth for depth, floor in enumerate(FLOORS) for module in floor.modules}


def imported_names(path: Path, tree: ast.Module) -> list[tuple[int, str]]:
    """Return the line and the absolute dotted name of everything a file of the package imports,
    wherever it stands: an import within a function or for types only couples just as much.
    """
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = (PACKAGE, *path.parent.parts)
                home = parents[: len(parents) - node.level + 1]
                base = ".".join((*home, *filter(None, [base])))
            names += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return names


def violations(path: Path, source: str, depths: dict[str, int] = DEPTHS) -> list[str]:
    """Check one file, given its path within the package."""
    module = path.parts[0].removesuffix(".py")
    if module not in depths:
        return [f"{path}: '{module}' has no floor yet. Give it one in FLOORS."]
    depth = depths[module]
    found = []
    for line, name in imported_names(path, ast.parse(source)):
        top, _, rest = name.partition(".")
        if top in FLOORS[depth].forbidden:
            found.append(f"{path}:{line}: '{module}' must do without '{top}'.")
        if top != PACKAGE:
            continue
        # What isn't a module is one of the names that __init__ gathers from everywhere.
        target = rest.partition(".")[0]
        target = target if target in depths else "__init__"
        if depths[target] < depth:
            found.append(f"{path}:{line}: '{module}' imports '{target}', which is above it.")
    return found


def package_files() -> list[Path]:
    return sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))


def test_there_is_something_to_check() -> None:
    assert Path("__init__.py") in package_files()


@pytest.mark.parametrize("path", package_files(), ids=str)
def test_imports_only_point_down(path: Path) -> None:
    assert violations(path, (SOURCE / path).read_text("utf-8")) == []


IMPORT_WITHOUT_FLASK = """
import importlib, pkgutil, sys, types

name, source, module, *blocked = sys.argv[1:]
# The package's own __init__ is the top floor: an empty one stands in for it.
package = sys.modules[name] = types.ModuleType(name)
package.__path__ = [source]
for other in blocked:
    sys.modules[other] = None

imported = importlib.import_module(f"{name}.{module}")
for info in pkgutil.walk_packages(getattr(imported, "__path__", ()), f"{imported.__name__}."):
    importlib.import_module(info.name)
"""


def lower_modules() -> list[str]:
    return sorted(
        module
        for module, depth in DEPTHS.items()
        if FLOORS[depth].forbidden
        and ((SOURCE / module / "__init__.py").exists() or (SOURCE / f"{module}.py").exists())
    )


def import_alone(source: Path, module: str) -> subprocess.CompletedProcess[str]:
    blocked = FLOORS[DEPTHS[module]].forbidden
    return subprocess.run(
        [sys.executable, "-c", IMPORT_WITHOUT_FLASK, PACKAGE, str(source), module, *blocked],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("module", lower_modules())
def test_lower_floor_can_be_imported_alone(module: str) -> None:
    result = import_alone(SOURCE, module)

    assert result.returncode == 0, result.stderr


# The tests from here on are about the checks themselves.


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        pytest.param(
            "core/limiter.py",
            "from ..wsgi import tags",
            "core/limiter.py:1: 'core' imports 'wsgi', which is above it.",
            id="relative",
        ),
        pytest.param(
            "core/algorithms/vegas.py",
            "from ...wsgi.tags import tag",
            "core/algorithms/vegas.py:1: 'core' imports 'wsgi', which is above it.",
            id="relative-from-a-sub-folder",
        ),
        pytest.param(
            "core/__init__.py",
            "\nimport flask_concurrency_guard.json.provider",
            "core/__init__.py:2: 'core' imports 'json', which is above it.",
            id="absolute",
        ),
        pytest.param(
            "errors.py",
            "from . import extension",
            "errors.py:1: 'errors' imports 'extension', which is above it.",
            id="module-of-the-package",
        ),
        pytest.param(
            "wsgi/middleware.py",
            "from flask_concurrency_guard import ConcurrencyGuard",
            "wsgi/middleware.py:1: 'wsgi' imports '__init__', which is above it.",
            id="public-name",
        ),
        pytest.param(
            "wsgi/middleware.py",
            "def late():\n    from flask.globals import request",
            "wsgi/middleware.py:2: 'wsgi' must do without 'flask'.",
            id="flask-in-a-function",
        ),
        pytest.param(
            "core/limiter.py",
            "if TYPE_CHECKING:\n    import werkzeug.exceptions",
            "core/limiter.py:2: 'core' must do without 'werkzeug'.",
            id="werkzeug-for-types",
        ),
        pytest.param(
            "attic/limiter.py",
            "",
            "attic/limiter.py: 'attic' has no floor yet. Give it one in FLOORS.",
            id="unknown-floor",
        ),
    ],
)
def test_import_that_points_up_is_found(path: str, source: str, complaint: str) -> None:
    assert violations(Path(path), source) == [complaint]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        pytest.param("extension.py", "from .wsgi import GuardMiddleware", id="down"),
        pytest.param("__init__.py", "from .errors import GuardFull", id="from-the-top"),
        pytest.param("json/provider.py", "import json\nimport flask", id="flask-where-it-may"),
        pytest.param("core/limiter.py", "from .lease import Lease", id="same-folder"),
        pytest.param("core/algorithms/vegas.py", "from ..lease import Lease", id="same-floor"),
        pytest.param("core/limiter.py", "import flask_limiter", id="other-package-of-like-name"),
    ],
)
def test_import_that_points_down_is_fine(path: str, source: str) -> None:
    assert violations(Path(path), source) == []


def test_module_that_needs_flask_can_not_be_imported_alone(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core/__init__.py").touch()
    (tmp_path / "core/deep.py").write_text("import flask", "utf-8")

    result = import_alone(tmp_path, "core")

    assert result.returncode == 1
    assert "import of flask halted" in result.stderr
