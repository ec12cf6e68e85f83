"""What is kept for one rule and one group key: a window, the open episode, and where the last episode ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.engine.episodes import Episode, Judge, Records
from agents.engine.kinds import window_for
from agents.engine.rows import Row
from agents.engine.windows import Window
from agents.rules.model import Rule

_LONG_AGO = -(2**63)


class KeyState:
    """One key of a windowed rule. Rows come in (time, event id) order; see `Correlator` for who calls what when.

    The condition is judged after every row and at every instant a row leaves the window, so the outcome does not
    depend on when it is called.
    """

    __slots__ = ("armed_at", "episode", "group_key", "incomplete", "rule", "timeline", "timer", "used", "window")

    def __init__(self, rule: Rule, group_key: str, timeline: str) -> None:
        self.rule, self.group_key, self.timeline = rule, group_key, timeline
        self.window: Window = window_for(rule)
        self.episode: Episode | None = None
        self.used: tuple[int, str] = (-(2**63), "")  # newest row that an earlier episode had
        self.timer: int | None = None  # the instant that the correlator will call `tick` at, if any
        self.incomplete = False
        self.armed_at = _LONG_AGO  # no episode opens before this time

    def apply(self, row: Row, judge: Judge, out: Records) -> None:
        """Take the next row."""
        # A sliding window may go on holding with the very row that comes as another leaves; the others begin anew.
        self.tick(row.t if self.rule.window == "sliding" else row.t + 1, judge, out)
        self.window.expire(row.t)
        before = len(self.window.rows)
        self.window.add(row)
        if self.episode is not None:
            self._goes_on(row, judge, out, kept=len(self.window.rows) > before or self.window.lower_bound)
        elif self.window.holds():
            if row.t >= self.armed_at:
                self._open(row, judge, out)
            elif self.rule.rearm_us:
                self.armed_at = max(self.armed_at, row.t + self.rule.rearm_us)

    def tick(self, now: int, judge: Judge, out: Records) -> None:
        """Let time pass up to, not including, `now`: an open episode closes at the instant its condition fails."""
        while self.episode is not None:
            expiry = self.window.next_expiry()
            if expiry is None or expiry >= now:
                return
            self.window.expire(expiry)
            if not self.window.holds():
                self._close(expiry, judge, out)

    def settle(self, now: int) -> int | None:
        """Drop what cannot matter any more before `now`; the next instant to be called at, None where empty."""
        if self.episode is not None:
            return self.window.next_expiry()
        self.window.expire(now - 1)
        expiry = self.window.last_expiry()
        waits = self.armed_at if self.armed_at > now else None
        return max((t for t in (expiry, waits) if t is not None), default=None)

    def _open(self, row: Row, judge: Judge, out: Records) -> None:
        rows = [r for r in self.window.rows if (r.t, r.event_id) > self.used]
        self.episode = Episode(self.group_key, rows[0], opened_at=row.t)
        for member in rows:
            self.episode.take(self.rule, member, judge)
        self.episode.measure(self.window)
        self._tell(judge, out, closed_at=None)

    def _goes_on(self, row: Row, judge: Judge, out: Records, *, kept: bool) -> None:
        assert self.episode is not None
        if not self.window.holds():
            # What left at this very instant ended it, and the row did not make up for it: the row is not of it.
            self._close(row.t, judge, out)
            return
        if kept:
            self.episode.take(self.rule, row, judge)
        self.episode.measure(self.window)
        if self.episode.tell_now(self.rule):
            self._tell(judge, out, closed_at=None)

    def _close(self, at: int, judge: Judge, out: Records) -> None:
        assert self.episode is not None
        self._tell(judge, out, closed_at=at)
        self.used = (self.episode.last_t, self.episode.last_id)
        if self.rule.suppress_us:
            self.armed_at = at + self.rule.suppress_us
        if self.rule.rearm_us:
            self.armed_at = max(self.armed_at, self.episode.last_t + self.rule.rearm_us)
        self.episode = None

    def _tell(self, judge: Judge, out: Records, *, closed_at: int | None) -> None:
        assert self.episode is not None
        out.append(
            self.episode.record(
                self.rule, judge, closed_at=closed_at, timeline=self.timeline, incomplete=self.incomplete
            )
        )

    def to_state(self) -> list[object]:
        """Plain values for a snapshot."""
        return [
            [r.to_state() for r in self.window.rows],
            None if self.episode is None else self.episode.to_state(),
            list(self.used),
            self.window.lower_bound,
            self.incomplete,
            self.armed_at,
        ]

    @staticmethod
    def from_state(rule: Rule, group_key: str, timeline: str, state: Sequence[Any]) -> KeyState:
        """Take back what `to_state` gave, for a rule of the same kind and time span."""
        made = KeyState(rule, group_key, timeline)
        for row in state[0]:
            made.window.add(Row.from_state(row))
        made.episode = None if state[1] is None else Episode.from_state(state[1])
        made.used = (state[2][0], state[2][1])
        made.window.lower_bound, made.incomplete = state[3], state[4]
        made.armed_at = state[5] if len(state) > 5 else _LONG_AGO  # the first release had none
        return made
