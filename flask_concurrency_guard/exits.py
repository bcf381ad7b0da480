"""What is still to be done when the process ends."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable


def at_exit(call: Callable[[], object]) -> Callable[[], None]:
    """See to it that something is called when the process ends, maybe twice.

    A child of :mod:`multiprocessing`, such as a worker of granian, may end without what
    :mod:`atexit` knows.

    :return: what undoes this.
    """
    atexit.register(call)
    cancel = _at_exit_of_a_child(call)

    def undo() -> None:
        atexit.unregister(call)
        cancel()

    return undo


def _at_exit_of_a_child(call: Callable[[], object]) -> Callable[[], object]:
    process = sys.modules.get("multiprocessing.process")  # It is there in each of them.
    if process is None or process.parent_process() is None:
        return bool
    from multiprocessing.util import Finalize

    return Finalize(None, call, exitpriority=0).cancel
