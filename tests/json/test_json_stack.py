"""No document ends the process, however small the stack and however high the recursion limit.

Each case is a process of its own, since one that fails takes its process with it. All are forked
from one interpreter: to start it and to import everything takes much longer than a case.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from json_support import BACKENDS

import flask_concurrency_guard

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

SOURCE = str(Path(flask_concurrency_guard.__file__).parents[1])
STACK_SIZES = (256, 512, 8192)
RECURSION_LIMITS = (1000, 10**6)

PROGRAM = r"""
import os, sys, threading
import flask
from flask_concurrency_guard.json.attach import install

def make_app(backend):
    app = flask.Flask("stack", static_folder=None)
    install(app, backend)

    @app.post("/")
    def read():
        return flask.jsonify(flask.request.get_json())

    return app

def ask(app, body):
    return app.test_client().post("/", data=body, content_type="application/json").status_code

def requests(app):
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
        print(ask(app, body), flush=True)

def answer(backend, stack_size, recursion_limit):
    app = make_app(backend)
    ask(app, b"1")
    sys.setrecursionlimit(recursion_limit)
    threading.stack_size(stack_size * 1024)
    thread = threading.Thread(target=requests, args=[app])
    thread.start()
    threading.stack_size(0)
    thread.join()

for case in cases:
    print("case", *case, flush=True)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            answer(*case)
            status = 0
        finally:
            os._exit(status)
    print("ended with", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

ANSWERS = ["400"] * 7 + ["200", "ended with 0"]


@functools.cache
def said() -> dict[str, list[str]]:
    """Return all that each case has written, tracebacks included."""
    cases = [
        (backend, stack_size, recursion_limit)
        for backend in BACKENDS
        for stack_size in STACK_SIZES
        for recursion_limit in RECURSION_LIMITS
    ]
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", f"cases = {cases}\n{PROGRAM}"],
        env={**os.environ, "PYTHONPATH": SOURCE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-2000:]
    sections = [section.splitlines() for section in result.stdout.split("case ")[1:]]
    return {case: lines for case, *lines in sections}


@pytest.mark.parametrize("recursion_limit", RECURSION_LIMITS)
@pytest.mark.parametrize("stack_size", STACK_SIZES, ids="{} KiB".format)
@pytest.mark.parametrize("backend", BACKENDS)
def test_deep_bodies_are_answered(backend: str, stack_size: int, recursion_limit: int) -> None:
    assert said()[f"{backend} {stack_size} {recursion_limit}"] == ANSWERS
