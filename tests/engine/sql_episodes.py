"""Episodes as one plain query over rows: windows of every form, orders with counts, `lasting`, `suppress`, `rearm`.

Rows are joined with themselves to see what is inside a window and whether the condition holds; a fold over the points
in time makes episodes of that: a recursive query in DuckDB, `arrayFold` in ClickHouse. Nothing of it is what a rule is
converted to.
"""
# ruff: noqa: S608 - queries of our own making

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agents.engine.rows import Row
from agents.rules.model import Rule
from tests.engine.oracle import once
from tests.engine.sql_windows import WORDS, Found, condition, literal

_NEVER = -(2**60)
_ROW = ("k", "n", "t", "event_id", "base", "number", "vals", "mark")  # `mark`: a semicolon before each event
# What is known while points pass; -1 and `_NEVER`: none. `said_…` is the episode that ends at this point.
_STATE = {"first": -1, "opened": 0, "last": -1, "since": 0, "used": -1, "armed": _NEVER}
_STEP = ("moment", "point", "holds", "low")
_SAID = {"said_first": -1, "said_opened": 0, "said_closed": 0, "said_last": 0}


@dataclass(frozen=True)
class Engine:
    """An SQL engine.

    Attributes:
        name: `duckdb` or `clickhouse`.
        ask: Runs a query.
    """

    name: str
    ask: Callable[[str], Sequence[tuple[Any, ...]]]


def found(engine: Engine, rule: Rule, keyed: Iterable[tuple[str, Row]]) -> dict[str, list[Found]]:
    """Episodes by key; keys without any are missing."""
    by_key: dict[str, list[Row]] = {}
    for key, row in keyed:
        by_key.setdefault(key, []).append(row)
    listed = [(key, n, row) for key, rows in by_key.items() for n, row in enumerate(once(rule, rows))]
    episodes: dict[str, list[Found]] = {}
    for key, first, opened, closed, count, last in engine.ask(_query(engine.name, rule, listed)) if listed else ():
        episodes.setdefault(key, []).append((first, int(opened), int(closed), int(count), last))
    return {key: sorted(made) for key, made in episodes.items()}


def _query(dialect: str, rule: Rule, listed: Sequence[tuple[str, int, Row]]) -> str:
    judged = (
        "SELECT k, moment, point, 1 AS holds, low FROM held UNION ALL SELECT k, moment, point, 0 AS holds, 0 AS low "
        "FROM points WHERE (k, moment, point) NOT IN (SELECT k, moment, point FROM held)"
    )
    parts = {
        "given": _given(dialect, listed),
        "placed": _placed(rule),
        "points": _points(rule),
        "held": _held(dialect, rule),
        "judged": judged,
        "steps": "SELECT *, row_number() OVER (PARTITION BY k ORDER BY moment, point) AS seq FROM judged",
        "folded": _recursive(rule) if dialect == "duckdb" else _array_fold(rule),
    }
    named = ", ".join(f"{name} AS ({text})" for name, text in parts.items())
    return (
        f"WITH {'RECURSIVE ' if dialect == 'duckdb' else ''}{named} "
        f"SELECT e.k, f.event_id, e.said_opened, e.said_closed, e.said_last - e.said_first + 1, l.event_id "
        f"FROM folded AS e JOIN given AS f ON f.k = e.k AND f.n = e.said_first "
        f"JOIN given AS l ON l.k = e.k AND l.n = e.said_last WHERE e.said_first >= 0"
    )


def _given(dialect: str, listed: Sequence[tuple[str, int, Row]]) -> str:
    rows = ", ".join(
        f"({literal(k)}, CAST({n} AS BIGINT), CAST({r.t} AS BIGINT), {literal(r.event_id)}, {literal(r.base)}, "
        f"{float(r.number or 0)!r}, {literal(r.values or ('',))}, {literal('' if again else ';')})"
        for (k, n, r), again in zip(listed, _again(listed), strict=True)
    )
    if dialect == "duckdb":
        return f"SELECT * FROM (VALUES {rows}) AS v({', '.join(_ROW)})"
    columns = ", ".join(f"r.{i} AS {name}" for i, name in enumerate(_ROW, 1))
    return f"SELECT {columns} FROM (SELECT arrayJoin([{rows}]) AS r)"


