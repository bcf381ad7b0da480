"""Start one of the servers that are a Python call rather than a command.

Run as ``python launch.py NAME PORT THREADS``.
"""

from __future__ import annotations

import sys

import waitress  # type: ignore[import-untyped]
from app import application

HOST = "127.0.0.1"


def main(name: str, port: int, threads: int) -> None:
    """Serve the app."""
    if name == "waitress":
        waitress.serve(application, host=HOST, port=port, threads=threads)
    else:
        application.run(HOST, port)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
