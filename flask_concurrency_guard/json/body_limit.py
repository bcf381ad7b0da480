"""A limit on the JSON bodies that ``request.get_json()`` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from werkzeug.exceptions import RequestEntityTooLarge

if TYPE_CHECKING:
    from flask import Flask


def limit_bodies(app: Flask, max_bytes: int) -> None:
    """Make an app answer 413 to JSON bodies that are larger, before they are parsed.

    A parser holds the GIL for the whole document: for over a second for 50 MB, in which no other
    thread of the process does anything.
    """
    base = app.request_class

    class LimitedRequest(base):  # type: ignore[misc, valid-type]
        def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
            if force or self.is_json:
                # Where the client says how long it is, it isn't even read. If not, it's kept, so
                # that it is read only once.
                size = self.content_length
                self._refuse_if_larger(len(self.get_data()) if size is None else size)
            return super().get_json(force, silent, cache)

        @staticmethod
        def _refuse_if_larger(size: int) -> None:
            if size > max_bytes:
                raise RequestEntityTooLarge(f"The JSON body is larger than {max_bytes} bytes.")

    LimitedRequest.__name__ = base.__name__
    LimitedRequest.__qualname__ = base.__qualname__
    app.request_class = LimitedRequest
