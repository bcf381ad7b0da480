"""Borrow the places of one limit from Redis or Valkey.

A process is a *member*. It borrows some places at a time, on a *lease*, and admits from them with
no call to anybody. A lease ends by the server's clock; the member reckons its end from before it
asked, by a clock that nobody sets, and so is the first to stop.

Where places are short, the server says so to all members, who then give back what they don't use.
Who waits is given the next place by the server, in turn, and told so. Nobody asks again and again.

A member's thread, the *keeper*, renews the lease and hears what is told. Requests don't need it
for more than that: with no keeper, leases are renewed by the requests that find them ended.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from textwrap import shorten
from typing import TYPE_CHECKING
from weakref import WeakSet

from ..fork import reset_after_fork
from ..store import UNBOUNDED
from ..store import OnStoreError
from ..store import StoreError
from ..store import admitted_without
from ..store import places_without
from .keeper import Keeper
from .ledger import Ledger
from .member import ClusterSnapshot
from .member import Member

if TYPE_CHECKING:
    from ..host.scoreboard import Scoreboard
    from .connect import Connector
    from .ledger import Grant
    from .ledger import Terms

logger = logging.getLogger(__name__)

EARLIER = 0.01
"""By which part of a lease a member stops before its end: no clock goes exactly like another, and
the server reckons in milliseconds."""

BEATS = 3
"""How often a lease is renewed in its time."""

RETRY = 1.0
"""After how many seconds the keeper tries again what has failed."""

RETRY_WITHOUT_KEEPER = 3.0
"""After how many seconds a request does, since the keeper has not."""

DENIED = 0.005
"""For how many seconds there is nothing to be had, when there was nothing."""

ASK_AGAIN = 0.25
"""After how many seconds to ask again for what should have been told."""

ASK_AGAIN_DEAF = 0.02
"""The same, where nothing is heard."""

WANTED = 0.05
"""For how many seconds somebody waits still, who has last asked that long ago."""

PACE = 0.0001
"""How many seconds for each member are between two calls of one that wants more than there is. So
all of them make 10,000 a second at most."""

LONGEST = 200
"""How much of an error's text goes into the log."""

TURN = 0.01
"""For how many seconds a process keeps its places for those who wait in its own line."""


def pace(seconds: float, members: int, limit: int) -> float:
    """Return how long to wait before a call: `seconds`, or more where there are many members."""
    longer = PACE * members
    # With a place for each, nobody waits for long because of that.
    return max(seconds, longer if members <= limit else min(longer, ASK_AGAIN))


_stores: WeakSet[ClusterStore] = WeakSet()


def _close_all() -> None:
    for store in tuple(_stores):
        store.close()


atexit.register(_close_all)


