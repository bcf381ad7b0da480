"""The thread of a member that renews its lease, and hears what it is told."""

from __future__ import annotations

import logging
import threading
import time
from functools import cache
from typing import TYPE_CHECKING
from weakref import ref

from ...complaints import complain
from ...complaints import note
from ...complaints import write_notes
from ..fork import threads_stand_still

if TYPE_CHECKING:
    from .ledger import Ledger
    from .ledger import Listener
    from .store import ClusterStore

logger = logging.getLogger(__name__)

SOON = 0.05
"""How long to wait before listening again when a connection was lost, in seconds; then twice as
long each time."""

LATEST = 1.0
"""The longest of these waits; and how long to listen before looking what else there is to do."""


class Keeper(threading.Thread):
    """Keep what a store has borrowed, for as long as it has, and there is a store.

    :param store: has at most one keeper.
    """

    def __init__(self, store: ClusterStore) -> None:
        super().__init__(name="flask_concurrency_guard.keeper", daemon=True)
        self.hears = False
        """Whether what the server says arrives."""
        self._get_store = ref(store)
        self._listener: Listener | None = None
        self._recoveries = 0
        self._has_missed = False
        self._wait = SOON

    def start(self) -> None:
        """Start, and say so where that is of little use."""
        warn_where_threads_stand_still()
        super().start()

    def run(self) -> None:
        """Go on until there is nothing to be kept."""
        last = time.monotonic()
        while (store := self._get_store()) is not None and store.is_kept_by(self):
            left = last + store.pause() - time.monotonic()
            try:
                if left <= 0 or self._has_missed:
                    has_missed, self._has_missed = self._has_missed, False
                    last = time.monotonic()
                    store.beat(keeps_all=has_missed)
                    left = store.pause()
                store.tell()
                write_notes()
                if store.owes():
                    # If it waits itself it may need that, or else it will have given it back.
                    store.give_back()
                    left = min(left, SOON)
            except Exception:
                complain(logger, "The keeper of a shared limit goes on after this.")
            ledger = store.ledger
            del store
            self._hear(ledger, min(left, LATEST))
        self._stop_listening()

    def _hear(self, ledger: Ledger, seconds: float) -> None:
        """Wait for what is said, for at most so many seconds, and pass it on."""
        try:
            if self._listener is None or self._recoveries != ledger.recoveries:
                # The other one may be there still, but with nobody who says anything to it.
                self._stop_listening()
                self._recoveries = ledger.recoveries
                self._listener = ledger.listen()
                self._has_missed = self.hears = True
                return
            messages = list(self._listener.messages(max(0.0, seconds)))
        except Exception as error:
            logger.debug("Nothing is heard: %s.", error)
            self._stop_listening()
            time.sleep(min(max(0.0, seconds), self._wait))
            self._wait = min(2 * self._wait, LATEST)
            return
        self._wait = SOON
        if (store := self._get_store()) is None:
            return
        for grant in messages:
            if grant is not None:
                store.accept(grant)
        if None in messages:
            store.give_back()

    def _stop_listening(self) -> None:
        self.hears = False
        listener, self._listener = self._listener, None
        if listener is not None:
            try:
                listener.close()
            except Exception as error:
                logger.debug("The connection was lost already: %s.", error)


@cache
def warn_where_threads_stand_still() -> None:
    """Say once what to do there."""
    if threads_stand_still():
        note(
            logger,
            logging.WARNING,
            "uWSGI runs no thread of an app's between requests, so the places that an idle worker"
            " has borrowed are not kept, and not given back to others before their lease ends."
            " Start uWSGI with '--enable-threads'.",
        )
