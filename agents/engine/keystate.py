"""A key of a windowed rule: a window, the open episode, and where the last episode ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.engine.episodes import Episode, Records
from agents.engine.key import LONG_AGO, Key, Setting
from agents.engine.rows import Row
from agents.engine.windows import Window


class KeyState(Key):
    """See `Key`. The condition is judged after every row and at every instant a row leaves the window."""

    __slots__ = ("armed_at", "used", "window")

    def __init__(self, setting: Setting, group_key: str, window: Window) -> None:
        super().__init__(setting, group_key)
        self.window = window
        self.used: tuple[int, str] = (LONG_AGO, "")  # newest row that an earlier episode had
        self.armed_at = LONG_AGO  # no episode opens before this time

    def apply(self, row: Row, out: Records) -> None:
        """Take the next row."""
        window, rule = self.window, self.setting.rule
        if self.episode is not None:
            # A sliding window may go on holding with the very row that comes as another leaves; others begin anew.
            self.tick(row.t if rule.window == "sliding" else row.t + 1, out)
        rows = window.rows
        if rows:
            window.expire(row[0])
        if not rows and self.episode is None:
            self.incomplete = window.lower_bound = False
        if self.setting.incomplete or row[0] < self.setting.whole_from:
            self.incomplete = True
        kept = window.add(row)
        if window.early:
            self.setting.early += window.early
            window.early = 0
        if self.episode is not None:
            self._goes_on(row, out, kept=kept)
        elif window.holds():
            if row.t >= self.armed_at:
                self._open(row, out)
            elif rule.rearm_us:
                self.armed_at = max(self.armed_at, row.t + rule.rearm_us)

    def tick(self, now: int, out: Records) -> None:
        """An open episode closes at the instant its condition fails."""
        while self.episode is not None:
            expiry = self.window.next_expiry()
            if expiry is None or expiry >= now:
                return
            self.window.expire(expiry)
            if not self.window.holds():
                self._close(expiry, out)

    def alarm(self) -> int | None:
        """The instant at which a row leaves while an episode is open."""
        return None if self.episode is None else self.window.next_expiry()

    def until(self) -> int:
        """When the last row leaves, or the next episode may open."""
        expiry = self.window.next_expiry() if self.episode is not None else self.window.last_expiry()
        return self.armed_at if expiry is None else max(expiry, self.armed_at)

    def _open(self, row: Row, out: Records) -> None:
        setting, used = self.setting, self.used
        rows = [r for r in self.window.rows if (r.t, r.event_id) > used]
        self.episode = episode = Episode(self.group_key, rows[0], opened_at=row.t)
        for member in rows:
            episode.take(setting.rule, member, setting.judge)
        episode.measure(self.window)
        self.tell(episode, out, closed_at=None)

    def _goes_on(self, row: Row, out: Records, *, kept: bool) -> None:
        episode = self.episode
        if episode is None or not self.window.holds():
            # What left at this very instant ended it, and the row did not make up for it: the row is not of it.
            self._close(row.t, out)
            return
        if kept:
            episode.take(self.setting.rule, row, self.setting.judge)
        episode.measure(self.window)
        if episode.tell_now():
            self.tell(episode, out, closed_at=None)

    def _close(self, at: int, out: Records) -> None:
        assert self.episode is not None
        rule = self.setting.rule
        self.tell(self.episode, out, closed_at=at)
        self.used = (self.episode.last_t, self.episode.last_id)
        if rule.suppress_us:
            self.armed_at = at + rule.suppress_us
        if rule.rearm_us:
            self.armed_at = max(self.armed_at, self.episode.last_t + rule.rearm_us)
        self.episode = None

    def cut(self, at: int, out: Records) -> None:
        """See `Key.cut`."""
        if self.episode is not None:
            self._close(at, out)

    def meets(self, at: int) -> bool:
        """See `Key.meets`."""
        if self.episode is None:
            return True
        self.window.expire(at)
        if not self.window.holds():
            return False
        self.episode.limits_changed(self.window)
        return True

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

    def from_state(self, state: Sequence[Any]) -> None:
        """Take back what `to_state` gave, for a rule of the same shape."""
        for row in state[0]:
            self.window.add(Row.from_state(row))
        self.episode = None if state[1] is None else Episode.from_state(state[1])
        self.used = (state[2][0], state[2][1])
        self.window.lower_bound, self.incomplete = state[3], state[4]
        self.armed_at = state[5] if len(state) > 5 else LONG_AGO  # the first release had none
