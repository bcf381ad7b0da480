"""What a member has borrowed, as it has agreed on with the server: how many places, until when.

It says what it has and wants, and does as it is told. A lease ends by the server's clock; the
member reckons its end from before it asked, by a clock that nobody sets, and so is the first to
stop. Where the server can't be used, `OnStoreError` says how many places there are.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import socket
import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...complaints import note
from ...complaints import one_line
from ..decisions import Mode
from ..store import UNBOUNDED
from ..store import OnStoreError
from ..store import admitted_without
from ..store import places_without
from .ledger import Ledger
from .member import ClusterSnapshot
from .member import Member

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator

    from .connect import Connector
    from .ledger import Grant
    from .ledger import Terms

logger = logging.getLogger(__name__)

EARLIER = 0.01
"""By which part of a lease a member stops before its end: no clock goes exactly like another, and
the server reckons in milliseconds."""

RETRY_WITHOUT_KEEPER = 3.0
"""After how many seconds a request tries again what has failed, since the keeper has not."""

WANTED = 0.05
"""For how many seconds somebody waits still, who has last asked that long ago."""

SILENCES = 3
"""After which part of a lease in which nothing was heard to ask whether the server is there."""

SHORTEST_SILENCE = 1.0
"""The shortest of these, in seconds: an answer may take a while."""


def read_mode(text: bytes) -> Mode | None:
    """Return the mode that was set for all, if one was, and this release knows it."""
    try:
        return Mode(text.decode())
    except ValueError:
        return None


class Borrower:
    """One member of a limit. See `ClusterStore` for the parameters."""

    def __init__(
        self,
        connector: Connector,
        name: str,
        limit: int,
        lease_time: float,
        mode: Mode,
        on_error: OnStoreError,
        clock: Callable[[], float],
    ) -> None:
        self.limit = limit
        """How many may be in flight in all members, as far as is known."""
        self.address = connector.address
        self._connector = connector
        self._name = name
        self._configured = limit
        self._lease_time = lease_time
        self._configured_mode = mode
        self._on_error = on_error
        self._clock = clock
        self.after_fork()

    def after_fork(self) -> None:
        """Become another member, with connections of its own."""
        self.member = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        """The name of this process among those that share the limit."""
        self._connector = self._connector.afresh()
        patience = max(self._lease_time / SILENCES, SHORTEST_SILENCE)
        self.ledger = Ledger(self._connector, self._name, self.member, patience=patience)
        # Looked up when called: gevent and eventlet replace them.
        # One call at a time, and in the order of `_seq`. The collector takes back a dropped lease
        # in any thread, in the midst of a call too: so it may be taken again by who has it.
        self._calls = threading.RLock()
        self._is_called = False
        # Never held while waiting for anything. The collector may come to `enter` within it.
        self._state = threading.RLock()
        self._seq = 0
        self._begin()

    def _begin(self) -> None:
        self.places = 0
        """How many may be in flight here, until the lease ends."""
        self.in_flight = self._most = 0
        self.last_wait = -math.inf
        """When somebody has last waited here."""
        self.need = 1
        """How many places at once are of use to who has last asked."""
        self.is_in_line = False
        """Whether the server was told, at last, that somebody waits here."""
        self.is_short = False
        """Whether others need what isn't used here."""
        self.members = os.cpu_count() or 1
        """How many share the limit."""
        self.mode: Mode | None = None
        """The mode that was set for all, if one was."""
        self.error: Exception | None = None
        """Why the server can't be used, if so."""
        self.news: deque[Exception | None] = deque()
        """What `error` has become, as far as nobody was told yet."""
        self.has_joined = False
        """Whether the server knows what this member is configured with."""
        self._until = self._next_try = -math.inf

    def enter(self, in_flight: int, cost: int = 1) -> bool:
        """See `Store.enter`."""
        with self._state:
            if in_flight > self.places or self._clock() >= self._until:
                return False
            self.in_flight = in_flight
            if in_flight > self._most:
                self._most = in_flight
            return True

    def waits(self) -> bool:
        """Return whether somebody waits here, or did a moment ago."""
        return self._clock() - self.last_wait < WANTED

    def has_idle(self) -> bool:
        """Return whether there is something that isn't used."""
        return self.places > self.in_flight

    def spared(self) -> int:
        """Return how many more were in flight at once than now are, since this was last asked."""
        with self._state:
            spared = max(0, self._most - self.in_flight)
            self._most = self.in_flight
            return spared

    def snapshot(self, name: str) -> ClusterSnapshot:
        """See `Store.snapshot`. Each member is as it was when it was last heard of."""
        error = self.error
        if error is None:
            try:
                limit, members = self.ledger.members()
            except Exception as failure:
                error = failure
            else:
                in_flight = sum(member.in_flight for member in members)
                return ClusterSnapshot(name, limit or self.limit, in_flight, members)
        this = Member(self.member, self.places, self.in_flight)
        return ClusterSnapshot(name, self.limit, self.in_flight, (this,), str(error))

    @contextmanager
    def calling(self, *, insists: bool = False) -> Iterator[bool]:
        """Wait for the turn to call. Yield whether to make a call.

        :param insists: it is the keeper's, or the last one. Others leave a server alone that
            can't be used, and the keeper, which may be finding out that nobody answers.
        """
        is_out = self.error is not None and not insists
        is_early = is_out and self._clock() < self._next_try
        if is_early or not self._calls.acquire(blocking=not is_out):
            yield False
            return
        was_called = self._is_called
        try:
            self._is_called = True
            yield not was_called and self._is_time(insists)
        finally:
            self._is_called = was_called
            self._calls.release()

    def _is_time(self, insists: bool) -> bool:
        if insists and not self.has_joined:
            return self.error is not None  # Or else it was closed meanwhile.
        return insists or self.error is None or self._clock() >= self._next_try

    # What is done while `calling`.

    def settle(
        self,
        *,
        spare: int = UNBOUNDED,
        more: int = 0,
        gives_way: bool = False,
        limit: int | None = None,
        mode: Mode | None = None,
    ) -> bool:
        """Tell the server what there is, and do as it says. Return whether it has answered.

        :param spare: how many places to keep that aren't used.
        :param more: how many to ask for.
        :param gives_way: whether what isn't used may go to who has less.
        :param limit: what to change it to, for all.
        :param mode: what to change that to.
        """
        used, keep = self._lower(spare, gives_way)
        waits = self.is_in_line = self.waits()
        began = self._clock()
        try:
            terms = self.ledger.settle(
                self._seq,
                used=used,
                keep=keep,
                wanted=used + max(more, self.need if waits else 0),
                need=self.need,
                waits=waits,
                gives_way=gives_way,
                lease_time=self._lease_time,
                limit=limit or self._configured,
                sets_limit="always" if limit else "never" if self.has_joined else "configured",
                configured_mode=self._configured_mode,
                mode=mode or "",
            )
        except Exception as error:
            self._fail(error)
        except BaseException:
            # The answer would be taken for that to the next call.
            self.ledger.hang_up()
            raise
        else:
            self._agree(terms, began)
        return self.error is None

    def accept(self, grant: Grant) -> bool:
        """Have what was granted. Return false where that is not so any more."""
        with self._state:
            # A call that has begun since has its own answer, or none.
            if grant.seq != self._seq or grant.share <= self.places or self.error is not None:
                return False
            self.places = grant.share
            self.limit = grant.limit or self.limit
            return True

    def close(self) -> None:
        """Give everything back. Whatever comes then begins anew."""
        with self._state:
            has_joined = self.has_joined
            self._seq += 1
            self._begin()
        if has_joined:
            try:
                self.ledger.settle(self._seq, lease_time=0.0, limit=self.limit)
            except Exception as error:
                note(logger, logging.DEBUG, "Its places come back when the lease ends: %s.", error)
        self.ledger.close()

    def _lower(self, spare: int, gives_way: bool) -> tuple[int, int]:
        """Stop using what may be given back. Return how many are in flight, and how many kept."""
        with self._state:
            # None for who comes to `enter` meanwhile: the numbers below belong together.
            places, self.places = self.places, 0
            used = keep = self.in_flight
            if self._clock() >= self._until:
                # Others may have the rest by now, though the server may think that it is here: a
                # call from before the end that was on its way for long has just told it so.
                places = used
            if self.error is None or self._on_error is OnStoreError.CLOSED:
                # No place that may be given back is used from here on, whether or not there
                # will be an answer.
                keep = max(used, min(places, used + spare))
                places = used if gives_way else min(places, keep)
            self.places = places
            self._seq += 1
            return used, keep

    def _agree(self, terms: Terms, began: float) -> None:
        with self._state:
            self.places = terms.share
            self._until = began + self._lease_time * (1 - EARLIER)
            self.limit = terms.limit
            self.is_short = terms.waiting > 0
            self.members = terms.members
            self.mode = read_mode(terms.mode)
            self.has_joined = True
            was_failed, self.error = self.error is not None, None
        if was_failed:
            self.ledger.recoveries += 1
            self.news.append(None)
            note(
                logger,
                logging.WARNING,
                "%s can be used again for the limit '%s'.",
                self.address,
                self._name,
            )

    def _fail(self, error: Exception) -> None:
        # One that answers with an error may be the primary no more, behind an address that leads
        # to another by now: redis-py would go on with the connection that it has.
        self.ledger.hang_up()
        # It would keep the request that found this out, with all there is in its frames.
        error.__cause__ = error.__context__ = None
        error.with_traceback(None)
        with self._state:
            now = self._clock()
            self._next_try = now + RETRY_WITHOUT_KEEPER
            if self._on_error is not OnStoreError.CLOSED:
                self.places = places_without(self._on_error, self.limit, self.members)
                self._until = math.inf
            was_failed, self.error = self.error is not None, error
        if not was_failed:
            self.news.append(error)
            note(
                logger,
                logging.ERROR,
                "%s can't be used for the limit '%s': %s. Until it can be, this process admits %s.",
                self.address,
                self._name,
                one_line(error),
                self._admitted(now),
            )

    def _admitted(self, now: float) -> str:
        left = self._until - now
        if self._on_error is OnStoreError.CLOSED and self.places and left > 0:
            return f"{self.places} at once for {left:.1f} s more, and then nothing"
        return admitted_without(self._on_error, self.places)
