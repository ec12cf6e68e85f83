"""Windows over matched rows, exact, one object a rule and group key.

Rows come in (event time, event id) order. A window knows nothing of episodes, permits or clocks: it keeps the rows
that are inside and says what its measures are. Every kind has one measure a threshold of its rule. What is inside is
the business of the rule's `window`:

- `sliding`: (t - W, t], as Sigma has it;
- `tumbling`: [n W, (n + 1) W), multiples of the time span since 1970 UTC;
- `session`: rows of which no two neighbours are more than W apart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Sequence
from math import inf

from agents.engine.rows import Row
from agents.rules.model import COUNTED_ONCE, VALUE_SEPARATOR, Rule, Threshold

MAX_ROWS = 100_000  # rows a window keeps; beyond it the oldest leave early: counts and sums can only be too low
MAX_VALUES = 200_000  # distinct values a window keeps; beyond it the oldest rows leave early, likewise


class Window(ABC):
    """Rows of one key within the rule's time span.

    `rows` is in order, oldest first. `add` and `expire` are called with times that never go back.
    """

    __slots__ = ("_least", "_once", "_sliding", "_span", "early", "lower_bound", "rows", "rule")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.rows: deque[Row] = deque()
        self.lower_bound = False
        self.early = 0  # rows that left before their time, since somebody asked
        self._span, self._sliding = rule.timespan_us, rule.window == "sliding"
        self._least, self._once = _plain_limit(rule), rule.kind in COUNTED_ONCE

    def add(self, row: Row) -> bool:
        """Take a row, whose time is at or after all others'; False where it is none of the rows inside.

        An event that matches several of the rule's detections is one event: it counts once, unless it counts something
        else for each, or one of them only informs.
        """
        if self.rows and self.rows[-1][1] == row[1] and self._once and self._again(row):
            return False
        if len(self.rows) >= MAX_ROWS:
            self._leave(self.rows.popleft())
            self.at_limit()
        self.rows.append(row)
        self._enter(row)
        return True

    def _again(self, row: Row) -> bool:
        """True where a row of the same event is inside that counts the same."""
        informs = self.rule.only_informs
        for other in reversed(self.rows):
            if other.event_id != row.event_id:
                break
            if (other.values, other.number, informs(other.base)) == (row.values, row.number, informs(row.base)):
                return True
        return False

    def at_limit(self) -> None:
        """Note that a row left early, because no more are kept."""
        self.lower_bound = True
        self.early += 1

    def expire(self, now: int) -> None:
        """Drop the rows that are no longer inside at `now`, microseconds UTC."""
        rows = self.rows
        if not rows:
            return
        if self._sliding:
            edge = now - self._span
            if rows[0][0] > edge:
                return
        elif self.rule.window == "tumbling":
            edge = now // self._span * self._span - 1
        else:
            edge = now if now - rows[-1].t > self._span else -(2**63)
        while rows and rows[0][0] <= edge:
            self._leave(rows.popleft())

    def next_expiry(self) -> int | None:
        """Event time at which the next row leaves; None where there is none."""
        if not self.rows:
            return None
        if self._sliding:
            return self.rows[0].t + self._span
        if self.rule.window == "tumbling":
            return (self.rows[0].t // self._span + 1) * self._span
        return self.rows[-1].t + self._span + 1

    def last_expiry(self) -> int | None:
        """Event time from which nothing is inside if nothing more comes; None where nothing is."""
        if self.rows and self._sliding:
            return self.rows[-1].t + self._span
        return self.next_expiry()

    @property
    @abstractmethod
    def value(self) -> float:
        """The aggregate that the violation reports."""

    def measures(self) -> Sequence[float]:
        """Current value of each threshold of the rule, in its order."""
        return [self.value] * len(self.rule.thresholds)

    def holds(self) -> bool:
        """True where the condition of the rule does; never of an empty window."""
        rows, lasting = self.rows, self.rule.lasting_us
        if not rows or (lasting and rows[-1].t - rows[0].t < lasting):
            return False
        return self._reached() if self._least is None else self.value >= self._least

    def _reached(self) -> bool:
        return any(t.holds(m) for m, t in zip(self.measures(), self.rule.thresholds, strict=True))

    def _enter(self, row: Row) -> None:
        """Count a row that came in."""

    def _leave(self, row: Row) -> None:
        """Uncount a row that left."""


def _plain_limit(rule: Rule) -> float | None:
    """The limit of a rule that has one lower limit of its value and nothing else; None for any other."""
    if len(rule.thresholds) != 1 or rule.kind == "sequence":
        return None
    (limit,) = rule.thresholds
    plain = limit.lte == inf and limit.neq is None and limit.where is None and limit.per is None
    return limit.gte if plain else None


class EventCount(Window):
    """Sigma `event_count`: how many rows."""

    __slots__ = ()

    def holds(self) -> bool:
        """See `Window.holds`: the usual case without detours."""
        least = self._least
        return super().holds() if least is None or self.rule.lasting_us else 0 < len(self.rows) >= least

    @property
    def value(self) -> float:
        """Rows inside."""
        return float(len(self.rows))


class ValueCount(Window):
    """Sigma `value_count`: distinct values, as a whole, by class (`where`) or by message (`per`).

    A value is plain, or class, message and rest with `VALUE_SEPARATOR` between. One pair of message and rest is one,
    also where it comes in two classes.
    """

    __slots__ = ("_in_parts", "by_class", "by_message", "pairs", "seen")

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self.seen: dict[str, int] = {}
        self._in_parts = any(t.where or t.per for t in rule.thresholds)
        if self._in_parts:
            self.by_class: Counter[str] = Counter()
            self.pairs: Counter[str] = Counter()
            self.by_message: Counter[str] = Counter()

    def add(self, row: Row) -> bool:
        """See `Window.add`; older rows make room for new values."""
        added = super().add(row)
        while len(self.seen) > MAX_VALUES and len(self.rows) > 1:
            self._leave(self.rows.popleft())
            self.at_limit()
        return added

    def _enter(self, row: Row) -> None:
        seen = self.seen
        for value in row.values:
            times = seen.get(value, 0) + 1
            seen[value] = times
            if times == 1 and self._in_parts:
                self._change(value, 1)

    def _leave(self, row: Row) -> None:
        seen = self.seen
        for value in row.values:
            times = seen[value] - 1
            if times:
                seen[value] = times
                continue
            del seen[value]
            if self._in_parts:
                self._change(value, -1)

    def _change(self, value: str, by: int) -> None:
        kind, _, pair = value.partition(VALUE_SEPARATOR)
        self.by_class[kind] += by
        self.pairs[pair] += by
        if self.pairs[pair] > max(by, 0):
            return  # it was, or still is, inside in another class
        if not self.pairs[pair]:
            del self.pairs[pair]
        message = pair.partition(VALUE_SEPARATOR)[0]
        self.by_message[message] += by
        if not self.by_message[message]:
            del self.by_message[message]

    @property
    def value(self) -> float:
        """Distinct values inside."""
        return float(len(self.pairs if self._in_parts else self.seen))

    def measures(self) -> Sequence[float]:
        """One figure a threshold."""
        return [self._measure(t) for t in self.rule.thresholds]

    def _measure(self, threshold: Threshold) -> float:
        if threshold.per:
            return float(max(self.by_message.values(), default=0))
        return float(self.by_class[threshold.where]) if threshold.where else self.value
