"""Windows that look at which rules matched, and in what order."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from agents.engine.rows import Row
from agents.engine.windows import Window
from agents.rules.model import Presence, Rule

_LONG_AGO = -(2**63)


class Temporal(Window):
    """Sigma `temporal`: rows of every rule, or of those that an extended condition asks for, in any order."""

    __slots__ = ("_bases", "_present", "_there")

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._there: Counter[str] = Counter()
        self._bases = frozenset(rule.bases)
        self._present = 0

    def _enter(self, row: Row) -> None:
        times = self._there[row.base] = self._there[row.base] + 1
        if times == 1 and row.base in self._bases:
            self._present += 1

    def _leave(self, row: Row) -> None:
        times = self._there[row.base] = self._there[row.base] - 1
        if not times and row.base in self._bases:
            self._present -= 1

    @property
    def value(self) -> float:
        """How many of the rules have a row inside."""
        return float(self._present)

    def measures(self) -> Sequence[float]:
        """None: what must be there is no number."""
        return ()

    def _reached(self) -> bool:
        if self.rule.presence is None:
            return self._present == len(self._bases)
        return self._fits(self.rule.presence)

    def _fits(self, presence: Presence) -> bool:
        if isinstance(presence, str):
            return self._there[presence] > 0
        word, *parts = presence
        if word == "not":
            return not self._fits(parts[0])
        return any(map(self._fits, parts)) if word == "or" else all(map(self._fits, parts))


class TemporalOrdered(Window):
    """Sigma `temporal_ordered`: a row of the first rule, behind it one of the second, and so on, all inside.

    "Behind" is later, or of the same time and further down in the same log. Two lines of one time in different logs, or
    in one log before and after it was rotated, are in no order that is known: neither is behind the other. No event is
    behind itself, whichever of the rules it matches. For every length of a chain the latest possible start is kept: the
    chain is inside as long as that row is.
    """

    __slots__ = ("_before", "_event", "_here", "_latest", "_now", "_places", "_starts")

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._starts: Sequence[tuple[int, str]] = [(_LONG_AGO, "")] * len(
            rule.bases
        )  # of chains that end before `_now`
        self._latest = self._starts  # of all
        self._now = _LONG_AGO
        self._here: dict[tuple[str, str], list[tuple[int, str]]] = {}  # of all others, by the log that they end in
        self._event, self._before = "", list[tuple[int, str]]()  # of the newest event, and as it was before it
        self._places: dict[str, list[int]] = {}
        for place, base in enumerate(rule.bases):
            self._places.setdefault(base, []).insert(0, place)  # a rule named twice: the later place first

    def _enter(self, row: Row) -> None:
        if row.t > self._now:
            self._starts = self._latest
            self._here, self._now = {}, row.t
        starts = self._here.setdefault((row.source, row.generation), list(self._starts))
        if row.event_id != self._event:
            self._event, self._before = row.event_id, list(starts)
        for place in self._places.get(row.base, ()):
            start = (row.t, row.event_id) if place == 0 else self._before[place - 1]
            starts[place] = max(starts[place], start)
        # Those of the newest row's time are never older than `_starts`, of which they are copies.
        self._latest = starts if len(self._here) == 1 else [max(s) for s in zip(*self._here.values(), strict=True)]

    @property
    def value(self) -> float:
        """Length of the longest chain inside that begins with the first rule."""
        if not self.rows:
            return 0.0
        oldest = self.rows[0]
        edge, inside = (oldest[0], oldest[1]), 0
        for start in self._latest:
            inside += start >= edge
        return float(inside)

    def measures(self) -> Sequence[float]:
        """None: an order is no number."""
        return ()

    def _reached(self) -> bool:
        oldest = self.rows[0] if self.rows else None
        return oldest is not None and self._latest[-1] >= (oldest[0], oldest[1])


class _Line:
    """Numbers of the events of one base's rows, oldest first; the front moves on."""

    __slots__ = ("numbers", "start")

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.start = 0

    def drop(self) -> None:
        """Take the oldest away."""
        self.start += 1
        if self.start * 2 > len(self.numbers):
            del self.numbers[: self.start]
            self.start = 0

    def before(self, number: int) -> int:
        """Place behind the newest that is below a number."""
        return bisect_left(self.numbers, number, self.start)


class InOrder(Window):
    """Our own kind `sequence`: so many rows of the first rule, then so many of the second …, all inside the window.

    Rows of a later rule that no row of the first precedes can never complete it and are not kept. No event is behind
    itself, whichever of the rules it matches.
    """

    __slots__ = ("_entered", "_event", "_lines")

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._entered, self._event = 0, ""  # events so far, and the newest
        self._lines = {base: _Line() for base in rule.bases}

    def add(self, row: Row) -> bool:
        """Take a row, unless it cannot be part of a sequence."""
        if not self.rows and row.base != self.rule.bases[0]:
            return False
        return super().add(row)

    def expire(self, now: int) -> None:
        """Drop what is too old, and rows of later rules that are left at the front."""
        super().expire(now)
        while self.rows and self.rows[0].base != self.rule.bases[0]:
            self._leave(self.rows.popleft())

    def _enter(self, row: Row) -> None:
        if row.event_id != self._event:
            self._entered, self._event = self._entered + 1, row.event_id
        line = self._lines.get(row.base)
        if line is not None:
            line.numbers.append(self._entered - 1)

    def _leave(self, row: Row) -> None:
        line = self._lines.get(row.base)
        if line is not None:
            line.drop()

    @property
    def value(self) -> float:
        """Rows of the first rule before the newest row of the last; without one, all of the first."""
        first, last = self._lines[self.rule.bases[0]], self._lines[self.rule.bases[-1]]
        end = last.numbers[-1] if first is not last and last.start < len(last.numbers) else self._entered
        return float((first.before(end) - first.start) or (len(first.numbers) - first.start))

    def measures(self) -> Sequence[float]:
        """None: a sequence has counts in place of thresholds."""
        return ()

    def _reached(self) -> bool:
        """Greedily from the newest row back: so many of the last rule, before them so many of the one before it."""
        number = self._entered
        for base, need in zip(reversed(self.rule.bases), reversed(self.rule.counts), strict=True):
            line = self._lines[base]
            place = line.before(number) - need
            if place < line.start:
                return False
            number = line.numbers[place]
        return True


def repeated(bases: Sequence[str]) -> bool:
    """True where a rule stands twice in a row, which only order can tell apart."""
    return any(a == b for a, b in pairwise(bases))
