"""The app, used in the master before it forks: a lease and the limiter's lock are held there."""

from __future__ import annotations

import threading

from .app import application

limiter = application.extensions["concurrency_guard"].limiter
held = [limiter.acquire() for _ in range(limiter.limit)]
locked = threading.Event()


def hold_the_lock() -> None:
    with limiter._lock:
        locked.set()
        threading.Event().wait()


threading.Thread(target=hold_the_lock, daemon=True).start()
locked.wait()
