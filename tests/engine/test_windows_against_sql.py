"""Windows are those of SQL: a plain self-join in DuckDB and in ClickHouse, and the query that a rule is converted to.

Rows come as workers get them: 30 % out of order within the lateness, in any portions, over several partitions, some
again, and workers are killed and go on from what was saved. See `tests.engine.staged`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.engine.rows import Row
from agents.rules.model import VALUE_SEPARATOR, Rule
from agents.sinks.clickhouse import ClickHouse
from tests.embedded.servers_fixture import RunningServers
from tests.engine.sql_windows import Found, query, runs, self_join
from tests.engine.staged import staged
from tests.engine.test_windows_against_the_oracle import RULES

LATENESS = 60
KEYS = ("x", "y", "z")
PLAIN = [
    replace(rule, thresholds=tuple(t for t in rule.thresholds if not (t.where or t.per)))
    for rule in RULES
    if not (rule.suppress_us or rule.rearm_us)
]
JOINED = [r for r in PLAIN if r.window == "sliding" and not r.lasting_us and r.kind != "sequence"]
NUMBERS = st.sampled_from([-3.0, -1.0, 0.0, 1.0, 2.0, 2.5, 5.0, 7.25, 9.0])  # exact in binary: sums have no last digit


@st.composite
def logs(draw: st.DrawFn) -> list[tuple[str, Row]]:
    """Rows of several keys, in order."""
    made = []
    for i, t in enumerate(sorted(draw(st.lists(st.integers(0, 600), min_size=1, max_size=40)))):
        values = draw(st.lists(st.sampled_from("uvwxyz"), min_size=1, max_size=3, unique=True))
        row = Row(
            t, f"{i:04d}", draw(st.sampled_from("aabbc")), tuple(values), draw(NUMBERS), "s", "g", i, "h", "{}", ()
        )
        made.append((draw(st.sampled_from(KEYS)), row))
    return made


def _engine(data: st.DataObject, rule: Rule, log: list[tuple[str, Row]]) -> dict[str, list[Found]]:
    keyed = [(f'{{"user_name":"{key}"}}', row) for key, row in log]
    found: dict[str, list[Found]] = {k: [] for k in KEYS}
    for r in staged(data.draw, rule, keyed, lateness=LATENESS):
        first, newest_event = r["evidence"][0]["event_id"], r["evidence"][-1]["event_id"]
        found[r["group_key"]["user_name"]].append((first, r["opened_at"], r["closed_at"], r["count"], newest_event))
    return {k: sorted(v) for k, v in found.items()}


def _rows(log: list[tuple[str, Row]], key: str) -> list[Row]:
    return sorted((r for k, r in log if k == key), key=lambda r: (r.t, r.event_id, r.base))


@given(st.data(), logs(), st.sampled_from(JOINED))
def test_episodes_are_those_of_a_self_join_in_duckdb(
    data: st.DataObject, log: list[tuple[str, Row]], rule: Rule
) -> None:
    found = _engine(data, rule, log)
    for key in KEYS:
        rows = _rows(log, key)
        holding = set(duckdb.execute(self_join(rule, rows, "duckdb")).fetchall()) if rows else set()
        assert found[key] == sorted(runs(rule, rows, holding))


@pytest.fixture(scope="module")
def store(embedded_servers: RunningServers) -> Iterator[ClickHouse]:
    made = ClickHouse(embedded_servers.endpoints.clickhouse, threading.Event())
    yield made
    made.close()


few = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.servers
@few
@given(st.data(), logs(), st.sampled_from(JOINED))
def test_episodes_are_those_of_a_self_join_in_clickhouse(
    store: ClickHouse, data: st.DataObject, log: list[tuple[str, Row]], rule: Rule
) -> None:
    found = _engine(data, rule, log)
    for key in KEYS:
        rows = _rows(log, key)
        holding = {(int(at), int(n)) for at, n in store.execute(self_join(rule, rows, "clickhouse"))} if rows else set()
        assert found[key] == sorted(runs(rule, rows, holding))


CLASSED = {
    v: VALUE_SEPARATOR.join(parts) for v, parts in zip("uvwxyz", product(("in", "out"), "m", "abc"), strict=True)
}
CLASSED["z"] = VALUE_SEPARATOR.join(("in", "n", "a"))


@pytest.mark.servers
@pytest.mark.parametrize("rule", RULES, ids=lambda r: f"{r.kind}-{r.window}")
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), logs())
def test_the_query_that_a_rule_is_converted_to_finds_the_same_episodes(
    store: ClickHouse, rule: Rule, data: st.DataObject, log: list[tuple[str, Row]]
) -> None:
    if any(t.where or t.per for t in rule.thresholds):
        log = [(key, row._replace(values=tuple(CLASSED[v] for v in row.values))) for key, row in log]
    found = _engine(data, rule, log)
    assert sorted(store.execute(query(rule, log))) == sorted((k, *e) for k, of_key in found.items() for e in of_key)
