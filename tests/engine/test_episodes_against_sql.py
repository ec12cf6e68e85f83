"""Episodes are those of plain SQL: orders with counts, lasting, windows that begin anew, suppress and rearm, chains.

The same query runs in DuckDB, which folds points by a recursive query, and in ClickHouse, by `arrayFold`; see
`tests.engine.sql_episodes`. Rows come as workers get them: 30 % out of order within the lateness, in any portions, over
several partitions, some again, and workers are killed and go on from what was saved; see `tests.engine.staged`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.engine.correlate import Bucket, RuleTime
from agents.engine.episodes import Judge
from agents.engine.rows import KeyedRow, Row
from agents.rules.model import Rule, Threshold, part_of
from agents.sinks.clickhouse import ClickHouse
from schemas.headers import FOREVER
from schemas.ids import violation_id
from tests.embedded.servers_fixture import RunningServers
from tests.engine import sql_episodes
from tests.engine.sql_episodes import Engine
from tests.engine.sql_windows import Found
from tests.engine.staged import staged
from tests.engine.test_windows_against_sql import (
    GAPS,
    LATENESS,
    OVERLAPPED,
    PLAIN,
    engine_of,
    logs,
    overlapping,
    random_log,
)
from tests.engine.test_windows_against_the_oracle import EVENT_COUNT, RULES, SEQUENCE

OWN = [r for r in PLAIN if r.window != "sliding" or r.lasting_us or r.kind == "sequence"]
QUIET = [r for r in RULES if r.suppress_us or r.rearm_us]
MORE = [
    replace(SEQUENCE, window="session", timespan_us=30),
    replace(SEQUENCE, counts=(1, 2), rearm_us=50),
    replace(SEQUENCE, lasting_us=30),
    replace(SEQUENCE, window="session", timespan_us=30, lasting_us=25),
    replace(EVENT_COUNT, window="tumbling", lasting_us=30),
    replace(EVENT_COUNT, window="session", timespan_us=20, suppress_us=90),
    replace(EVENT_COUNT, thresholds=(Threshold("some", 2, lte=3),), window="tumbling", rearm_us=25, suppress_us=10),
    replace(EVENT_COUNT, thresholds=(Threshold("two", 2),), timespan_us=10, suppress_us=20),
    replace(EVENT_COUNT, thresholds=(Threshold("two", 2),), timespan_us=10, rearm_us=25),
    replace(EVENT_COUNT, kind="temporal", thresholds=(), presence=("and", "a", ("not", "b")), lasting_us=10),
    replace(EVENT_COUNT, kind="temporal_ordered", thresholds=(), bases=("a", "b", "a"), window="tumbling"),
]


DUCK = Engine("duckdb", lambda text: duckdb.execute(text).fetchall())


@pytest.fixture(scope="module")
def house(embedded_servers: RunningServers) -> Iterator[Engine]:
    store = ClickHouse(embedded_servers.endpoints.clickhouse, threading.Event())
    yield Engine("clickhouse", store.execute)
    store.close()


few = settings(max_examples=14, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _same(engine: Engine, data: st.DataObject, log: list[tuple[str, Row]], rule: Rule) -> None:
    made = {key: found for key, found in engine_of(data, rule, log).items() if found}
    assert made == sql_episodes.found(engine, rule, log)


@pytest.mark.parametrize("rule", [*OWN, *QUIET, *MORE], ids=lambda r: f"{r.kind}-{r.window}")
@settings(max_examples=6)
@given(st.data(), logs())
def test_episodes_are_those_of_a_query_in_duckdb(rule: Rule, data: st.DataObject, log: list[tuple[str, Row]]) -> None:
    _same(DUCK, data, log, rule)


@pytest.mark.servers
@few
@given(st.data(), logs(), st.sampled_from([*OWN, *QUIET, *MORE]))
def test_episodes_are_those_of_a_query_in_clickhouse(
    house: Engine, data: st.DataObject, log: list[tuple[str, Row]], rule: Rule
) -> None:
    _same(house, data, log, rule)


@pytest.mark.parametrize("rule", OVERLAPPED, ids=lambda r: f"{r.kind}-{r.window}")
@settings(max_examples=6)
@given(st.data(), logs())
def test_an_event_that_several_detections_match_is_one_event(
    rule: Rule, data: st.DataObject, log: list[tuple[str, Row]]
) -> None:
    _same(DUCK, data, overlapping(log), rule)


def _whole(rule: Rule, log: list[tuple[str, Row]]) -> dict[str, list[Found]]:
    """What one bucket makes of a whole log at once."""
    bucket = Bucket({rule.id: rule}, Judge())
    bucket.take(KeyedRow(rule.id, f'{{"user_name":"{key}"}}', late=False, row=row, input_row=0) for key, row in log)
    last = {r["id"]: r for r in bucket.advance({rule.id: RuleTime(FOREVER)})}
    found: dict[str, list[Found]] = {}
    for r in last.values():
        ends = r["evidence"][0]["event_id"], r["evidence"][-1]["event_id"]
        one = (ends[0], r["opened_at"], r["closed_at"], r["count"], ends[1])
        found.setdefault(r["group_key"]["user_name"], []).append(one)
    return {key: sorted(made) for key, made in found.items()}


LONG = [random_log(1, 250, GAPS[:most]) for most in (6, len(GAPS))]


def test_long_logs_make_many_episodes_of_every_rule() -> None:
    """What finds nothing in either way proves nothing; limits are met to the microsecond."""
    for rule in [*OWN, *QUIET, *MORE]:
        made = [_whole(rule, log) for log in LONG]
        assert any(made), rule
        assert made == [sql_episodes.found(DUCK, rule, log) for log in LONG], rule


def test_long_logs_make_episodes_of_every_chain() -> None:
    for outer, inner in CHAINS:
        assert any(_chained(DUCK, outer, inner, log) for log in LONG), outer


BEHIND = replace(EVENT_COUNT, id="o", bases=("r", "c"), inner=frozenset({"r"}), root="o", timespan_us=150)
BEFORE = replace(EVENT_COUNT, id="r", group_by=("device", "user_name"), root="o", timespan_us=40, silent=True)
BEFORE_SUM = replace(BEFORE, kind="value_sum", value_field="n", thresholds=(Threshold("much", 3.5),))
BEHIND_SUM = replace(BEHIND, kind="value_sum", value_field="n", thresholds=(Threshold("much", 9.5),))
CHAINS = [
    (replace(outer, root_by=("user_name",)), replace(inner, root_by=("user_name",)))
    for outer, inner in [
        (replace(BEHIND, kind="temporal", thresholds=()), BEFORE),
        (replace(BEHIND, thresholds=(Threshold("many", 3),), window="tumbling"), BEFORE),
        (replace(BEHIND, kind="value_count", value_field="device", thresholds=(Threshold("two", 2),)), BEFORE),
        (replace(BEHIND, kind="sequence", thresholds=(), counts=(2, 1)), replace(BEFORE, window="tumbling")),
        (replace(BEHIND, kind="temporal_ordered", thresholds=(), rearm_us=60), replace(BEFORE, suppress_us=30)),
        (BEHIND_SUM, BEFORE_SUM),
        (replace(BEHIND_SUM, kind="value_avg", thresholds=(Threshold("high", 2.5, lte=6.0),)), BEFORE_SUM),
        (replace(BEHIND_SUM, kind="value_median", thresholds=(Threshold("high", 3.5),)), BEFORE_SUM),
        (replace(BEHIND_SUM, kind="value_percentile", percentile=90.0, thresholds=(Threshold("high", 4.0),)), BEFORE),
    ]
]


def _key(outer: Rule, key: str, row: Row) -> str:
    """A row's group key: what the rule before it counts is kept per device too."""
    device = "" if row.base in outer.bases else f'"device":"{"p" if row.number and row.number > 1 else "q"}",'
    return f'{{{device}"user_name":"{key}"}}'


