"""The limit by trial: the lowest one at which as much is served as at any.

Where all places are taken, another limit is tried for a moment, and the one goes on that serves
more. Both limits serve all the time, so a trial sheds nothing that could have been served. It is
broken off as soon as it is clearly lost, and what it has shown is remembered for the next. What is
compared is throughput, the thing that a limit is for: latency alone can't tell a slow server from
a crowded one. So the limit doesn't creep up where nothing is gained by it, and does not collapse
where everything is slow for long.

Where there is room, nothing can be tried. Then requests that came near the limit are compared with
those that came well below: as long as it doesn't take longer with more, the limit is raised before
it turns anybody away.

What it takes from others:

- Gradient and Vegas (Netflix), and Envoy's gradient controller: the round trip of a calm time.
  Times the throughput it is how many are really at work, by Little's law; but that is only the
  first limit to be tried. As the only truth, it makes limits collapse when a server gets slower for
  good, and has to be measured again with hardly anybody in flight.
- failsafe-go: throughput belongs to it, and a limit that isn't reached says nothing.
- DAGOR and Breakwater: waiting tells that there is too much, not latency. Who has waited was told
  to by a limit that is reached.
- .NET's thread pool: to learn what a limit does, change it, and look.
"""

from __future__ import annotations

from math import inf

from ..durations import duration
from .checks import check_limits
from .contest import Contest
from .contest import Noise
from .room import Room
from .trials import Trials
from .window import Window

LEAST = 20
"""How many requests must end in a window."""

LEAST_NEW = 5
"""How many of them must have begun in it."""

SHORTEST_WINDOW = 0.1
"""How long a window lasts at least, in seconds."""

LONGEST_EXTRA = 2.0
"""After how many seconds more a window is over anyway."""

LONGEST_SETTLING = 5.0
"""For how many seconds at most a change of the limit is given time to show."""

INSTANT = 1e-9
"""Less than that no clock tells, in seconds; and nobody has to divide by next to nothing."""

LOOKS = 8
"""How often to look at a window whether it needs to go on."""

STARVED = 0.7
"""Below which part of what was served when all places were taken there is another reason for it."""

FADING = 0.9
"""Which part of that still counts, each time that there was another reason."""

CALM = 1.0
"""After how many seconds with room what was learned without is forgotten."""

HIGHER = 1.25
LOWER = 1 / 1.1
"""The steps where there is room."""