class ClusterStore:
    """See `Store`, and above.

    :param connector: connects to the server.
    :param name: what those call the limit who share it.
    :param limit: how many may be in flight. The last one that starts with another number than
        those before changes it for all.
    :param lease_time: after how many seconds the server takes back what it has not heard of.
    :param on_error: what to do while the server can't be used.
    :param clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        connector: Connector,
        name: str,
        limit: int,
        *,
        lease_time: float = 10.0,
        on_error: str = OnStoreError.LOCAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self.scoreboard: Scoreboard | None = None  # There is none over hosts.
        self.on_places: Callable[[], object] | None = None
        self.on_change: Callable[[Exception | None], object] | None = None
        """Called when the server can't be used any more, with the error; and with None when it can
        be again. In the keeper's thread, with no lock held."""
        self._name = name
        self._configured = limit
        self._lease_time = lease_time
        self._on_error = OnStoreError(on_error)
        self._clock = clock
        self._connector = connector
        self.after_fork()
        reset_after_fork(self)
        _stores.add(self)

    def after_fork(self) -> None:
        """See `Store.after_fork`. What the parent has borrowed stays its own."""
        self.member = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        """The name of this process among those that share the limit."""
        self._connector = self._connector.afresh()
        self.ledger = Ledger(self._connector, self._name, self.member)
        # Looked up when called: gevent and eventlet replace `threading.Lock`.
        self._calls = threading.Lock()  # One call at a time, and in the order of `_seq`.
        self._state = threading.Lock()  # Never held while waiting for anything.
        self._seq = 0
        self._has_joined = False
        self._keeper: Keeper | None = None
        self.places = 0
        self._in_flight = self._most = 0
        self._until = -math.inf
        self._is_short = False
        self._members = os.cpu_count() or 1
        self._error: Exception | None = None
        self._news: deque[Exception | None] = deque()
        self._next_try = -math.inf
        self._next_ask = self._next_wait = self._last_wait = self._turn = -math.inf

    def enter(self, in_flight: int) -> bool:
        """See `Store.enter`."""
        with self._state:
            if in_flight > self.places or self._clock() >= self._until:
                return False
            self._in_flight = in_flight
            if in_flight > self._most:
                self._most = in_flight
            return True

    def leave(self, in_flight: int, queued: int) -> None:
        """See `Store.leave`."""
        self._in_flight = in_flight
        if not self._is_short or self._error is not None:
            return
        if queued:
            now = self._clock()
            if now - self._turn < self._pace(TURN) and self.places <= self.limit:
                return
            # One for the next in this line, and another one in turn, if more wait.
            more = min(queued, 2)
            self._turn = self._last_wait = now
            self._settle(spare=1, more=more, gives_way=True)
            if self.places < in_flight + more:
                self._next_wait = now + self._patience()
            else:
                self._last_wait = self._next_wait = -math.inf
        elif self.places > in_flight:
            self._settle(spare=0)

    def take(self, in_flight: int, *, starving: bool = False) -> bool:
        """See `Store.take`."""
        now = self._clock()
        if starving:
            self._last_wait = now
        if not self.enter(in_flight):
            if now < (self._next_wait if starving else self._next_ask):
                return False
            self._settle(more=1)
            if not self.enter(in_flight):
                self._next_ask = now + self._pace(DENIED)
                if starving:
                    self._next_wait = now + self._patience()
                return False
        self._last_wait = -math.inf
        return True

    def set_limit(self, limit: int) -> None:
        """See `Store.set_limit`."""
        if not self._settle(limit=limit):
            raise StoreError(
                f"{self._connector.address} can't be used now, so the limit is what it was."
            )
        self._next_ask = self._next_wait = -math.inf

    def snapshot(self, name: str) -> ClusterSnapshot:
        """See `Store.snapshot`. Each member is as it was when it was last heard of."""
        error = self._error
        if error is None:
            try:
                limit, members = self.ledger.members()
            except Exception as failure:
                error = failure
            else:
                in_flight = sum(member.in_flight for member in members)
                return ClusterSnapshot(name, limit or self.limit, in_flight, members)
        this = Member(self.member, self.places, self._in_flight)
        return ClusterSnapshot(name, self.limit, self._in_flight, (this,), str(error))

    def close(self) -> None:
        """Give everything back. Whatever comes then begins anew."""
        with self._calls:
            with self._state:
                self.places = self._in_flight = 0
                self._until = -math.inf
                self._seq += 1
                has_joined, self._has_joined = self._has_joined, False
            self._keeper = None
            if has_joined:
                try:
                    self.ledger.settle(self._seq, lease_time=0.0, limit=self.limit)
                except Exception as error:
                    logger.debug("Its places come back when the lease ends: %s.", error)
            self.ledger.close()

    # What the keeper does.

    def beat(self, *, keeps_all: bool = False) -> bool:
        """Renew the lease, and give back what was not needed since the last time.

        :param keeps_all: give nothing back.
        :return: whether there is anything to be kept still. Otherwise the keeper may go.
        """
        with self._state:
            spare = max(0, self._most - self._in_flight)
            self._most = self._in_flight
            was_used = spare or self._in_flight
        has_answer = self._settle(spare=UNBOUNDED if keeps_all else spare, from_keeper=True)
        if has_answer and self._is_short:
            self.give_back()
        with self._calls, self._state:
            if was_used or self.places or self._error is not None or self._waits():
                return True
            self._keeper = None
            return False

    def owes(self) -> bool:
        """Return whether others wait, and something here isn't used."""
        return self._is_short and self.places > self._in_flight and self._error is None

    def is_kept_by(self, keeper: Keeper) -> bool:
        """Return whether `keeper` is this store's, and has not been told to end."""
        return self._keeper is keeper

    def pause(self) -> float:
        """Return after how many seconds the next beat is due."""
        return self._lease_time / BEATS if self._error is None else RETRY

    def give_back(self) -> None:
        """Give back what isn't used, since others wait."""
        self._is_short = True
        if self.places > self._in_flight and not self._waits():
            self._settle(spare=0, from_keeper=True)

    def accept(self, grant: Grant) -> None:
        """Use places that came free, or give them back where nobody waits any more."""
        with self._calls, self._state:
            # A call that has begun since has its own answer, or none.
            if grant.seq != self._seq or grant.share <= self.places or self._error is not None:
                return
            self._have(grant.share)
            self.limit = grant.limit or self.limit
        if self.on_places is not None:
            self.on_places()
        if self.places > self._in_flight and not self._waits():
            self._settle(spare=0, from_keeper=True)

    def tell(self) -> None:
        """Call `on_change` with what has happened, if anything."""
        while self._news:
            error = self._news.popleft()
            if self.on_change is not None:
                self.on_change(error)

    def _waits(self) -> bool:
        return self._clock() - self._last_wait < WANTED

    def _pace(self, seconds: float) -> float:
        return pace(seconds, self._members, self.limit)

    def _patience(self) -> float:
        keeper = self._keeper
        return self._pace(ASK_AGAIN if keeper is not None and keeper.hears else ASK_AGAIN_DEAF)

    def _settle(
        self,
        *,
        spare: int = UNBOUNDED,
        more: int = 0,
        gives_way: bool = False,
        limit: int | None = None,
        from_keeper: bool = False,
    ) -> bool:
        """Tell the server what there is, and do as it says. Return whether it has answered.

        :param spare: how many places to keep that aren't used.
        :param more: how many to ask for.
        :param limit: what to change it to, for all.
        """
        is_out = self._error is not None and not from_keeper
        if is_out and self._clock() < self._next_try:
            return False
        # The keeper may be finding out at this moment that nobody answers.
        if not self._calls.acquire(blocking=not is_out):
            return False
        try:
            if self._error is not None and not from_keeper and self._clock() < self._next_try:
                return False
            with self._state:
                used = keep = self._in_flight
                if self._error is None or self._on_error is OnStoreError.CLOSED:
                    # No place that may be given back is used from here on, whether or not there
                    # will be an answer.
                    keep = max(used, min(self.places, used + spare))
                    self.places = used if gives_way else min(self.places, keep)
                self._seq += 1
            waits = self._waits()
            began = self._clock()
            try:
                terms = self.ledger.settle(
                    self._seq,
                    used=used,
                    keep=keep,
                    wanted=used + max(more, waits),
                    waits=waits,
                    gives_way=gives_way,
                    lease_time=self._lease_time,
                    limit=limit or self._configured,
                    sets_limit="always" if limit else "never" if self._has_joined else "configured",
                )
            except Exception as error:
                self._fail(error)
            else:
                self._agree(terms, began)
            if self._keeper is None and (self.places or waits or self._error is not None):
                self._start_keeper()
            return self._error is None
        finally:
            self._calls.release()

    def _agree(self, terms: Terms, began: float) -> None:
        with self._state:
            self._have(terms.share)
            self._until = began + self._lease_time * (1 - EARLIER)
            self.limit = terms.limit
            self._is_short = terms.waiting > 0
            self._members = terms.members
            self._has_joined = True
            was_failed, self._error = self._error is not None, None
        if was_failed:
            self._news.append(None)
            logger.warning("%s can be used again.", self._connector.address)

    def _have(self, share: int) -> None:
        if share and not self.places:
            self._turn = self._clock()
        if share > self.places:
            self._next_ask = self._next_wait = -math.inf  # There may be more.
        self.places = share

    def _fail(self, error: Exception) -> None:
        with self._state:
            self._next_try = self._clock() + RETRY_WITHOUT_KEEPER
            if self._on_error is not OnStoreError.CLOSED:
                self.places = places_without(self._on_error, self.limit, self._members)
                self._until = math.inf
            was_failed, self._error = self._error is not None, error
        if not was_failed:
            self._news.append(error)
            logger.error(
                "%s can't be used: %s. Until it can be, this process admits %s.",
                self._connector.address,
                shorten(str(error), LONGEST).rstrip("."),
                admitted_without(self._on_error, self.places),
            )

    def _start_keeper(self) -> None:
        self._keeper = Keeper(self)
        try:
            self._keeper.start()
        except RuntimeError:  # The interpreter is about to end.
            self._keeper = None