def _again(listed: Sequence[tuple[str, int, Row]]) -> list[bool]:
    """Whether a row is of the same event as the one before it."""
    before = [None, *listed][:-1]
    return [
        b is not None and (b[0], b[2].event_id) == (k, r.event_id) for b, (k, _, r) in zip(before, listed, strict=True)
    ]


def _placed(rule: Rule) -> str:
    """Rows with the window that they are in: one for all where it slides, else the begin or the number of it."""
    span = rule.timespan_us
    if rule.window != "session":
        return f"SELECT *, {'0' if rule.window == 'sliding' else f't - t % {span}'} AS w FROM given"
    gaps = (
        f"SELECT b.k AS k, b.n AS n FROM given AS a, given AS b "
        f"WHERE a.k = b.k AND b.n = a.n + 1 AND b.t - a.t > {span} UNION ALL SELECT k, 0 AS n FROM given WHERE n = 0"
    )
    names = ", ".join(f"r.{name} AS {name}" for name in _ROW)
    return (
        f"SELECT {names}, count(*) AS w FROM given AS r JOIN ({gaps}) AS g ON g.k = r.k WHERE g.n <= r.n "
        f"GROUP BY {', '.join(f'r.{name}' for name in _ROW)}"
    )


def _points(rule: Rule) -> str:
    """Every row, and every instant at which rows leave (-1)."""
    span = rule.timespan_us
    rows = "SELECT k, t AS moment, n AS point, w FROM placed"
    if rule.window == "sliding":  # where a row comes at this very instant, the window is that with it
        leave = (
            f"SELECT DISTINCT k, t + {span}, -1, w FROM placed WHERE (k, t + {span}) NOT IN (SELECT k, t FROM given)"
        )
    elif rule.window == "tumbling":
        leave = f"SELECT DISTINCT k, w + {span}, -1, w FROM placed"
    else:
        leave = f"SELECT k, max(t) + {span} + 1, -1, w FROM placed GROUP BY k, w"
    return f"{rows} UNION ALL {leave}"


def _held(dialect: str, rule: Rule) -> str:
    """Points at which the condition holds, and the first row that an episode that opens there could have."""
    if rule.window == "sliding":
        inside = f"a.t <= p.moment AND a.t > p.moment - {rule.timespan_us} AND (a.n <= p.point OR p.point = -1)"
    else:
        inside = "a.w = p.w AND a.n <= p.point"
    low = "min(a.n)"
    if rule.kind in ("sequence", "temporal_ordered"):
        held = _in_order(dialect, rule)
        if rule.kind == "sequence":  # what comes before the first row of the first rule is no part of it
            low = f"min(CASE WHEN a.base = {literal(rule.bases[0])} THEN a.n ELSE {2**60} END)"
    else:
        held = f"({condition(rule, WORDS[dialect])})"
    if rule.lasting_us:
        # Before its first rule's first row a sequence has none.
        oldest = (
            f"min(CASE WHEN a.base = {literal(rule.bases[0])} THEN a.t END)" if rule.kind == "sequence" else "min(a.t)"
        )
        held += f" AND max(a.t) - {oldest} >= {rule.lasting_us}"
    return (
        f"SELECT p.k AS k, p.moment AS moment, p.point AS point, {low} AS low FROM points AS p "
        f"JOIN placed AS a ON a.k = p.k WHERE {inside} GROUP BY p.k, p.moment, p.point HAVING {held}"
    )


def _in_order(dialect: str, rule: Rule) -> str:
    """The rules of the rows inside, a letter each, are like `a.*;.*a.*;.*b`: no two of them of one event."""
    counts = rule.counts or (1,) * len(rule.bases)
    pattern = ".*;.*".join(base for base, count in zip(rule.bases, counts, strict=True) for _ in range(count))
    if dialect == "duckdb":
        return f"regexp_matches(string_agg(a.mark || a.base, '' ORDER BY a.n), '{pattern}')"
    letters = "arrayStringConcat(arrayMap(x -> x.2, arraySort(groupArray((a.n, concat(a.mark, a.base))))))"
    return f"match({letters}, '{pattern}')"