class Guard:
    """Find the lowest limit at which as much is served as at any; see above.

    :param initial: the limit to begin with.
    :param min_limit: the lowest.
    :param max_limit: the highest.
    :raises ValueError: they can't be. The message says what they must be.
    """

    __slots__ = (
        "_began",
        "_calm",
        "_calm_rtt",
        "_contest",
        "_due",
        "_is_full",
        "_level",
        "_measures",
        "_noise",
        "_room",
        "_settling",
        "_throughput",
        "_trials",
        "_window",
        "limit",
        "max_limit",
        "min_limit",
        "reason",
    )

    def __init__(self, *, initial: int = 16, min_limit: int = 1, max_limit: int = 200) -> None:
        self.min_limit = check_limits(initial, min_limit, max_limit)
        self.max_limit = max_limit
        self._noise = Noise()
        self._trials = Trials(self._noise, min_limit, max_limit)
        self.limit = self._trials.bounded(initial)
        self.reason = "the first one"
        self._level = self.limit  # The one that has won so far; `limit` may be a rival.
        self._contest: Contest | None = None
        self._is_full = False
        self._calm = 0.0  # For how many seconds there has been room.
        self._calm_rtt = 0.0
        self._room = Room(self.limit)
        self._settling = 0.0  # How long a change of the limit takes to show, in seconds.
        self._measures = False
        self._throughput = 0.0  # When all places were taken the last time, in a second.
        self._began = self._due = -inf
        self._window = Window()

    def on_sample(
        self, start: float, rtt: float, in_flight: int, dropped: bool = False, waited: float = 0.0
    ) -> int:
        """See `Algorithm.on_sample`."""
        if not INSTANT <= rtt < inf:
            if not 0 <= rtt < inf:
                return self.limit
            rtt = INSTANT
        is_new = start >= self._began
        self._window.add(rtt, dropped, is_new, in_flight, self.limit, waited)
        if is_new and self._contest is None:
            self._room.add(in_flight, rtt, dropped)
        now = start + rtt
        if now >= self._due:
            self._look(now)
        return self.limit

    # Windows: a limit settles, then what it does is measured.

    def _measure(self, limit: int, now: float) -> None:
        """Begin a window at this limit."""
        settles = limit != self.limit
        self.limit = limit
        self._measures = not settles
        if settles:
            self._began = self._due = now + self._settling
        else:
            self._due = now + self._length() / LOOKS
        self._window = Window(now)

    def _length(self) -> float:
        return max(SHORTEST_WINDOW, 2 * self._settling)

    def _look(self, now: float) -> None:
        if not self._measures:
            self._measures = True
            self._window = Window(now)
        window = self._window
        seconds = now - window.opened
        if not self._is_over(seconds):
            self._due = now + self._length() / LOOKS
            return
        if window.all_rtt:
            self._settle(window, seconds)
        if seconds > 2 * (self._length() + LONGEST_EXTRA):
            self._with_room(now, seconds)  # Nobody came for a while.
        elif window.is_beyond:
            self._follow(now, window.done / seconds)
        elif window.is_full:
            if window.short * 2 > window.new and self._is_out_of_reach(now, seconds):
                return
            if window.done:
                self._when_full(now, window, seconds)
            else:
                self._with_nothing_served(now)
        else:
            self._with_room(now, seconds)

    def _settle(self, window: Window, seconds: float) -> None:
        """Learn how long a change takes to show."""
        # Long ones are in flight for longer, so one of those in flight takes this in the mean.
        # What fails counts as well: it has a place for as long as it takes.
        settling = window.all_squares / window.all_rtt
        if window.done and self._contest is None and self.limit != self._level:
            # With the other one, nothing was served.
            self._contest = self._trials.contest(self._level, self.limit)
            if seconds < self._length():
                settling = window.squares / window.rtt  # What has failed was from before.
        self._settling = min(settling, LONGEST_SETTLING)

    def _is_over(self, seconds: float) -> bool:
        """Return whether a window has told enough, or won't any more."""
        window = self._window
        left = self._length() - seconds
        enough = window.done >= LEAST and window.new >= LEAST_NEW
        if self._contest is None and self.limit != self._level and enough:
            return True  # With the other one, nothing was served for as long.
        if left <= 0:
            return left <= -LONGEST_EXTRA or enough
        if self._contest is None or self.limit == self._level or window.new < LEAST_NEW:
            return False
        return self._contest.is_lost(self.limit, window.done, seconds)

    def _is_out_of_reach(self, now: float, seconds: float) -> bool:
        """Come down to how many there are at most, where requests wait before they come here.

        Something else bounds them then, and a limit that isn't reached can't be tried.
        """
        window = self._window
        level = self._trials.bounded(window.most)
        if level >= self._level:
            return False
        if window.done < STARVED * self._throughput * seconds:
            # They are shed by age, and so many that hardly anybody is left: it is not the server's
            # threads that keep them from coming here.
            self._throughput *= FADING
            if self.limit != self._level:
                self.reason = f"too few come to try {self.limit}"
            self._contest = None
            self._measure(self._level, now)
            return True
        self.reason = f"requests wait, though {level} of {self._level} places are all that is used"
        self._level = level
        self._contest = None
        self._measure(level, now)
        return True

    # Where all places are taken: trials.

    def _when_full(self, now: float, window: Window, seconds: float) -> None:
        begins = not self._is_full
        served = window.done
        self._throughput = served / seconds
        self._calm = 0.0
        if begins:
            self._is_full = True
            self._room = Room(self._level)
            self._noise.begin(window.spread)
            self._trials.forget()
            if window.failed and self._contest is None:
                self._measure(self._level, now)  # Some of this window was another time.
                return
        if self.limit == self._level and self._noise.is_change(served, seconds):
            self._trials.begin_anew()
            self._contest = None
        contest = self._contest
        if contest is None:
            if begins:
                contest = self._trials.jump(self._level, served / seconds * self._calm_rtt)
            contest = contest or self._trials.next(self._level, now)
            if contest is None:
                self._measure(self.limit, now)
                return
            self._contest = contest
        self._compare(contest, served, seconds, now)

    def _compare(self, contest: Contest, served: int, seconds: float, now: float) -> None:
        contest.add(self.limit, served, seconds)
        winner = contest.winner()
        if winner is None:
            other = contest.other(self.limit)
            if other != self._level:
                self.reason = f"a trial: is {other} better than {self._level}?"
            else:
                self.reason = f"a trial: {contest} so far"
            self._measure(other, now)
        else:
            self._decide(winner, contest, now)

    def _decide(self, winner: int, contest: Contest, now: float) -> None:
        self._contest = None
        self.reason = str(contest)
        if winner == self._level:
            self._trials.lost(now)
            self._measure(winner, now)
            return
        self._trials.won(goes_up=winner > self._level)
        self._win(winner)
        served, seconds = contest.served(winner)
        following = self._trials.next(winner, now) if self.limit == winner else None
        if following is None:
            self._measure(winner, now)
            return
        # What has just been measured is its first round.
        following.add(winner, served, seconds)
        self._contest = following
        self.reason += f", and a trial: is {following.other(winner)} better than {winner}?"
        self._measure(following.other(winner), now)

    def _win(self, limit: int) -> None:
        self._level = limit
        self._noise.forget()
        self._room = Room(limit)

    def _with_nothing_served(self, now: float) -> None:
        """Look elsewhere until something is. Nothing can be lost by it."""
        if self._contest is not None and self.limit != self._level:
            self.reason = f"nothing is served with {self.limit}"
            self._contest = None
            self._trials.lost(now)
            self._measure(self._level, now)
            return
        contest, self._contest = self._contest, None
        self._trials.begin_anew()
        self.reason = f"nothing is served with {self.limit}"
        if contest is not None and contest.served(contest.other(self._level))[0]:
            self._win(contest.other(self._level))
            self._measure(self._level, now)
            return
        self._measure(self._trials.elsewhere(self._level, self.limit), now)

    # Where there is room: comparisons.

    def _with_room(self, now: float, seconds: float) -> None:
        window = self._window
        if window.has_room and window.done:
            weight = 0.1 if self._calm_rtt else 1.0
            self._calm_rtt += (window.mean_rtt - self._calm_rtt) * weight
        contest = self._contest
        if contest is not None and self.limit > self._level and window.done and not window.alone:
            # There is enough room for all that come, and they come still.
            self._compare(contest, window.done, seconds, now)
            return
        self._calm += seconds
        if self._calm > CALM:
            self._is_full = False
            self._contest = None
        if self._contest is not None:
            self._measure(self.limit, now)
            return
        if self.limit != self._level:
            self.reason = f"there is room: no trial of {self.limit}"
        direction = self._room.direction()
        if direction:
            step = HIGHER if direction > 0 else LOWER
            level = self._trials.bounded(round(self._level * step) or 1)
            self._level = level if level != self._level else self._trials.bounded(level + direction)
            self.reason = self._room.reason
        if direction or self._room.is_stale:
            self._room = Room(self._level)
        self._measure(self._level, now)

    # Where nothing is enforced (shadow mode): a trial would tell nothing.

    def _follow(self, now: float, throughput: float) -> None:
        self._is_full, self._contest = False, None
        level = self._trials.estimate(self._level, throughput * self._calm_rtt)
        if level is not None:
            self.reason = f"{throughput:.0f}/s, of {duration(self._calm_rtt)} in a calm time"
            self._level = level
            self._room = Room(level)
        self._measure(self._level, now)
