"""Windows are those of SQL: a plain self-join in DuckDB and in ClickHouse, and the query that a rule is converted to.

Rows come as workers get them: 30 % out of order within the lateness, in any portions, over several partitions, some
again, and workers are killed and go on from what was saved. See `tests.engine.staged`.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
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
from tests.engine.oracle import once
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
# An event may match several detections of these: not of a rule that asks that one of them does not match.
OVERLAPPED = [
    r for r in PLAIN if r.presence is None and not (r.lasting_us and r.kind in ("temporal_ordered", "sequence"))
]
NUMBERS = (-3.0, -1.0, 0.0, 1.0, 2.0, 2.5, 5.0, 7.25, 9.0)  # exact in binary: sums have no last digit


# Rows stand close enough that orders of five rows are within a window, apart enough that windows end, and often at the
# very instant at which one does.
GAPS = (0, 0, 5, 5, 10, 10, 20, 20, 50, 100, 160)


# An id begins with what its log is hashed to, and SQL knows by that what one log tells.
LOG = "5" * 16


@st.composite
def logs(draw: st.DrawFn) -> list[tuple[str, Row]]:
    """Rows of several keys, in order: Hypothesis draws how many and how dense, a seed the rest."""
    size, most = draw(st.integers(1, 60)), draw(st.integers(4, len(GAPS)))
    return random_log(draw(st.integers(0, 2**32)), size, GAPS[:most], draw(st.integers(0, 1)))


def random_log(seed: int, size: int, gaps: Sequence[int] = GAPS, more: int = 0) -> list[tuple[str, Row]]:
    """So many rows, in order; each gap is up to so much longer."""
    dice, made, t = random.Random(seed), [], 0
    for i in range(size):
        t += dice.choice(gaps) + dice.randint(0, more)
        values, number = tuple(dice.sample("uvwxyz", dice.randint(1, 3))), dice.choice(NUMBERS)
        row = Row(t, f"{LOG}{i:016d}", dice.choice("aaabbc"), values, number, "s", "g", i, "h", "{}", ())
        made.append((dice.choice("xxxyyz"), row))
    return made


def overlapping(log: list[tuple[str, Row]]) -> list[tuple[str, Row]]:
    """The same, every third event matched by two detections of a rule."""
    other = {"a": "b", "b": "c", "c": "a"}
    again = [(key, row._replace(base=other[row.base])) for key, row in log if row.offset % 3 == 0]
    return sorted([*log, *again], key=lambda one: (one[1].t, one[1].event_id, one[1].base))


def engine_of(data: st.DataObject, rule: Rule, log: list[tuple[str, Row]]) -> dict[str, list[Found]]:
    """Episodes that workers make of a log, by key."""
    keyed = [(f'{{"user_name":"{key}"}}', row) for key, row in log]
    found: dict[str, list[Found]] = {k: [] for k in KEYS}
    for r in staged(data.draw, rule, keyed, lateness=LATENESS):
        first, newest_event = r["evidence"][0]["event_id"], r["evidence"][-1]["event_id"]
        found[r["group_key"]["user_name"]].append((first, r["opened_at"], r["closed_at"], r["count"], newest_event))
    return {k: sorted(v) for k, v in found.items()}


def _rows(rule: Rule, log: list[tuple[str, Row]], key: str) -> list[Row]:
    return once(rule, [r for k, r in log if k == key])


@given(st.data(), logs(), st.sampled_from(JOINED))
def test_episodes_are_those_of_a_self_join_in_duckdb(
    data: st.DataObject, log: list[tuple[str, Row]], rule: Rule
) -> None:
    found = engine_of(data, rule, log)
    for key in KEYS:
        rows = _rows(rule, log, key)
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
    found = engine_of(data, rule, log)
    for key in KEYS:
        rows = _rows(rule, log, key)
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
    found = engine_of(data, rule, log)
    assert sorted(store.execute(query(rule, log))) == sorted((k, *e) for k, of_key in found.items() for e in of_key)


@pytest.mark.servers
@pytest.mark.parametrize("rule", OVERLAPPED, ids=lambda r: f"{r.kind}-{r.window}")
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), logs())
def test_an_event_that_several_detections_match_is_one_event_in_sql_too(
    store: ClickHouse, rule: Rule, data: st.DataObject, log: list[tuple[str, Row]]
) -> None:
    both = overlapping(log)
    found = engine_of(data, rule, both)
    assert sorted(store.execute(query(rule, both))) == sorted((k, *e) for k, of_key in found.items() for e in of_key)
