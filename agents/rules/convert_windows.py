"""Episodes of a correlation as ClickHouse SQL over matched rows, exact, and linear in them but for percentiles.

Rows are numbered in (event time, event id, base) order within their key. Of a sliding window every row is two
*points*: where it comes in, and where it leaves, a time span later. Running sums over the points are what is inside;
the condition is judged at every point, as the engine does, so that upper limits and averages are right, too. Runs of
points at which it holds are the episodes. In the other windows nothing leaves; a segment (a slot of the clock, a
session) has one point at its end.
"""

# ruff: noqa: S608 - writing queries is what this module is for; every text in them is quoted by `quoted`
from __future__ import annotations

from dataclasses import dataclass
from math import inf

from agents.rules.convert_values import Unsayable, quoted
from agents.rules.model import NUMERIC_KINDS, Presence, Rule

_FAR = 9_223_372_036_854_775_807
_SO_FAR = "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
KINDS = frozenset(
    {"event_count", "value_count", *NUMERIC_KINDS, "temporal", "temporal_ordered", "sequence"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Windows:
    """Writes the windows of one rule.

    Attributes:
        rule: Of one of `KINDS`.
        keys: Columns of `matched` that the key is made of.
    """

    rule: Rule
    keys: tuple[str, ...]

    @property
    def _sliding(self) -> bool:
        return self.rule.window == "sliding"

    @property
    def _part(self) -> str:
        return ", ".join(self.keys if self._sliding else (*self.keys, "segment"))

    def parts(self) -> list[tuple[str, str]]:
        """Named subqueries, each over those before it.

        From `matched` (the keys, `t`, `event_id`, `base`, `number`, `vals`) to `episodes` (the keys, `first_n`,
        `last_n`, `opened_at`, `closed_at`, `highest`).

        Raises:
            Unsayable: the rule asks for what SQL cannot say.
        """
        rule = self.rule
        if rule.suppress_us or rule.rearm_us:
            raise Unsayable("suppress and rearm depend on the episode before and cannot be said in SQL")
        if any(t.where or t.per for t in rule.thresholds):
            raise Unsayable("limits of a class of values, or per message, cannot be said in SQL")
        if self._ordered and rule.lasting_us:
            raise Unsayable("`lasting` of an order of rules cannot be said in SQL")
        segmented = [] if self._sliding else self._segments()
        source = "matched" if self._sliding else "segmented"
        number = f"row_number() OVER (PARTITION BY {self._part} ORDER BY t, event_id, base)"
        made = [*segmented, ("numbered", f"SELECT *, {number} AS n FROM {source}"), *self._stages()]
        return [*made, ("points", self._points()), *self._values(), *self._judged()]

    @property
    def _ordered(self) -> bool:
        return self.rule.kind in ("temporal_ordered", "sequence")

    def _segments(self) -> list[tuple[str, str]]:
        span, keys = self.rule.timespan_us, ", ".join(self.keys)
        if self.rule.window == "tumbling":
            return [("segmented", f"SELECT *, intDiv(t, {span}) AS segment FROM matched")]
        if self.rule.window != "session":
            raise Unsayable(f"window {self.rule.window} cannot be said in SQL")
        order = f"PARTITION BY {keys} ORDER BY t, event_id, base {_SO_FAR}"
        gaps = f"SELECT *, t - lagInFrame(t, 1, t) OVER ({order}) > {span} AS apart FROM matched"
        return [("gaps", gaps), ("segmented", f"SELECT *, sum(apart) OVER ({order}) AS segment FROM gaps")]

    def _stages(self) -> list[tuple[str, str]]:
        """Of an order of rules: `begun`, the number of the newest row that a whole chain up to here can begin with."""
        if not self._ordered:
            return []
        counts = self.rule.counts or (1,) * len(self.rule.bases)
        made, below = [], "numbered"
        for place, (base, count) in enumerate(zip(self.rule.bases, counts, strict=True)):
            before = "n"
            if place:
                window = f"PARTITION BY {self._part} ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
                made.append((f"ready_{place}", f"SELECT *, max(begin_{place - 1}) OVER ({window}) AS r FROM {below}"))
                below, before = f"ready_{place}", "r"
            window = f"PARTITION BY {self._part}, base ORDER BY n {_SO_FAR}"
            begin = f"if(base = {quoted(base)}, lagInFrame(toUInt64({before}), {count - 1}, 0) OVER ({window}), 0)"
            drop = " EXCEPT (r)" if place else ""
            made.append((f"stage_{place}", f"SELECT *{drop}, {begin} AS begin_{place} FROM {below}"))
            below = f"stage_{place}"
        return made

    def _points(self) -> str:
        source = f"stage_{len(self.rule.bases) - 1}" if self._ordered else "numbered"
        begin = f"begin_{len(self.rule.bases) - 1}" if self._ordered else "toUInt64(0)"
        columns = f"{self._part}, base, n, number, vals"
        span = self.rule.timespan_us
        rows = f"SELECT {columns}, t AS at, 1 AS is_row, {begin} AS begun FROM {source}"
        if self._sliding:
            return f"{rows} UNION ALL SELECT {columns}, t + {span}, 0, 0 FROM numbered"
        end = f"(segment + 1) * {span}" if self.rule.window == "tumbling" else f"max(t) + {span} + 1"
        last = f"SELECT {self._part}, '', max(n) + 1, 0, [''], {end}, 0, 0 FROM numbered GROUP BY {self._part}"
        return f"{rows} UNION ALL {last}"

    @property
    def _over(self) -> str:
        return f"(PARTITION BY {self._part} ORDER BY at, is_row, n {_SO_FAR})"

    @property
    def _behind(self) -> str:
        rows = "ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING"
        return f"(PARTITION BY {self._part} ORDER BY at, is_row, n {rows})"

    def _values(self) -> list[tuple[str, str]]:
        """`measured`: the points with what is inside after each of them, and its measure."""
        over, kind = self._over, self.rule.kind
        gone = f"countIf(is_row = 0) OVER {over}" if self._sliding else "toUInt64(0)"
        inside = f"sum(if(is_row = 1, 1, -1)) OVER {over}" if self._sliding else f"sum(is_row) OVER {over}"
        common = f"toInt64({gone}) AS gone, toInt64({inside}) AS inside"
        signed = "if(is_row = 1, number, -number)" if self._sliding else "if(is_row = 1, number, 0)"
        if kind == "value_count":
            return self._distinct(common)
        if kind in ("value_median", "value_percentile"):
            return self._percentile(common)
        values = {
            "event_count": "inside",
            "value_sum": f"sum({signed}) OVER {over}",
            "value_avg": f"sum({signed}) OVER {over} / inside",
            "temporal": " + ".join(f"(have_{i} > 0)" for i in range(len(self.rule.bases))),
        }
        leaves = -1 if self._sliding else 0
        there = [
            f"sum(if(base = {quoted(base)}, if(is_row = 1, 1, {leaves}), 0)) OVER {over} AS have_{i}"
            for i, base in enumerate(self.rule.bases)
            if kind == "temporal"
        ]
        chain = [f"max(if(is_row = 1, begun, 0)) OVER {over} AS chain", self._first_row()] if self._ordered else []
        value = f"toFloat64({values.get(kind, '0')}) AS value"
        return [("measured", f"SELECT *, {', '.join([common, *there, *chain, value])}{self._times()} FROM points")]

    def _first_row(self) -> str:
        """Of an order of rules: the oldest row inside that is of the first of them, which the window begins with."""
        mine = f"base = {quoted(self.rule.bases[0])}"
        if self._sliding:
            over = self._behind
            return f"minOrDefault(if(is_row = 0 AND {mine}, toInt64(n), {_FAR})) OVER {over} AS head"
        return f"min(if(is_row = 1 AND {mine}, toInt64(n), {_FAR})) OVER {self._over} AS head"

    def _times(self) -> str:
        """Of `lasting`: how far the newest row inside is from the oldest."""
        if not self.rule.lasting_us:
            return ""
        newest = f"max(if(is_row = 1, at, {-_FAR})) OVER {self._over}"
        oldest = f"min(if(is_row = 1, at, {_FAR})) OVER {self._over}"
        if self._sliding:
            oldest = f"min(if(is_row = 0, at - {self.rule.timespan_us}, {_FAR})) OVER {self._behind}"
        return f", {newest} - {oldest} AS lasts"

    def _distinct(self, common: str) -> list[tuple[str, str]]:
        part = self._part
        points = f"{part}, at, is_row, n"
        each = f"SELECT {part}, at, is_row, n, arrayJoin(arrayDistinct(vals)) AS v FROM points"
        leaves = -1 if self._sliding else 0
        have = f"sum(if(is_row = 1, 1, {leaves})) OVER (PARTITION BY {part}, v ORDER BY at, is_row, n {_SO_FAR})"
        change = "multiIf(is_row = 1 AND have = 1, 1, is_row = 0 AND have = 0, -1, 0)"
        value = f"toFloat64(sum(change) OVER {self._over}) AS value"
        return [
            ("each_value", f"SELECT *, {have} AS have FROM ({each})"),
            ("changes", f"SELECT {points}, sum({change}) AS change FROM each_value GROUP BY {points}"),
            ("measured", f"SELECT *, {common}, {value}{self._times()} FROM changes"),
        ]

    def _percentile(self, common: str) -> list[tuple[str, str]]:
        share = 0.5 if self.rule.kind == "value_median" else self.rule.percentile / 100
        part = self._part
        numbers = "arrayMap(p -> p.2, arraySort(groupArray((n, number)))) AS numbers"
        lists = f"SELECT {part}, {numbers} FROM numbered GROUP BY {part}"
        inside = f"SELECT *, {common}{self._times()} FROM points"
        value = f"arrayReduce('quantileExactInclusive({share!r})', arraySlice(numbers, gone + 1, inside))"
        value = f"if(inside > 0, toFloat64({value}), 0) AS value"
        return [
            ("lists", lists),
            ("inside_of", inside),
            ("measured", f"SELECT *, {value} FROM inside_of INNER JOIN lists USING ({part})"),
        ]

    def _judged(self) -> list[tuple[str, str]]:
        part = self._part
        ahead = f"(PARTITION BY {part} ORDER BY at, is_row, n ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)"
        # Rows that leave at one instant leave together, and before the rows that come at it.
        last = f"is_row = 1 OR leadInFrame(at, 1, {_FAR}) OVER {ahead} > at" if self._sliding else "true"
        marked = f"SELECT *, {last} AS counts FROM measured"
        holds = f"SELECT *, inside > 0 AND ({self._condition()}) AS holds FROM marked WHERE counts"
        closing = f"min(if(holds, {_FAR}, at)) OVER {ahead} AS closing"
        runs = f"SELECT *, countIf(NOT holds) OVER {self._over} AS run, {closing} FROM held"
        oldest = "greatest(gone + 1, head)" if self._ordered and self.rule.kind == "sequence" else "gone + 1"
        first = f"argMinIf({oldest}, (at, n), is_row = 1)"
        found = (
            f"SELECT {part}, run, minIf(at, is_row = 1) AS opened_at, {first} AS oldest, "
            f"maxIf(n, is_row = 1) AS last_n, "
            f"min(closing) AS closed_at, maxIf(value, is_row = 1) AS highest FROM runs WHERE holds "
            f"GROUP BY {part}, run HAVING countIf(is_row = 1) > 0"
        )
        before = f"lagInFrame(toInt64(last_n), 1, 0) OVER (PARTITION BY {part} ORDER BY run {_SO_FAR})"
        return [
            ("marked", marked),
            ("held", holds),
            ("runs", runs),
            ("found", found),
            ("episodes", f"SELECT *, greatest(oldest, {before} + 1) AS first_n FROM found"),
        ]

    def _condition(self) -> str:
        rule = self.rule
        if rule.kind == "temporal":
            places = {base: f"have_{i} > 0" for i, base in enumerate(rule.bases)}
            said = " AND ".join(places.values()) if rule.presence is None else _presence(rule.presence, places)
        elif self._ordered:
            said = "chain > gone"
        else:
            said = " OR ".join(_range(t.gte, t.lte, t.neq) for t in rule.thresholds)
        if not self._sliding:
            said = f"is_row = 1 AND ({said})"
        return f"lasts >= {rule.lasting_us} AND ({said})" if rule.lasting_us else said


def _range(low: float, high: float, neq: float | None) -> str:
    parts = [f"value >= {low!r}"] if low != -inf else []
    parts += [f"value <= {high!r}"] if high != inf else []
    parts += [f"value != {neq!r}"] if neq is not None else []
    return "(" + (" AND ".join(parts) or "true") + ")"


def _presence(presence: Presence, places: dict[str, str]) -> str:
    if isinstance(presence, str):
        return places[presence]
    word, *parts = presence
    said = [f"({_presence(p, places)})" for p in parts]
    return f"NOT {said[0]}" if word == "not" else f" {word.upper()} ".join(said)
