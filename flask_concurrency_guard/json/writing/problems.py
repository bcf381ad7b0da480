"""A problem with a value that is being written, and the path to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from typing import TypeAlias

from ...standard_json import string_encoder
from ..errors import JSONTypeError
from ..errors import JSONValueError

if TYPE_CHECKING:
    from typing import NoReturn

Steps: TypeAlias = list[tuple[object, object]]
"""The containers on the way to a value from the outermost on, each with the key or index in it."""

_NAME = re.compile(r"[^\W\d]\w*")
_LONGEST_PATH = 120
_quoted = string_encoder(ensure_ascii=True)


class Problem(Exception):
    """Something can't be written. Who knows the path to it calls :func:`raise_error`.

    :param message: What is wrong, where ``{path}`` stands for the path.
    :param error: What is to be raised in the end; or an exception of somebody else's code, which
        is raised again with a note.
    :param may_be_circular: Whether it may come from a container that holds itself.
    """

    def __init__(
        self,
        message: str,
        error: type[JSONTypeError | JSONValueError] | Exception = JSONValueError,
        *,
        may_be_circular: bool = False,
    ) -> None:
        self.message = message
        self.error = error
        self.may_be_circular = may_be_circular


def raise_error(problem: Problem, steps: Steps) -> NoReturn:
    """Raise the error that the caller of the provider gets for a problem."""
    message = problem.message
    if problem.may_be_circular:
        circle = _circle(steps)
        if circle:
            start, steps = circle
            message = f"'{{path}}' is '{_path(start)}' again, and JSON has no circles: break it."

    path = _path(steps)
    if isinstance(problem.error, Exception):
        problem.error.add_note(f"This happened while '{path}' was written as JSON.")
        raise problem.error
    raise problem.error(message.replace("{path}", path), path) from problem.__cause__


def _circle(steps: Steps) -> tuple[Steps, Steps] | None:
    """Return the steps to the first container that comes again, and to where it does."""
    first: dict[int, int] = {}
    for position, (container, _) in enumerate(steps):
        start = first.setdefault(id(container), position)
        if start != position:
            return steps[:start], steps[:position]
    return None


def _path(steps: Steps) -> str:
    path = "$" + "".join(_spelled(key) for _, key in steps)
    if len(path) > _LONGEST_PATH:
        return f"{path[: _LONGEST_PATH // 2]}...{path[-_LONGEST_PATH // 2 :]}"
    return path


def _spelled(key: object) -> str:
    if not isinstance(key, str):
        return f"[{key!r}]"
    return f".{key}" if _NAME.fullmatch(key) else f"[{_quoted(key)}]"
