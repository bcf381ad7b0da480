from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import multiprocessing, os, sys
from flask_concurrency_guard.exits import at_exit

def child():
    at_exit(lambda: print("ended", flush=True))
    at_exit(lambda: print("never", flush=True))()

if __name__ == "__main__":
    if sys.argv[1] == "none":
        child()
    else:
        process = multiprocessing.get_context(sys.argv[1]).Process(target=child)
        process.start()
        process.join()
"""


@pytest.mark.parametrize("method", ["none", "fork", "spawn"])
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_something_is_called_at_the_end_of_children_as_well(method: str, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    told = subprocess.run([sys.executable, str(path), method], capture_output=True, text=True)
    assert (set(told.stdout.split()), told.stderr) == ({"ended"}, "")
