"""Our own kinds over fixed periods in SQL: `quota` and `spike`.

Local days and weeks are those of ClickHouse's time zone tables. Of a time in which a source was absent no table of
events says anything: a spike's past counts it as it is.
"""

# ruff: noqa: S608 - writing queries is what this module is for; every text in them is quoted by `quoted`
from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from agents.rules.convert_values import Unsayable, quoted
from agents.rules.convert_windows import SO_FAR
from agents.rules.model import Rule
from agents.rules.own import DAY, Quota, Spike


@dataclass(frozen=True, slots=True)
class Periods:
    """Writes the periods of one rule.

    Attributes:
        rule: A quota or a spike.
        keys: Columns of `matched` that the key is made of.
        zone: The district's.
    """

    rule: Rule
    keys: tuple[str, ...]
    zone: str

    def parts(self) -> list[tuple[str, str]]:
        """Named queries from `matched` to `episodes`; see `agents.rules.convert_windows.Windows.parts`."""
        part = ", ".join((*self.keys, "segment"))
        number = f"row_number() OVER (PARTITION BY {part} ORDER BY t, event_id, base)"
        reached = "reached AND high" if isinstance(self.rule.own, Spike) else "reached"
        (limit,) = self.rule.thresholds
        judged = f"SELECT *, value >= {limit.gte!r} AS reached FROM measured"
        episodes = (
            f"SELECT {part}, minIf(t, {reached}) AS opened_at, any(until) AS closed_at, toUInt64(1) AS first_n, "
            f"max(n) AS last_n, toUInt64(count()) AS count, max(value) AS highest FROM judged "
            f"GROUP BY {part} HAVING countIf({reached}) > 0"
        )
        return [
            ("placed", f"SELECT *, {self._segment()} FROM matched"),
            ("numbered", f"SELECT *, {number} AS n FROM placed"),
            *self._measured(part),
            ("judged", judged),
            ("episodes", episodes),
        ]

    def _segment(self) -> str:
        """Number, and end in microseconds, of the period of a row."""
        own, span = self.rule.own, self.rule.timespan_us
        per = own.per if isinstance(own, Quota | Spike) else ""
        if not per:
            return f"intDiv(t, {span}) AS segment, (segment + 1) * {span} AS until"
        local = f"fromUnixTimestamp64Micro(t, {quoted(self.zone)})"
        first, days = (f"toDate({local})", 1) if per == DAY else (f"toMonday({local})", 7)
        end = f"toInt64(toUnixTimestamp(toDateTime({first} + {days}, {quoted(self.zone)}))) * 1000000"
        # 1970-01-05 was a Monday.
        return f"intDiv(toInt64(toUInt16({first})) - 4, {days}) AS segment, {end} AS until"

    def _measured(self, part: str) -> list[tuple[str, str]]:
        kind = self.rule.kind
        if kind == "spike":
            return self._past(part)
        if kind == "value_count":
            each = f"SELECT {part}, n, arrayJoin(vals) AS v FROM numbered"
            firsts = f"SELECT {part}, v, min(n) AS n FROM ({each}) GROUP BY {part}, v"
            fresh = f"SELECT {part}, n, count() AS fresh FROM ({firsts}) GROUP BY {part}, n"
            so_far = f"toFloat64(sum(fresh) OVER (PARTITION BY {part} ORDER BY n {SO_FAR}))"
            joined = f"numbered LEFT JOIN ({fresh}) AS f USING ({part}, n)"
            return [("measured", f"SELECT *, {so_far} AS value FROM {joined}")]
        if kind not in ("event_count", "value_sum"):
            raise Unsayable(f"a quota of {kind} cannot be said in SQL")
        value = (
            "toFloat64(n)" if kind == "event_count" else f"sum(number) OVER (PARTITION BY {part} ORDER BY n {SO_FAR})"
        )
        return [("measured", f"SELECT *, {value} AS value FROM numbered")]

    def _past(self, part: str) -> list[tuple[str, str]]:
        """Of a spike: is the count of a period so far above those of the periods before? Exact, in whole numbers."""
        own, keys = self.rule.own, ", ".join(self.keys)
        assert isinstance(own, Spike)
        order = f"PARTITION BY {keys} ORDER BY segment"
        behind = f"({order} RANGE BETWEEN {own.periods} PRECEDING AND 1 PRECEDING)"
        silent = f"segment - lagInFrame(segment, 1, segment) OVER ({order} {SO_FAR}) > {own.periods}"
        sums = f"sum(toInt256(c)) OVER {behind} AS total, sum(toInt256(c) * c) OVER {behind} AS squares"
        counts = f"SELECT {part}, toInt64(count()) AS c FROM numbered GROUP BY {part}"
        told = f"SELECT *, {silent} AS silent, {sums} FROM ({counts})"
        eras = f"SELECT *, sum(silent) OVER ({order} {SO_FAR}) AS era FROM ({told})"
        since = f"segment - min(segment) OVER (PARTITION BY {keys}, era)"
        known = f"SELECT {part}, total, squares, toInt256(least({own.periods}, {since})) AS known FROM ({eras})"
        tests = [f"known >= {own.least}"]
        if own.factor is not None:
            factor = Fraction(own.factor)
            tests.append(f"n * known * {factor.denominator} >= total * {factor.numerator}")
        if own.deviations is not None:
            square, over = Fraction(own.deviations) ** 2, "(n * known - total)"
            spread = f"{square.numerator} * (known * squares - total * total)"
            tests += [f"{over} >= 0", f"{over} * {over} * {square.denominator} >= {spread}"]
        high = " AND ".join(tests)
        value = f"SELECT *, toFloat64(n) AS value, {high} AS high FROM numbered INNER JOIN past USING ({part})"
        return [("past", known), ("measured", value)]
