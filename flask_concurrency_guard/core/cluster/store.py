"""Borrow the places of one limit from Redis or Valkey.

A process is a *member*. It borrows some places at a time, on a *lease*, and admits from them with
no call to anybody. Here is when it asks for some, and when it gives some back; `Borrower` has what
is agreed on then.

Where places are short, the server says so to all members, who then give back what they don't use.
Who waits is given the next place by the server, in turn, and told so. Nobody asks again and again.

A member's thread, the *keeper*, renews the lease and hears what is told. Requests don't need it
for more than that: with no keeper, leases are renewed by the requests that find them ended.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from typing import Any
from weakref import WeakSet

from ...exits import at_exit
from ..decisions import Mode
from ..fork import reset_after_fork
from ..store import UNBOUNDED
from ..store import OnStoreError
from ..store import StoreError
from .borrower import Borrower
from .keeper import Keeper

if TYPE_CHECKING:
    from ..host.scoreboard import Scoreboard
    from .connect import Connector
    from .ledger import Grant
    from .member import ClusterSnapshot

BEATS = 3
"""How often a lease is renewed in its time."""

RETRY = 1.0
"""After how many seconds the keeper tries again what has failed."""

DENIED = 0.005
"""For how many seconds there is nothing to be had, when there was nothing."""

ASK_AGAIN = 0.25
"""After how many seconds to ask again for what should have been told."""

ASK_AGAIN_DEAF = 0.02
"""The same, where nothing is heard."""

PACE = 0.0001
"""How many seconds for each member are between two calls of one that wants more than there is. So
all of them make 10,000 a second at most."""

REST = 9
"""For how many times as long as a call has taken there is no other one for more places: requests of
this process wait meanwhile, since the limiter's lock is held."""

LONGEST_REST = 1.0
"""The longest of these, in seconds: a call may have taken long for once."""

TURN = 0.01
"""For how many seconds a process keeps its places for those who wait in its own line."""


# Where a machine was suspended its leases have ended, and `time.monotonic` stood still meanwhile.
if sys.platform == "linux":
    CLOCK: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
else:
    CLOCK = time.monotonic


def pace(seconds: float, members: int, limit: int) -> float:
    """Return how long to wait before a call: `seconds`, or more where there are many members."""
    longer = PACE * members
    # With a place for each, nobody waits for long because of that.
    return max(seconds, longer if members <= limit else min(longer, ASK_AGAIN))


_stores: WeakSet[ClusterStore] = WeakSet()


def _close_all() -> None:
    for store in tuple(_stores):
        store.close()


at_exit(_close_all)


