"""Kinds that Sigma has no word for are what SQL makes of the same rows: plain joins, and what a rule is converted to.

The joins run in DuckDB and in ClickHouse. Rows come as workers get them; see `tests.engine.staged`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.engine.rows import Row
from agents.rules.model import Rule
from agents.sinks.clickhouse import ClickHouse
from schemas.headers import FOREVER
from tests.embedded.servers_fixture import RunningServers
from tests.engine import sql_own
from tests.engine.sql_own import Dialect, Found
from tests.engine.sql_windows import query, runs
from tests.engine.staged import staged
from tests.engine.test_own_kinds_against_the_oracle import (
    ABSENCE,
    CITIES,
    CONCURRENT,
    DENVER,
    HOUR,
    KEYS,
    MINUTE,
    NETWORKS,
    NEW_VALUES,
    QUOTAS,
    SECOND,
    SPIKES,
    SPRING,
    TRAVEL,
    keyed,
    of,
    seen,
)

Keyed = list[tuple[str, Row]]
UNITS = 8  # lateness, in units of the rows' times


@pytest.fixture(scope="module")
def store(embedded_servers: RunningServers) -> Iterator[ClickHouse]:
    made = ClickHouse(embedded_servers.endpoints.clickhouse, threading.Event())
    yield made
    made.close()


@pytest.fixture(scope="module", params=["duckdb", pytest.param("clickhouse", marks=pytest.mark.servers)])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    if request.param == "duckdb":
        return sql_own.duck(lambda text: duckdb.execute(text).fetchall())
    store: ClickHouse = request.getfixturevalue("store")
    return sql_own.house(store.execute)


few = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _name(key: str) -> str:
    return str(msgspec.json.decode(key)["user_name"])


def _engine(draw: Any, rule: Rule, rows: Keyed, scale: int) -> dict[str, list[Found]]:
    records = staged(draw, rule, rows, lateness=UNITS * scale, calendar=DENVER)
    return {key: sorted(seen(records, key)) for key in KEYS}


def _converted(store: ClickHouse, rule: Rule, rows: Keyed, latest: int = 0) -> dict[str, list[Found]]:
    found: dict[str, list[Found]] = {key: [] for key in KEYS}
    named = {_name(key): key for key in KEYS}
    for name, *one in store.execute(query(rule, [(_name(key), row) for key, row in rows], DENVER, latest)):
        found[named[name]].append(tuple(one))
    return {key: sorted(listed) for key, listed in found.items()}


@st.composite
def lengths(draw: st.DrawFn) -> Keyed:
    """Rows of sessions: a length is not below zero."""
    rows = draw(keyed(10 * SECOND))
    return [(k, r._replace(number=None if r.number is None else abs(r.number))) for k, r in rows]


@st.composite
def placed(draw: st.DrawFn) -> Keyed:
    """Rows of places."""
    rows = draw(keyed(10 * MINUTE))
    return [
        (k, r._replace(values=(*draw(st.sampled_from(CITIES)), draw(st.sampled_from(NETWORKS)) or f"203.0.{i}.9")))
        for i, (k, r) in enumerate(rows)
    ]


@st.composite
def counted(draw: st.DrawFn) -> Keyed:
    """Rows of hours, each with a number: one without it counts for no sum."""
    return [(k, r._replace(number=r.number or 0.0)) for k, r in draw(keyed(HOUR, SPRING, most=40))]


@few
@given(st.data(), lengths())
def test_sessions_are_those_of_a_join(dialect: Dialect, data: st.DataObject, rows: Keyed) -> None:
    found = _engine(data.draw, CONCURRENT, rows, 10 * SECOND)
    assert found == {key: sql_own.sessions(dialect, CONCURRENT, of(rows, key)) if of(rows, key) else [] for key in KEYS}


@few
@given(st.data(), placed())
def test_journeys_are_those_of_a_join(dialect: Dialect, data: st.DataObject, rows: Keyed) -> None:
    found = _engine(data.draw, TRAVEL, rows, 10 * MINUTE)
    for key in KEYS:
        mine = of(rows, key)
        holding = sql_own.speeds(dialect, TRAVEL, mine) if mine else set()
        assert found[key] == sorted(runs(TRAVEL, mine, holding))


@few
@given(st.data(), counted(), st.sampled_from(QUOTAS))
def test_quotas_are_those_of_a_join(dialect: Dialect, data: st.DataObject, rows: Keyed, rule: Rule) -> None:
    found = _engine(data.draw, rule, rows, HOUR)
    assert found == {key: sql_own.quotas(dialect, rule, of(rows, key)) if of(rows, key) else [] for key in KEYS}


@few
@given(st.data(), keyed(7 * HOUR, SPRING, most=40), st.sampled_from(SPIKES))
def test_spikes_are_those_of_a_join(dialect: Dialect, data: st.DataObject, rows: Keyed, rule: Rule) -> None:
    found = _engine(data.draw, rule, rows, 7 * HOUR)
    assert found == {key: sql_own.spikes(dialect, rule, of(rows, key)) if of(rows, key) else [] for key in KEYS}


@few
@given(st.data(), keyed(HOUR), st.sampled_from(NEW_VALUES))
def test_new_values_are_those_of_a_join(dialect: Dialect, data: st.DataObject, rows: Keyed, rule: Rule) -> None:
    found, earliest = _engine(data.draw, rule, rows, HOUR), rows[0][1].t
    for key in KEYS:
        mine = of(rows, key)
        assert found[key] == (sql_own.new_values(dialect, rule, mine, _name(key), earliest) if mine else [])


def _absences(draw: Any, rows: Keyed, end: int) -> dict[str, list[Found]]:
    records = staged(draw, ABSENCE, rows, lateness=UNITS * 5 * MINUTE, end=end, calendar=DENVER)
    found: dict[str, list[Found]] = {key: [] for key in KEYS}
    for r in records:
        found[f'{{"user_name":"{r["group_key"]["user_name"]}"}}'].append((r["opened_at"], r["closed_at"] or -1))
    return {key: sorted(listed) for key, listed in found.items()}


@few
@given(st.data(), keyed(5 * MINUTE), st.integers(0, 300))
def test_absences_are_those_of_a_join(dialect: Dialect, data: st.DataObject, rows: Keyed, later: int) -> None:
    end = rows[-1][1].t + later * MINUTE + 1
    found = _absences(data.draw, rows, end)
    assert found == {key: sql_own.absences(dialect, ABSENCE, of(rows, key), rows[0][1].t, end) for key in KEYS}


@few
@given(st.data(), keyed(5 * MINUTE))
def test_absences_at_the_end_of_a_log_are_those_up_to_its_newest_event(
    dialect: Dialect, data: st.DataObject, rows: Keyed
) -> None:
    first, newest = rows[0][1].t, rows[-1][1].t
    found = _absences(data.draw, rows, FOREVER)
    assert found == {key: sql_own.absences(dialect, ABSENCE, of(rows, key), first, newest) for key in KEYS}


@pytest.mark.servers
@few
@given(st.data(), lengths())
def test_converted_sessions(store: ClickHouse, data: st.DataObject, rows: Keyed) -> None:
    assert _converted(store, CONCURRENT, rows) == _engine(data.draw, CONCURRENT, rows, 10 * SECOND)


@pytest.mark.servers
@few
@given(st.data(), placed())
def test_converted_journeys(store: ClickHouse, data: st.DataObject, rows: Keyed) -> None:
    assert _converted(store, TRAVEL, rows) == _engine(data.draw, TRAVEL, rows, 10 * MINUTE)


@pytest.mark.servers
@few
@given(st.data(), counted(), st.sampled_from(QUOTAS))
def test_converted_quotas(store: ClickHouse, data: st.DataObject, rows: Keyed, rule: Rule) -> None:
    assert _converted(store, rule, rows) == _engine(data.draw, rule, rows, HOUR)


@pytest.mark.servers
@few
@given(st.data(), keyed(7 * HOUR, SPRING, most=40), st.sampled_from(SPIKES))
def test_converted_spikes(store: ClickHouse, data: st.DataObject, rows: Keyed, rule: Rule) -> None:
    assert _converted(store, rule, rows) == _engine(data.draw, rule, rows, 7 * HOUR)


@pytest.mark.servers
@few
@given(st.data(), keyed(HOUR), st.sampled_from(NEW_VALUES))
def test_converted_new_values(store: ClickHouse, data: st.DataObject, rows: Keyed, rule: Rule) -> None:
    assert _converted(store, rule, rows) == _engine(data.draw, rule, rows, HOUR)


@pytest.mark.servers
@few
@given(st.data(), keyed(5 * MINUTE), st.integers(0, 300))
def test_converted_absences(store: ClickHouse, data: st.DataObject, rows: Keyed, later: int) -> None:
    end = rows[-1][1].t + later * MINUTE + 1
    found = _converted(store, ABSENCE, rows, end)
    plain = {key: sorted((one[1], one[2] or -1) for one in listed) for key, listed in found.items()}
    assert plain == _absences(data.draw, rows, end)
