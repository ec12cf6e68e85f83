"""Our own kinds as plain SQL over rows, in what DuckDB and ClickHouse share: joins of the rows with themselves.

`Dialect` is how the few words that differ are said, and how a query is asked. Rows of a key are numbered from 0 in
order.
"""
# ruff: noqa: S608 - queries of our own making

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from agents.engine.rows import Row
from agents.rules.model import Rule
from agents.rules.own import Absence, Concurrent, NewValue, Quota, Spike, Travel
from tests.engine.sql_windows import literal

ZONE = "America/Denver"
Found = tuple[Any, ...]  # first event, opened, closed, count, last event


@dataclass(frozen=True)
class Dialect:
    """One engine.

    Attributes:
        ask: Runs a query.
        table: A table of the values listed, with these column names.
        day: Number of the local day of a time in microseconds.
        start: Microseconds at which a local day, given by its number, starts.
        whole: A whole number of any size.
    """

    ask: Callable[[str], Sequence[tuple[Any, ...]]]
    table: Callable[[Sequence[str], Sequence[str]], str]
    day: str
    start: str
    whole: str


def duck(ask: Callable[[str], Sequence[tuple[Any, ...]]]) -> Dialect:
    """DuckDB."""
    local = f"CAST(timezone('{ZONE}', to_timestamp({{0}} / 1000000)) AS DATE)"
    return Dialect(
        ask,
        lambda rows, names: f"SELECT * FROM (VALUES {', '.join(rows)}) AS v({', '.join(names)})",
        f"({local} - DATE '1970-01-01')",
        f"epoch_us(timezone('{ZONE}', CAST(DATE '1970-01-01' + CAST({{0}} AS INTEGER) AS TIMESTAMP)))",
        "CAST({0} AS HUGEINT)",
    )


def house(ask: Callable[[str], Sequence[tuple[Any, ...]]]) -> Dialect:
    """ClickHouse."""

    def table(rows: Sequence[str], names: Sequence[str]) -> str:
        columns = ", ".join(f"r.{i} AS {n}" for i, n in enumerate(names, 1))
        return f"SELECT {columns} FROM (SELECT arrayJoin([{', '.join(rows)}]) AS r)"

    local = f"toDate(fromUnixTimestamp64Micro(toInt64({{0}}), '{ZONE}'))"
    return Dialect(
        ask,
        table,
        f"toInt64(toUInt16({local}))",
        f"toInt64(toUnixTimestamp(toDateTime(toDate({{0}}), '{ZONE}'))) * 1000000",
        "toInt256({0})",
    )


def given(dialect: Dialect, rows: Sequence[Row]) -> str:
    """The rows of one key: number, time, event, base, values, number (0 for none) and whether it says one."""
    listed = [
        f"({i}, CAST({r.t} AS BIGINT), {literal(r.event_id)}, {literal(r.base)}, {literal(r.values or ('',))}, "
        f"{float(r.number or 0)!r}, {int(r.number is not None)})"
        for i, r in enumerate(rows)
    ]
    return dialect.table(listed, ("n", "t", "event_id", "base", "vals", "number", "said"))


def new_values(dialect: Dialect, rule: Rule, rows: Sequence[Row], key: str, earliest: int) -> list[Found]:
    """First sights: rows that no earlier one precedes, or none within the time after which a value is forgotten."""
    own = rule.own
    assert isinstance(own, NewValue)
    near = f"AND r.t - b.t < {own.forget_us}" if own.forget_us else ""
    old = f"SELECT r.n FROM given AS r, given AS b WHERE b.n < r.n {near}"
    query = (
        f"WITH given AS ({given(dialect, rows)}) SELECT event_id, t FROM given "
        f"WHERE n NOT IN ({old}) AND t >= {earliest + rule.learn_us} AND '{key}' NOT IN ('', {_listed(own.known)})"
    )
    return sorted((e, int(t), int(t), 1, e) for e, t in dialect.ask(query))


def _listed(values: frozenset[str]) -> str:
    return ", ".join(map(literal, sorted(values))) or "''"


def quotas(dialect: Dialect, rule: Rule, rows: Sequence[Row]) -> list[Found]:
    """Each row joined with those before it of its period: the first at which the limit is reached, to the end."""
    assert isinstance(rule.own, Quota)
    days = 1 if rule.own.per == "day" else 7
    day = dialect.day.format("t")
    placed = f"SELECT *, {day} - ({day} - 4) % {days} AS period FROM given"
    values = (
        "SELECT r.period AS period, r.n AS n, a.vals[1] AS u, a.vals[2] AS v, a.number AS number "
        "FROM placed AS r, placed AS a WHERE a.period = r.period AND a.n <= r.n"
    )
    measures = {
        "event_count": f"SELECT period, n, count(*) AS value FROM ({values}) AS x GROUP BY period, n",
        "value_sum": f"SELECT period, n, sum(number) AS value FROM ({values}) AS x GROUP BY period, n",
        "value_count": (
            f"SELECT period, n, count(DISTINCT w) AS value FROM (SELECT period, n, u AS w FROM ({values}) AS x "
            f"UNION ALL SELECT period, n, v AS w FROM ({values}) AS y) AS z GROUP BY period, n"
        ),
    }
    query = (
        f"WITH given AS ({given(dialect, rows)}), placed AS ({placed}), measured AS ({measures[rule.kind]}), "
        f"reached AS (SELECT period, min(n) AS n FROM measured "
        f"WHERE value >= {rule.thresholds[0].gte!r} GROUP BY period), "
        f"whole AS (SELECT period, min(n) AS a, max(n) AS b, count(*) AS c FROM placed GROUP BY period) "
        f"SELECT f.event_id, o.t, {dialect.start.format(f'(whole.period + {days})')}, whole.c, l.event_id "
        f"FROM whole JOIN reached ON reached.period = whole.period JOIN given AS f ON f.n = whole.a "
        f"JOIN given AS l ON l.n = whole.b JOIN given AS o ON o.n = reached.n"
    )
    return sorted((a, int(b), int(c), int(d), e) for a, b, c, d, e in dialect.ask(query))