class ClusterStore:
    """See `Store`, and above.

    :param connector: connects to the server.
    :param name: what those call the limit who share it.
    :param limit: how many may be in flight. The last one that starts with another number than
        those before changes it for all.
    :param lease_time: after how many seconds the server takes back what it has not heard of.
    :param mode: the configured mode. A mode that was set while serving goes when that changes.
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
        mode: str = Mode.ENFORCE,
        on_error: str = OnStoreError.LOCAL,
        clock: Callable[[], float] = CLOCK,
    ) -> None:
        self.limit = limit
        self.scoreboard: Scoreboard | None = None  # There is none over hosts.
        self.on_places: Callable[[], object] | None = None
        self.on_mode: Callable[[], object] | None = None
        self.is_remote = True
        self.on_change: Callable[[Exception | None], object] | None = None
        """Called when the server can't be used any more, with the error; and with None when it can
        be again. In the keeper's thread, with no lock held."""
        self._lease_time = lease_time
        self._clock = clock
        self._borrower = Borrower(
            connector, name, limit, lease_time, Mode(mode), OnStoreError(on_error), clock
        )
        # See `Store.enter`. With nothing between, since each request comes here.
        self.enter = self._borrower.enter
        self._begin()
        reset_after_fork(self)
        _stores.add(self)

    def after_fork(self) -> None:
        """See `Store.after_fork`. What the parent has borrowed stays its own."""
        self._borrower.after_fork()
        self._begin()

    def _begin(self) -> None:
        self.member, self.ledger = self._borrower.member, self._borrower.ledger
        self.places = 0
        self._keeper: Keeper | None = None
        self._next_ask = self._next_wait = self._turn = -math.inf

    def leave(self, in_flight: int, queued: int) -> None:
        """See `Store.leave`."""
        borrower = self._borrower
        borrower.in_flight = in_flight
        if borrower.error is not None:
            # In its time, and not the keeper's: there may be none, where no thread can be started.
            self._settle()
            return
        if borrower.need > 1 and (queued or borrower.is_in_line):
            self._leave_to_who_needs_several(queued)
            return
        if not borrower.is_short:
            return
        if queued:
            now = self._clock()
            if now - self._turn < self._pace(TURN) and borrower.places <= borrower.limit:
                return
            # One for the next in this line, and another one in turn, if more wait.
            more = min(queued, 2)
            self._turn = borrower.last_wait = now
            self._settle(spare=1, more=more, gives_way=True)
            if borrower.places < in_flight + more:
                self._next_wait = self._after(now, self._patience())
            else:
                borrower.last_wait = self._next_wait = -math.inf
        elif borrower.has_idle():
            self._settle(spare=0)

    def _leave_to_who_needs_several(self, queued: int) -> None:
        if queued:
            # Who waits here asks anew, for all at once, and keeps nothing meanwhile.
            self._next_wait = -math.inf
        else:  # They have given up. Nobody is to wait for them.
            self._borrower.last_wait = -math.inf
            self._borrower.need = 1
            self._settle(spare=0)

    def take(self, in_flight: int, cost: int = 1, *, starving: bool = False) -> bool:
        """See `Store.take`."""
        borrower, now = self._borrower, self._clock()
        if starving:
            borrower.last_wait = now
        if not borrower.enter(in_flight):
            if starving and cost != borrower.need:
                self._next_wait = -math.inf
            borrower.need = cost
            if now < (self._next_wait if starving else self._next_ask):
                return False
            # Where it isn't enough, others may have what there is.
            self._settle(more=cost, spare=UNBOUNDED if cost == 1 else 0)
            if not borrower.enter(in_flight):
                self._next_ask = self._after(now, self._pace(DENIED))
                if starving:
                    self._next_wait = self._after(now, self._patience())
                return False
        borrower.need = 1
        borrower.last_wait = -math.inf
        return True

    @property
    def error(self) -> Exception | None:
        """See `Store.error`."""
        return self._borrower.error

    @property
    def mode(self) -> Mode | None:
        """See `Store.mode`."""
        return self._borrower.mode

    def set_mode(self, mode: Mode) -> None:
        """See `Store.set_mode`."""
        if not self._settle(mode=mode):
            raise StoreError(
                f"{self._borrower.address} can't be used now, so the mode is what it was."
            )

    def set_limit(self, limit: int) -> None:
        """See `Store.set_limit`."""
        # The server has to know what is configured before. For who starts next with that, it would
        # be news otherwise, and so undo what is set here.
        knows = self._borrower.has_joined or self._settle()
        if not knows or not self._settle(limit=limit):
            raise StoreError(
                f"{self._borrower.address} can't be used now, so the limit is what it was."
            )
        self._next_ask = self._next_wait = -math.inf

    def snapshot(self, name: str) -> ClusterSnapshot:
        """See `Store.snapshot`. Each member is as it was when it was last heard of."""
        return self._borrower.snapshot(name)

    def close(self) -> None:
        """Give everything back. Whatever comes then begins anew."""
        with self._borrower.calling(insists=True):
            self._borrower.close()
            self._begin()

    # What the keeper does.

    def beat(self, *, keeps_all: bool = False) -> bool:
        """Renew the lease, and give back what was not needed since the last time.

        :param keeps_all: give nothing back.
        :return: whether there is anything to be kept still. Otherwise the keeper may go.
        """
        borrower = self._borrower
        spared = borrower.spared()
        was_used = spared or borrower.in_flight
        has_answer = self._settle(spare=UNBOUNDED if keeps_all else spared, from_keeper=True)
        if has_answer and borrower.is_short:
            self.give_back()
        if self.on_mode is not None:
            self.on_mode()
        with borrower.calling(insists=True):
            if was_used or self._needs_keeper():
                return True
            self._keeper = None
            return False

    def owes(self) -> bool:
        """Return whether others wait, and something here isn't used."""
        borrower = self._borrower
        return borrower.is_short and borrower.has_idle() and borrower.error is None

    def is_kept_by(self, keeper: Keeper) -> bool:
        """Return whether `keeper` is this store's, and has not been told to end."""
        return self._keeper is keeper

    def pause(self) -> float:
        """Return after how many seconds the next beat is due."""
        return self._lease_time / BEATS if self._borrower.error is None else RETRY

    def give_back(self) -> None:
        """Give back what isn't used, since others wait."""
        borrower = self._borrower
        borrower.is_short = True
        if borrower.need > 1 and borrower.has_idle():
            self._next_wait = -math.inf  # It isn't enough for who waits here, who asks anew.
        self._give_back_idle()

    def accept(self, grant: Grant) -> None:
        """Use places that came free, or give them back where nobody waits any more."""
        with self._borrower.calling(insists=True):
            if not self._borrower.accept(grant):
                return
            self._catch_up()
        if self.on_places is not None:
            self.on_places()
        self._give_back_idle()

    def tell(self) -> None:
        """Call `on_change` with what has happened, if anything."""
        news = self._borrower.news
        while news:
            error = news.popleft()
            if self.on_change is not None:
                self.on_change(error)

    def _give_back_idle(self) -> None:
        if self._borrower.has_idle() and not self._borrower.waits():
            self._settle(spare=0, from_keeper=True)

    def _needs_keeper(self) -> bool:
        borrower = self._borrower
        # Where all is off, nobody else would hear of its end.
        is_off = borrower.mode is Mode.OFF
        return borrower.places > 0 or borrower.error is not None or borrower.waits() or is_off

    def _pace(self, seconds: float) -> float:
        return pace(seconds, self._borrower.members, self._borrower.limit)

    def _after(self, began: float, seconds: float) -> float:
        """Return when it is `seconds` from now, or later where the call from `began` took long."""
        now = self._clock()
        return now + max(seconds, min(REST * (now - began), LONGEST_REST))

    def _patience(self) -> float:
        keeper = self._keeper
        return self._pace(ASK_AGAIN if keeper is not None and keeper.hears else ASK_AGAIN_DEAF)

    def _settle(self, *, from_keeper: bool = False, **wishes: Any) -> bool:
        """Call the server, if it is time to. Return whether it has answered.

        :param wishes: see `Borrower.settle`.
        """
        with self._borrower.calling(insists=from_keeper) as is_time:
            if not is_time:
                return False
            has_answer = self._borrower.settle(**wishes)
            self._catch_up()
            if not self._is_kept() and self._needs_keeper():
                self._start_keeper()
            return has_answer

    def _catch_up(self) -> None:
        """See what was agreed on."""
        borrower, had = self._borrower, self.places
        self.places, self.limit = borrower.places, borrower.limit
        if self.places and not had:
            self._turn = self._clock()
        if self.places > had:
            self._next_ask = self._next_wait = -math.inf  # There may be more.
        elif not borrower.is_in_line:
            self._next_wait = -math.inf  # Nothing will be told to who waits from now on.

    def _is_kept(self) -> bool:
        # One that has ended by itself was ended by what it has called.
        return self._keeper is not None and self._keeper.is_alive()

    def _start_keeper(self) -> None:
        self._keeper = Keeper(self)
        try:
            self._keeper.start()
        except RuntimeError:  # The interpreter is about to end.
            self._keeper = None
