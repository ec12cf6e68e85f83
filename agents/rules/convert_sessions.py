"""Our own kind `concurrent` in SQL: sessions that go on at several places at once.

Every row is a point; so is every instant at which a session ends by itself. A row whose session goes on takes it over,
so that the row before ends with it. What is inside at a point are the sessions that go on, each as its newest row.
"""

# ruff: noqa: S608 - writing queries is what this module is for; every text in them is quoted by `quoted`
from __future__ import annotations

from agents.rules.convert_values import quoted
from agents.rules.convert_windows import SO_FAR, Windows
from agents.rules.own import Concurrent


class Sessions(Windows):
    """See `Windows`. Of `vals` the first is the place, the second the session; `number` is its length in seconds."""

    def _points(self) -> str:
        """Rows, and what changes: a session comes to a place, and leaves it. Several changes may be of one point."""
        part = self._part
        none = f"SELECT {part}, t AS at, 1 AS is_row, n, '' AS place, 0 AS sign FROM numbered"
        both = "[(t, 1, n, 1), (over, toUInt8(next_n > 0), next_n, -1)]"
        some = f"SELECT {part}, vals[1] AS place, arrayJoin({both}) AS c FROM lives"
        return f"{none} UNION ALL SELECT {part}, c.1 AS at, c.2 AS is_row, c.3 AS n, place, c.4 AS sign FROM ({some})"

    def _stages(self) -> list[tuple[str, str]]:
        """`lives`: rows that begin or continue a session, with when each is over and the row that took over, if any."""
        own, span, part = self.rule.own, self.rule.timespan_us, self._part
        ends = sorted(own.ends) if isinstance(own, Concurrent) else []
        ended = f"base IN ({', '.join(map(quoted, ends))})" if ends else "false"
        length = f"if(number < 0, {span}, least({span}, toInt64(number * 1000000)))"
        session = "if(vals[2] = '', event_id, vals[2])"
        named = f"SELECT *, {session} AS session, {ended} AS ends, t + {length} AS until FROM numbered"
        over = f"(PARTITION BY {part}, session ORDER BY n ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)"
        following = f"leadInFrame(n, 1, 0) OVER {over} AS after_n, leadInFrame(t, 1, t) OVER {over} AS after_t"
        taken = "after_n > 0 AND after_t < until"
        lives = (
            f"SELECT *, if({taken}, after_n, 0) AS next_n, if({taken}, after_t, until) AS over "
            f"FROM (SELECT *, {following} FROM named) WHERE NOT ends AND until > t"
        )
        return [("named", named), ("lives", lives)]

    def _values(self) -> list[tuple[str, str]]:
        points = f"{self._part}, at, is_row, n"
        have = f"sum(sign) OVER (PARTITION BY {self._part}, place ORDER BY at, is_row, n, sign {SO_FAR})"
        change = "multiIf(sign = 1 AND have = 1, 1, sign = -1 AND have = 0, -1, 0)"
        changes = (
            f"SELECT {points}, sum({change}) AS change FROM (SELECT *, {have} AS have FROM points) GROUP BY {points}"
        )
        value = f"toFloat64(sum(change) OVER {self._over}) AS value"
        return [
            ("changes", changes),
            ("measured", f"SELECT *, 0 AS gone, toInt64(1) AS inside, {value} FROM changes"),
        ]

    def _episodes(self) -> list[tuple[str, str]]:
        """The sessions that go on where one opens and that were in none before, then every row until it closes."""
        part = self._part
        both = f"{part}, run"
        rows = f"SELECT {both}, n, at, toInt64(0) AS back_to, closing, value FROM runs WHERE holds AND is_row = 1"
        found = (
            f"SELECT {both}, max(begin_n) AS open_n, minIf(at, n = begin_n) AS open_at, min(closing) AS close_at, "
            f"max(value) AS most, max(n) AS until_n "
            f"FROM opened WHERE begin_n > 0 AND n >= begin_n GROUP BY {both}"
        )
        going = "r.n <= e.open_n AND (r.next_n > e.open_n OR (r.next_n = 0 AND r.over > e.open_at))"
        named = ", ".join(f"e.{column} AS {column}" for column in (*self.keys, "run", "open_at", "close_at", "most"))
        taken = (
            f"SELECT {named}, toInt64(r.n) AS row_n FROM found AS e "
            f"INNER JOIN lives AS r ON {' AND '.join(f'e.{key} = r.{key}' for key in self.keys)} "
            f"WHERE ({going}) OR (r.n > e.open_n AND r.n <= e.until_n)"
        )
        listed = (
            f"SELECT {both}, any(open_at) AS opened_at, any(close_at) AS closed_at, any(most) AS highest, "
            f"groupArray(row_n) AS rows FROM taken GROUP BY {both}"
        )
        used = f"lagInFrame(arrayMax(rows), 1, 0) OVER (PARTITION BY {part} ORDER BY run {SO_FAR})"
        fresh = f"SELECT *, arrayFilter(n -> n > used, rows) AS mine FROM (SELECT *, {used} AS used FROM ({listed}))"
        bounds = "arrayMin(mine) AS first_n, arrayMax(mine) AS last_n, toUInt64(length(mine)) AS count"
        return [
            ("holding", rows),
            ("opened", self._opened()),
            ("found", found),
            ("taken", taken),
            ("episodes", f"SELECT *, {bounds} FROM ({fresh})"),
        ]