def _next(rule: Rule, of: Callable[[str], str], step: Callable[[str], str]) -> dict[str, str]:
    """What the state becomes at a point.

    Args:
        rule: The rule.
        of: How a value of the state is said, with its name.
        step: How a value of the point is.
    """
    old = {name: of(name) for name in _STATE}
    at, point, held, low = map(step, _STEP)
    closes = f"({old['first']} >= 0 AND {held} = 0)"
    could = f"({old['first']} < 0 AND {held} = 1 AND {point} >= 0)"
    opens = f"({could} AND {at} >= {old['armed']})"
    goes_on = f"({old['first']} >= 0 AND {held} = 1 AND {point} >= 0)"
    quiet = [f"{at} + {rule.suppress_us}"] if rule.suppress_us else []
    quiet += [f"{old['since']} + {rule.rearm_us}"] if rule.rearm_us else []
    again = f"greatest({', '.join([old['armed'], *quiet])})" if quiet else old["armed"]
    longer = f"greatest({old['armed']}, {at} + {rule.rearm_us})" if rule.rearm_us else old["armed"]
    begin = f"greatest({old['used']} + 1, {low})"
    return {
        "first": f"CASE WHEN {closes} THEN -1 WHEN {opens} THEN {begin} ELSE {old['first']} END",
        "opened": f"CASE WHEN {opens} THEN {at} ELSE {old['opened']} END",
        "last": f"CASE WHEN {opens} OR {goes_on} THEN {point} ELSE {old['last']} END",
        "since": f"CASE WHEN {opens} OR {goes_on} THEN {at} ELSE {old['since']} END",
        "used": f"CASE WHEN {closes} THEN {old['last']} ELSE {old['used']} END",
        "armed": f"CASE WHEN {closes} THEN {again} WHEN {could} AND NOT {opens} THEN {longer} ELSE {old['armed']} END",
        "said_first": f"CASE WHEN {closes} THEN {old['first']} ELSE -1 END",
        "said_opened": old["opened"],
        "said_closed": at,
        "said_last": old["last"],
    }


def _recursive(rule: Rule) -> str:
    """DuckDB: one point after the other."""
    begin = ", ".join(f"CAST({value} AS BIGINT) AS {name}" for name, value in (_STATE | _SAID).items())
    then = ", ".join(f"CAST({text} AS BIGINT)" for text in _next(rule, "f.{}".format, "s.{}".format).values())
    return (
        f"SELECT k, CAST(0 AS BIGINT) AS seq, {begin} FROM (SELECT DISTINCT k FROM given) AS keys UNION ALL "
        f"SELECT f.k, s.seq, {then} FROM folded AS f JOIN steps AS s ON s.k = f.k AND s.seq = f.seq + 1"
    )


def _array_fold(rule: Rule) -> str:
    """ClickHouse: over an array of the points; what was said is gathered in the last part of the state."""
    place = {name: i for names in (_STATE, _STEP) for i, name in enumerate(names, 1)}
    made = _next(rule, lambda name: f"tupleElement(acc, {place[name]})", lambda name: f"tupleElement(x, {place[name]})")
    texts = {name: f"toInt64({text})" for name, text in made.items()}
    said = ", ".join(texts[name] for name in _SAID)
    gathered = f"arrayPushBack(tupleElement(acc, {len(_STATE) + 1}), ({said}))"
    state = ", ".join([*(texts[name] for name in _STATE), gathered])
    begin = ", ".join(f"toInt64({value})" for value in _STATE.values())
    nothing = f"CAST([], 'Array(Tuple({', '.join(['Int64'] * len(_SAID))}))')"
    points = "arraySort(groupArray((toInt64(moment), toInt64(point), toInt64(holds), toInt64(low))))"
    fold = f"arrayFold((acc, x) -> ({state}), {points}, ({begin}, {nothing}))"
    taken = ", ".join(f"tupleElement(e, {i}) AS {name}" for i, name in enumerate(_SAID, 1))
    return (
        f"SELECT k, {taken} FROM (SELECT k, arrayJoin(tupleElement({fold}, {len(_STATE) + 1})) AS e "
        f"FROM steps GROUP BY k) AS unfolded"
    )
