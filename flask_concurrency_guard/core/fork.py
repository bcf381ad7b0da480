"""Start afresh in a forked child.

A pre-forking server copies the parent's counts and locks, held ones included, into every worker.
What was in flight in the parent never ends in the child, so a copied count would stay for ever.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from importlib import import_module
from typing import Protocol
from weakref import WeakSet

from ..complaints import complain

logger = logging.getLogger(__name__)


class Forkable(Protocol):
    """Something that keeps counts, locks or ids of one process."""

    def after_fork(self) -> None:
        """Forget the parent. Runs in the child, which has only this thread."""


_forkables: WeakSet[Forkable] = WeakSet()

# What has made the locks of all that has begun so far.
_make_lock = threading.Lock


def reset_after_fork(forkable: Forkable) -> None:
    """Call `forkable.after_fork` in every child that this process forks, while it is alive."""
    _forkables.add(forkable)


def reset_if_patched() -> None:
    """Start afresh, once, where gevent or eventlet has replaced the locks since then.

    gunicorn with ``--preload`` does so in its workers, with the app made long before. Whoever waits
    for a lock from before would stop all greenlets, and so the one that has it.
    """
    if threading.Lock is not _make_lock:
        _reset_all()


def threads_stand_still() -> bool:
    """Return whether a thread only goes on while requests are served.

    uWSGI up to 2.0.26 keeps Python's lock between them, if it isn't told of threads.
    """
    uwsgi = sys.modules.get("uwsgi")
    return uwsgi is not None and not getattr(uwsgi, "has_threads", True)


def _reset_all() -> None:
    global _make_lock
    _make_lock = threading.Lock
    for forkable in tuple(_forkables):
        try:
            forkable.after_fork()
        except Exception:
            # Not the others as well.
            complain(logger, "What was copied from the parent could not be forgotten; going on.")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)


def _hook_into_uwsgi() -> None:
    """uWSGI forks its workers without a word to Python; it calls one function of its own."""
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is None:
        return
    try:
        # Lets several share the one function; without it the app's own hooks would replace ours.
        import_module("uwsgidecorators").postfork(_reset_all)
    except Exception:  # Not there, or it asks for a master process.
        uwsgi.post_fork_hook = _reset_all  # type: ignore[attr-defined]


_hook_into_uwsgi()
