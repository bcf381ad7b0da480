"""No patch of `json` elsewhere in the program changes what the provider does.

Each case is a fresh interpreter: that of the patch, before or after this package is imported.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

import flask_concurrency_guard

SOURCE = str(Path(flask_concurrency_guard.__file__).parents[1])

PROGRAM = """
import dataclasses, datetime, decimal, sys, traceback, uuid
import json as genuine
if {forget}:
    # As if the standard library's had never been imported before.
    for name in [name for name in sys.modules if name.partition(".")[0] == "json"]:
        del sys.modules[name]

def patch():
{patch}

if {early}:
    patch()
import flask
import flask_concurrency_guard.json as safe_json
from flask_concurrency_guard.errors import ConcurrencyGuardError
if not {early}:
    patch()

app = flask.Flask("patched", static_folder=None)
app.secret_key = "secret"
if {guarded}:
    safe_json.install(app, "stdlib")

@dataclasses.dataclass
class Row:
    b: float
    a: decimal.Decimal

@app.post("/echo")
def echo():
    flask.session["seen"] = (1, "\\u00e9")
    return flask.jsonify(flask.request.get_json())

@app.get("/template")
def template():
    assert flask.session.get("seen", (1, "\\u00e9")) == (1, "\\u00e9")
    return flask.render_template_string("{{{{ v|tojson(indent=1) }}}}", v=["</", {{"a": 1.10}}])

def try_it(name, call):
    try:
        result = call()
    except Exception as error:
        kinds = [kind.__name__ for kind in (ConcurrencyGuardError, ValueError, TypeError)
                 if isinstance(error, kind)]
        result = (kinds, str(error), getattr(error, "pos", None))
    print(name, repr(result))

nan = float("nan")
value = {{"b": ["/\\u00e9", nan, -nan, float("inf"), 1e22, 2**70], "a": {{nan: None}}}}
special = [decimal.Decimal("0.12345678901234567890"), uuid.UUID(int=1), Row(nan, decimal.Decimal(1))]
cycle = []
cycle.append(cycle)
client = app.test_client()
for options in ({{}}, {{"indent": None, "separators": (",", ":"), "sort_keys": False}}, {{"indent": 2}}):
    try_it("dumps", lambda: app.json.dumps(value, **options))
    try_it("dumps special", lambda: app.json.dumps(special, **options))
    try_it("dumps cycle", lambda: app.json.dumps(cycle, **options))
    try_it("dumps object", lambda: app.json.dumps(object(), **options))
try_it("dumps text", lambda: app.json.dumps("/\\u00e9\\ud800"))
try_it("dumps unescaped", lambda: app.json.dumps(["/\\u00e9"], ensure_ascii=False))
try_it("dumps seed", lambda: app.json.dumps(
    {{}}, indent=None, separators=(",", ":"), cls=genuine.JSONEncoder, sort_keys=True))
for document in (
    '[1.10, 1e5, 12345678901234567890123, "\\\\ud83d\\\\ude00", {{"a": null}}]', "[NaN]", "[-Infinity]",
    "1e999", "[1, 2", '{{"a" 1}}', '"a', "[1] 2", "", "tru", "[" * 100000, "9" * 5000,
    b'"\\xff"', b'[1]',
):
    try_it("loads", lambda: app.json.loads(document))
try_it("loads hook", lambda: app.json.loads('{{"a": 1.5}}', object_hook=list, parse_float=str))
for body in (b'{{"a": "\\\\u00e9", "b": 0.1}}', b"[NaN]", b"[", b"[" * 100000):
    response = client.post("/echo", data=body, content_type="application/json")
    print("echo", response.status_code, response.get_data() if response.status_code == 200 else "")
try_it("template", lambda: client.get("/template").get_data())
try_it("client", lambda: client.post("/echo", json=[decimal.Decimal("1.10")]).json)
"""

LIBRARIES = {
    "simplejson": "import simplejson as library",
    "ujson": "import ujson as library",
    "orjson": "import orjson as library",
    "msgspec": "import msgspec.json as library; library.dumps = library.encode;"
    " library.loads = library.decode",
}
AS_MODULE = "; import sys; sys.modules['json'] = library"
AS_ATTRIBUTES = "; import json; json.dumps = library.dumps; json.loads = library.loads"


def run(patch: str, *, early: bool, forget: bool = False, guarded: bool = True) -> str:
    program = PROGRAM.format(
        patch="\n".join(f"    {line}" for line in patch.splitlines()),
        early=early,
        forget=forget,
        guarded=guarded,
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
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
    return run("pass", early=True, guarded=guarded)


def test_program_reports_what_it_should() -> None:
    """Holds what the comparisons below compare with to be right."""
    lines = unpatched().splitlines()

    assert lines[0] == (
        r"""dumps '{"a": {"NaN": null}, "b": ["/\\u00e9", null, null, null, 1e+22,"""
        """ 1180591620717411303424]}'"""
    )
    assert "dumps seed '{}'" in lines
    assert lines.count("echo 400 ") == 3
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


@pytest.mark.parametrize("library", LIBRARIES)
def test_other_library_where_json_was_never_imported_changes_nothing(library: str) -> None:
    """There is no json.decoder then for the scanner in C to take its error from."""
    pytest.importorskip(library)

    assert run(LIBRARIES[library] + AS_MODULE, early=True, forget=True) == unpatched()


@pytest.mark.parametrize("library", LIBRARIES)
def test_other_library_changes_flasks_own_provider(library: str) -> None:
    """The control: the patches of the tests above do something."""
    pytest.importorskip(library)
    patched = run(LIBRARIES[library] + AS_ATTRIBUTES, early=False, guarded=False)

    assert patched != unpatched(guarded=False)


PATCHES = [
    "json.JSONEncoder.default = lambda self, o: 'patched'",
    "json.JSONEncoder.encode = lambda self, o: 'patched'",
    "json.JSONEncoder.iterencode = lambda self, o, _one_shot=False: iter(['patched'])",
    "json.JSONEncoder.__init__ = lambda self, **options: None",
    "json.JSONEncoder = json.encoder.JSONEncoder = None",
    "json.encoder.c_make_encoder = None\njson.encoder.INFINITY = 1.0",
    "json.encoder._make_iterencode = None\njson.encoder.c_make_encoder = None",
    "json.encoder.encode_basestring_ascii = json.encoder.encode_basestring = lambda text: 'patched'",
    "json.encoder.ESCAPE_DCT['/'] = 'patched'",
    "json.JSONDecoder.decode = lambda self, s: 'patched'",
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
    "import sys\nfor name in ('', '.decoder', '.encoder', '.scanner'): del sys.modules['json' + name]",
]


@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("patch", PATCHES)
def test_patched_parts_of_json_change_nothing(patch: str, early: bool) -> None:
    assert run(f"import json\n{patch}", early=early) == unpatched()


@pytest.mark.parametrize("patch", [PATCHES[2], PATCHES[9]])
def test_patched_parts_of_json_change_flasks_own_provider(patch: str) -> None:
    """The control: the patches of the test above do something."""
    patch = f"import json\n{patch}"

    assert run(patch, early=False, guarded=False) != unpatched(guarded=False)


@pytest.mark.parametrize("library", LIBRARIES)
def test_error_is_the_one_that_modules_imported_earlier_know(library: str) -> None:
    pytest.importorskip(library)
    program = f"""
from json import JSONDecodeError
{LIBRARIES[library] + AS_MODULE}
from flask_concurrency_guard.json import InvalidJSONError
assert issubclass(InvalidJSONError, JSONDecodeError)
"""
    subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": SOURCE}, check=True
    )
