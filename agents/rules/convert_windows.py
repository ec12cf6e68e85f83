"""Episodes of a correlation as ClickHouse SQL over matched rows, exact, and linear in them but for percentiles.

Rows are numbered in (event time, event id, base) order within their key. Of a sliding window every row is two
*points*: where it comes in, and where it leaves, a time span later. Running sums over the points are what is inside;
the condition is judged at every point, as the engine does, so that upper limits and averages are right, too. Runs of
points at which it holds are the episodes. In the other windows nothing leaves; a segment (a slot of the clock, a
session) has one point at its end. An episode opens with the first row of its run, or, where the rule waits after an
episode, with the first that it does not wait at any more: those are found by a fold over the rows that hold.
"""

# ruff: noqa: S608 - writing queries is what this module is for; every text in them is quoted by `quoted`
from __future__ import annotations

from dataclasses import dataclass
from math import inf

from agents.rules.convert_limits import classes, measure_of
from agents.rules.convert_places import speed
from agents.rules.convert_values import Unsayable, quoted
from agents.rules.model import COUNTED_ONCE, NUMERIC_KINDS, Presence, Rule, Threshold
from agents.rules.own import Travel

FAR = 9_223_372_036_854_775_807
SO_FAR = "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
KINDS = frozenset(
    {"event_count", "value_count", *NUMERIC_KINDS, "temporal", "temporal_ordered", "sequence", "travel"}
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
        `last_n`, `count`, `opened_at`, `closed_at`, `highest`), numbers being those of `numbered`.

        Raises:
            Unsayable: the rule asks for what SQL cannot say.
        """
        if self._ordered and self.rule.lasting_us:
            raise Unsayable("`lasting` of an order of rules cannot be said in SQL")
        segmented = [] if self._sliding else self._segments()
        source = "matched" if self._sliding else "segmented"
        number = f"row_number() OVER (PARTITION BY {self._part} ORDER BY t, event_id, base) AS n"
        if self._ordered:
            number += f", toInt64(dense_rank() OVER (PARTITION BY {self._part} ORDER BY t, event_id)) AS e"
        made = [*segmented, ("numbered", f"SELECT *, {number} FROM {self._once(source)}"), *self._stages()]
        return [*made, ("points", self._points()), *self._values(), *self._judged(), *self._episodes()]

    def _once(self, source: str) -> str:
        """Rows, those of one event that count the same but once: see `agents.engine.windows.Window.add`."""
        if self.rule.kind not in COUNTED_ONCE or len(self.rule.bases) == 1:
            return source
        informs = ", ".join(quoted(base) for base in self.rule.informational_when)
        by = f"{self._part}, event_id, number, vals" + (f", base IN ({informs})" if informs else "")
        return f"(SELECT * FROM {source} ORDER BY t, event_id, base LIMIT 1 BY {by})"

    @property
    def _ordered(self) -> bool:
        return self.rule.kind in ("temporal_ordered", "sequence")

    def _segments(self) -> list[tuple[str, str]]:
        span, keys = self.rule.timespan_us, ", ".join(self.keys)
        if self.rule.window == "tumbling":
            return [("segmented", f"SELECT *, intDiv(t, {span}) AS segment FROM matched")]
        if self.rule.window != "session":
            raise Unsayable(f"window {self.rule.window} cannot be said in SQL")
        order = f"PARTITION BY {keys} ORDER BY t, event_id, base {SO_FAR}"
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
                window = f"PARTITION BY {self._part} ORDER BY e RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
                ready = f"max(begin_{place - 1}) OVER ({window})"
                if self.rule.kind == "temporal_ordered":  # of one time only what one log tells is in order
                    earlier = f"PARTITION BY {self._part} ORDER BY t RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
                    log = window.replace(self._part, f"{self._part}, t, substring(event_id, 1, 16)", 1)
                    ready = ", ".join(f"max(begin_{place - 1}) OVER ({w})" for w in (earlier, log))
                    ready = f"greatest({ready})"
                made.append((f"ready_{place}", f"SELECT *, {ready} AS r FROM {below}"))
                below, before = f"ready_{place}", "r"
            window = f"PARTITION BY {self._part}, base ORDER BY n {SO_FAR}"
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
        return f"(PARTITION BY {self._part} ORDER BY at, is_row, n {SO_FAR})"

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
        if kind == "travel":
            return self._journeys(common)
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
            return f"minOrDefault(if(is_row = 0 AND {mine}, toInt64(n), {FAR})) OVER {over} AS head"
        return f"min(if(is_row = 1 AND {mine}, toInt64(n), {FAR})) OVER {self._over} AS head"

    def _times(self) -> str:
        """Of `lasting`: how far the newest row inside is from the oldest."""
        if not self.rule.lasting_us:
            return ""
        newest = f"max(if(is_row = 1, at, {-FAR})) OVER {self._over}"
        oldest = f"min(if(is_row = 1, at, {FAR})) OVER {self._over}"
        if self._sliding:
            oldest = f"min(if(is_row = 0, at - {self.rule.timespan_us}, {FAR})) OVER {self._behind}"
        return f", {newest} - {oldest} AS lasts"

    def _distinct(self, common: str) -> list[tuple[str, str]]:
        points = f"{self._part}, at, is_row, n"
        if any(t.where or t.per for t in self.rule.thresholds):
            parts, changed = classes(self.rule, self._part, leaves=self._sliding)
        else:
            leaves = -1 if self._sliding else 0
            over = f"(PARTITION BY {self._part}, v ORDER BY at, is_row, n {SO_FAR})"
            each = f"SELECT {points}, arrayJoin(arrayDistinct(vals)) AS v FROM points"
            have = f"SELECT *, sum(if(is_row = 1, 1, {leaves})) OVER {over} AS have FROM ({each})"
            parts = [("each_value", have)]
            changed = {"value": "multiIf(is_row = 1 AND have = 1, 1, is_row = 0 AND have = 0, -1, 0)"}
        sums = ", ".join(f"sum({change}) AS {name}_change" for name, change in changed.items())
        source = "each_value" if len(changed) == 1 else "each_change"
        values = ", ".join(f"toFloat64(sum({name}_change) OVER {self._over}) AS {name}" for name in changed)
        return [
            *parts,
            ("changes", f"SELECT {points}, {sums} FROM {source} GROUP BY {points}"),
            ("measured", f"SELECT *, {common}, {values}{self._times()} FROM changes"),
        ]

    def _journeys(self, common: str) -> list[tuple[str, str]]:
        own, part = self.rule.own, self._part
        least_km = own.km if isinstance(own, Travel) else 0.0
        before = f"lagInFrame(vals, 1, []) OVER (PARTITION BY {part} ORDER BY n {SO_FAR})"
        since = f"(t - lagInFrame(t, 1, t) OVER (PARTITION BY {part} ORDER BY n {SO_FAR})) / 1e6"
        steps = f"SELECT {part}, n, vals, {before} AS vals_before, {since} AS seconds FROM numbered"
        speeds = f"SELECT {part}, n, {speed('vals_before', 'vals', 'seconds', least_km)} AS speed FROM steps"
        listed = "arrayMap(p -> p.2, arraySort(groupArray((n, speed)))) AS speeds"
        lists = f"SELECT {part}, {listed} FROM speeds GROUP BY {part}"
        value = "if(inside > 1, arrayMax(arraySlice(speeds, gone + 2, inside - 1)), 0) AS value"
        return [
            ("steps", steps),
            ("speeds", speeds),
            ("lists", lists),
            ("inside_of", f"SELECT *, {common} FROM points"),
            ("measured", f"SELECT *, {value} FROM inside_of INNER JOIN lists USING ({part})"),
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
        last = f"is_row = 1 OR leadInFrame(at, 1, {FAR}) OVER {ahead} > at" if self._sliding else "true"
        marked = f"SELECT *, {last} AS counts FROM measured"
        holds = f"SELECT *, inside > 0 AND ({self._condition()}) AS holds FROM marked WHERE counts"
        closing = f"min(if(holds, {FAR}, at)) OVER {ahead} AS closing"
        runs = f"SELECT *, countIf(NOT holds) OVER {self._over} AS run, {closing} FROM held"
        return [("marked", marked), ("held", holds), ("runs", runs)]

    def _episodes(self) -> list[tuple[str, str]]:
        part = self._part
        oldest = "greatest(gone + 1, head)" if self.rule.kind == "sequence" else "gone + 1"
        rows = f"SELECT {part}, run, n, at, toInt64({oldest}) AS back_to, closing, value FROM runs"
        found = (
            f"SELECT {part}, run, minIf(at, n = begin_n) AS opened_at, minIf(back_to, n = begin_n) AS oldest, "
            f"max(n) AS last_n, min(closing) AS closed_at, max(value) AS highest "
            f"FROM opened WHERE begin_n > 0 AND n >= begin_n GROUP BY {part}, run"
        )
        before = f"lagInFrame(toInt64(last_n), 1, 0) OVER (PARTITION BY {part} ORDER BY run {SO_FAR})"
        episodes = f"SELECT *, greatest(oldest, {before} + 1) AS first_n FROM found"
        return [
            ("holding", f"{rows} WHERE holds AND is_row = 1"),
            ("opened", self._opened()),
            ("found", found),
            ("episodes", f"SELECT *, toUInt64(last_n - first_n + 1) AS count FROM ({episodes})"),
        ]

    def _opened(self) -> str:
        """`holding` with `begin_n`: the number of the row that opens an episode in the run of a row; 0 for none."""
        part, suppress, rearm = self._part, self.rule.suppress_us, self.rule.rearm_us
        if not suppress and not rearm:
            return f"SELECT *, min(n) OVER (PARTITION BY {part}, run) AS begin_n FROM holding"
        keys, segment = ", ".join(self.keys), "toInt64(0)" if self._sliding else "toInt64(segment)"
        last = f"max(at) OVER (PARTITION BY {part}, run)"
        row = "(at, segment_number, toInt64(n), toInt64(run), closing, last_at, back_to, value)"
        holding = f"SELECT *, {segment} AS segment_number, {last} AS last_at FROM holding"
        listed = f"SELECT {keys}, arraySort(groupArray({row})) AS rows FROM ({holding}) GROUP BY {keys}"
        # So far: from when on one may open again; the run that is open, as (segment, run); what opened, with its row.
        after = [f"x.5 + {suppress}"] if suppress else []
        after += [f"x.6 + {rearm}"] if rearm else []
        armed = f"greatest({', '.join(after)})" if len(after) > 1 else after[0]
        waits = f"greatest(acc.1, x.1 + {rearm})" if rearm else "acc.1"
        step = (
            f"(acc, x) -> multiIf((x.2, x.4) = acc.2, acc, x.1 >= acc.1, "
            f"(toInt64({armed}), (x.2, x.4), arrayPushBack(acc.3, (x.2, x.4, x.3))), "
            f"(toInt64({waits}), acc.2, acc.3))"
        )
        start = f"(toInt64({-FAR}), (toInt64(0), toInt64(-1)), CAST([] AS Array(Tuple(Int64, Int64, Int64))))"
        folded = (
            f"SELECT {keys}, arrayJoin(rows) AS x, arrayFold({step}, rows, {start}).3 AS runs_opened FROM ({listed})"
        )
        named = "" if self._sliding else "x.2 AS segment, "
        return (
            f"SELECT {keys}, {named}x.4 AS run, x.3 AS n, x.1 AS at, x.5 AS closing, x.7 AS back_to, x.8 AS value, "
            f"arrayFirst(o -> o.1 = x.2 AND o.2 = x.4, runs_opened).3 AS begin_n FROM ({folded})"
        )

    def _condition(self) -> str:
        rule = self.rule
        if rule.kind == "temporal":
            places = {base: f"have_{i} > 0" for i, base in enumerate(rule.bases)}
            said = " AND ".join(places.values()) if rule.presence is None else _presence(rule.presence, places)
        elif self._ordered:
            said = "chain > gone"
        else:
            said = " OR ".join(_range(measure_of(i, t), t) for i, t in enumerate(rule.thresholds))
        if not self._sliding:
            said = f"is_row = 1 AND ({said})"
        return f"lasts >= {rule.lasting_us} AND ({said})" if rule.lasting_us else said


def _range(measure: str, limit: Threshold) -> str:
    if limit.per:
        return f"{measure} > 0"
    parts = [f"{measure} >= {limit.gte!r}"] if limit.gte != -inf else []
    parts += [f"{measure} <= {limit.lte!r}"] if limit.lte != inf else []
    parts += [f"{measure} != {limit.neq!r}"] if limit.neq is not None else []
    return "(" + (" AND ".join(parts) or "true") + ")"


def _presence(presence: Presence, places: dict[str, str]) -> str:
    if isinstance(presence, str):
        return places[presence]
    word, *parts = presence
    said = [f"({_presence(p, places)})" for p in parts]
    return f"NOT {said[0]}" if word == "not" else f" {word.upper()} ".join(said)