def _plain(outer: Rule, row: Row) -> Row:
    """A row that is counted as one device: in a chain, they are."""
    return row._replace(values=("p",)) if row.base in outer.bases else row


def _chained(engine: Engine, outer: Rule, inner: Rule, log: list[tuple[str, Row]]) -> dict[str, list[Found]]:
    """The first query's episodes are rows of the second, each at the time at which it opens."""
    keyed = [(_key(outer, key, row), _plain(outer, row)) for key, row in log]
    rows = [(part_of(key, ("user_name",)), row) for key, row in keyed if row.base in outer.bases]
    before = sql_episodes.found(engine, inner, [(key, row) for key, row in keyed if row.base in inner.bases])
    for key, episodes in before.items():
        for first, opened, *_ in episodes:
            named = violation_id(inner.id, key, first)
            values = (json.loads(key)["device"],) if outer.value_field else ()
            number = _measured_at(inner, [row for of, row in keyed if of == key and row.base in inner.bases], opened)
            made = Row(opened, named, inner.id, values, number, "s", "g", 0, "h", "{}", ())
            rows.append((part_of(key, ("user_name",)), made))
    return sql_episodes.found(engine, outer, rows)


def _measured_at(inner: Rule, rows: list[Row], opened: int) -> float:
    """What the rule before measures at the row at which an episode opens: the first of that instant that is enough."""
    before = [row for row in rows if opened - inner.timespan_us < row.t < opened]
    now = sorted((row for row in rows if row.t == opened), key=lambda row: row.event_id)
    for n in range(1, len(now) + 1):
        inside = [*before, *now[:n]]
        measure = float(len(inside) if inner.kind == "event_count" else sum(row.number or 0 for row in inside))
        if inner.thresholds[0].holds(measure):
            return measure
    return 0.0


def _same_of_chain(engine: Engine, data: st.DataObject, log: list[tuple[str, Row]], outer: Rule, inner: Rule) -> None:
    keyed = [(_key(outer, key, row), _plain(outer, row)) for key, row in log]
    found: dict[str, list[Found]] = {}
    for r in staged(data.draw, outer, keyed, lateness=LATENESS, inner=[inner]):
        assert r["rule_id"] == outer.id
        first, newest = r["evidence"][0]["event_id"], r["evidence"][-1]["event_id"]
        key = f'{{"user_name":"{r["group_key"]["user_name"]}"}}'
        found.setdefault(key, []).append((first, r["opened_at"], r["closed_at"], r["count"], newest))
    assert {key: sorted(made) for key, made in found.items()} == _chained(engine, outer, inner, log)


@pytest.mark.parametrize("chain", CHAINS, ids=lambda c: f"{c[0].kind}-of-{c[1].window}")
@settings(max_examples=6)
@given(st.data(), logs())
def test_chains_are_one_query_over_another_in_duckdb(
    chain: tuple[Rule, Rule], data: st.DataObject, log: list[tuple[str, Row]]
) -> None:
    _same_of_chain(DUCK, data, log, *chain)


@pytest.mark.servers
@few
@given(st.data(), logs(), st.sampled_from(CHAINS))
def test_chains_are_one_query_over_another_in_clickhouse(
    house: Engine, data: st.DataObject, log: list[tuple[str, Row]], chain: tuple[Rule, Rule]
) -> None:
    _same_of_chain(house, data, log, *chain)
