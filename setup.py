"""Only what can't live in setup.cfg."""

import sys

from setuptools import Extension
from setuptools import setup

setup(
    # Optional: where one can't be compiled, the package is installed without it; as on PyPy, which
    # would have to imitate CPython's objects.
    ext_modules=[
        Extension(
            f"flask_concurrency_guard.json.{name}",
            [f"flask_concurrency_guard/json/{name}.c"],
            optional=True,
        )
        for name in ("_census", "_survey")
        if sys.implementation.name == "cpython"
    ]
)
