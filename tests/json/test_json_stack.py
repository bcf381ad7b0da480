"""No document ends the process, however small the stack and however high the recursion limit.

Each case is an interpreter of its own, since one that fails takes its process with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from json_support import BACKENDS

import flask_concurrency_guard

SOURCE = str(Path(flask_concurrency_guard.__file__).parents[1])

PROGRAM = r"""
import sys, threading
import flask
from flask_concurrency_guard.json.attach import install

app = flask.Flask("stack", static_folder=None)
install(app, backend)

@app.post("/")
def read():
    return flask.jsonify(flask.request.get_json())

def ask(body):
    return app.test_client().post("/", data=body, content_type="application/json").status_code

def requests():
    for body in (
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'[{"a":' * 100_000,
        b"[" * 201,
        b'["]",' * 100_000,
        rb'["\"]",' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"[" * 200 + b"]" * 200,
    ):
        print(ask(body))

ask(b"1")
sys.setrecursionlimit(recursion_limit)
threading.stack_size(stack_size)
thread = threading.Thread(target=requests)
thread.start()
threading.stack_size(0)
thread.join()
"""

ANSWERS = ["400"] * 7 + ["200"]


@pytest.mark.parametrize("recursion_limit", [1000, 10**6])
@pytest.mark.parametrize("stack_size", [256, 512, 8192], ids="{} KiB".format)
@pytest.mark.parametrize("backend", BACKENDS)
def test_deep_bodies_are_answered(backend: str, stack_size: int, recursion_limit: int) -> None:
    settings = (
        "backend, recursion_limit, stack_size ="
        f" {backend!r}, {recursion_limit}, {stack_size * 1024}"
    )
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", f"{settings}\n{PROGRAM}"],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.split() == ANSWERS