def spikes(dialect: Dialect, rule: Rule, rows: Sequence[Row]) -> list[Found]:
    """Counts of periods joined with those of the periods before, and each row with those before it of its period."""
    own, span = rule.own, rule.timespan_us
    assert isinstance(own, Spike)
    days = {"day": 1, "week": 7}.get(own.per, 0)
    day = dialect.day.format("t")
    number = f"(({day} - 4) - ({day} - 4) % {days})" if days else f"(t - t % {span})"
    length = days or span
    end = dialect.start.format(f"(whole.period + {days + 4})") if days else f"whole.period + {span}"
    near = f"{{0}}.period >= {{1}}.period - {own.periods * length} AND {{0}}.period < {{1}}.period"
    # Where the past begins: the newest period up to this one with none close enough before it.
    close = f"SELECT p.period FROM whole AS p, whole AS q WHERE {near.format('q', 'p')}"
    begins = f"SELECT period FROM whole WHERE period NOT IN ({close})"
    past = (
        "SELECT w.period AS period, w.c AS c, max(s.period) AS since FROM whole AS w, begins AS s "
        "WHERE s.period <= w.period GROUP BY w.period, w.c"
    )
    sums = (
        f"SELECT a.period AS period, a.since AS since, {dialect.whole.format('sum(b.c)')} AS total, "
        f"{dialect.whole.format('sum(b.c * b.c)')} AS squares FROM past AS a, whole AS b "
        f"WHERE {near.format('b', 'a')} GROUP BY a.period, a.since"
    )
    query = (
        f"WITH given AS ({given(dialect, rows)}), placed AS (SELECT *, {number} AS period FROM given), "
        f"whole AS (SELECT period, min(n) AS a, max(n) AS b, count(*) AS c FROM placed GROUP BY period), "
        f"begins AS ({begins}), past AS ({past}), sums AS ({sums}), "
        f"counted AS (SELECT r.period AS period, r.n AS n, count(*) AS c FROM placed AS r, placed AS a "
        f"WHERE a.period = r.period AND a.n <= r.n GROUP BY r.period, r.n) "
        f"SELECT f.event_id, o.t, {end}, whole.c, l.event_id, "
        f"counted.c, (sums.period - sums.since) / {length}, sums.total, sums.squares "
        f"FROM sums JOIN whole ON whole.period = sums.period JOIN counted ON counted.period = sums.period "
        f"JOIN given AS f ON f.n = whole.a JOIN given AS l ON l.n = whole.b JOIN given AS o ON o.n = counted.n"
    )
    opened: dict[Any, Found] = {}
    for first, t, closed, count, last, *figures in sorted(dialect.ask(query), key=lambda r: (r[1], r[5])):
        so_far, known, total, squares = map(int, figures)
        if so_far >= rule.thresholds[0].gte and _high(own, so_far, min(own.periods, known), total, squares):
            opened.setdefault(first, (first, int(t), int(closed), int(count), last))
    return sorted(opened.values())


def _high(own: Spike, count: int, periods: int, total: int, squares: int) -> bool:
    if periods < own.least:
        return False
    mean = Fraction(total, periods)
    variance = Fraction(squares, periods) - mean**2
    high = own.factor is None or count >= own.factor * mean
    return high and (own.deviations is None or (count >= mean and (count - mean) ** 2 >= own.deviations**2 * variance))


def absences(dialect: Dialect, rule: Rule, rows: Sequence[Row], earliest: int, covered: int) -> list[Found]:
    """Each row, and the begin of all, joined with the next: those that come too late."""
    own = rule.own
    assert isinstance(own, Absence)
    listed = dialect.table(
        [f"(CAST({t} AS BIGINT), {i})" for i, t in enumerate([earliest, *(r.t for r in rows)])], ("t", "n")
    )
    query = (
        f"WITH given AS ({listed}) SELECT a.t + {own.within_us}, b.t FROM given AS a, given AS b "
        f"WHERE b.n = a.n + 1 AND a.t + {own.within_us} < b.t "
        f"UNION ALL SELECT max(t) + {own.within_us}, -1 FROM given HAVING max(t) + {own.within_us} < {covered}"
    )
    return sorted((int(deadline), int(came)) for deadline, came in dialect.ask(query))


