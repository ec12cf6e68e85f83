"""Windows that measure numbers: sums, averages, medians and percentiles. Exact: no float drifts as rows come and go."""

from __future__ import annotations

from bisect import bisect_left, insort
from fractions import Fraction

from agents.engine.rows import Row
from agents.engine.windows import Window
from agents.rules.model import Rule


class _Sum(Window):
    """The sum of the rows' numbers, kept exactly: whole numbers as such, others as fractions.

    A sum of floats depends on the order of additions and subtractions, and so on when a snapshot was restored; the same
    id and version of a violation could have other bytes.
    """

    __slots__ = ("_parts", "_whole")

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._whole = 0
        self._parts = Fraction(0)

    def _enter(self, row: Row) -> None:
        number = row.number or 0.0
        if number.is_integer():
            self._whole += int(number)
        else:
            self._parts += Fraction(number)

    def _leave(self, row: Row) -> None:
        number = row.number or 0.0
        if number.is_integer():
            self._whole -= int(number)
        else:
            self._parts -= Fraction(number)


class ValueSum(_Sum):
    """Sigma `value_sum`."""

    __slots__ = ()

    @property
    def value(self) -> float:
        """The sum, the float nearest to it."""
        return float(self._whole + self._parts) if self._parts else float(self._whole)


class ValueAverage(_Sum):
    """Sigma `value_avg`."""

    __slots__ = ()

    @property
    def value(self) -> float:
        """The arithmetic mean, the float nearest to it; 0 of nothing."""
        if not self._parts:
            return self._whole / max(len(self.rows), 1)  # of whole numbers Python gives the nearest float
        return float(Fraction(self._whole + self._parts, max(len(self.rows), 1)))


class ValuePercentile(Window):
    """Sigma `value_percentile`, and `value_median` as its half: interpolated between the two nearest values.

    This is what SQL calls `percentile_cont`, and ClickHouse `quantileExactInclusive`.
    """

    __slots__ = ("_share", "_sorted")

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._sorted: list[float] = []
        self._share = Fraction(1, 2) if rule.kind == "value_median" else Fraction(rule.percentile) / 100

    def _enter(self, row: Row) -> None:
        insort(self._sorted, row.number or 0.0)

    def _leave(self, row: Row) -> None:
        del self._sorted[bisect_left(self._sorted, row.number or 0.0)]

    @property
    def value(self) -> float:
        """The percentile; 0 of nothing."""
        if not self._sorted:
            return 0.0
        over, under = self._share.numerator * (len(self._sorted) - 1), self._share.denominator
        below, rest = divmod(over, under)
        low = self._sorted[below]
        if not rest:
            return low
        high = self._sorted[below + 1]
        if low.is_integer() and high.is_integer():
            return (int(low) * under + rest * (int(high) - int(low))) / under
        return float(Fraction(low) + Fraction(rest, under) * (Fraction(high) - Fraction(low)))
