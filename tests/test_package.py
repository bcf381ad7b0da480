"""What the project says of itself is true."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import flask_concurrency_guard

NAME = "Flask-Concurrency-Guard"
ROOT = Path(__file__).resolve().parent.parent
PYTHONS = re.compile(r"^Programming Language :: Python :: (3\.\d+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def declared() -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    assert parser.read(ROOT / "setup.cfg", "utf-8")
    return parser


def test_installed_version_is_the_declared_one(declared: ConfigParser) -> None:
    assert Version(distribution(NAME).version) == Version(declared["metadata"]["version"])


def test_only_the_package_is_installed() -> None:
    assert (distribution(NAME).read_text("top_level.txt") or "").split() == [
        flask_concurrency_guard.__name__
    ]


def test_types_are_shipped() -> None:
    assert Path(flask_concurrency_guard.__file__).with_name("py.typed").is_file()


def test_installed_extras_are_the_declared_ones(declared: ConfigParser) -> None:
    installed = distribution(NAME).metadata.get_all("Provides-Extra")

    assert set(installed or ()) == set(declared["options.extras_require"])


def test_extra_all_is_all_the_others(declared: ConfigParser) -> None:
    extras = dict(declared["options.extras_require"])

    assert Requirement(extras.pop("all")).extras == set(extras)


def test_pythons_that_are_claimed_are_tested(declared: ConfigParser) -> None:
    claimed = PYTHONS.findall(declared["metadata"]["classifiers"])
    tested = re.search(r"^VERSIONS = (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)

    assert tested is not None
    assert claimed == tested[1].split()
    assert declared["options"]["python_requires"] == f">={claimed[0]}"


def extras_named(text: str) -> set[str]:
    """Return the extras of every ``flask-concurrency-guard[a,b]`` in a text."""
    found = re.findall(r"flask[-_]concurrency[-_]guard\[([^\]]*)\]", text, re.IGNORECASE)
    return {extra.strip() for extras in found for extra in extras.split(",")}


def pages() -> list[Path]:
    readme = ROOT / "README.md"
    return [*([readme] if readme.exists() else []), *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_extras_named_in_the_docs_exist(page: Path, declared: ConfigParser) -> None:
    assert extras_named(page.read_text("utf-8")) <= set(declared["options.extras_require"])


def test_extras_named_in_a_text_are_found() -> None:
    text = "`pip install 'Flask-Concurrency-Guard[redis, cli]'` or flask_concurrency_guard[otel]"

    assert extras_named(text) == {"redis", "cli", "otel"}


# Folders that are somebody's own machine. What follows must look like a name: a route such as
# '/home/<name>' in an example is none.
MACHINE_PATH = re.compile(r"(?<![\w.~])/(?:home|root|Users|work)/(?=[\w.])[^\s'\"`)]*")


def machine_paths(text: str) -> list[str]:
    return MACHINE_PATH.findall(text)


def is_generated(path: Path) -> bool:
    return any(
        (folder.startswith(".") and folder != ".ci")
        or folder.endswith(".egg-info")
        or folder in {"__pycache__", "_build", "build", "dist"}
        for folder in path.relative_to(ROOT).parts[:-1]
    )


def project_files() -> list[Path]:
    """Return the files that git knows or would take in, or where it can't tell, as in an unpacked
    sdist, all that look written by hand.
    """
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    paths = [path for path in ROOT.rglob("*") if not is_generated(path)]
    if (ROOT / ".git").exists() and shutil.which("git"):
        found = subprocess.run(listing, cwd=ROOT, capture_output=True, check=False, text=True)
        if found.returncode == 0:
            paths = [ROOT / name for name in found.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_no_file_tells_of_the_machine_it_was_written_on() -> None:
    files = project_files()
    told = {
        path.relative_to(ROOT).as_posix(): found
        for path in files
        if (found := machine_paths(path.read_text("utf-8", errors="replace")))
    }

    assert ROOT / "setup.cfg" in files
    assert told == {}


@pytest.mark.parametrize("folder", ["home", "root", "Users", "work"])
def test_machine_path_is_found(folder: str) -> None:
    path = f"/{folder}/me/project"

    assert machine_paths(f"see '{path}' there") == [path]


@pytest.mark.parametrize(
    "text",
    ["http://localhost/home/page", "@app.get('/work/<int:number>')", "the work/life balance"],
)
def test_what_is_no_machine_path_is_not_taken_for_one(text: str) -> None:
    assert machine_paths(text) == []


IN_A_ZIP = """
import sys
sys.path.insert(0, sys.argv[1])
from flask import Flask
from flask_concurrency_guard import ConcurrencyGuard, __file__ as file
app = Flask("app")
app.config.update(CONCURRENCY_GUARD_STATUS_PATH="/_guard", CONCURRENCY_GUARD_STATUS_TOKEN="x" * 16)
ConcurrencyGuard(app)
assert file.startswith(sys.argv[1]), file
client = app.test_client()
for path in ("", "/page.css", "/page.js", "/icon.svg"):
    print(client.get(f"/_guard{path}", headers={"Authorization": f"Bearer {'x' * 16}"}).status)
"""


def test_it_runs_out_of_a_zip(tmp_path: Path) -> None:
    package = Path(flask_concurrency_guard.__file__).parent
    path = tmp_path / "app.zip"
    with ZipFile(path, "w") as archive:
        for file in package.rglob("*"):
            if file.suffix not in (".so", ".pyd", ".pyc"):
                archive.write(file, file.relative_to(package.parent))
    # Not where the package is: its folder would come first.
    told = subprocess.run(
        [sys.executable, "-c", IN_A_ZIP, str(path)], cwd=tmp_path, capture_output=True, text=True
    )
    assert (told.stdout, told.stderr) == ("200 OK\n" * 4, "")