def speeds(dialect: Dialect, rule: Rule, rows: Sequence[Row]) -> set[tuple[int, int]]:
    """Where `travel` holds, as `self_join` says it: two neighbours, both inside, too far apart for the time between."""
    own, span = rule.own, rule.timespan_us
    assert isinstance(own, Travel)
    one, other = "radians(CAST({}.vals[1] AS {}))", "radians(CAST({}.vals[2] AS {}))"
    real = "DOUBLE" if dialect.whole.startswith("CAST") else "Float64"
    (lat_a, lon_a), (lat_b, lon_b) = ([text.format(x, real) for text in (one, other)] for x in "ab")
    km = (
        f"6371.0088 * acos(least(1.0, sin({lat_a}) * sin({lat_b}) + "
        f"cos({lat_a}) * cos({lat_b}) * cos({lon_b} - {lon_a})))"
    )
    seconds = "greatest((b.t - a.t) / 1000000.0, 1.0)"
    apart = "a.vals[3] <> b.vals[3] AND (a.vals[1] <> b.vals[1] OR a.vals[2] <> b.vals[2])"
    jumps = (
        f"SELECT a.t AS since, b.n AS m, b.t AS t FROM given AS a, given AS b WHERE b.n = a.n + 1 AND {apart} "
        f"AND {km} >= {own.km!r} AND {km} * 3600.0 / {seconds} >= {own.km_per_h!r}"
    )
    points = f"SELECT t AS at, n AS point FROM given UNION ALL SELECT DISTINCT t + {span}, -1 FROM given"
    query = (
        f"WITH given AS ({given(dialect, rows)}), jumps AS ({jumps}), points AS ({points}) "
        f"SELECT DISTINCT p.at, p.point FROM points AS p, jumps AS j "
        f"WHERE j.since > p.at - {span} AND j.t <= p.at AND (j.m <= p.point OR p.point = -1)"
    )
    return {(int(at), int(point)) for at, point in dialect.ask(query)}


def going(dialect: Dialect, rule: Rule, rows: Sequence[Row]) -> dict[tuple[int, int], list[tuple[int, str]]]:
    """Sessions that go on after each row, and at each instant at which one ends by itself (-1): row and place."""
    own, span = rule.own, rule.timespan_us
    assert isinstance(own, Concurrent)
    said = "CAST(number * 1000000 AS BIGINT)"
    length = f"CASE WHEN said = 0 THEN {span} WHEN {said} < {span} THEN {said} ELSE {span} END"
    named = (
        f"SELECT n, t, base, vals[1] AS place, CASE WHEN vals[2] = '' THEN event_id ELSE vals[2] END AS session, "
        f"t + {length} AS until FROM given"
    )
    points = "SELECT t AS moment, n AS point FROM named UNION ALL SELECT DISTINCT until, -1 FROM named"
    seen = "({0}.n <= p.point OR (p.point = -1 AND {0}.t <= p.moment))"
    newer = (
        f"SELECT p.moment AS moment, p.point AS point, a.n AS n FROM points AS p, named AS a, named AS b "
        f"WHERE b.session = a.session AND b.n > a.n AND {seen.format('b')}"
    )
    query = (
        f"WITH given AS ({given(dialect, rows)}), named AS ({named}), points AS ({points}), newer AS ({newer}) "
        f"SELECT p.moment, p.point, a.n, a.place FROM points AS p, named AS a "
        f"WHERE {seen.format('a')} AND a.until > p.moment AND a.base NOT IN ({_listed(own.ends)}) "
        f"AND (p.moment, p.point, a.n) NOT IN (SELECT moment, point, n FROM newer)"
    )
    found: dict[tuple[int, int], list[tuple[int, str]]] = {}
    for at, point, n, place in dialect.ask(query):
        found.setdefault((int(at), int(point)), []).append((int(n), place))
    return found


def sessions(dialect: Dialect, rule: Rule, rows: Sequence[Row]) -> list[Found]:
    """Episodes of sessions at several places: from a row at which there are enough to the next point without."""
    inside = going(dialect, rule, rows)
    times = {r.t for r in rows}
    points = sorted({(r.t, i) for i, r in enumerate(rows)} | {p for p in _ends(rule, rows) if p[0] not in times})
    found: list[Found] = []
    taken: list[int] = []
    used, opened = -1, 0
    for at, point in points:
        now = inside.get((at, point), [])
        holds = len({place for _, place in now}) >= rule.thresholds[0].gte
        if taken and not holds:
            found.append((rows[taken[0]].event_id, opened, at, len(taken), rows[taken[-1]].event_id))
            used, taken = taken[-1], []
        elif taken:
            taken += [point] if point in {n for n, _ in now} else []
        elif holds and point >= 0:
            taken, opened = sorted(n for n, _ in now if n > used), at
    return sorted(found)


def _ends(rule: Rule, rows: Sequence[Row]) -> set[tuple[int, int]]:
    span = rule.timespan_us
    return {(r.t + (span if r.number is None else min(span, int(r.number * 1e6))), -1) for r in rows}
