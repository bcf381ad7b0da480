"""No patch of `json` elsewhere in the program changes what the provider does, and each is reported.

What it changes is seen in an interpreter that is patched before this package is imported, or after.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

import flask_concurrency_guard
from flask_concurrency_guard import ConcurrencyGuard
from flask_concurrency_guard.json import find_patches
from flask_concurrency_guard.json import patches
from flask_concurrency_guard.json.attach import install
from flask_concurrency_guard.json.patches import report_patches

SOURCE = str(Path(flask_concurrency_guard.__file__).parents[1])

PROGRAM = r"""
import dataclasses, datetime, decimal, sys, uuid
import json as genuine

if forget:
    # As if the standard library's had never been imported.
    for name in [name for name in sys.modules if name.partition(".")[0] == "json"]:
        del sys.modules[name]
if early:
    exec(patch, {})
import flask
from flask_concurrency_guard.json.attach import install
from flask_concurrency_guard.errors import ConcurrencyGuardError
if not early:
    exec(patch, {})

app = flask.Flask("patched", static_folder=None)
app.secret_key = "secret"
if guarded:
    install(app, backend)

@dataclasses.dataclass
class Row:
    b: float
    a: decimal.Decimal

@app.post("/echo")
def echo():
    flask.session["seen"] = (1, "\u00e9")
    return flask.jsonify(flask.request.get_json())

@app.get("/template")
def template():
    assert flask.session.get("seen", (1, "\u00e9")) == (1, "\u00e9")
    return flask.render_template_string("{{ v|tojson(indent=1) }}", v=["</", {"a": 1.10}])

def report(name, call):
    try:
        result = call()
    except Exception as error:
        kinds = ConcurrencyGuardError, ValueError, TypeError
        names = [kind.__name__ for kind in kinds if isinstance(error, kind)]
        result = names, str(error), getattr(error, "pos", None)
    print(name, repr(result))

dumps, loads, nan = app.json.dumps, app.json.loads, float("nan")
value = {"b": ["/\u00e9", nan, -nan, float("inf"), 1e22, 2**70], "a": {nan: None}}
number = decimal.Decimal("0.12345678901234567890")
special = [number, uuid.UUID(int=1), Row(nan, number), datetime.date(2024, 1, 2)]
cycle = []
cycle.append(cycle)
compact = {"indent": None, "separators": (",", ":"), "sort_keys": False}
for options in ({}, compact, {"indent": 2}):
    report("dumps", lambda: dumps(value, **options))
    report("special", lambda: dumps(special, **options))
    report("cycle", lambda: dumps(cycle, **options))
    report("object", lambda: dumps(object(), **options))
report("text", lambda: dumps("/\u00e9\ud800"))
report("not ascii", lambda: dumps(["/\u00e9"], ensure_ascii=False))
report("class", lambda: dumps({}, **compact, cls=genuine.JSONEncoder))

for document in (
    '[1.10, 1e5, 12345678901234567890123, "\\ud83d\\ude00", {"a": null}]', b"[1]",
    "[NaN]", "[-Infinity]", "1e999", "9" * 5000, "[" * 100000, b'"\xff"',
    "[1, 2", '{"a" 1}', '"a', "[1] 2", "", "tru",
):
    report("loads", lambda: loads(document))
report("hooks", lambda: loads('{"a": 1.5}', object_hook=list, parse_float=str))

client = app.test_client()
for body in (b'{"a": "\\u00e9", "b": 0.1}', b"[NaN]", b"[", b"[" * 100000):
    response = client.post("/echo", data=body, content_type="application/json")
    print("echo", response.status_code, response.status_code == 200 and response.get_data())
report("template", lambda: client.get("/template").get_data())
report("client", lambda: client.post("/echo", json=[number]).json)
"""

LIBRARIES = {
    "simplejson": "import simplejson as library",
    "ujson": "import ujson as library",
    "orjson": "import orjson as library",
    "msgspec": "import msgspec.json as library\nlibrary.dumps = library.encode\n"
    "library.loads = library.decode",
}
AS_MODULE = "\nimport sys; sys.modules['json'] = library"
AS_ATTRIBUTES = "\nimport json; json.dumps = library.dumps; json.loads = library.loads"


def run(
    patch: str,
    *,
    early: bool,
    forget: bool = False,
    guarded: bool = True,
    backend: str = "stdlib",
) -> str:
    settings = (
        f"patch, early, forget, guarded = {patch!r}, {early}, {forget}, {guarded}\n"
        f"backend = {backend!r}"
    )
    result = subprocess.run(
        [sys.executable, "-P", "-c", f"{settings}\n{PROGRAM}"],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


@functools.cache
def unpatched(*, guarded: bool = True) -> str:
    return run("", early=True, guarded=guarded)


def test_program_reports_what_is_right() -> None:
    """What the tests below compare with."""
    lines = unpatched().splitlines()

    assert lines[0] == (
        r"""dumps '{"a": {"NaN": null}, "b": ["/\\u00e9", null, null, null, 1e+22,"""
        """ 1180591620717411303424]}'"""
    )
    assert "class '{}'" in lines
    assert lines.count("echo 400 False") == 3
    assert (
        "loads (['ConcurrencyGuardError', 'ValueError'],"
        """ "'NaN' is not JSON, send null or a finite number: line 1 column 2 (char 1)", 1)"""
    ) in lines


