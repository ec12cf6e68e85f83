"""Windows in SQL, two ways: the query that `aupstream rules convert` writes, and a plain self-join."""
# ruff: noqa: S608 - queries of our own making

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from agents.context.calendar import Calendar
from agents.context.district import District
from agents.engine.rows import Row
from agents.rules.convert import Converter
from agents.rules.model import Presence, Rule, RuleSet


def literal(value: object) -> str:
    """A value in the SQL that DuckDB and ClickHouse share."""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(literal, value)) + "]"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


@dataclass(frozen=True)
class OverRows(Converter):
    """The query of a rule over rows that are written into it."""

    rows: Sequence[tuple[str, Row]] = ()
    latest: int = 0

    def matched(self, rule: Rule) -> str:
        """The rows. What is not said is -1 as a session's length, 0 as any other number."""
        unsaid = -1.0 if rule.kind == "concurrent" else 0.0
        listed = ", ".join(
            f"({literal(k)}, toInt64({r.t}), {literal(r.event_id)}, {literal(r.base)}, "
            f"toFloat64({unsaid if r.number is None else r.number!r}), {literal(r.values or ('',))})"
            for k, r in self.rows
        )
        names = "key_1, t, event_id, base, number, vals"
        columns = ", ".join(f"r.{i} AS {n}" for i, n in enumerate(names.split(", "), 1))
        return f"SELECT {columns} FROM (SELECT arrayJoin([{listed}]) AS r)"

    def bounds(self, rule: Rule) -> str:
        """From the first row on, to the time that is given."""
        del rule
        return f"SELECT toInt64({min(r.t for _, r in self.rows)}) AS earliest, toInt64({self.latest}) AS latest"


def query(rule: Rule, rows: Sequence[tuple[str, Row]], calendar: Calendar | None = None, latest: int = 0) -> str:
    """The converted query over some rows, as plain values: first event, opened, closed, count, last event."""
    district = District(calendar=calendar or Calendar())
    text = OverRows(RuleSet((rule,), (), ""), district, rows=rows, latest=latest).rule(rule)
    micros = ", ".join(f"toUnixTimestamp64Micro({c}) AS {c}" for c in ("opened_at", "closed_at"))
    return f"SELECT group_key['user_name'], first_event, {micros}, count, last_event FROM ({text})"


# The plain way: every row, and every instant at which one leaves, joined with all rows that are inside then.
WORDS = {
    "duckdb": {
        "percentile": "quantile_cont(a.number, {})",
        "values": "len(list_distinct(flatten(list(a.vals))))",
        "any": "bool_or({})",
    },
    "clickhouse": {
        "percentile": "quantileExactInclusive({})(a.number)",
        "values": "length(arrayDistinct(arrayFlatten(groupArray(a.vals))))",
        "any": "max({})",
    },
}


def self_join(rule: Rule, rows: Sequence[Row], dialect: str) -> str:
    """Where the condition of a sliding window holds: (time, number of the row, -1 where one leaves)."""
    events = {event: e for e, event in enumerate(dict.fromkeys(r.event_id for r in rows))}
    listed = ", ".join(
        f"({i}, {r.t}, {literal(r.base)}, {float(r.number or 0)!r}, {literal(r.values or ('',))}, {events[r.event_id]})"
        for i, r in enumerate(rows)
    )
    names = ("n", "t", "base", "number", "vals", "e")
    if dialect == "duckdb":
        given = f"SELECT * FROM (VALUES {listed}) AS v({', '.join(names)})"
    else:
        columns = ", ".join(f"r.{i} AS {n}" for i, n in enumerate(names, 1))
        given = f"SELECT {columns} FROM (SELECT arrayJoin([{listed}]) AS r)"
    span = rule.timespan_us
    points = f"SELECT t AS at, n AS point FROM given UNION ALL SELECT DISTINCT t + {span}, -1 FROM given"
    head = f"WITH given AS ({given}), points AS ({points}) SELECT p.at, p.point FROM points AS p, "
    inside = f"{{0}}.t <= p.at AND {{0}}.t > p.at - {span} AND ({{0}}.n <= p.point OR p.point = -1)"
    if rule.kind == "temporal_ordered":
        tables = [f"a{i}" for i in range(len(rule.bases))]
        tests = [f"{a}.base = {literal(b)} AND {inside.format(a)}" for a, b in zip(tables, rule.bases, strict=True)]
        tests += [f"{a}.e < {b}.e" for a, b in pairwise(tables)]
        joined = ", ".join(f"given AS {a}" for a in tables)
        return f"{head}{joined} WHERE {' AND '.join(tests)} GROUP BY p.at, p.point"
    holds = condition(rule, WORDS[dialect])
    return f"{head}given AS a WHERE {inside.format('a')} GROUP BY p.at, p.point HAVING {holds}"


def condition(rule: Rule, words: Mapping[str, str]) -> str:
    """The condition of a rule over the rows `a` of a group."""
    if rule.kind == "temporal":
        return _there(rule.presence or _all(rule.bases), words["any"])
    measures = {
        "event_count": "count(*)",
        "value_sum": "sum(a.number)",
        "value_avg": "avg(a.number)",
        "value_count": words["values"],
        "value_median": words["percentile"].format(0.5),
        "value_percentile": words["percentile"].format(rule.percentile / 100),
    }
    measure = measures[rule.kind]
    limits = []
    for t in rule.thresholds:
        parts = [f"{measure} >= {t.gte!r}"] if t.gte != -inf else []
        parts += [f"{measure} <= {t.lte!r}"] if t.lte != inf else []
        parts += [f"{measure} <> {t.neq!r}"] if t.neq is not None else []
        limits.append("(" + " AND ".join(parts) + ")")
    return " OR ".join(limits)


def _all(bases: Sequence[str]) -> Presence:
    made: Presence = bases[0]
    for base in bases[1:]:
        made = ("and", made, base)
    return made


def _there(presence: Presence, some: str) -> str:
    if isinstance(presence, str):
        return some.format(f"a.base = {literal(presence)}")
    word, *parts = presence
    said = [f"({_there(p, some)})" for p in parts]
    return f"NOT {said[0]}" if word == "not" else f" {word} ".join(said)


Found = tuple[str, int, int, int, str]  # first event, opened, closed, count, last event


def runs(rule: Rule, rows: Sequence[Row], holding: set[tuple[int, int]]) -> list[Found]:
    """Episodes: from a row at which the condition holds to the next point at which it does not."""
    times = {r.t for r in rows}
    points = sorted(
        {(r.t, i) for i, r in enumerate(rows)}
        | {(r.t + rule.timespan_us, -1) for r in rows if r.t + rule.timespan_us not in times}
    )
    made: list[Found] = []
    first: int | None = None
    used = last = -1
    opened = 0
    for at, point in points:
        holds = (at, point) in holding
        if first is not None and not holds:
            made.append((rows[first].event_id, opened, at, last - first + 1, rows[last].event_id))
            used, first = last, None
        elif holds and point >= 0:
            if first is None:
                first = next(i for i, r in enumerate(rows) if i > used and r.t > at - rule.timespan_us)
                opened = at
            last = point
    return made
