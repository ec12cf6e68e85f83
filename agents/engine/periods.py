"""Our own kinds over fixed periods: `quota` (a local day or week) and `spike` (against the key's own past).

Within a period nothing leaves, so no rows are kept beside the evidence. A period has one episode at the most, which
stays open to its end.

Of a time in which a source was absent nobody knows how much there was. Periods that such a time touches are no part of
a spike's past, neither their rows nor they themselves: with a past that is too low, what is usual would look high. When
an absence began a key cannot tell; it takes it to have begun with its own last rows. So a spike can only be missed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from agents.engine.episodes import Episode, Records
from agents.engine.key import Key, Setting
from agents.engine.rows import Row
from agents.engine.tallies import TALLIES, Tally
from agents.engine.visits import VisitTally
from agents.rules.model import Rule
from agents.rules.own import DAY, WEEK, Quota, Spike

_DAY_US = 86_400_000_000
_LONGEST = {DAY: _DAY_US * 25 // 24, WEEK: _DAY_US * 7 + _DAY_US // 24}  # with the hour that autumn adds


def _tally(rule: Rule) -> Tally:
    return VisitTally(rule) if rule.counts_visits else TALLIES[rule.kind](rule)


class PeriodKey(Key):
    """See `Key`. `episode` exists from the first row of a period on; `opened` says whether it was told."""

    __slots__ = ("blind", "end", "first_start", "opened", "past", "start", "tally")

    def __init__(self, setting: Setting, group_key: str) -> None:
        super().__init__(setting, group_key)
        self.start = self.end = 0
        self.tally = _tally(setting.rule)
        self.opened = False
        self.past: deque[tuple[int, int]] = deque()  # of a spike: start and count of earlier periods with rows
        self.first_start: int | None = None  # of a spike: the first period in which the key was seen
        self.blind: deque[tuple[int, int]] = deque()  # of a spike: starts of the first and last of periods left out

    def apply(self, row: Row, out: Records) -> None:
        """Take the next row."""
        self.tick(row.t + 1, out)
        if self.episode is None:
            self._begin(row)
        episode, setting = self.episode, self.setting
        assert episode is not None
        self.incomplete = self.incomplete or setting.incomplete or row.t < setting.whole_from
        self.tally.add(row)
        if self.tally.early:
            setting.early += self.tally.early
            self.tally.early = 0
        episode.take(setting.rule, row, setting.judge)
        if self.opened:
            episode.measure(self.tally)
            if episode.tell_now():
                self.tell(episode, out, closed_at=None)
        elif self._reached():
            self.opened, episode.opened_at = True, row.t
            episode.measure(self.tally)
            self.tell(episode, out, closed_at=None)

    def tick(self, now: int, out: Records) -> None:
        """A period ends at its end."""
        if self.episode is None or self.end >= now:
            return
        if self.opened:
            self.tell(self.episode, out, closed_at=self.end)
        if isinstance(self.setting.rule.own, Spike):
            self.past.append((self.start, self.episode.count))
        self.episode, self.opened, self.incomplete = None, False, False
        self.tally = _tally(self.setting.rule)

    def alarm(self) -> int | None:
        """The end of a period with an episode that was told."""
        return self.end if self.opened else None

    def until(self) -> int:
        """A quota is over with its period; a spike must remember."""
        own = self.setting.rule.own
        return self.end + (own.periods * self._length() if isinstance(own, Spike) else 0)

    def _length(self) -> int:
        own = self.setting.rule.own
        per = own.per if isinstance(own, Spike | Quota) else ""
        return _LONGEST[per] if per else self.setting.rule.timespan_us

    def _begin(self, row: Row) -> None:
        rule = self.setting.rule
        per = rule.own.per if isinstance(rule.own, Spike | Quota) else DAY
        self.start, self.end = self._period(row.t)
        anchor = f"{per}:{self.start}" if isinstance(rule.own, Quota) else ""
        self.episode = Episode(self.group_key, row, opened_at=row.t, anchor=anchor)
        if isinstance(rule.own, Spike):
            self._look_back(rule.own)

    def _period(self, t: int) -> tuple[int, int]:
        """Start and end of the period that a time is in."""
        rule = self.setting.rule
        per = rule.own.per if isinstance(rule.own, Spike | Quota) else DAY
        if per:
            return self.setting.calendar.period(t, per)
        start = t // rule.timespan_us * rule.timespan_us
        return start, start + rule.timespan_us

    def _look_back(self, own: Spike) -> None:
        """Leave out of the past what is too old, and what a source was absent in."""
        blind_until = min(self.setting.blind_until, self.start)
        if self.past and self.past[-1][0] < blind_until:
            first, _ = self.past.pop()
            self.blind.append((first, self._period(blind_until - 1)[0]))
        while self.past and self._ago(self.past[0][0]) > own.periods:
            self.past.popleft()
        while self.blind and self._ago(self.blind[0][1]) > own.periods:
            self.blind.popleft()
        # A key that was silent for all the periods that are looked at begins anew.
        if not self.past or self.first_start is None:
            self.first_start = self.start
            self.blind.clear()

    def _ago(self, start: int) -> int:
        """How many periods before the current one another began; a local day may be 23 or 25 hours long."""
        own = self.setting.rule.own
        per = own.per if isinstance(own, Spike) else ""
        length = {DAY: _DAY_US, WEEK: 7 * _DAY_US}.get(per, self.setting.rule.timespan_us)
        return (self.start - start + length // 2) // length

    def _reached(self) -> bool:
        rule, value = self.setting.rule, self.tally.value
        if not any(t.holds(value) for t in rule.thresholds):
            return False
        return self._above_the_past(rule.own, int(value)) if isinstance(rule.own, Spike) else True

    def _above_the_past(self, own: Spike, count: int) -> bool:
        """Exact: in whole numbers and fractions, without a square root."""
        assert self.first_start is not None
        known = min(own.periods, self._ago(self.first_start))
        periods = known - sum(min(self._ago(first), known) - self._ago(last) + 1 for first, last in self.blind)
        if periods < own.least:
            return False
        total = sum(n for _, n in self.past)
        over = count * periods - total
        if own.factor is not None and count * periods < own.factor * total:
            return False
        if own.deviations is None:
            return True
        squares = sum(n * n for _, n in self.past)
        return over >= 0 and over**2 >= own.deviations**2 * (periods * squares - total**2)

    def cut(self, at: int, out: Records) -> None:
        """See `Key.cut`."""
        if self.episode is not None and self.opened:
            self.opened = False
            self.tell(self.episode, out, closed_at=at)

    def meets(self, at: int) -> bool:
        """See `Key.meets`. A period goes on being counted: a limit that is reached later opens its episode again."""
        del at
        if self.episode is None or not self.opened:
            return True
        if not self._reached():
            return False
        self.episode.limits_changed(self.tally)
        return True

    def to_state(self) -> list[object]:
        """Plain values for a snapshot."""
        episode = None if self.episode is None else self.episode.to_state()
        return [
            self.start, self.end, self.tally.to_state(), episode, self.opened, self.incomplete,
            [list(p) for p in self.past], self.first_start, [list(b) for b in self.blind],
        ]  # fmt: skip

    def from_state(self, state: Sequence[Any]) -> None:
        """Take back what `to_state` gave."""
        self.start, self.end, tally, episode, self.opened, self.incomplete, past, self.first_start, *later = state
        self.tally.from_state(tally)
        self.episode = None if episode is None else Episode.from_state(episode)
        self.past = deque((start, n) for start, n in past)
        self.blind = deque((first, last) for first, last in (later[0] if later else ()))  # once there was none
