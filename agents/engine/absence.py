"""Our own kind `absence`: an expected key of which nothing came by its deadline."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from agents.engine.episodes import Episode, Records
from agents.engine.key import Key, Setting
from agents.engine.rows import Row
from agents.rules.own import Absence
from schemas.headers import FOREVER, NEVER

_MAX_RUNS = 1_000  # parts of the calendar that are looked through for one as long as the silence


class AbsenceKey(Key):
    """See `Key`. One for every expected key, from the earliest event of the rule's sources on.

    An absence opens at its deadline, in event time, and closes with the next row. Where a source was absent at any time
    of the span before the deadline, nothing is said: the gap is counted, and the next deadline waited for.
    """

    __slots__ = ("deadline", "last", "since")

    def __init__(self, setting: Setting, group_key: str) -> None:
        super().__init__(setting, group_key)
        self.since = NEVER  # begin of the span that ends with the deadline
        self.deadline = FOREVER
        self.last: Row | None = None

    def start(self, t: int) -> None:
        """Begin to expect something, from the earliest event of the sources on."""
        self._wait_from(t)

    def apply(self, row: Row, out: Records) -> None:
        """Something came."""
        self.tick(row.t, out)
        episode, setting = self.episode, self.setting
        if episode is not None:
            episode.tail.append(row)
            episode.value = (row.t - episode.first.t) / 1e6
            episode.last_t, episode.last_id = row.t, row.event_id
            self.incomplete = setting.incomplete
            self.tell(episode, out, closed_at=row.t)
            self.episode = None
        self.last = row
        self._wait_from(row.t)

    def tick(self, now: int, out: Records) -> None:
        """Deadlines pass."""
        while self.episode is None and self.deadline < min(now, self.setting.covered_to):
            if self.since < self.setting.blind_until:
                self.setting.gaps += 1
                self._wait_from(self.deadline)
            else:
                self._open(out)

    def alarm(self) -> int | None:
        """The deadline, unless it has passed already."""
        return self.deadline if self.episode is None and self.deadline < FOREVER else None

    def until(self) -> int:
        """It is expected for ever."""
        return FOREVER

    def _open(self, out: Records) -> None:
        setting, at = self.setting, self.deadline
        began = Row(at, "", setting.rule.bases[0], (), None, "", "", 0, "", "{}", ())
        episode = Episode(self.group_key, began, opened_at=at, last_t=at, anchor=f"absent:{at}")
        self.episode = episode
        episode.take(setting.rule, began, setting.judge)
        episode.head, episode.count = [] if self.last is None else [self.last], 0
        self.incomplete = False
        self.tell(episode, out, closed_at=None)

    def _wait_from(self, t: int) -> None:
        """Find the next deadline after a row or a deadline at `t`, and the span before it."""
        rule, calendar = self.setting.rule, self.setting.calendar
        own = rule.own
        assert isinstance(own, Absence)
        if own.by is not None:
            # The deadline at or after the row is met by it; the next one is the first that can be missed.
            self.since, self.deadline = (*islice(calendar.daily(t, own.by, rule.when), 2), FOREVER, FOREVER)[:2]
            return
        self.since, self.deadline = t, t + own.within_us
        if rule.when is None:
            return
        for _ in range(_MAX_RUNS):
            change = calendar.next_change(self.since, rule.when)
            if calendar.inside(self.since, rule.when):
                self.deadline = self.since + own.within_us
                if change is None or self.deadline < change:
                    return
            if change is None:
                break
            self.since = change
        self.deadline = FOREVER

    def cut(self, at: int, out: Records) -> None:
        """See `Key.cut`."""
        if self.episode is not None:
            self.episode.value = (at - self.episode.first.t) / 1e6
            self.tell(self.episode, out, closed_at=at)
            self.episode = None

    def meets(self, at: int) -> bool:
        """See `Key.meets`: an absence has no limit but its deadline, which an episode is made of."""
        del at
        return True

    def to_state(self) -> list[object]:
        """Plain values for a snapshot."""
        return [
            self.since,
            self.deadline,
            None if self.last is None else self.last.to_state(),
            None if self.episode is None else self.episode.to_state(),
            self.incomplete,
        ]

    def from_state(self, state: Sequence[Any]) -> None:
        """Take back what `to_state` gave."""
        self.since, self.deadline, last, episode, self.incomplete = state
        self.last = None if last is None else Row.from_state(last)
        self.episode = None if episode is None else Episode.from_state(episode)
