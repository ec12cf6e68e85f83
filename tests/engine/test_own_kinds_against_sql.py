"""Kinds that Sigma has no word for are what SQL makes of the same rows: plain joins, and what a rule is converted to.

Rows come in any order and portions, with a snapshot and restore in between.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agents.engine.correlate import RuleTime
from agents.engine.rows import Row
from agents.rules.model import Rule
from agents.sinks.clickhouse import ClickHouse
from tests.embedded.servers_fixture import RunningServers
from tests.engine.sql_windows import query
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
    judge,
    keyed,
    seen,
)  # fmt: skip

Keyed = list[tuple[str, Row]]


@pytest.fixture(scope="module")
def store(embedded_servers: RunningServers) -> Iterator[ClickHouse]:
    made = ClickHouse(embedded_servers.endpoints.clickhouse, threading.Event())
    yield made
    made.close()


few = settings(max_examples=25, phases=(Phase.generate,), suppress_health_check=[HealthCheck.function_scoped_fixture])


def _name(key: str) -> str:
    return str(msgspec.json.decode(key)["user_name"])


def _engine(draw: Any, rule: Rule, rows: Keyed, until: RuleTime | None = None) -> list[tuple[Any, ...]]:
    found = judge(draw, rule, rows, until)
    return sorted((_name(key), *one) for key in KEYS for one in seen(found, key))


def _converted(store: ClickHouse, rule: Rule, rows: Keyed, latest: int = 0) -> list[tuple[Any, ...]]:
    named = [(_name(key), row) for key, row in rows]
    return sorted(store.execute(query(rule, named, DENVER, latest)))


def _placed(draw: Any, rows: Keyed) -> Keyed:
    return [
        (k, r._replace(values=(*draw(st.sampled_from(CITIES)), draw(st.sampled_from(NETWORKS)) or f"203.0.{i}.9")))
        for i, (k, r) in enumerate(rows)
    ]


@pytest.mark.servers
@few
@given(st.data(), keyed(10 * SECOND))
def test_converted_sessions(store: ClickHouse, data: st.DataObject, rows: Keyed) -> None:
    rows = [(k, r._replace(number=None if r.number is not None and r.number < 0 else r.number)) for k, r in rows]
    assert _converted(store, CONCURRENT, rows) == _engine(data.draw, CONCURRENT, rows)


@pytest.mark.servers
@few
@given(st.data(), keyed(10 * MINUTE))
def test_converted_journeys(store: ClickHouse, data: st.DataObject, rows: Keyed) -> None:
    rows = _placed(data.draw, rows)
    assert _converted(store, TRAVEL, rows) == _engine(data.draw, TRAVEL, rows)


@pytest.mark.servers
@few
@given(st.data(), keyed(HOUR, SPRING, most=40), st.sampled_from(QUOTAS))
def test_converted_quotas(store: ClickHouse, data: st.DataObject, rows: Keyed, rule: Rule) -> None:
    rows = [(k, r._replace(number=r.number or 0.0)) for k, r in rows]
    assert _converted(store, rule, rows) == _engine(data.draw, rule, rows)


@pytest.mark.servers
@few
@given(st.data(), keyed(7 * HOUR, SPRING, most=40), st.sampled_from(SPIKES))
def test_converted_spikes(store: ClickHouse, data: st.DataObject, rows: Keyed, rule: Rule) -> None:
    assert _converted(store, rule, rows) == _engine(data.draw, rule, rows)


@pytest.mark.servers
@few
@given(st.data(), keyed(HOUR), st.sampled_from(NEW_VALUES))
def test_converted_new_values(store: ClickHouse, data: st.DataObject, rows: Keyed, rule: Rule) -> None:
    assert _converted(store, rule, rows) == _engine(data.draw, rule, rows)


@pytest.mark.servers
@few
@given(st.data(), keyed(5 * MINUTE), st.integers(0, 300))
def test_converted_absences(store: ClickHouse, data: st.DataObject, rows: Keyed, later: int) -> None:
    newest = max(row.t for _, row in rows) + later * MINUTE + 1
    records = judge(data.draw, ABSENCE, rows, RuleTime(newest, min(row.t for _, row in rows)))
    last = {r["id"]: r for r in records}.values()
    engine = sorted((r["group_key"]["user_name"], r["opened_at"], r["closed_at"] or 0, r["count"]) for r in last)
    found = _converted(store, ABSENCE, rows, newest)
    assert [(key, opened, closed or 0, n) for key, _, opened, closed, n, _ in found] == engine