@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("way", [AS_MODULE, AS_ATTRIBUTES], ids=["module", "attributes"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_other_library_in_place_of_json_changes_nothing(
    library: str, way: str, early: bool
) -> None:
    pytest.importorskip(library)

    assert run(LIBRARIES[library] + way, early=early) == unpatched()


def test_program_reports_the_same_on_every_backend(backend: str) -> None:
    assert run("", early=True, backend=backend) == unpatched()


@pytest.mark.parametrize("way", [AS_MODULE, AS_ATTRIBUTES], ids=["module", "attributes"])
def test_other_library_in_place_of_json_changes_nothing_on_any_backend(
    way: str, backend: str
) -> None:
    pytest.importorskip("ujson")

    assert run(LIBRARIES["ujson"] + way, early=True, backend=backend) == unpatched()


@pytest.mark.parametrize("library", LIBRARIES)
def test_other_library_where_json_was_never_imported_changes_nothing(library: str) -> None:
    """There is no `json.decoder` then from which the scanner in C could take its error."""
    pytest.importorskip(library)

    assert run(LIBRARIES[library] + AS_MODULE, early=True, forget=True) == unpatched()


@pytest.mark.parametrize("library", LIBRARIES)
def test_other_library_changes_flasks_own_provider(library: str) -> None:
    """The control: the patches of the tests above do something."""
    pytest.importorskip(library)
    patched = run(LIBRARIES[library] + AS_ATTRIBUTES, early=False, guarded=False)

    assert patched != unpatched(guarded=False)


@pytest.mark.parametrize("library", LIBRARIES)
def test_error_is_the_one_that_modules_imported_earlier_know(library: str) -> None:
    pytest.importorskip(library)
    program = f"""
from json import JSONDecodeError
{LIBRARIES[library] + AS_MODULE}
from flask_concurrency_guard.json import InvalidJSONError
assert issubclass(InvalidJSONError, JSONDecodeError)
"""
    result = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr


PATCHED_ENCODE = "json.JSONEncoder.iterencode = lambda self, o, _one_shot=False: iter(['patched'])"
PATCHED_DECODE = "json.JSONDecoder.decode = lambda self, s: 'patched'"
PATCHES = [
    PATCHED_ENCODE,
    "json.JSONEncoder.default = lambda self, o: 'patched'",
    "json.JSONEncoder.encode = lambda self, o: 'patched'",
    "json.JSONEncoder.__init__ = lambda self, **options: None",
    "json.JSONEncoder = json.encoder.JSONEncoder = None",
    "json.encoder.c_make_encoder = None; json.encoder.INFINITY = 1.0",
    "json.encoder.c_make_encoder = json.encoder._make_iterencode = None",
    "json.encoder.encode_basestring_ascii = lambda text: 'patched'",
    "json.encoder.ESCAPE_DCT['/'] = 'patched'",
    PATCHED_DECODE,
    "json.JSONDecoder.raw_decode = lambda self, s, idx=0: ('patched', len(s))",
    "json.JSONDecoder = json.decoder.JSONDecoder = None",
    "json._default_decoder.decode = lambda s: 'patched'",
    "json.decoder._CONSTANTS.clear()",
    "json.decoder.scanstring = json.decoder.py_scanstring = lambda *_: ('patched', 0)",
    "json.scanner.make_scanner = json.scanner.py_make_scanner = None",
    "json.decoder.JSONDecodeError = json.JSONDecodeError = KeyError",
    "json.decoder.JSONDecodeError = json.JSONDecodeError = None",
    "del json.decoder.JSONDecodeError",
    "import sys; sys.modules['json.decoder'] = None",
    "import sys; del sys.modules['json'], sys.modules['json.decoder']",
]


@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("patch", PATCHES)
def test_patched_parts_of_json_change_nothing(patch: str, early: bool) -> None:
    assert run(f"import json; {patch}", early=early) == unpatched()


@pytest.mark.parametrize("patch", [PATCHED_ENCODE, PATCHED_DECODE])
def test_patched_parts_of_json_change_flasks_own_provider(patch: str) -> None:
    """The control: the patches of the test above do something."""
    patched = run(f"import json; {patch}", early=False, guarded=False)

    assert patched != unpatched(guarded=False)


def test_frozen_program_without_the_files_of_json_uses_the_shared_modules() -> None:
    assert run("import os; os.__file__ = '/nowhere/os.py'", early=True) == unpatched()


def own(*args: object, **options: object) -> str:
    return "own"


class OwnEncoder(json.JSONEncoder):
    pass


REPLACED = [
    pytest.param("json.dumps", own, f"{__name__}.own", id="function"),
    pytest.param("json.loads", functools.partial(own), "functools.partial", id="partial"),
    pytest.param("json.load", None, "builtins.NoneType", id="None"),
    pytest.param("json.JSONEncoder", OwnEncoder, f"{__name__}.OwnEncoder", id="class"),
    pytest.param("json.JSONDecodeError", KeyError, "builtins.KeyError", id="error"),
    pytest.param("json.encoder.JSONEncoder.default", own, f"{__name__}.own", id="default"),
    pytest.param("json.encoder.JSONEncoder.encode", own, f"{__name__}.own", id="encode"),
    pytest.param("json.encoder.JSONEncoder.iterencode", own, f"{__name__}.own", id="iterencode"),
    pytest.param("json.decoder.JSONDecoder.decode", own, f"{__name__}.own", id="decode"),
]


def test_nothing_is_found_where_nothing_is_patched() -> None:
    assert find_patches() == []


@pytest.mark.parametrize(("name", "part", "origin"), REPLACED)
def test_patched_part_is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, part: object, origin: str
) -> None:
    monkeypatch.setattr(name, part)

    assert find_patches() == [f"'{name}' is '{origin}'"]


@pytest.mark.parametrize("library", ["simplejson", "ujson", "orjson"])
def test_attributes_of_another_library_are_found(
    monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    module = pytest.importorskip(library)
    monkeypatch.setattr(json, "dumps", module.dumps)
    monkeypatch.setattr(json, "loads", module.loads)

    assert find_patches() == [
        f"'json.dumps' is '{library}.dumps'",
        f"'json.loads' is '{library}.loads'",
    ]


@pytest.mark.parametrize("library", ["simplejson", "ujson", "orjson", "msgspec.json"])
def test_module_in_place_of_json_is_found(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    module = pytest.importorskip(library)
    monkeypatch.setitem(sys.modules, "json", module)

    assert find_patches() == [f"'json' is '{library}'"]


@pytest.mark.parametrize("name", ["json", "json.decoder"])
def test_missing_module_is_no_patch(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delitem(sys.modules, name)

    assert find_patches() == []


@pytest.fixture
def nothing_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "_reported", set())


def warning(*phrases: str) -> tuple[str, int, str]:
    return (
        "flask_concurrency_guard.json",
        logging.WARNING,
        f"Something replaced parts of the standard library's json: {', '.join(phrases)}."
        " 'app.json' does not use these and goes on unchanged; other code in this process may"
        " break.",
    )


@pytest.mark.usefixtures("nothing_reported")
def test_patch_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(json, "dumps", own)
    report_patches()
    report_patches()
    monkeypatch.setattr(json, "loads", own)
    report_patches()

    assert caplog.record_tuples == [
        warning(f"'json.dumps' is '{__name__}.own'"),
        warning(f"'json.loads' is '{__name__}.own'"),
    ]


@pytest.mark.usefixtures("nothing_reported")
def test_nothing_is_reported_where_nothing_is_patched(caplog: pytest.LogCaptureFixture) -> None:
    report_patches()

    assert caplog.record_tuples == []


@pytest.mark.usefixtures("nothing_reported")
def test_installing_reports_patches(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(json, "dumps", own)
    for name in ("first", "second"):
        install(Flask(name, static_folder=None), "stdlib")

    assert caplog.record_tuples == [warning(f"'json.dumps' is '{__name__}.own'")]


@pytest.mark.usefixtures("nothing_reported")
def test_patch_that_comes_after_the_setup_is_reported_at_the_first_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = Flask("late", static_folder=None)
    ConcurrencyGuard(app)
    assert caplog.record_tuples == []

    monkeypatch.setattr(json, "dumps", own)
    for _ in range(2):
        app.test_client().get("/")

    assert caplog.record_tuples == [warning(f"'json.dumps' is '{__name__}.own'")]
