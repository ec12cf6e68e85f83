"""What is measured over a whole period, in which nothing leaves: no rows need be kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from agents.engine.rows import Row
from agents.rules.model import Rule

MAX_VALUES = 200_000  # distinct values of a period; further ones are not counted: the value can only be too low


class Tally(ABC):
    """The measure of one period."""

    __slots__ = ("early", "lower_bound", "rule")

    def __init__(self, rule: Rule) -> None:
        self.rule, self.lower_bound = rule, False
        self.early = 0  # values that were not counted, since somebody asked

    @abstractmethod
    def add(self, row: Row) -> None:
        """Count a row."""

    @property
    @abstractmethod
    def value(self) -> float:
        """The measure so far."""

    def measures(self) -> Sequence[float]:
        """The value for each threshold."""
        return [self.value] * len(self.rule.thresholds)

    @abstractmethod
    def to_state(self) -> Any:
        """Plain values for a snapshot."""

    @abstractmethod
    def from_state(self, state: Any) -> None:
        """Take back what `to_state` gave."""


class Count(Tally):
    """How many rows."""

    __slots__ = ("_count",)

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._count = 0

    def add(self, row: Row) -> None:
        """See `Tally`."""
        del row
        self._count += 1

    @property
    def value(self) -> float:
        """Rows."""
        return float(self._count)

    def to_state(self) -> Any:
        """See `Tally`."""
        return self._count

    def from_state(self, state: Any) -> None:
        """See `Tally`."""
        self._count = state


class Distinct(Tally):
    """How many distinct values."""

    __slots__ = ("_seen",)

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._seen: set[str] = set()

    def add(self, row: Row) -> None:
        """See `Tally`."""
        for value in row.values:
            if len(self._seen) < MAX_VALUES:
                self._seen.add(value)
            elif value not in self._seen:
                self.lower_bound = True
                self.early += 1

    @property
    def value(self) -> float:
        """Distinct values."""
        return float(len(self._seen))

    def to_state(self) -> Any:
        """See `Tally`."""
        return [self.lower_bound, sorted(self._seen)]

    def from_state(self, state: Any) -> None:
        """See `Tally`."""
        self.lower_bound, self._seen = state[0], set(state[1])


class Total(Tally):
    """The sum of the rows' numbers, exact."""

    __slots__ = ("_sum",)

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._sum = Fraction(0)

    def add(self, row: Row) -> None:
        """See `Tally`."""
        self._sum += Fraction(row.number or 0)

    @property
    def value(self) -> float:
        """The float nearest to the sum."""
        return float(self._sum)

    def to_state(self) -> Any:
        """See `Tally`; as text, because it may be longer than 64 bits."""
        return str(self._sum)

    def from_state(self, state: Any) -> None:
        """See `Tally`."""
        self._sum = Fraction(state)


TALLIES: dict[str, type[Tally]] = {
    "event_count": Count,
    "spike": Count,
    "value_count": Distinct,
    "value_sum": Total,
}
