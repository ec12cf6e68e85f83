"""Sliding windows (t-W, t] over matched rows, exact, one object a rule and group key.

Rows come in (event time, event id) order. A window knows nothing of episodes, permits or clocks: it keeps the rows
that are inside and says what its measures are. Every kind has one measure a threshold of its rule.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Sequence

from agents.engine.rows import Row
from agents.rules.model import VALUE_SEPARATOR, Rule, Threshold

MAX_ROWS = 100_000  # rows a window keeps; beyond it the oldest leave early: measures can only under-count


class Window(ABC):
    """Rows of one key within the rule's time span.

    `rows` is in order, oldest first. `add` and `expire` are called with times that never go back.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.rows: deque[Row] = deque()
        self.lower_bound = False

    def add(self, row: Row) -> None:
        """Take a row, whose time is at or after all others'."""
        if len(self.rows) >= MAX_ROWS:
            self._leave(self.rows.popleft())
            self.lower_bound = True
        self.rows.append(row)
        self._enter(row)

    def expire(self, now: int) -> None:
        """Drop the rows at or before now - W, so that (now-W, now] is left; microseconds UTC."""
        edge = now - self.rule.timespan_us
        while self.rows and self.rows[0].t <= edge:
            self._leave(self.rows.popleft())

    def next_expiry(self) -> int | None:
        """Event time at which the oldest row leaves; None where there is none."""
        return self.rows[0].t + self.rule.timespan_us if self.rows else None

    @property
    @abstractmethod
    def value(self) -> float:
        """The aggregate that the violation reports."""

    @abstractmethod
    def measures(self) -> Sequence[float]:
        """Current value of each threshold of the rule, in its order."""

    def holds(self) -> bool:
        """True where any threshold is reached."""
        return any(m >= t.gte for m, t in zip(self.measures(), self.rule.thresholds, strict=True))

    def _enter(self, row: Row) -> None:
        """Count a row that came in."""

    def _leave(self, row: Row) -> None:
        """Uncount a row that left."""


class EventCount(Window):
    """Sigma `event_count`: how many rows."""

    @property
    def value(self) -> float:
        """Rows inside."""
        return float(len(self.rows))

    def measures(self) -> Sequence[float]:
        """The same for every threshold."""
        return [self.value] * len(self.rule.thresholds)


class ValueCount(Window):
    """Sigma `value_count`: distinct values, as a whole, by class (`where`) or by message (`per`).

    A value is plain, or class, message and rest with `VALUE_SEPARATOR` between. One pair of message and rest is one,
    also where it comes in two classes.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self.seen: Counter[str] = Counter()
        self.by_class: Counter[str] = Counter()
        self.pairs: Counter[str] = Counter()
        self.by_message: Counter[str] = Counter()
        self._in_parts = any(t.where or t.per for t in rule.thresholds)

    def _enter(self, row: Row) -> None:
        for value in row.values:
            self.seen[value] += 1
            if self.seen[value] == 1:
                self._change(value, 1)

    def _leave(self, row: Row) -> None:
        for value in row.values:
            self.seen[value] -= 1
            if not self.seen[value]:
                del self.seen[value]
                self._change(value, -1)

    def _change(self, value: str, by: int) -> None:
        if not self._in_parts:
            return
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


class InOrder(Window):
    """Our own kind `sequence`: n rows of the first base, then m of the second, all inside the window.

    Rows of the second base that no row of the first precedes can never complete it and are not kept.
    """

    def add(self, row: Row) -> None:
        """Take a row, unless it cannot be part of a sequence."""
        if row.base == self.rule.bases[1] and not any(r.base == self.rule.bases[0] for r in self.rows):
            return
        super().add(row)

    def expire(self, now: int) -> None:
        """Drop what is too old, and rows of the second base that are left at the front."""
        super().expire(now)
        while self.rows and self.rows[0].base == self.rule.bases[1]:
            self.rows.popleft()

    @property
    def value(self) -> float:
        """Rows of the first base before the newest row of the second; without one, all of the first."""
        firsts = best = 0
        for row in self.rows:
            if row.base == self.rule.bases[0]:
                firsts += 1
            else:
                best = firsts
        return float(best or firsts)

    def measures(self) -> Sequence[float]:
        """None: a sequence has counts in place of thresholds."""
        return ()

    def holds(self) -> bool:
        """True where enough rows of the first base stand before enough of the second."""
        first, need = self.rule.counts
        after = 0
        for i in range(len(self.rows) - 1, -1, -1):
            if self.rows[i].base == self.rule.bases[1]:
                after += 1
                if after == need:
                    return sum(1 for j in range(i) if self.rows[j].base == self.rule.bases[0]) >= first
        return False


_KINDS: dict[str, type[Window]] = {
    "event_count": EventCount,
    "value_count": ValueCount,
    "sequence": InOrder,
}


def window_for(rule: Rule) -> Window:
    """A new, empty window of the rule's kind.

    Raises:
        KeyError: the kind has no window (`single`, `new_value`).
    """
    return _KINDS[rule.kind](rule)
