"""Only what can't live in setup.cfg."""

from setuptools import Extension
from setuptools import setup

setup(
    ext_modules=[
        # Optional: where one can't be compiled, the package is installed without it.
        Extension(
            "flask_concurrency_guard.json._census",
            ["flask_concurrency_guard/json/_census.c"],
            optional=True,
        ),
        Extension(
            "flask_concurrency_guard.json._survey",
            ["flask_concurrency_guard/json/_survey.c"],
            optional=True,
        ),
    ]
)
